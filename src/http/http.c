/* The handle: what waits, what runs, one turn of it, and how each exchange ends. */
#include "http/http.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "http/room.h"

enum { CONNECTIONS_DEFAULT = 256, CONNECTS_PER_TURN_DEFAULT = 8 };

static int64_t now_of(const struct http *http)
{
    return (int64_t)uv_now(http->loop);
}

/* ---- the end of an exchange ---- */

static int64_t connect_ms_of(const struct http_request *request)
{
    long fresh = 0;
    curl_off_t connected_us = 0;
    curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &fresh);
    curl_easy_getinfo(request->easy, CURLINFO_APPCONNECT_TIME_T, &connected_us);
    if (!connected_us)
        curl_easy_getinfo(request->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    return !fresh || !request->is_sent ? 0 : connected_us < 1000 ? 1 : (int64_t)(connected_us / 1000);
}

static int64_t wait_ms_of(const struct http_request *request)
{
    bool is_known = request->first_reply_at_ms >= 0 && request->last_byte_at_ms >= 0 &&
                    request->first_reply_at_ms > request->last_byte_at_ms;
    return is_known ? request->first_reply_at_ms - request->last_byte_at_ms : 0;
}

static void fill_reply(struct http_request *request, struct http_reply *reply)
{
    reply->status = request->head.status >= 200 ? request->head.status : 0;
    reply->early = request->is_early;
    reply->headers = reply->status ? request->head.lines.data : "";
    reply->body = request->reply.data;
    reply->body_len = request->reply.len;
    reply->sent_bytes = request->sent_bytes;
    reply->elapsed_ms = now_of(request->http) - request->watch.start_at_ms;
    reply->wait_ms = wait_ms_of(request);
    reply->connect_ms = connect_ms_of(request);
}

static void free_request(struct http_request *request)
{
    limit_leave(request);
    if (request->easy)
        curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->header_list);
    if (request->small_body)
        explicit_bzero(request->small_body, (size_t)request->stream.size_bytes);
    mem_free(request->small_body);
    head_release(&request->head);
    buf_wipe(&request->reply);
    mem_free(request);
}

static void take_out(struct http_request *request)
{
    struct http *http = request->http;
    limit_forget(request);
    if (request->is_alerted)
        TAILQ_REMOVE(&http->alerts, request, alert_link);
    TAILQ_REMOVE(request->is_active ? &http->active : &http->waiting, request, link);
    if (!request->is_active)
        return;
    http->active_count--;
    http->depth++; /* curl may call back, but nothing is settled here: we are settling */
    curl_multi_remove_handle(http->multi, request->easy);
    http->depth--;
}

static void finish(struct http_request *request, struct http_reply *reply)
{
    struct http *http = request->http;
    take_out(request);
    fill_reply(request, reply);
    if (TAILQ_EMPTY(&http->active) && TAILQ_EMPTY(&http->waiting))
        uv_timer_stop(&http->tick_timer);
    else if (!TAILQ_EMPTY(&http->waiting))
        http_kick(http);
    http->busy++;
    request->exchange.done(request->exchange.ctx, reply);
    http->busy--;
    free_request(request);
}

static void finish_aborted(struct http_request *request)
{
    struct http_reply reply = {0};
    result_of_abort(request, &reply);
    finish(request, &reply);
}

/* What stalls may be long packets that vanish without a word on the way: an MTU black hole (C09). */
static void suspect_long_packets(struct http *http)
{
    http->short_until_ms = now_of(http) + HTTP_SHORT_PACKETS_MS;
}

static void finish_by_watch(struct http_request *request, enum watch_verdict verdict)
{
    struct http_reply reply = {0};
    if (verdict == WATCH_SLOW || verdict == WATCH_TOTAL)
        suspect_long_packets(request->http);
    result_of_watch(request, verdict, &reply);
    finish(request, &reply);
}

static void finish_by_curl(struct http_request *request, CURLcode code)
{
    struct http_reply reply = {0};
    if (code == CURLE_OPERATION_TIMEDOUT)
        suspect_long_packets(request->http);
    result_of_curl(request, code, &reply);
    finish(request, &reply);
}

/* ---- after each call into curl ---- */

static void close_now(struct http *http);

