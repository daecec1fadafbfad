/* One exchange as curl sees it: gives the body, takes head and body of the reply, counts. */
#include "http/room.h"

static int64_t now_of(const struct http_request *request)
{
    return (int64_t)uv_now(request->http->loop);
}

/* ---- the way out ---- */

static uint64_t left_bytes(const struct http_request *request)
{
    return request->stream.size_bytes - request->sent_bytes;
}

static size_t pause_body(struct http_request *request)
{
    request->is_paused = true;
    return CURL_READFUNC_PAUSE;
}

static size_t fail_body(struct http_request *request, enum http_cause cause)
{
    request->cause = cause;
    return CURL_READFUNC_ABORT;
}

static size_t give_bytes(struct http_request *request, char *data, size_t len)
{
    int64_t given = request->stream.read(request->stream.ctx, data, len);
    if (given == HTTP_BODY_LATER) {
        limit_return(request, len);
        request->is_later = true;
        return pause_body(request);
    }
    if (given <= 0 || (uint64_t)given > len)
        return fail_body(request, CAUSE_SOURCE);
    limit_return(request, len - (size_t)given);
    request->sent_bytes += (uint64_t)given;
    if (!left_bytes(request))
        request->last_byte_at_ms = now_of(request);
    return (size_t)given;
}

size_t request_read(char *data, size_t size, size_t count, void *ctx)
{
    struct http_request *request = ctx;
    uint64_t left = left_bytes(request);
    if (request->is_stopped || !left)
        return 0;
    size_t len = size * count < left ? size * count : (size_t)left;
    len = limit_take(request, len);
    return len ? give_bytes(request, data, len) : pause_body(request);
}

/* curl starts over by itself when a kept connection turns out to be dead (C10). What was handed over cannot
 * be had again, and what costs may have been charged already (I8): that is for the layer above, which asks
 * the server first, and counts. */
static bool can_start_over(const struct http_request *request)
{
    return request->sent_bytes == 0 && (request->exchange.is_repeatable || !request->is_sent);
}

bool request_may_be_sent(struct http_request *request)
{
    if (!can_start_over(request))
        request->cause = CAUSE_REPEATED;
    return can_start_over(request);
}

static bool is_kept_connection(const struct http_request *request)
{
    long fresh = 0;
    curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &fresh);
    return fresh == 0;
}

int request_before_send(void *ctx, char *their_ip, char *our_ip, int their_port, int our_port)
{
    (void)our_ip, (void)their_port;
    struct http_request *request = ctx;
    if (!request_may_be_sent(request))
        return CURL_PREREQFUNC_ABORT;
    bool is_dead =
        is_kept_connection(request) && kept_retire_dead(&request->http->sockets, our_port, their_ip);
    if (!is_dead) /* else curl finds that it cannot send, and goes on to another connection */
        request->is_sent = true;
    return CURL_PREREQFUNC_OK;
}

int request_seek(void *ctx, curl_off_t offset, int origin)
{
    struct http_request *request = ctx;
    bool is_there = can_start_over(request) && offset == 0 && origin == SEEK_SET;
    if (!is_there)
        request->cause = CAUSE_REPEATED;
    return is_there ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- the way in ---- */

static bool is_whole(const struct http_request *request)
{
    return request->head.is_done && request->head.has_length &&
           request->received_bytes >= request->head.length_bytes;
}

/* A final status before the body's end: nothing more is given, the connection is not used again, and the
 * exchange ends with the reply even if curl still holds bytes that the other side does not take (P13). */
static void note_early(struct http_request *request)
{
    request->is_early = true;
    request->is_stopped = true;
    request->watch.early_at_ms = now_of(request);
    curl_easy_setopt(request->easy, CURLOPT_FORBID_REUSE, 1L);
    http_alert(request);
}

size_t request_header(char *line, size_t size, size_t count, void *ctx)
{
    struct http_request *request = ctx;
    size_t len = size * count;
    bool was_done = request->head.is_done;
    if (request->first_reply_at_ms < 0)
        request->first_reply_at_ms = now_of(request);
    if (!head_take(&request->head, line, len)) {
        request->cause = CAUSE_HEAD;
        return 0;
    }
    if (request->head.is_done && !was_done && request->is_upload && left_bytes(request))
        note_early(request);
    return len;
}

size_t request_write(char *data, size_t size, size_t count, void *ctx)
{
    struct http_request *request = ctx;
    size_t len = size * count;
    size_t room = request->reply.len_max - request->reply.len;
    size_t kept = len < room ? len : room;
    request->received_bytes += len;
    buf_append(&request->reply, data, kept);
    if (kept < len) {
        request->is_cut = true;
        request->cause = CAUSE_CUT;
        return 0;
    }
    if (request->is_early && is_whole(request))
        http_alert(request);
    return len;
}

/* ---- is it taking too long? ---- */

static bool has_left_us(const struct http_request *request)
{
    curl_off_t written = 0;
    if (!request->is_upload || request->is_stopped)
        return true;
    curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &written);
    return !left_bytes(request) && (uint64_t)written >= request->stream.size_bytes;
}

static enum watch_phase phase_of(const struct http_request *request)
{
    if (!request->is_active || !request->is_sent)
        return WATCH_CONNECTING;
    bool is_queued = socket_queued_bytes(request->socket) > 0;
    if (request->is_paused && !is_queued && !request->is_stopped)
        return WATCH_HELD;
    return is_queued || !has_left_us(request) ? WATCH_SENDING : WATCH_REPLYING;
}

enum watch_verdict request_look(struct http_request *request, int64_t now_ms)
{
    enum watch_phase phase = phase_of(request);
    uint64_t moved =
        socket_acked_bytes(request->socket) + request->head.total_bytes + request->received_bytes;
    return watch_step(&request->watch, now_ms, phase, moved);
}
