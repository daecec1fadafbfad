/* `worker`: the daemon. And the hidden `broker` and `keeper`: the processes that a worker and some commands
 * start beside them. */
#include "worker/worker.h"
#include "base/log.h"
#include "cli/families.h"
#include "cli/output.h"
#include "vault/keeper.h"
#include "web/web.h"

enum { DRAIN_WAIT_MS = 120000, BROKER_FD = 3 };

/* The web endpoint, from before the worker opens anything until after it has closed everything. */
struct endpoint {
    const char *listen;
    struct board *board;
    struct web *web;
};

static int open_endpoint(void *ctx, struct err *err)
{
    struct endpoint *endpoint = ctx;
    int code = web_open(endpoint->listen, endpoint->board, &endpoint->web, err);
    if (code == 0)
        LOG(LOG_INFO, "listening", F_STR("address", web_address(endpoint->web)));
    return code;
}

static int run_with_endpoint(struct cli *cli, struct worker_options *options, struct err *err)
{
    struct endpoint endpoint = {.listen = cli->settings.listen, .board = board_new()};
    bool is_interrupted = false;
    options->board = endpoint.board;
    options->begin = open_endpoint;
    options->begin_ctx = &endpoint;
    int code = worker_run(&cli->settings, options, &is_interrupted, err);
    web_close(endpoint.web);
    board_free(endpoint.board);
    return code;
}

static void tell_change(void *ctx, const struct conf_key *key)
{
    (void)ctx;
    LOG(key->reloadable ? LOG_INFO : LOG_WARN,
        key->reloadable ? "configuration changed" : "configuration changed, which needs a restart",
        F_STR("key", key->name));
}

static int reload(void *ctx, struct err *err)
{
    struct cli *cli = ctx;
    struct settings fresh = {0};
    int code = cli_read_settings(cli, &fresh, err);
    if (code != 0)
        return code;
    struct conf conf = settings_conf(&cli->settings), fresh_conf = settings_conf(&fresh);
    conf_reload(&conf, &fresh_conf, tell_change, NULL);
    settings_release(&fresh);
    return 0;
}

static int run_worker(struct cli *cli, struct err *err)
{
    struct worker_options options = {.drain = cli_has(cli, "drain"), .reload = reload, .reload_ctx = cli};
    bool is_interrupted = false;
    if (cli_has(cli, "drain-wait") && !options.drain)
        return err_set(err, ERR_USAGE, "--drain-wait goes with --drain only");
    int code = cli_duration_ms(cli, "drain-wait", DRAIN_WAIT_MS, &options.drain_wait_ms, err);
    if (code < 0)
        return code;
    if (*cli->settings.listen)
        return run_with_endpoint(cli, &options, err);
    return worker_run(&cli->settings, &options, &is_interrupted, err);
}

/* Everything it needs comes through the socket. */
static int run_broker(struct cli *cli, struct err *err)
{
    (void)cli;
    (void)err;
    return broker_main(BROKER_FD);
}

static int run_keeper(struct cli *cli, struct err *err)
{
    (void)cli;
    (void)err;
    return keeper_main(BROKER_FD);
}

static const struct cli_option worker_options[] = {
    {"drain", NULL, NULL, "Leave when every job in reach is finished, held, or waits for longer."},
    {"drain-wait", "TIME", NULL, "What \"longer\" means; default: 2m."},
    {"concurrency", "N", "concurrency", "How many jobs are under way at once."},
    {"region", "NAME", "region", "Take the jobs of this region, and those without one."},
    {"tenants", "A,B", "tenants", "Take the jobs of these tenants only."},
    {"listen", "ADDR:PORT", "listen", "Serve metrics and health there; a PORT alone: for this machine only."},
    {"limit-rate", "BYTES", "limit_rate", "Upload at most this many bytes a second in all, as 2M."},
    {NULL}};

const struct cli_command worker_commands[] = {
    {.name = "worker",
     .arguments = "",
     .summary = "Upload what is queued, until told to stop (SIGTERM or SIGINT).",
     .details =
         "Any number of workers may share one store. When a worker is stopped it stores how far it came "
         "and gives its jobs back; when it is killed, another one takes them over once their lease has "
         "run out.\n\n"
         "SIGHUP makes it read its configuration again. Keys that are marked so take effect at once, others "
         "are "
         "named as needing a restart; a configuration with an error changes nothing.",
     .options = worker_options,
     .run = run_worker,
     .is_daemon = true},
    {.name = "keeper",
     .arguments = "",
     .summary = "Starts brokers for a worker; started by it with a socket as descriptor 3.",
     .run = run_keeper,
     .is_bare = true,
     .is_hidden = true},
    {.name = "broker",
     .arguments = "",
     .summary = "The token broker; started by other commands with a socket as descriptor 3.",
     .run = run_broker,
     .is_bare = true,
     .is_hidden = true},
    {NULL},
};