/* An early reply that is whole, a socket that cannot be watched, a body that goes on. */
static void settle_alert(struct http_request *request)
{
    bool is_whole = request->is_early && request->head.has_length &&
                    request->received_bytes >= request->head.length_bytes;
    if (is_whole) {
        finish_by_watch(request, WATCH_EARLY);
        return;
    }
    if (request->cause == CAUSE_NO_DESCRIPTOR) {
        finish_by_curl(request, CURLE_COULDNT_CONNECT);
        return;
    }
    http_unpause(request);
}

static void settle_messages(struct http *http)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct http_request *request = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        if (message->msg == CURLMSG_DONE && request)
            finish_by_curl(request, message->data.result);
    }
}

static void settle(struct http *http)
{
    struct http_request *request;
    http->busy++;
    settle_messages(http);
    while ((request = TAILQ_FIRST(&http->alerts))) {
        TAILQ_REMOVE(&http->alerts, request, alert_link);
        request->is_alerted = false;
        settle_alert(request);
    }
    http->busy--;
    if (http->is_closing && !http->busy)
        close_now(http);
}

void http_enter(struct http *http)
{
    http->depth++;
}

void http_leave(struct http *http)
{
    http->depth--;
    if (!http->depth && !http->busy)
        settle(http);
}

void http_alert(struct http_request *request)
{
    if (request->is_alerted)
        return;
    request->is_alerted = true;
    TAILQ_INSERT_TAIL(&request->http->alerts, request, alert_link);
    http_kick(request->http);
}

void http_unpause(struct http_request *request)
{
    struct http *http = request->http;
    if (request->is_stopped) {
        request->is_later = false;
        limit_forget(request);
    }
    if (!request->is_paused || request->is_later || request->is_limited)
        return;
    request->is_paused = false;
    http_enter(http);
    curl_easy_pause(request->easy, CURLPAUSE_CONT);
    http->depth--; /* nothing to settle: curl goes on in the next turn */
}

/* ---- a turn ---- */

static void start_waiting(struct http *http)
{
    struct http_request *request;
    uint32_t started = 0;
    while ((request = TAILQ_FIRST(&http->waiting)) && http->active_count < http->config.connections_max) {
        if (started++ == http->config.connects_per_turn_max) {
            http_kick(http);
            return;
        }
        TAILQ_REMOVE(&http->waiting, request, link);
        TAILQ_INSERT_TAIL(&http->active, request, link);
        request->is_active = true;
        http->active_count++;
        curl_multi_add_handle(http->multi, request->easy);
    }
}

/* `done` may start, resume and abort, but only finish() takes out of a list: `next` stays good. */
static void settle_aborts(struct request_list *list)
{
    struct http_request *request = TAILQ_FIRST(list), *next;
    for (; request; request = next) {
        next = TAILQ_NEXT(request, link);
        if (request->is_aborted)
            finish_aborted(request);
    }
}

static void turn(uv_idle_t *idle)
{
    struct http *http = idle->data;
    uv_idle_stop(idle);
    http->busy++;
    settle_aborts(&http->active);
    settle_aborts(&http->waiting);
    if (!http->is_closing) {
        http_enter(http);
        start_waiting(http);
        http_leave(http);
    }
    if (!http->is_closing && http->is_curl_due)
        pump_timeout(http);
    http->busy--;
    settle(http);
}

void http_kick(struct http *http)
{
    if (!uv_is_closing((uv_handle_t *)&http->turn))
        uv_idle_start(&http->turn, turn);
}

/* ---- the tick: deadlines and progress ---- */

static void report_progress(struct http_request *request)
{
    if (!request->exchange.progress || request->reported_bytes == request->sent_bytes)
        return;
    request->reported_bytes = request->sent_bytes;
    request->exchange.progress(request->exchange.ctx, request->sent_bytes);
}

/* A look asks the kernel about the socket: with very many requests each is looked at less often. */
static void tick_request(struct http_request *request, int64_t now_ms)
{
    if (request->is_aborted)
        return;
    report_progress(request);
    if (now_ms < request->look_at_ms)
        return;
    request->look_at_ms = now_ms + HTTP_TICK_MS * (int64_t)(request->http->active_count / 1000);
    enum watch_verdict verdict = request_look(request, now_ms);
    if (verdict != WATCH_FINE)
        finish_by_watch(request, verdict);
}

static void tick_list(struct http *http, struct request_list *list)
{
    struct http_request *request = TAILQ_FIRST(list), *next;
    for (; request; request = next) {
        next = TAILQ_NEXT(request, link);
        tick_request(request, now_of(http));
    }
}

