/*
 * curl's multi handle on a libuv loop: one uv_poll_t for each socket that curl wants watched, one timer.
 *
 * A watch is freed in its close callback and forgotten by curl before that; the same descriptor number may
 * come back at once with a new watch. A timeout of 0 means "soon": it is done in the next turn, never from
 * within curl's own call.
 */
#include "http/room.h"

#include "base/mem.h"

struct socket_watch {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t socket;
    int events; /* UV_READABLE and UV_WRITABLE as curl wants them now */
    bool is_closed;
};

static void when_ready(uv_poll_t *poll, int status, int events);

static void free_watch(uv_handle_t *handle)
{
    struct socket_watch *watch = handle->data;
    http_count_closed(watch->http);
    mem_free(watch);
}

static void close_watch(struct socket_watch *watch)
{
    watch->is_closed = true;
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, free_watch);
}

static struct socket_watch *open_watch(struct http *http, curl_socket_t socket)
{
    struct socket_watch *watch = mem_alloc(sizeof *watch);
    if (uv_poll_init_socket(http->loop, &watch->poll, socket)) {
        mem_free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->http = http;
    watch->socket = socket;
    http->open_handles++;
    curl_multi_assign(http->multi, socket, watch);
    return watch;
}

/* libuv stops a watch whose socket has an error. curl may have read only a part of what came before it, so
 * the watch goes on: the kernel tells again. */
static void when_ready(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    struct http *http = watch->http;
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0)
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT | CURL_CSELECT_ERR;
    int running;
    http_enter(http);
    curl_multi_socket_action(http->multi, watch->socket, flags, &running);
    if (status < 0 && !watch->is_closed)
        uv_poll_start(&watch->poll, watch->events, when_ready);
    http_leave(http);
}

static struct http_request *request_of(CURL *easy)
{
    struct http_request *request = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
    return request; /* NULL: a handle of curl's own */
}

/* curl gives up a connection before it is made, and still has its socket: this is the moment to see whether
 * that was for lack of a descriptor, to read certificates for one (C13). */
static void note_lack(struct http_request *request)
{
    int lack = request->is_sent ? 0 : socket_lack();
    if (lack)
        request->errno_value = lack;
}

static void note_socket(CURL *easy, curl_socket_t socket, int what)
{
    struct http_request *request = request_of(easy);
    if (!request)
        return;
    if (what != CURL_POLL_REMOVE) {
        request->socket = socket;
        return;
    }
    note_lack(request);
    if (request->socket == socket)
        request->socket = CURL_SOCKET_BAD;
}

static void note_unwatchable(CURL *easy)
{
    struct http_request *request = request_of(easy);
    if (!request)
        return;
    request->cause = CAUSE_NO_DESCRIPTOR;
    http_alert(request);
}

static int when_socket(CURL *easy, curl_socket_t socket, int what, void *ctx, void *socket_ctx)
{
    struct http *http = ctx;
    struct socket_watch *watch = socket_ctx;
    note_socket(easy, socket, what);
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            close_watch(watch);
        curl_multi_assign(http->multi, socket, NULL);
        return 0;
    }
    if (!watch)
        watch = open_watch(http, socket);
    if (!watch) {
        note_unwatchable(easy);
        return 0; /* -1 would fail all transfers */
    }
    watch->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, watch->events, when_ready);
    return 0;
}

void pump_timeout(struct http *http)
{
    int running;
    http->is_curl_due = false;
    http_enter(http);
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_leave(http);
}

static void when_timer(uv_timer_t *timer)
{
    pump_timeout(timer->data);
}

static int when_timeout_changes(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct http *http = ctx;
    http->is_curl_due = timeout_ms == 0;
    if (timeout_ms > 0)
        uv_timer_start(&http->curl_timer, when_timer, (uint64_t)timeout_ms, 0);
    else
        uv_timer_stop(&http->curl_timer);
    if (http->is_curl_due)
        http_kick(http);
    return 0;
}

bool pump_attach(struct http *http)
{
    CURLM *multi = http->multi;
    return !curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, when_socket) &&
           !curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) &&
           !curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, when_timeout_changes) &&
           !curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
}
