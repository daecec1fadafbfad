/* The points of `check` that concern others: certificates, API, clients, logins, workers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "http/http.h"
#include "store/videos.h"
#include "youtube/youtube.h"

enum { CA_BYTES_MAX = 16777216, REPLY_LEN_MAX = 65536, PROBE_MS = 20000, WORKER_ALIVE_MS = 60000 };

/* ---- certificates ---- */

void check_ca_file(struct check *check, const char *key, const char *path)
{
    char mend[120];
    struct buf text AUTO_BUF = BUF_INIT(CA_BYTES_MAX);
    struct err err = {0};
    int code = file_read(path, &text, &err);
    if (code == 0 && !strstr(text.data, "-----BEGIN CERTIFICATE-----"))
        code = err_set(&err, ERR_INVALID, "%s has no certificate in it (PEM is expected)", path);
    snprintf(mend, sizeof(mend), "set %s to a PEM file, or remove the key to use the system's", key);
    if (code < 0)
        check_fail(check, key, mend, &err);
    else
        check_ok(check, key, "%s", path);
}

static void check_system_ca(struct check *check)
{
    static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], R_OK) == 0) {
            check_ok(check, "ca_file", "the system's: %s", places[i]);
            return;
        }
    check_warn(check, "ca_file", "install the package ca-certificates, or set ca_file",
               "no certificate authorities of the system were found: no server can be trusted");
}

/* ---- reaching a server ---- */

struct probe {
    uv_loop_t loop;
    enum http_end end;
    int status;
    char message[256];
};

static void on_reply(void *ctx, const struct http_reply *reply)
{
    struct probe *probe = ctx;
    probe->end = reply->end;
    probe->status = reply->status;
    text_copy(probe->message, sizeof(probe->message), reply->message);
    uv_stop(&probe->loop);
}

static int run_probe(struct probe *probe, const struct settings *settings, const char *url, struct err *err)
{
    static const char *const headers[] = {NULL};
    struct http *http = NULL;
    struct http_request *request;
    struct http_config config = {.ca_file = settings->ca_file,
                                 .proxy = settings->proxy,
                                 .user_agent = "sluice/" SLUICE_VERSION,
                                 .allow_plain_loopback = settings->allow_plain_loopback,
                                 .allow_private_hosts = true, /* api_root and token_uri are configured */
                                 .connect_timeout_ms = settings->connect_timeout_ms,
                                 .low_speed_ms = PROBE_MS,
                                 .low_speed_bytes = 1,
                                 .connections_max = 1,
                                 .connects_per_turn_max = 1};
    struct http_exchange exchange = {.method = "GET",
                                     .url = url,
                                     .headers = headers,
                                     .reply_len_max = REPLY_LEN_MAX,
                                     .deadline_ms = PROBE_MS,
                                     .done = on_reply,
                                     .ctx = probe};
    int code = http_open(&probe->loop, &config, &http, err);
    if (code < 0)
        return code;
    code = http_start(http, &exchange, &request, err);
    if (code == 0)
        uv_run(&probe->loop, UV_RUN_DEFAULT);
    http_close(http);
    return code;
}

/* Any HTTP reply will do: name, route, port and certificate are then in order. */
static int reach(struct check *check, const char *url, struct err *err)
{
    struct probe probe = {.end = HTTP_ABORTED};
    if (uv_loop_init(&probe.loop) != 0)
        return err_set(err, ERR_INTERNAL, "no event loop can be made");
    int code = run_probe(&probe, &check->cli->settings, url, err);
    uv_run(&probe.loop, UV_RUN_DEFAULT);
    uv_loop_close(&probe.loop);
    if (code == 0 && probe.status == 0)
        code = err_set(err, ERR_IO, "%s", probe.message);
    return code;
}

static void check_reach(struct check *check, const char *what, const char *url)
{
    struct http_origin origin;
    struct err err = {0};
    int code = http_origin_parse(url, &origin, &err);
    if (code == 0)
        code = reach(check, url, &err);
    if (code < 0)
        check_fail(check, what, "check network, proxy, ca_file and clock", &err);
    else
        check_ok(check, what, "%s answers", origin.host);
}

static int on_client_online(void *ctx, const struct store_client *client)
{
    const struct check *check = ctx;
    if (!*check->cli->settings.token_service) /* else it is never asked */
        check_reach(ctx, "token_uri", client->token_uri);
    return 0;
}

void check_network(struct check *check, bool is_online)
{
    const struct settings *settings = &check->cli->settings;
    struct err err = {0};
    if (settings->ca_file)
        check_ca_file(check, "ca_file", settings->ca_file);
    else
        check_system_ca(check);
    if (yt_check_api_root(settings->api_root, settings->allow_plain_loopback, &err) < 0)
        check_fail(check, "api_root", NULL, &err);
    else if (is_online)
        check_reach(check, "api_root", settings->api_root);
    else
        check_ok(check, "api_root", "%s (not asked; --online does)", settings->api_root);
    if (is_online && check->cli->store &&
        store_client_list(check->cli->store, on_client_online, check, &err) < 0)
        check_fail(check, "store", NULL, &err);
}

