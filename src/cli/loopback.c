#include "cli/loopback.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"

enum {
    REQUEST_LEN_MAX = 16384,
    PEERS_MAX = 8,
    PEER_LIFE_MS = 30000,
    LAST_PAGE_MS = 3000,
    PASTE_LEN_MAX = 8192
};

/* One connection. */
struct peer {
    struct loopback *loopback;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    struct buf request; /* has the code in it: wiped */
    struct buf page;
    int open_handles;
    bool is_answered;
    struct peer *next;
};

struct loopback {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_timer_t timer;
    uv_poll_t input;
    bool watches_input;
    int open_handles;
    char host[32];
    char redirect_uri[48];
    char state[256];
    struct buf paste; /* may hold a code: wiped */
    struct peer *peers;
    int peer_count;
    struct peer *waiting; /* the browser that brought the answer */
    struct loopback_answer answer;
    bool is_done;
    bool is_late;
};

/* ---- a peer's end ---- */

static void peer_unlink(struct peer *peer)
{
    struct loopback *loopback = peer->loopback;
    for (struct peer **at = &loopback->peers; *at; at = &(*at)->next)
        if (*at == peer) {
            *at = peer->next;
            break;
        }
    loopback->peer_count--;
    if (loopback->waiting == peer)
        loopback->waiting = NULL;
}

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    if (--peer->open_handles > 0)
        return;
    peer_unlink(peer);
    buf_wipe(&peer->request);
    buf_release(&peer->page);
    mem_free(peer);
}

static void peer_close(struct peer *peer)
{
    if (!uv_is_closing((uv_handle_t *)&peer->tcp))
        uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
    if (!uv_is_closing((uv_handle_t *)&peer->timer))
        uv_close((uv_handle_t *)&peer->timer, on_peer_closed);
}

static void on_peer_timer(uv_timer_t *timer)
{
    peer_close(timer->data);
}

/* ---- pages ---- */

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    peer_close(write->data);
}

static void put_html(struct buf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        default:
            buf_putc(out, *text);
        }
    }
}

static void build_page(struct buf *ret, int status, const char *heading, const char *sentence)
{
    struct buf body AUTO_BUF = BUF_INIT(16384);
    buf_puts(&body, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>sluice</title>\n"
                    "<style>body{font:18px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;"
                    "padding:0 1em}</style>\n<h1>");
    put_html(&body, heading);
    buf_puts(&body, "</h1>\n<p>");
    put_html(&body, sentence);
    buf_puts(&body, "</p></html>\n");
    buf_printf(ret,
               "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
               "Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
               "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n%s",
               status,
               status == 200   ? "OK"
               : status == 404 ? "Not Found"
                               : "Bad Request",
               body.len, body.data);
}

static void peer_show(struct peer *peer, int status, const char *heading, const char *sentence)
{
    if (peer->is_answered || uv_is_closing((uv_handle_t *)&peer->tcp))
        return;
    peer->is_answered = true;
    build_page(&peer->page, status, heading, sentence);
    uv_buf_t piece = uv_buf_init(peer->page.data, (unsigned)peer->page.len);
    peer->write.data = peer;
    if (uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &piece, 1, on_written) != 0)
        peer_close(peer);
}

/* ---- requests ---- */