static void tick(uv_timer_t *timer)
{
    struct http *http = timer->data;
    http->busy++;
    tick_list(http, &http->active);
    tick_list(http, &http->waiting);
    http->busy--;
    settle(http);
}

/* ---- starting an exchange ---- */

static bool is_method(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (!strcmp(method, methods[i]))
            return true;
    }
    return false;
}

static bool has_body(const char *method)
{
    return strcmp(method, "GET") && strcmp(method, "HEAD");
}

static uint64_t size_of_body(const struct http_exchange *exchange)
{
    return exchange->stream ? exchange->stream->size_bytes : exchange->body_len;
}

static int check_method(const struct http_exchange *exchange, struct err *err)
{
    if (!is_method(exchange->method))
        return err_set(err, ERR_INVALID, "not a method that is used: %s", exchange->method);
    if (exchange->stream && exchange->body_len)
        return err_set(err, ERR_INVALID, "a request has one body");
    if (size_of_body(exchange) > INT64_MAX || (size_of_body(exchange) && !has_body(exchange->method)))
        return err_set(err, ERR_INVALID, "a %s request has no such body", exchange->method);
    return 0;
}

static int check_origin(const struct http *http, const char *url, struct http_origin *ret, struct err *err)
{
    int code = http_origin_parse(url, ret, err);
    if (code || ret->https)
        return code;
    if (!http->config.allow_plain_loopback || !http_host_is_loopback(ret->host))
        return err_set(err, ERR_INVALID, "plain http to %s is refused: use https", ret->host);
    return 0;
}

static int64_t read_small_body(void *ctx, void *data, size_t len)
{
    const struct http_request *request = ctx;
    memcpy(data, request->small_body + request->sent_bytes, len);
    return (int64_t)len;
}

static void set_body(struct http_request *request, const struct http_exchange *exchange)
{
    request->is_upload = has_body(exchange->method);
    if (exchange->stream) {
        request->stream = *exchange->stream;
        return;
    }
    request->small_body = mem_alloc(exchange->body_len);
    if (exchange->body_len)
        memcpy(request->small_body, exchange->body, exchange->body_len);
    request->stream = (struct http_body){exchange->body_len, read_small_body, request};
}

static void set_watch(struct http_request *request, const struct http_exchange *exchange)
{
    struct http *http = request->http;
    watch_init(&request->watch, now_of(http));
    request->watch.deadline_ms = exchange->deadline_ms;
    request->watch.reply_deadline_ms = exchange->reply_deadline_ms;
    request->watch.low_speed_ms = http->config.low_speed_ms;
    request->watch.low_speed_bytes = http->config.low_speed_bytes;
}

static struct http_request *new_request(struct http *http, const struct http_exchange *exchange,
                                        const struct http_origin *origin)
{
    struct http_request *request = mem_alloc(sizeof *request);
    request->http = http;
    request->origin = *origin;
    request->exchange = (struct http_exchange){.done = exchange->done,
                                               .progress = exchange->progress,
                                               .ctx = exchange->ctx,
                                               .is_repeatable = exchange->is_repeatable};
    request->socket = CURL_SOCKET_BAD;
    request->last_byte_at_ms = request->first_reply_at_ms = -1;
    head_init(&request->head);
    buf_init(&request->reply, exchange->reply_len_max);
    set_body(request, exchange);
    if (request->is_upload)
        limit_join(request, exchange->rate_group);
    set_watch(request, exchange);
    return request;
}

static void enqueue(struct http_request *request)
{
    struct http *http = request->http;
    TAILQ_INSERT_TAIL(&http->waiting, request, link);
    if (!uv_is_active((uv_handle_t *)&http->tick_timer))
        uv_timer_start(&http->tick_timer, tick, HTTP_TICK_MS, HTTP_TICK_MS);
    http_kick(http);
}

int http_start(struct http *http, const struct http_exchange *exchange, struct http_request **ret,
               struct err *err)
{
    struct http_origin origin;
    if (http->is_closing)
        return err_set(err, ERR_INTERNAL, "the connections are being closed");
    int code = check_method(exchange, err);
    if (!code)
        code = check_origin(http, exchange->url, &origin, err);
    if (!code)
        code = headers_check(exchange->headers, size_of_body(exchange), err);
    if (code)
        return code;
    uv_update_time(http->loop);
    struct http_request *request = new_request(http, exchange, &origin);
    request->header_list = headers_list(exchange->headers);
    request->easy = curl_easy_init();
    if (!request->header_list || !request->easy || !setup_request(request, exchange->method, exchange->url)) {
        free_request(request);
        return err_set(err, ERR_INTERNAL, "libcurl lacks an option that is needed");
    }
    enqueue(request);
    *ret = request;
    return 0;
}

