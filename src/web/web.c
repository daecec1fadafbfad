#include "web/web.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "web/address.h"
#include "web/health.h"
#include "web/metrics.h"

enum { BACKLOG = 64 };

struct web {
    struct board *board;
    struct MHD_Daemon *daemon;
    int64_t started_at_mono_ms;
    bool is_loopback;
    char address[WEB_ADDRESS_SIZE];
};

/* ---- replies ---- */

static const char plain[] = "text/plain; charset=utf-8";

static enum MHD_Result reply(struct MHD_Connection *connection, int status, const char *type,
                             struct MHD_Response *response)
{
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Referrer-Policy", "no-referrer"},
        {"X-Content-Type-Options", "nosniff"},
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    MHD_add_response_header(response, "Content-Type", type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result reply_line(struct MHD_Connection *connection, int status, const char *line)
{
    struct buf text AUTO_BUF = BUF_INIT(512);
    buf_printf(&text, "%s\n", line);
    return reply(connection, status, plain,
                 MHD_create_response_from_buffer(text.len, text.data, MHD_RESPMEM_MUST_COPY));
}

/* Takes the text over. */
static enum MHD_Result reply_text(struct MHD_Connection *connection, const char *type, struct buf *text)
{
    size_t len = text->len;
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(len, buf_take_text(text), mem_free);
    return reply(connection, MHD_HTTP_OK, type, response);
}

/* ---- what there is ---- */

static enum MHD_Result get_metrics(struct web *web, struct MHD_Connection *connection,
                                   const struct view *view)
{
    struct buf text AUTO_BUF = BUF_INIT(METRICS_BYTES_MAX);
    int64_t now = clock_mono_ms();
    board_ask(web->board, now);
    if (!view)
        return reply_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting");
    metrics_write(&text, view, now);
    if (text.overflowed)
        return reply_line(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "too many lines");
    return reply_text(connection, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static enum MHD_Result get_healthz(struct web *web, struct MHD_Connection *connection,
                                   const struct view *view)
{
    struct health health = health_live(view, web->started_at_mono_ms, clock_mono_ms());
    return reply_line(connection, health.status, health.line);
}

static enum MHD_Result get_readyz(struct web *web, struct MHD_Connection *connection, const struct view *view)
{
    struct health health = health_ready(view, web->started_at_mono_ms, clock_mono_ms());
    return reply_line(connection, health.status, health.line);
}

static const struct page {
    const char *path;
    enum MHD_Result (*get)(struct web *web, struct MHD_Connection *connection, const struct view *view);
} pages[] = {{"/metrics", get_metrics}, {"/healthz", get_healthz}, {"/readyz", get_readyz}};

static enum MHD_Result get_page(struct web *web, struct MHD_Connection *connection, const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (strcmp(pages[i].path, path) != 0)
            continue;
        struct view *view = board_take(web->board);
        enum MHD_Result result = pages[i].get(web, connection, view);
        view_drop(view);
        return result;
    }
    return reply_line(connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz");
}

/* ---- requests ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = header(connection, "Content-Length");
    return header(connection, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

static bool is_for_us(const struct web *web, struct MHD_Connection *connection)
{
    const char *host = header(connection, "Host");
    return !web->is_loopback || !host || web_host_is_local(host);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data, size_t *data_len,
                              void **slot)
{
    struct web *web = cls;
    (void)version;
    (void)data;
    (void)data_len;
    (void)slot;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return reply_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    if (has_body(connection))
        return reply_line(connection, MHD_HTTP_CONTENT_TOO_LARGE, "no bodies");
    if (!is_for_us(web, connection))
        return reply_line(connection, MHD_HTTP_MISDIRECTED_REQUEST, "no such host");
    return get_page(web, connection, path);
}

/* ---- the daemon ---- */

/* Paths are compared as they were sent: no two spellings, no hidden end. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static int listen_at(struct web *web, const struct web_address *address, const char *text, struct err *err)
{
    struct sockaddr_storage taken;
    socklen_t len = sizeof(taken);
    int one = 1;
    int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot listen on %s", text);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&address->socket, address->len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&taken, &len) != 0) {
        err_set_errno(err, ERR_IO, errno, "cannot listen on %s", text);
        close(fd);
        return ERR_IO;
    }
    web_address_format(web->address, &taken);
    web->is_loopback = address->is_loopback;
    return fd;
}

/* Signals are the loop's business: this thread takes none. The daemon owns the socket from here on. */
static struct MHD_Daemon *start_daemon(struct web *web, int fd)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, handle, web, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)WEB_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)WEB_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WEB_REQUEST_BYTES_MAX,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

int web_open(const char *listen, struct board *board, struct web **ret, struct err *err)
{
    struct web_address address;
    int rc = web_address_parse(listen, &address, err);
    if (rc != 0)
        return rc;
    struct web *web = mem_alloc(sizeof(*web));
    web->board = board;
    web->started_at_mono_ms = clock_mono_ms();
    int fd = listen_at(web, &address, listen, err);
    if (fd >= 0 && !(web->daemon = start_daemon(web, fd))) {
        close(fd);
        fd = err_set(err, ERR_INTERNAL, "the web endpoint's thread cannot be started");
    }
    if (fd < 0) {
        mem_free(web);
        return fd;
    }
    *ret = web;
    return 0;
}

const char *web_address(const struct web *web)
{
    return web->address;
}

void web_close(struct web *web)
{
    if (!web)
        return;
    MHD_stop_daemon(web->daemon); /* closes the listening socket too */
    mem_free(web);
}