/* ---- clients and logins ---- */

struct census {
    int alarm_count;
    struct check *check;
    int client_count;
    int channel_count;
    uint64_t runnable;
    int worker_count;
};

static int on_client(void *ctx, const struct store_client *client)
{
    struct census *census = ctx;
    (void)client;
    census->client_count++;
    return 0;
}

static int on_channel(void *ctx, const struct store_channel *channel)
{
    struct census *census = ctx;
    char mend[160];
    census->channel_count++;
    bool has_login = cli_has_login(census->check->cli, channel);
    snprintf(mend, sizeof(mend), "sluice channel %s %s",
             channel->state != CHANNEL_AUTH && has_login   ? "resume"
             : *census->check->cli->settings.token_service ? "import"
                                                           : "login",
             channel->name);
    if (!has_login)
        check_warn(census->check, "channel", mend, "%s is not logged in", channel->name);
    else if (channel->state == CHANNEL_LIMITED)
        check_ok(census->check, "channel", "%s: YouTube takes no more of it for now", channel->name);
    else if (channel->state != CHANNEL_ACTIVE)
        check_warn(census->check, "channel", mend, "%s is not sent to: %s%s%s", channel->name,
                   channel_state_text(channel->state), *channel->state_reason ? ": " : "",
                   channel->state_reason);
    else
        check_ok(census->check, "channel", "%s is %s (%s)", channel->name, channel->yt_channel_id,
                 channel->title);
    return 0;
}

void check_logins(struct check *check)
{
    struct census census = {.check = check};
    struct err err = {0};
    int code = store_client_list(check->cli->store, on_client, &census, &err);
    if (code == 0 && census.client_count == 0)
        check_warn(check, "client", "sluice client import client_secret.json",
                   "there is no OAuth client yet");
    else if (code == 0)
        check_ok(check, "client", "%d imported", census.client_count);
    if (code == 0)
        code = store_channel_list(check->cli->store, NULL, on_channel, &census, &err);
    if (code < 0)
        check_fail(check, "store", NULL, &err);
    else if (census.channel_count == 0)
        check_warn(check, "channel", "sluice channel login NAME", "there is no channel yet");
}

/* ---- workers ---- */

static int on_worker(void *ctx, const struct store_worker *worker)
{
    struct census *census = ctx;
    if (census->check->now_ms - worker->seen_at_ms < WORKER_ALIVE_MS)
        census->worker_count++;
    return 0;
}

static int on_depth(void *ctx, const struct store_depth *depth)
{
    struct census *census = ctx;
    if (depth->state == JOB_QUEUED)
        census->runnable += depth->count;
    return 0;
}

void check_work(struct check *check)
{
    struct census census = {.check = check};
    struct err err = {0};
    int code = store_worker_list(check->cli->store, on_worker, &census, &err);
    if (code == 0)
        code = store_depth_list(check->cli->store, on_depth, &census, &err);
    if (code < 0)
        check_fail(check, "store", NULL, &err);
    else if (census.worker_count == 0 && census.runnable > 0)
        check_warn(check, "worker", "sluice worker", "%" PRIu64 " jobs are queued and no worker runs",
                   census.runnable);
    else
        check_ok(check, "worker", "%d running, %" PRIu64 " jobs queued", census.worker_count,
                 census.runnable);
}

/* ---- alarms ---- */

static int on_alarm(void *ctx, const struct store_alarm *alarm)
{
    struct census *census = ctx;
    census->alarm_count++;
    if (alarm->channel[0])
        check_warn(census->check, "alarm", "sluice alarm list", "%" PRId64 ": channel %s of tenant %s: %s",
                   alarm->id, alarm->channel, alarm->tenant, alarm->message);
    else
        check_warn(census->check, "alarm", "sluice alarm list", "%" PRId64 ": tenant %s: %s", alarm->id,
                   alarm->tenant, alarm->message);
    return 0;
}

void check_alarms(struct check *check)
{
    struct census census = {.check = check};
    struct err err = {0};
    if (store_alarm_list(check->cli->store, false, on_alarm, &census, &err) < 0)
        check_fail(check, "alarm", NULL, &err);
    else if (census.alarm_count == 0)
        check_ok(check, "alarm", "none is open");
}

/* ---- looks at videos ---- */

static int on_video_trouble(void *ctx, const struct store_channel *channel, const char *trouble)
{
    check_warn(ctx, "videos", "sluice channel login",
               "those of channel %s of tenant %s cannot be looked at, so nobody is told of others' there: %s",
               channel->name, channel->tenant, trouble);
    return 0;
}

void check_videos(struct check *check)
{
    struct err err = {0};
    if (check->cli->settings.watch_videos_ms > 0 &&
        store_video_trouble_list(check->cli->store, on_video_trouble, check, &err) < 0)
        check_fail(check, "videos", NULL, &err);
}