void http_resume(struct http_request *request)
{
    request->is_later = false;
    if (request->http->depth)
        http_alert(request);
    else
        http_unpause(request);
}

void http_abort(struct http_request *request)
{
    request->is_aborted = true;
    http_kick(request->http);
}

/* ---- the handle ---- */

static void free_http(struct http *http)
{
    kept_release(&http->sockets);
    fair_release(&http->fair);
    mem_free((char *)http->config.ca_file);
    mem_free((char *)http->config.cert_file);
    mem_free((char *)http->config.cert_key_file);
    if (http->config.proxy)
        explicit_bzero((char *)http->config.proxy, strlen(http->config.proxy));
    mem_free((char *)http->config.proxy);
    mem_free((char *)http->config.user_agent);
    mem_free(http);
    curl_global_cleanup();
}

void http_count_closed(struct http *http)
{
    if (--http->open_handles == 0)
        free_http(http);
}

static void handle_closed(uv_handle_t *handle)
{
    http_count_closed(handle->data);
}

static void release_curl(struct http *http)
{
    if (http->multi)
        curl_multi_cleanup(http->multi);
    if (http->share)
        curl_share_cleanup(http->share);
}

static void close_now(struct http *http)
{
    if (uv_is_closing((uv_handle_t *)&http->turn))
        return;
    http->busy++;
    while (!TAILQ_EMPTY(&http->active))
        finish_aborted(TAILQ_FIRST(&http->active));
    while (!TAILQ_EMPTY(&http->waiting))
        finish_aborted(TAILQ_FIRST(&http->waiting));
    release_curl(http);
    uv_close((uv_handle_t *)&http->turn, handle_closed);
    uv_close((uv_handle_t *)&http->curl_timer, handle_closed);
    uv_close((uv_handle_t *)&http->tick_timer, handle_closed);
    uv_close((uv_handle_t *)&http->rate_timer, handle_closed);
    http->busy--;
}

void http_close(struct http *http)
{
    if (!http || http->is_closing)
        return;
    http->is_closing = true;
    if (!http->depth && !http->busy)
        close_now(http);
    else
        http_kick(http);
}

static void copy_config(struct http *http, const struct http_config *config)
{
    http->config = *config;
    http->config.ca_file = mem_dup(config->ca_file);
    http->config.cert_file = mem_dup(config->cert_file);
    http->config.cert_key_file = mem_dup(config->cert_key_file);
    http->config.proxy = mem_dup(config->proxy);
    http->config.user_agent = mem_dup(config->user_agent);
    if (!config->connections_max)
        http->config.connections_max = CONNECTIONS_DEFAULT;
    if (!config->connects_per_turn_max)
        http->config.connects_per_turn_max = CONNECTS_PER_TURN_DEFAULT;
}

static bool open_curl(struct http *http)
{
    long connections = (long)http->config.connections_max;
    http->multi = curl_multi_init();
    http->share = curl_share_init();
    return http->multi && http->share && pump_attach(http) &&
           !curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) &&
           !curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, connections) &&
           !curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static void open_handles(struct http *http)
{
    uv_idle_init(http->loop, &http->turn);
    uv_timer_init(http->loop, &http->curl_timer);
    uv_timer_init(http->loop, &http->tick_timer);
    uv_timer_init(http->loop, &http->rate_timer);
    http->turn.data = http->curl_timer.data = http->tick_timer.data = http->rate_timer.data = http;
    http->open_handles = 4;
}

int http_open(uv_loop_t *loop, const struct http_config *config, struct http **ret, struct err *err)
{
    int code = setup_global(err);
    if (code)
        return code;
    struct http *http = mem_alloc(sizeof *http);
    http->loop = loop;
    LIST_INIT(&http->sockets);
    TAILQ_INIT(&http->waiting);
    TAILQ_INIT(&http->active);
    TAILQ_INIT(&http->alerts);
    copy_config(http, config);
    fair_init(&http->fair, config->rate_max, config->group_rate_max, now_of(http));
    if (!open_curl(http)) {
        release_curl(http);
        free_http(http);
        return err_set(err, ERR_INTERNAL, "libcurl lacks an option that is needed");
    }
    open_handles(http);
    *ret = http;
    return 0;
}