static void act_on(struct peer *peer, enum loopback_verdict verdict)
{
    struct loopback *loopback = peer->loopback;
    switch (verdict) {
    case LOOPBACK_MORE:
        if (peer->request.overflowed)
            peer_show(peer, 400, "Not understood", "The request is too long.");
        return;
    case LOOPBACK_BAD:
        peer_show(peer, 400, "Not understood", "This is not the redirect of a login.");
        return;
    case LOOPBACK_OTHER:
        peer_show(peer, 404, "Nothing here", "This address only waits for the end of a login.");
        return;
    case LOOPBACK_WRONG_STATE:
        peer_show(
            peer, 400, "Another login",
            "This redirect does not belong to the login that sluice is waiting for. Please use the page "
            "that it opened last.");
        return;
    case LOOPBACK_TAKEN:
        loopback->waiting = peer;
        loopback->is_done = true;
        uv_stop(loopback->loop);
        return;
    }
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    static char piece[4096];
    (void)handle;
    (void)size;
    *ret = uv_buf_init(piece, sizeof(piece));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct peer *peer = stream->data;
    struct loopback *loopback = peer->loopback;
    if (len < 0) {
        peer_close(peer);
        return;
    }
    bool is_late = peer->is_answered || loopback->is_done;
    if (!is_late)
        buf_append(&peer->request, piece->base, (size_t)len);
    explicit_bzero(piece->base, (size_t)len);
    if (!is_late)
        act_on(peer, loopback_read_request(peer->request.data, peer->request.len, loopback->host,
                                           loopback->state, &loopback->answer));
}

static struct peer *peer_new(struct loopback *loopback)
{
    struct peer *peer = mem_alloc(sizeof(*peer));
    peer->loopback = loopback;
    peer->open_handles = 2;
    buf_init(&peer->request, REQUEST_LEN_MAX);
    buf_init(&peer->page, 32768);
    uv_tcp_init(loopback->loop, &peer->tcp);
    uv_timer_init(loopback->loop, &peer->timer);
    peer->tcp.data = peer->timer.data = peer;
    peer->next = loopback->peers;
    loopback->peers = peer;
    loopback->peer_count++;
    return peer;
}

/* Browsers open connections ahead of need: an idle one must not keep the real one out. */
static void on_connection(uv_stream_t *listener, int status)
{
    struct loopback *loopback = listener->data;
    if (status != 0)
        return;
    struct peer *peer = peer_new(loopback);
    if (uv_accept(listener, (uv_stream_t *)&peer->tcp) != 0 || loopback->peer_count > PEERS_MAX ||
        uv_read_start((uv_stream_t *)&peer->tcp, on_alloc, on_read) != 0) {
        peer_close(peer);
        return;
    }
    uv_timer_start(&peer->timer, on_peer_timer, PEER_LIFE_MS, 0);
}

/* ---- standard input ---- */

static void take_pasted(struct loopback *loopback)
{
    enum loopback_verdict verdict =
        loopback_read_url(loopback->paste.data, loopback->state, &loopback->answer);
    buf_wipe(&loopback->paste);
    if (verdict == LOOPBACK_TAKEN) {
        loopback->is_done = true;
        uv_stop(loopback->loop);
    } else {
        fputs(verdict == LOOPBACK_WRONG_STATE
                  ? "That URL is of another login; paste the one of the page opened last.\n"
                  : "That is not the address of the last page: it has code= and state= in it.\n",
              stderr);
    }
}

/* A descriptor and not a stream: uv would make a terminal raw or change a file shared with the shell. */
static void on_input(uv_poll_t *poll, int status, int events)
{
    struct loopback *loopback = poll->data;
    char piece[1024];
    (void)events;
    ssize_t len = status == 0 ? read(STDIN_FILENO, piece, sizeof(piece)) : 0;
    if (len <= 0) {
        uv_poll_stop(poll);
        return;
    }
    for (ssize_t i = 0; i < len && !loopback->is_done; i++) {
        if (piece[i] != '\n')
            buf_putc(&loopback->paste, piece[i]);
        else if (loopback->paste.len > 0)
            take_pasted(loopback);
    }
    explicit_bzero(piece, sizeof(piece));
}

void loopback_watch_input(struct loopback *loopback)
{
    if (uv_poll_init(loopback->loop, &loopback->input, STDIN_FILENO) != 0)
        return; /* a plain file or /dev/null: nothing will be pasted there */
    loopback->watches_input = true;
    loopback->open_handles++;
    loopback->input.data = loopback;
    uv_poll_start(&loopback->input, UV_READABLE, on_input);
}

/* ---- opening, waiting, closing ---- */

