/* One HTTP exchange with YouTube: build, send, parse, answer. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/shell.h"

enum { CHUNK_WINDOW_BYTES = 262144 };

/* ---- any exchange ---- */

struct yt_http call_yt_http(const struct http_reply *http)
{
    return (struct yt_http){.status = http->status,
                            .headers = http->headers,
                            .body = http->body,
                            .body_len = http->body_len,
                            .body_is_cut = http->body_is_cut};
}

struct yt_expected call_expected(const struct task *task)
{
    return (struct yt_expected){
        .metadata_json = task->work.metadata, .size_bytes = task->work.claim.size_bytes, .slug = task->slug};
}

struct call *call_new(struct task *task, const struct action *action, call_done *done)
{
    struct call *call = mem_alloc(sizeof(*call));
    call->task = task;
    call->op = action->op;
    call->doing = action->type;
    call->done = done;
    task->call = call;
    return call;
}

static enum transport transport_of(enum http_end end)
{
    static const enum transport transports[] = {
        [HTTP_OK] = TRANSPORT_OK,           [HTTP_CONNECT] = TRANSPORT_CONNECT,
        [HTTP_TIMEOUT] = TRANSPORT_TIMEOUT, [HTTP_BROKEN] = TRANSPORT_BROKEN,
        [HTTP_TLS] = TRANSPORT_TLS,         [HTTP_PROTOCOL] = TRANSPORT_PROTOCOL,
        [HTTP_LOCAL] = TRANSPORT_LOCAL,     [HTTP_SOURCE] = TRANSPORT_SOURCE_IO,
        [HTTP_ABORTED] = TRANSPORT_ABORTED,
    };
    return transports[end];
}

static struct reply reply_of(const struct http_reply *http)
{
    struct reply reply = {.transport = transport_of(http->end),
                          .status = http->status,
                          .sent_bytes = http->sent_bytes,
                          .elapsed_ms = http->elapsed_ms,
                          .wait_ms = http->wait_ms,
                          .retry_after_ms = -1};
    if (http->end != HTTP_OK)
        text_copy(reply.message, sizeof(reply.message), http->message);
    return reply;
}

static void on_http_done(void *ctx, const struct http_reply *http)
{
    struct call *call = ctx;
    struct reply reply = reply_of(http);
    counts_exchange(&call->task->worker->counts, call->doing, reply.transport, http->status);
    memcpy(reply.request_id, call->task->request_id, sizeof(reply.request_id));
    call->request = NULL;
    call->done(call, http, &reply);
}

void call_answer_unsent(struct call *call, const struct err *err)
{
    struct http_reply http = {.end = HTTP_LOCAL, .headers = "", .body = ""};
    text_copy(http.message, sizeof(http.message), err->message);
    on_http_done(call, &http);
}

static void on_progress(void *ctx, uint64_t sent_bytes)
{
    struct call *call = ctx;
    struct task *task = call->task;
    tell_sent(task, sent_bytes);
    worker_tell_progress(task->worker, task->slot);
}

static int64_t read_body(void *ctx, void *data, size_t len)
{
    struct call *call = ctx;
    int64_t got = media_reader_read(call->reader, data, len);
    if (got > 0 && !call->task->has_begun)
        tell_first_byte(call->task);
    return got > 0 ? got : got == 0 ? HTTP_BODY_LATER : HTTP_BODY_FAILED;
}

/* What is asked of a session, or of a CDN, costs no quota, however often (I8). */
static bool is_repeatable(const struct call *call)
{
    return call->doing == ACTION_PUT || call->doing == ACTION_QUERY || call->doing == ACTION_CANCEL ||
           call->doing == ACTION_CHECK_CDN;
}

