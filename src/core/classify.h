/*
 * What a reply that is not a success means: one table, from HTTP status, Google's reason and message to what
 * to do. Source: docs/youtube-facts.md section 6 ([insert], [errors]); the rows stand in classify.c. Pure.
 */
#ifndef CORE_CLASSIFY_H
#define CORE_CLASSIFY_H

#include <stdbool.h>

enum verdict {
    VERDICT_RETRY,          /* passing: back off; with a session, query first */
    VERDICT_QUERY,          /* the session knows better: ask it, bounded */
    VERDICT_GONE,           /* the session does not exist any more */
    VERDICT_REFRESH,        /* the access token is not accepted: a fresh one, once */
    VERDICT_QUOTA,          /* the client's bucket is spent until midnight Pacific */
    VERDICT_CHANNEL_LIMIT,  /* the channel's own cap: about 24 h */
    VERDICT_CHANNEL_AUTH,   /* a new login is needed */
    VERDICT_CHANNEL_FROZEN, /* the channel is unusable */
    VERDICT_CLIENT,         /* the client, or its project: no channel of it can be sent */
    VERDICT_FAIL,           /* the job is wrong: no retry will help */
};

/* `reason`, `message`: "" where the reply had none. `in_session`: the request went to a session URL. */
enum verdict classify(int status, const char *reason, const char *message, bool in_session);
const char *verdict_text(enum verdict verdict);

#endif