static int listen_on_free_port(struct loopback *loopback)
{
    struct sockaddr_in address;
    int len = sizeof(address);
    int status = uv_ip4_addr("127.0.0.1", 0, &address);
    if (status == 0)
        status = uv_tcp_bind(&loopback->listener, (const struct sockaddr *)&address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&loopback->listener, PEERS_MAX, on_connection);
    if (status == 0)
        status = uv_tcp_getsockname(&loopback->listener, (struct sockaddr *)&address, &len);
    if (status == 0) {
        snprintf(loopback->host, sizeof(loopback->host), "127.0.0.1:%u", ntohs(address.sin_port));
        snprintf(loopback->redirect_uri, sizeof(loopback->redirect_uri), "http://%s", loopback->host);
    }
    return status;
}

int loopback_open(uv_loop_t *loop, const char *state, struct loopback **ret, struct err *err)
{
    struct loopback *loopback = mem_alloc(sizeof(*loopback));
    loopback->loop = loop;
    loopback->open_handles = 2;
    buf_init(&loopback->paste, PASTE_LEN_MAX);
    text_copy(loopback->state, sizeof(loopback->state), state);
    uv_tcp_init(loop, &loopback->listener);
    uv_timer_init(loop, &loopback->timer);
    loopback->listener.data = loopback->timer.data = loopback;
    int status = listen_on_free_port(loopback);
    if (status != 0) {
        loopback_close(loopback);
        return err_set(err, ERR_IO, "no port of 127.0.0.1 can be listened on: %s", uv_strerror(status));
    }
    *ret = loopback;
    return 0;
}

const char *loopback_redirect_uri(const struct loopback *loopback)
{
    return loopback->redirect_uri;
}

static void on_timeout(uv_timer_t *timer)
{
    struct loopback *loopback = timer->data;
    loopback->is_late = true;
    uv_stop(loopback->loop);
}

int loopback_wait(struct loopback *loopback, int64_t timeout_ms, struct loopback_answer *ret, struct err *err)
{
    char text[32];
    loopback->is_late = false;
    uv_timer_start(&loopback->timer, on_timeout, (uint64_t)timeout_ms, 0);
    while (!loopback->is_done && !loopback->is_late)
        uv_run(loopback->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&loopback->timer);
    if (loopback->watches_input)
        uv_poll_stop(&loopback->input);
    if (!loopback->is_done) {
        format_duration(text, timeout_ms);
        return err_set(err, ERR_TIMEOUT, "nobody finished the login within %s; run the command again", text);
    }
    secret_move(&ret->code, &loopback->answer.code);
    memcpy(ret->refusal, loopback->answer.refusal, sizeof(ret->refusal));
    return 0;
}

void loopback_show(struct loopback *loopback, int status, const char *heading, const char *sentence)
{
    if (loopback->waiting)
        peer_show(loopback->waiting, status, heading, sentence);
}

static void on_closed(uv_handle_t *handle)
{
    struct loopback *loopback = handle->data;
    loopback->open_handles--;
}

static void close_peers(uv_timer_t *timer)
{
    struct loopback *loopback = timer->data;
    for (struct peer *peer = loopback->peers; peer; peer = peer->next)
        peer_close(peer);
}

void loopback_close(struct loopback *loopback)
{
    uv_close((uv_handle_t *)&loopback->listener, on_closed);
    if (loopback->watches_input)
        uv_close((uv_handle_t *)&loopback->input, on_closed);
    for (struct peer *peer = loopback->peers; peer; peer = peer->next)
        if (!peer->is_answered)
            peer_close(peer);
    uv_timer_start(&loopback->timer, close_peers, LAST_PAGE_MS, 0);
    while (loopback->peers)
        uv_run(loopback->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&loopback->timer, on_closed);
    while (loopback->open_handles > 0)
        uv_run(loopback->loop, UV_RUN_ONCE);
    loopback_answer_release(&loopback->answer);
    buf_wipe(&loopback->paste);
    mem_free(loopback);
}