static void send_to(struct call *call, struct http *http, const char *const *headers, size_t reply_len_max,
                    int64_t deadline_ms)
{
    struct http_body body = {
        .size_bytes = call->reader ? call->put_size_bytes : 0, .read = read_body, .ctx = call};
    struct http_exchange exchange = {
        .method = call->yt.method,
        .url = call->yt.url.data,
        .headers = headers,
        .body = call->yt.body.data,
        .body_len = call->yt.body.len,
        .stream = call->reader ? &body : NULL,
        .is_repeatable = is_repeatable(call),
        .rate_group = (uint64_t)call->task->work.claim.tenant_id,
        .reply_len_max = reply_len_max,
        .deadline_ms = deadline_ms,
        .reply_deadline_ms = call->task->worker->settings->request_timeout_ms,
        .done = on_http_done,
        .progress = call->reader ? on_progress : NULL,
        .ctx = call,
    };
    struct err err = {0};
    if (http_start(http, &exchange, &call->request, &err) != 0)
        call_answer_unsent(call, &err);
}

void call_send_bare(struct call *call, struct http *http, size_t reply_len_max, int64_t deadline_ms)
{
    send_to(call, http, (const char *const *)call->yt.headers, reply_len_max, deadline_ms);
}

void call_send(struct call *call, int64_t deadline_ms)
{
    struct task *task = call->task;
    struct secret bearer AUTO_SECRET = {0};
    enum { HEADER_COUNT = sizeof(call->yt.headers) / sizeof(call->yt.headers[0]) };
    const char *headers[HEADER_COUNT + 2] = {0};
    size_t count = 0;
    for (; count < HEADER_COUNT && call->yt.headers[count]; count++)
        headers[count] = call->yt.headers[count];
    secret_set_after(&bearer, HTTP_BEARER, task->access_token.data, task->access_token.len);
    headers[count] = bearer.data;
    send_to(call, task->worker->http, headers, call->look ? LIST_BYTES_MAX : REPLY_BYTES_MAX, deadline_ms);
}

void call_abort(struct task *task, uint64_t op)
{
    if (task->call && task->call->op == op && task->call->request)
        http_abort(task->call->request);
}

void call_answer(struct call *call, const struct reply *reply)
{
    struct task *task = call->task;
    struct event event = event_make(EVENT_REPLY, task->slot, call->op);
    event.reply = *reply;
    if (call->doing == ACTION_PUT)
        tell_sent(task, reply->sent_bytes);
    task->sent_bytes = 0;
    task->call = NULL;
    yt_request_release(&call->yt);
    mem_free(call->look);
    mem_free(call);
    answer(task->worker, &event);
}

static void parse_upload(struct call *call, const struct http_reply *http, struct reply *reply)
{
    struct yt_http yt = call_yt_http(http);
    struct yt_expected expected = call_expected(call->task);
    if (http->end == HTTP_OK)
        yt_parse_upload_reply(&yt, &expected, clock_wall_ms(), reply);
}

/* ---- start ---- */

/* Lets two attempts be told apart in logs and audit; the header itself is a secret
 * (docs/youtube-facts.md 1.2). */
static void keep_request_id(struct task *task, const struct yt_http *yt)
{
    struct buf id;
    buf_init(&id, SESSION_URL_LEN_MAX);
    if (yt_uploader_id(yt, &id))
        vault_digest(broker_digest_key(task->worker->broker), id.data, id.len, task->request_id);
    buf_wipe(&id);
}

/* An allowed Location becomes the task's session. */
static void take_location(struct call *call, const struct http_reply *http, struct reply *reply)
{
    struct task *task = call->task;
    struct yt_http yt = call_yt_http(http);
    struct buf url;
    struct err err = {0};
    buf_init(&url, SESSION_URL_LEN_MAX);
    int taken = yt_location(&yt, task->worker->settings->api_root, &url, &err);
    reply->has_location = taken > 0;
    reply->location_refused = taken < 0;
    if (taken > 0)
        secret_set(&task->session_url, url.data, url.len);
    else if (taken < 0)
        text_copy(reply->message, sizeof(reply->message), err.message);
    buf_wipe(&url);
}

