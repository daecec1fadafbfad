/*
 * youtube-emulator: a local stand-in for YouTube's upload API, OAuth endpoints included, that is strict about
 * the rules and breaks them on demand. README.md tells how to use it.
 */
#include <errno.h>
#include <getopt.h>
#include <gnutls/gnutls.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/parse.h"
#include "file.h"
#include "server.h"
#include "tls.h"

static const char usage[] =
    "usage: youtube-emulator [--port P] [--dir DIR] [--seed N] [--no-tls]\n"
    "                        [--cert FILE --key FILE] [--tls-priority TEXT] [--receive-buffer BYTES]\n"
    "Serves on 127.0.0.1 until SIGTERM or SIGINT. Writes its CA certificate and the clients' secret files to "
    "DIR\n"
    "(default: a new directory under $TMPDIR) and prints one line that says where it is.\n";

struct options {
    struct server_options server;
    char *dir; /* owned */
    uint64_t seed;
    bool no_tls;
    char *cert_pem; /* owned; read from --cert, --key */
    char *key_pem;
};

static void options_release(struct options *options)
{
    mem_free(options->dir);
    mem_free(options->cert_pem);
    mem_free(options->key_pem);
}

enum option_id {
    OPTION_PORT = 1,
    OPTION_DIR,
    OPTION_SEED,
    OPTION_NO_TLS,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_PRIORITY,
    OPTION_BUFFER,
    OPTION_HELP
};

static int parse_number(const char *name, const char *text, uint64_t max, uint64_t *ret, struct err *err)
{
    if (parse_u64(text, ret) && *ret <= max)
        return 0;
    return err_set(err, ERR_USAGE, "--%s: \"%s\" is no number up to %llu", name, text,
                   (unsigned long long)max);
}

static int take_option(struct options *options, int id, struct err *err)
{
    uint64_t number = 0;
    int rc = 0;
    switch (id) {
    case OPTION_PORT:
        rc = parse_number("port", optarg, UINT16_MAX, &number, err);
        options->server.port = (uint16_t)number;
        return rc;
    case OPTION_DIR:
        mem_free(options->dir);
        options->dir = mem_dup(optarg);
        return 0;
    case OPTION_SEED:
        return parse_number("seed", optarg, UINT64_MAX, &options->seed, err);
    case OPTION_NO_TLS:
        options->no_tls = true;
        return 0;
    case OPTION_CERT:
        return file_read(optarg, &options->cert_pem, err);
    case OPTION_KEY:
        return file_read(optarg, &options->key_pem, err);
    case OPTION_PRIORITY:
        options->server.tls_priority = optarg;
        return 0;
    case OPTION_BUFFER:
        rc = parse_number("receive-buffer", optarg, INT32_MAX, &number, err);
        options->server.receive_bytes = (uint32_t)number;
        return rc;
    default:
        return err_set(err, ERR_USAGE, "wrong usage");
    }
}

static int read_options(int argc, char **argv, struct options *ret, struct err *err)
{
    static const struct option known[] = {{"port", required_argument, NULL, OPTION_PORT},
                                          {"dir", required_argument, NULL, OPTION_DIR},
                                          {"seed", required_argument, NULL, OPTION_SEED},
                                          {"no-tls", no_argument, NULL, OPTION_NO_TLS},
                                          {"cert", required_argument, NULL, OPTION_CERT},
                                          {"key", required_argument, NULL, OPTION_KEY},
                                          {"tls-priority", required_argument, NULL, OPTION_PRIORITY},
                                          {"receive-buffer", required_argument, NULL, OPTION_BUFFER},
                                          {"help", no_argument, NULL, OPTION_HELP},
                                          {NULL, 0, NULL, 0}};
    int id;
    while ((id = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int rc = take_option(ret, id, err);
        if (rc != 0)
            return rc;
    }
    if (optind < argc)
        return err_set(err, ERR_USAGE, "unexpected argument \"%s\"", argv[optind]);
    if (!ret->cert_pem != !ret->key_pem)
        return err_set(err, ERR_USAGE, "--cert and --key go together");
    return 0;
}

static int make_dir(struct options *options, struct err *err)
{
    if (options->dir) {
        if (mkdir(options->dir, 0700) != 0 && errno != EEXIST)
            return err_set_errno(err, ERR_IO, errno, "cannot make %s", options->dir);
        return 0;
    }
    const char *parent = getenv("TMPDIR");
    options->dir = mem_printf("%s/youtube-emulator-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(options->dir))
        return err_set_errno(err, ERR_IO, errno, "cannot make %s", options->dir);
    return 0;
}

static int open_server(struct options *options, struct tls_files *tls, struct state *state,
                       struct server **ret_server, struct err *err)
{
    uint16_t port;
    int rc = make_dir(options, err);
    if (rc == 0)
        rc = tls_files_make(tls, options->dir, err);
    if (rc != 0)
        return rc;
    if (!options->no_tls) {
        options->server.cert_pem = options->cert_pem ? options->cert_pem : tls->cert_pem;
        options->server.key_pem = options->key_pem ? options->key_pem : tls->key_pem;
    }
    rc = server_open(ret_server, state, &options->server, &port, err);
    if (rc != 0)
        return rc;
    state->dir = mem_dup(options->dir);
    state->base_url = mem_printf("%s://127.0.0.1:%u", options->no_tls ? "http" : "https", port);
    rc = clients_write_files(&state->clients, options->dir, state->base_url, err);
    return rc == 0 ? server_start(*ret_server, err) : rc;
}

/* The one line that programs read. */
static int announce(const struct state *state, const struct tls_files *tls, struct err *err)
{
    printf("listening url=%s ca=%s client_secret=%s/client_secret.json\n", state->base_url, tls->ca_path,
           state->dir);
    return fflush(stdout) == 0 ? 0 : err_set_errno(err, ERR_IO, errno, "cannot write to standard output");
}

static int serve(struct options *options, struct err *err)
{
    struct state state;
    struct tls_files tls = {0};
    struct server *server = NULL;
    sigset_t signals;
    int signal_seen;
    /* Blocked before any thread starts, so that only sigwait() gets them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    state_init(&state, options->seed);
    int rc = open_server(options, &tls, &state, &server, err);
    if (rc == 0)
        rc = announce(&state, &tls, err);
    if (rc == 0)
        sigwait(&signals, &signal_seen);
    server_close(server);
    state_release(&state);
    tls_files_release(&tls);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    CLEANUP(options_release) struct options options = {.seed = 1};
    json_set_alloc_funcs(mem_alloc, mem_free);
    int rc = read_options(argc, argv, &options, &err);
    if (rc == 0)
        rc = serve(&options, &err);
    if (rc == ERR_USAGE)
        fputs(usage, stderr);
    if (rc != 0)
        fprintf(stderr, "youtube-emulator: %s\n", err.message);
    return rc == 0 ? 0 : err_exit_code(rc);
}
