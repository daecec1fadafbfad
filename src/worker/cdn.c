/*
 * The CDN's copy of a job's file: how many bytes has it? Asked without a token and on connections of its own:
 * the URL comes from whoever added the job, and nothing that belongs to YouTube goes there. The URL may hold
 * a signature, so it is never logged.
 */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/parse.h"
#include "worker/shell.h"
#include "youtube/retry_after.h"

enum {
    BODY_BYTES_MAX = 1, /* that of the range; the file itself is never read */
    SIGNED_URL_LEN_MAX = 8192,
    CONNECT_BURST = 8,
};

/* ---- the size, from the reply's head ---- */

/* "bytes 0-0/1234" [RFC 9110, 14.4]; "*" instead of the size: it is not known. */
static bool size_of_range(const char *headers, uint64_t *ret)
{
    char text[64];
    if (!http_header(headers, "Content-Range", text, sizeof(text)) || strncasecmp(text, "bytes ", 6) != 0)
        return false;
    const char *slash = strchr(text, '/');
    return slash && parse_u64(slash + 1, ret);
}

/* Of what is compressed on its way the length is not the file's. */
static bool size_of_whole(const char *headers, uint64_t *ret)
{
    char text[64];
    return !http_has_header(headers, "Content-Encoding") &&
           http_header(headers, "Content-Length", text, sizeof(text)) && parse_u64(text, ret);
}

static bool read_size(const struct http_reply *http, struct reply *reply)
{
    if (http->status == 206)
        reply->has_content_bytes = size_of_range(http->headers, &reply->content_bytes);
    else if (http->status == 200)
        reply->has_content_bytes = size_of_whole(http->headers, &reply->content_bytes);
    return reply->has_content_bytes;
}

/* ---- the exchanges ---- */

static void send_to_cdn(struct call *call, const char *method, call_done *done)
{
    struct worker *worker = call->task->worker;
    call->yt.method = method;
    call->done = done;
    call_send_bare(call, worker->cdn_http, BODY_BYTES_MAX, worker->settings->request_timeout_ms);
}

static void answer_size(struct call *call, const struct http_reply *http, struct reply *reply)
{
    reply->status = http->status;
    if (http->end == HTTP_OK) {
        reply->retry_after_ms = yt_retry_after_ms(http->headers, clock_wall_ms());
        read_size(http, reply);
    }
    call_answer(call, reply);
}

/* Not what was asked for but how: a URL that was signed for GET alone is refused with 403 or 400 to a HEAD;
 * 405 and 501 are servers without HEAD, and 200 without a size is one that makes the file as it sends it. */
static bool is_worth_a_get(const struct http_reply *http)
{
    return http->status == 200 || http->status == 400 || http->status == 403 || http->status == 405 ||
           http->status == 501;
}

static void on_head_done(struct call *call, const struct http_reply *http, struct reply *reply)
{
    if (http->end != HTTP_OK || read_size(http, reply) || !is_worth_a_get(http)) {
        answer_size(call, http, reply);
        return;
    }
    call->yt.headers[1] = mem_dup("Range: bytes=0-0");
    send_to_cdn(call, "GET", answer_size);
}

static void ask(struct task *task, const struct action *action, const char *url)
{
    struct call *call = call_new(task, action, on_head_done);
    buf_init(&call->yt.url, SIGNED_URL_LEN_MAX);
    buf_init(&call->yt.body, 0);
    buf_puts(&call->yt.url, url);
    call->yt.headers[0] = mem_dup("Accept-Encoding: identity");
    send_to_cdn(call, "HEAD", on_head_done);
}

/* ---- what may be asked ---- */

/* The URL is from whoever added the job: it must not reach into our own network, nor leave TLS. */
static int check_url(const struct settings *settings, const char *url, struct http_origin *ret,
                     struct err *err)
{
    if (strlen(url) > CDN_URL_LEN_MAX)
        return err_set(err, ERR_INVALID, "the CDN's URL is longer than %d bytes", CDN_URL_LEN_MAX);
    int code = http_origin_parse(url, ret, err);
    if (code != 0)
        return code;
    if (!ret->https && !(settings->allow_plain_loopback && http_host_is_loopback(ret->host)))
        return err_set(err, ERR_INVALID, "%s: a CDN is asked over https alone", ret->host);
    if (http_host_is_private(ret->host) && !settings->cdn_allow_private)
        return err_set(err, ERR_INVALID, "%s is a private address; cdn_allow_private would allow it",
                       ret->host);
    return 0;
}

static void answer_unasked(struct task *task, uint64_t op, bool is_refused, const char *message)
{
    struct event event = event_make(EVENT_REPLY, task->slot, op);
    event.reply =
        (struct reply){.transport = TRANSPORT_LOCAL, .cdn_url_refused = is_refused, .retry_after_ms = -1};
    text_copy(event.reply.message, sizeof(event.reply.message), message);
    answer(task->worker, &event);
}

static bool is_to_be_signed(const struct settings *settings, const char *url, const char *host)
{
    return cloudfront_is_signed_host(settings->cdn_sign_hosts, host) && !cloudfront_has_signature(url);
}

void cdn_check(struct task *task, const struct action *action)
{
    const struct settings *settings = task->worker->settings;
    const char *url = task->work.cdn_url;
    struct http_origin origin;
    struct err err = {0};
    if (check_url(settings, url, &origin, &err) != 0)
        answer_unasked(task, action->op, true, err.message);
    else if (is_to_be_signed(settings, url, origin.host))
        near_sign_url(task, action);
    else
        ask(task, action, url);
}

void cdn_signed(struct task *task, uint64_t op, const struct broker_signed *signed_url)
{
    const struct action action = {.type = ACTION_CHECK_CDN, .op = op};
    if (signed_url->result == SIGN_OK)
        ask(task, &action, signed_url->url);
    else
        answer_unasked(task, op, signed_url->result == SIGN_REFUSED, signed_url->message);
}

/* ---- the connections ---- */

int cdn_open(struct worker *worker, struct err *err)
{
    const struct settings *settings = worker->settings;
    struct http_config config = {
        .ca_file = settings->cdn_ca_file,
        .proxy = settings->proxy,
        .user_agent = "sluice/" SLUICE_VERSION,
        .allow_plain_loopback = settings->allow_plain_loopback,
        .allow_private_hosts = settings->cdn_allow_private,
        .allow_private_names = settings->cdn_allow_private,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .low_speed_ms = settings->stall_timeout_ms,
        .low_speed_bytes = (uint32_t)settings->stall_bytes,
        .connections_max = worker->slot_count + 4,
        .connects_per_turn_max = CONNECT_BURST,
    };
    return http_open(&worker->loop, &config, &worker->cdn_http, err);
}
