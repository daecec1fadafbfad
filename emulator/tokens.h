/*
 * Scopes, consents (grants) and the tokens made from them. A token is bound to the channel chosen at consent
 * and to the client that asked [oauth]. Used under the state's lock.
 */
#ifndef EMULATOR_TOKENS_H
#define EMULATOR_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "channels.h"
#include "clients.h"
#include "map.h"

/* id, text, allowed in the device flow [device] */
#define SCOPE_TABLE(X)                                                                                       \
    X(UPLOAD, "https://www.googleapis.com/auth/youtube.upload", false)                                       \
    X(YOUTUBE, "https://www.googleapis.com/auth/youtube", true)                                              \
    X(FORCE_SSL, "https://www.googleapis.com/auth/youtube.force-ssl", false)                                 \
    X(READONLY, "https://www.googleapis.com/auth/youtube.readonly", true)                                    \
    X(PARTNER, "https://www.googleapis.com/auth/youtubepartner", false)                                      \
    X(EMAIL, "email", true)                                                                                  \
    X(OPENID, "openid", true)                                                                                \
    X(PROFILE, "profile", true)                                                                              \
    X(DRIVE_APPDATA, "https://www.googleapis.com/auth/drive.appdata", true)                                  \
    X(DRIVE_FILE, "https://www.googleapis.com/auth/drive.file", true)

enum scope_position {
#define X(id, text, in_device_flow) SCOPE_##id##_AT,
    SCOPE_TABLE(X)
#undef X
        SCOPE_COUNT_
};

enum scope {
#define X(id, text, in_device_flow) SCOPE_##id = 1 << SCOPE_##id##_AT,
    SCOPE_TABLE(X)
#undef X
};

/* Space-separated scopes to a set; false if one is unknown or there is none. */
bool scopes_parse(const char *text, unsigned *ret);
void scopes_put(struct buf *out, unsigned scopes);
unsigned scopes_of_device_flow(void);

struct grant {
    char *refresh_token; /* NULL: access_type=online */
    struct client *client;
    struct channel *channel;
    unsigned scopes;
    int64_t issued_at_ms;
    int64_t used_at_ms;
    bool is_revoked;
};

struct access_token {
    char *text;
    struct grant *grant;
    unsigned scopes;
    int64_t expires_at_ms;
};

struct tokens {
    struct grant **grants;
    size_t grant_count;
    struct map by_refresh; /* struct grant */
    struct map by_access;  /* struct access_token, owned */
};

void tokens_clear(struct tokens *tokens);
/* "ya29.…", "1//0…", "4/0…": a fresh secret behind a prefix; the caller frees it. */
char *token_text(const char *prefix);
/* A new consent. With `offline` it has a refresh token, and at most 100 of them live for one channel and
 * client: the oldest dies silently [oauth]. */
struct grant *tokens_grant(struct tokens *tokens, struct client *client, struct channel *channel,
                           unsigned scopes, bool offline, int64_t now_ms);
bool tokens_has_grant(const struct tokens *tokens, const struct client *client,
                      const struct channel *channel);
struct access_token *tokens_issue(struct tokens *tokens, struct grant *grant, unsigned scopes,
                                  int64_t expires_at_ms);
/* A live consent of this refresh token, or NULL. It dies when revoked, after 6 months without use and, while
 * its project is in status Testing, after 7 days [oauth]. */
struct grant *tokens_refreshable(struct tokens *tokens, const char *refresh_token, int64_t now_ms);
/* Gives the consent another refresh token; the old one is dead. */
void tokens_rotate(struct tokens *tokens, struct grant *grant);
/* Revokes every consent that this channel gave to this project, as revoking one token does [oauth]. */
void tokens_revoke(struct tokens *tokens, const struct channel *channel, const struct project *project);
/* The consent that an access or refresh token belongs to, or NULL. */
struct grant *tokens_find_grant(struct tokens *tokens, const char *any_token);
void tokens_expire(struct tokens *tokens, const struct channel *channel); /* access tokens; NULL: all */

#endif
