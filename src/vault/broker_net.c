/* What the broker sends: forms to token endpoints, and lists to the API root. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/classify.h"
#include "core/pacific.h"
#include "vault/child.h"
#include "vault/sandbox.h"

enum { EXCHANGE_MS = 12000, HEADERS_MAX = 10 };

int post_form(struct child *child, const char *url, const struct buf *form,
              void (*done)(void *ctx, const struct http_reply *reply), void *ctx, struct err *err)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          "Accept: application/json", NULL};
    struct http_request *request;
    if (form->overflowed)
        return err_set(err, ERR_INVALID, "the form for the token endpoint is too long");
    /* The client's own file named the endpoint, long ago: https is asked for at each use. */
    if (!text_starts_with(url, "https://") && !child->allow_plain_loopback)
        return err_set(err, ERR_INVALID, "the client's token_uri is not https");
    if (!sandbox_may_connect(child, url)) {
        LOG(LOG_INFO, "started again, to reach a token endpoint that was not known before");
        uv_stop(&child->loop);
        return err_set(err, ERR_IO, "the broker is started again to reach this client's endpoint");
    }
    return http_start(child->http,
                      &(struct http_exchange){.method = "POST",
                                              .url = url,
                                              .headers = headers,
                                              .body = form->data,
                                              .body_len = form->len,
                                              .reply_len_max = REPLY_BYTES_MAX,
                                              .deadline_ms = EXCHANGE_MS,
                                              .done = done,
                                              .ctx = ctx},
                      &request, err);
}

bool neighbour_uri(const char *uri, const char *name, struct buf *ret)
{
    const char *host = strstr(uri, "://");
    const char *end = uri + strcspn(uri, "?#");
    while (end > uri && end[-1] != '/')
        end--;
    if (!host || end < host + 4)
        return false;
    return buf_append(ret, uri, (size_t)(end - uri)) && buf_puts(ret, name);
}

struct yt_http reply_for_youtube(const struct http_reply *reply)
{
    return (struct yt_http){.status = reply->status,
                            .headers = reply->headers,
                            .body = reply->body,
                            .body_len = reply->body_len,
                            .body_is_cut = reply->body_is_cut};
}

struct yt_token_reply *read_token_reply(const struct http_reply *reply, struct secret *ret)
{
    secret_reserve(ret, sizeof(struct yt_token_reply));
    struct yt_token_reply *token = (struct yt_token_reply *)ret->data;
    struct yt_http http = reply_for_youtube(reply);
    yt_parse_token_reply(&http, token);
    return token;
}

/* ---- whose channel ---- */

struct whose_ask {
    void (*done)(void *ctx, const struct whose *whose);
    void *ctx;
};

/* A refusal of channels.list with a token that is minutes old at most; core's table says what it means. */
static enum token_result whose_refusal(const struct yt_http *http)
{
    static const struct yt_expected nothing = {.metadata_json = "{}", .slug = ""};
    struct reply reply = {0};
    yt_parse_upload_reply(http, &nothing, clock_wall_ms(), &reply);
    switch (classify(reply.status, reply.reason, reply.message, false)) {
    case VERDICT_CHANNEL_AUTH:
        return TOKEN_SCOPE;
    case VERDICT_REFRESH:
        return TOKEN_REVOKED;
    case VERDICT_CLIENT:
        return TOKEN_CLIENT;
    case VERDICT_CHANNEL_FROZEN:
    case VERDICT_FAIL:
        return TOKEN_FROZEN;
    case VERDICT_RETRY:
    case VERDICT_QUERY:
    case VERDICT_GONE:
    case VERDICT_QUOTA:
    case VERDICT_CHANNEL_LIMIT:
        break;
    }
    return TOKEN_TRANSIENT;
}

static enum token_result whose_result(int code, const struct yt_http *http)
{
    return code == 0               ? TOKEN_OK
           : code == ERR_NOT_FOUND ? TOKEN_NONE
           : code == ERR_AUTH      ? whose_refusal(http)
                                   : TOKEN_TRANSIENT;
}

static void whose_ended(void *ctx, const struct http_reply *reply)
{
    struct whose_ask ask = *(struct whose_ask *)ctx;
    struct whose whose = {.result = TOKEN_TRANSIENT, .retry_after_ms = -1, .http_status = reply->status};
    struct err err = {0};
    mem_free(ctx);
    if (reply->end != HTTP_OK) {
        text_copy(whose.message, sizeof(whose.message), reply->message);
    } else {
        struct yt_http http = reply_for_youtube(reply);
        int code = yt_parse_channels(&http, &whose.channel, &err);
        whose.result = whose_result(code, &http);
        text_copy(whose.message, sizeof(whose.message), err.message);
        /* A spent quota does not come back before midnight: asking every minute would not help. */
        if (code == ERR_LIMIT)
            whose.retry_after_ms = RETRY_AFTER_CAP_MS;
    }
    ask.done(ask.ctx, &whose);
}

static int charge_whose(struct child *child, int64_t client_id, int64_t channel_id, struct err *err)
{
    struct store_charge charge = {.client_id = client_id,
                                  .channel_id = channel_id,
                                  .pacific_day = pacific_day(clock_wall_ms()),
                                  .units = 1,
                                  .who = "broker",
                                  .calls = "channels.list"};
    return store_quota_charge(child->store, &charge, err);
}

void count_whose(struct child *child, int64_t client_id, int64_t channel_id)
{
    struct err err = {0};
    if (charge_whose(child, client_id, channel_id, &err) != 0)
        LOG(LOG_WARN, "a unit of quota could not be counted", F_I64("client", client_id),
            F_STR("message", err.message));
}

int get_with_token(struct child *child, const struct yt_request *request, const struct secret *access,
                   size_t reply_len_max, void (*done)(void *ctx, const struct http_reply *reply), void *ctx,
                   struct err *err)
{
    struct secret bearer AUTO_SECRET = {0};
    const char *headers[HEADERS_MAX] = {NULL};
    size_t count = 0;
    struct http_request *started;
    secret_set_after(&bearer, HTTP_BEARER, access->data, access->len);
    while (request->headers[count] && count < HEADERS_MAX - 2) {
        headers[count] = request->headers[count];
        count++;
    }
    headers[count] = bearer.data;
    return http_start(child->http,
                      &(struct http_exchange){.method = request->method,
                                              .url = request->url.data,
                                              .headers = headers,
                                              .reply_len_max = reply_len_max,
                                              .deadline_ms = EXCHANGE_MS,
                                              .done = done,
                                              .ctx = ctx},
                      &started, err);
}

int ask_whose(struct child *child, const struct secret *access, int64_t client_id, int64_t channel_id,
              void (*done)(void *ctx, const struct whose *whose), void *ctx, struct err *err)
{
    struct yt_request request;
    /* What cannot be counted is not asked: the ledger never says less than YouTube (I8). */
    if (channel_id && charge_whose(child, client_id, channel_id, err) != 0)
        return err->code;
    struct whose_ask *ask = mem_alloc(sizeof(*ask));
    *ask = (struct whose_ask){.done = done, .ctx = ctx};
    yt_build_channels_mine(child->api_root, &request);
    int code = get_with_token(child, &request, access, REPLY_BYTES_MAX, whose_ended, ask, err);
    yt_request_release(&request);
    if (code != 0)
        mem_free(ask);
    return code;
}
