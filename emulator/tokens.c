#include "tokens.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

static const int64_t DAY_MS = 24 * 3600 * 1000;
static const int64_t TESTING_LIFETIME_DAYS = 7;
static const int64_t UNUSED_LIFETIME_DAYS = 180;
static const size_t LIVE_GRANTS_MAX = 100; /* a channel and client [oauth] */

static const struct {
    const char *text;
    bool in_device_flow;
} scopes_known[] = {
#define X(id, text, in_device_flow) {text, in_device_flow},
    SCOPE_TABLE(X)
#undef X
};

static bool parse_one(const char *text, size_t len, unsigned *scopes)
{
    for (size_t i = 0; i < SCOPE_COUNT_; i++) {
        if (strlen(scopes_known[i].text) == len && memcmp(scopes_known[i].text, text, len) == 0) {
            *scopes |= 1u << i;
            return true;
        }
    }
    return false;
}

bool scopes_parse(const char *text, unsigned *ret)
{
    unsigned scopes = 0;
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, " ");
        if (len && !parse_one(at, len, &scopes))
            return false;
        at += len + (at[len] == ' ');
    }
    if (scopes)
        *ret = scopes;
    return scopes != 0;
}

void scopes_put(struct buf *out, unsigned scopes)
{
    const char *between = "";
    for (size_t i = 0; i < SCOPE_COUNT_; i++) {
        if (!(scopes & 1u << i))
            continue;
        buf_printf(out, "%s%s", between, scopes_known[i].text);
        between = " ";
    }
}

unsigned scopes_of_device_flow(void)
{
    unsigned scopes = 0;
    for (size_t i = 0; i < SCOPE_COUNT_; i++)
        scopes |= scopes_known[i].in_device_flow ? 1u << i : 0;
    return scopes;
}

static void access_token_free(void *token)
{
    mem_free(((struct access_token *)token)->text);
    mem_free(token);
}

void tokens_clear(struct tokens *tokens)
{
    map_clear(&tokens->by_access, access_token_free);
    map_clear(&tokens->by_refresh, NULL);
    for (size_t i = 0; i < tokens->grant_count; i++) {
        mem_free(tokens->grants[i]->refresh_token);
        mem_free(tokens->grants[i]);
    }
    mem_free(tokens->grants);
    tokens->grants = NULL;
    tokens->grant_count = 0;
}

char *token_text(const char *prefix)
{
    unsigned char raw[48];
    char text[(sizeof raw * 4 + 2) / 3 + 1];
    random_bytes(raw, sizeof raw);
    text_base64url(text, raw, sizeof raw);
    return mem_printf("%s%s", prefix, text);
}

/* Revokes the oldest live consent of a channel and client if there are too many. */
static void drop_oldest(struct tokens *tokens, const struct grant *newest)
{
    struct grant *oldest = NULL;
    size_t live = 0;
    for (size_t i = 0; i < tokens->grant_count; i++) {
        struct grant *grant = tokens->grants[i];
        if (grant->client != newest->client || grant->channel != newest->channel || grant->is_revoked ||
            !grant->refresh_token)
            continue;
        live++;
        if (!oldest)
            oldest = grant;
    }
    if (live > LIVE_GRANTS_MAX)
        oldest->is_revoked = true;
}

struct grant *tokens_grant(struct tokens *tokens, struct client *client, struct channel *channel,
                           unsigned scopes, bool offline, int64_t now_ms)
{
    struct grant *grant = mem_alloc(sizeof *grant);
    *grant = (struct grant){
        .client = client, .channel = channel, .scopes = scopes, .issued_at_ms = now_ms, .used_at_ms = now_ms};
    tokens->grants = mem_grow(tokens->grants, tokens->grant_count + 1, sizeof(struct grant *));
    tokens->grants[tokens->grant_count++] = grant;
    if (offline) {
        tokens_rotate(tokens, grant);
        drop_oldest(tokens, grant);
    }
    return grant;
}

bool tokens_has_grant(const struct tokens *tokens, const struct client *client, const struct channel *channel)
{
    for (size_t i = 0; i < tokens->grant_count; i++)
        if (tokens->grants[i]->client == client && tokens->grants[i]->channel == channel &&
            !tokens->grants[i]->is_revoked)
            return true;
    return false;
}

struct access_token *tokens_issue(struct tokens *tokens, struct grant *grant, unsigned scopes,
                                  int64_t expires_at_ms)
{
    struct access_token *token = mem_alloc(sizeof *token);
    *token = (struct access_token){
        .text = token_text("ya29."), .grant = grant, .scopes = scopes, .expires_at_ms = expires_at_ms};
    map_put(&tokens->by_access, token->text, token);
    return token;
}

static bool is_dead(const struct grant *grant, int64_t now_ms)
{
    if (grant->is_revoked || now_ms - grant->used_at_ms > UNUSED_LIFETIME_DAYS * DAY_MS)
        return true;
    return grant->client->project->is_testing &&
           now_ms - grant->issued_at_ms > TESTING_LIFETIME_DAYS * DAY_MS;
}

struct grant *tokens_refreshable(struct tokens *tokens, const char *refresh_token, int64_t now_ms)
{
    struct grant *grant = map_get(&tokens->by_refresh, refresh_token);
    return grant && !is_dead(grant, now_ms) ? grant : NULL;
}

void tokens_rotate(struct tokens *tokens, struct grant *grant)
{
    if (grant->refresh_token)
        map_remove(&tokens->by_refresh, grant->refresh_token);
    mem_free(grant->refresh_token);
    grant->refresh_token = token_text("1//0");
    map_put(&tokens->by_refresh, grant->refresh_token, grant);
}

void tokens_revoke(struct tokens *tokens, const struct channel *channel, const struct project *project)
{
    for (size_t i = 0; i < tokens->grant_count; i++)
        if (tokens->grants[i]->channel == channel &&
            (!project || tokens->grants[i]->client->project == project))
            tokens->grants[i]->is_revoked = true;
}

struct grant *tokens_find_grant(struct tokens *tokens, const char *any_token)
{
    struct access_token *token = map_get(&tokens->by_access, any_token);
    return token ? token->grant : map_get(&tokens->by_refresh, any_token);
}

void tokens_expire(struct tokens *tokens, const struct channel *channel)
{
    for (size_t i = 0; i < tokens->by_access.size; i++) {
        struct access_token *token = tokens->by_access.slots[i].value;
        if (token && (!channel || token->grant->channel == channel))
            token->expires_at_ms = 0;
    }
}
