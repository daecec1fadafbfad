/*
 * What is asked of a token service, and what it answers. Its answers have the form of OAuth's, whose reader
 * does most of the work; refusals have names of their own.
 */
#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "vault/service.h"
#include "youtube/json.h"

enum { LIFE_LEAST_MS = 60000, LIFE_MOST_MS = 86400000 };

/* ---- the question ---- */

void service_build_ask(const struct service_ask *ask, struct buf *ret)
{
    const char *id = ask->yt_channel_id;
    json_t *body AUTO_JSON = json_pack("{s:i, s:s, s:s, s:s?, s:s, s:b}", "version", 1, "tenant", ask->tenant,
                                       "channel", ask->channel, "channel_id", id[0] ? id : NULL, "scope",
                                       YT_SCOPES_DEFAULT, "fresh", ask->is_fresh_wanted);
    if (!body || !yt_json_put(ret, body))
        ret->overflowed = true;
}

/* ---- refusals ---- */

static const struct {
    const char *error;
    enum token_result result;
} errors[] = {
    {"unknown_channel", TOKEN_NONE},
    {"revoked", TOKEN_REVOKED},
    {"scope_missing", TOKEN_SCOPE},
    {"client_refused", TOKEN_CLIENT},
};

static bool is_passing(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

/* A refusal of the channel needs its name: a proxy's bare 404 must not end a channel's login. */
static enum token_result refusal_of(int status, const char *error)
{
    if (status < 400 || status == 401 || is_passing(status))
        return TOKEN_TRANSIENT;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        if (strcmp(error, errors[i].error) == 0)
            return errors[i].result;
    return TOKEN_TRANSIENT;
}

/* ---- a token ---- */

static void fault(struct service_reply *ret, const char *message)
{
    explicit_bzero(ret->token.access_token, sizeof(ret->token.access_token));
    ret->token.result = TOKEN_TRANSIENT;
    text_copy(ret->token.message, sizeof(ret->token.message), message);
}

static void read_channel_id(const json_t *body, struct service_reply *ret)
{
    const json_t *id = json_object_get(body, "channel_id");
    if (id && !json_is_null(id) &&
        !yt_json_word(body, "channel_id", ret->channel_id, sizeof(ret->channel_id)))
        fault(ret, "its channel_id is not the id of a channel");
}

/* Clamped like `expires_in`, which wins where both are told: it depends on nobody's clock (K05). */
static void read_expires_at(const json_t *body, int64_t now_wall_ms, struct service_reply *ret)
{
    const char *text = yt_json_text(body, "expires_at");
    int64_t at_ms;
    if (json_object_get(body, "expires_in") || !text || !parse_time(text, &at_ms))
        return;
    int64_t life_ms = at_ms - now_wall_ms;
    ret->token.expires_in_ms = life_ms < LIFE_LEAST_MS  ? LIFE_LEAST_MS
                               : life_ms > LIFE_MOST_MS ? LIFE_MOST_MS
                                                        : life_ms;
}

static void read_token(const struct yt_http *http, int64_t now_wall_ms, struct service_reply *ret)
{
    json_t *body AUTO_JSON = yt_json_load_reply(http->body, http->body_len);
    read_expires_at(body, now_wall_ms, ret);
    read_channel_id(body, ret);
}

void service_parse_reply(const struct yt_http *http, int64_t now_wall_ms, struct service_reply *ret)
{
    *ret = (struct service_reply){.http_status = http->status};
    yt_parse_token_reply(http, &ret->token);
    /* One that comes nevertheless is not ours to keep. */
    explicit_bzero(ret->token.refresh_token, sizeof(ret->token.refresh_token));
    if (http->status == 200 && ret->token.result == TOKEN_OK)
        read_token(http, now_wall_ms, ret);
    else if (http->status != 200)
        ret->token.result = refusal_of(http->status, ret->token.error);
    ret->is_for_operator = ret->token.result == TOKEN_TRANSIENT && !is_passing(http->status);
}