/* A session's answer; with a 308 it may have moved (P11). */
static void parse_session(struct call *call, const struct http_reply *http, struct reply *reply)
{
    parse_upload(call, http, reply);
    if (http->end == HTTP_OK && reply->status == 308)
        take_location(call, http, reply);
}

static void on_start_done(struct call *call, const struct http_reply *http, struct reply *reply)
{
    struct yt_http yt = call_yt_http(http);
    parse_upload(call, http, reply);
    if (http->end == HTTP_OK) {
        take_location(call, http, reply);
        keep_request_id(call->task, &yt);
        memcpy(reply->request_id, call->task->request_id, sizeof(reply->request_id));
    }
    call_answer(call, reply);
}

void call_start(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_start_done);
    const struct settings *settings = task->worker->settings;
    struct err err = {0};
    if (yt_build_start(settings->api_root, task->work.metadata, task->work.claim.size_bytes,
                       yt_content_type(task->work.storage_path), task->slug, &call->yt, &err) != 0)
        call_answer_unsent(call, &err);
    else
        call_send(call, settings->request_timeout_ms);
}

/* ---- put ---- */

static void on_reader_closed(void *ctx)
{
    source_drop(ctx);
}

/* What was handed out is what may have been sent: its digest is kept even where the exchange broke. */
static void read_reader(struct call *call, struct reply *reply)
{
    const char *message = "";
    enum media_read state = media_reader_state(call->reader, &message);
    if (reply->transport == TRANSPORT_SOURCE_IO) {
        reply->transport = state == MEDIA_READ_CHANGED ? TRANSPORT_SOURCE_CHANGED : TRANSPORT_SOURCE_IO;
        text_copy(reply->message, sizeof(reply->message), message);
    }
    reply->chunk.first_byte = call->put_first_byte;
    media_reader_digest(call->reader, reply->chunk.digest, &reply->chunk.size_bytes);
    media_reader_close(call->reader, on_reader_closed, source_use(call->task->source));
    call->reader = NULL;
}

static void on_put_done(struct call *call, const struct http_reply *http, struct reply *reply)
{
    parse_session(call, http, reply);
    if (call->reader)
        read_reader(call, reply);
    call_answer(call, reply);
}

static void on_more(void *ctx)
{
    struct call *call = ctx;
    if (call->request)
        http_resume(call->request);
}

static int open_reader(struct call *call, const struct action *action, struct err *err)
{
    struct task *task = call->task;
    struct media_reader_config config = {
        .first_byte = action->put.first_byte,
        .size_bytes = action->put.size_bytes,
        .window_bytes = CHUNK_WINDOW_BYTES,
        .guard_end = action->put.completes,
        .deadline_ms = task->worker->settings->read_timeout_ms,
        .more = on_more,
        .ctx = call,
    };
    return media_reader_open(&task->worker->loop, task->source->file, &config, &call->reader, err);
}

void call_put(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_put_done);
    struct err err = {0};
    call->put_first_byte = action->put.first_byte;
    call->put_size_bytes = action->put.size_bytes;
    if (open_reader(call, action, &err) != 0) {
        call_answer_unsent(call, &err);
        return;
    }
    yt_build_put(task->session_url.data, action->put.first_byte, action->put.size_bytes,
                 task->work.claim.size_bytes, yt_content_type(task->work.storage_path), &call->yt);
    call_send(call, 0);
}

/* ---- query, cancel, probe ---- */

static void on_session_done(struct call *call, const struct http_reply *http, struct reply *reply)
{
    parse_session(call, http, reply);
    call_answer(call, reply);
}

void call_query(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_session_done);
    yt_build_query(task->session_url.data, task->work.claim.size_bytes, &call->yt);
    call_send(call, task->worker->settings->request_timeout_ms);
}

void call_cancel(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_session_done);
    yt_build_cancel(task->session_url.data, &call->yt);
    call_send(call, task->worker->settings->request_timeout_ms);
}

void call_probe(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_session_done);
    yt_build_channels_mine(task->worker->settings->api_root, &call->yt);
    call_send(call, task->worker->settings->request_timeout_ms);
}
