#include "core/job.h"

#include <string.h>

#include "base/attr.h"

static const char *const state_texts[] = {
#define X(name, text) text,
    JOB_STATE_TABLE(X)
#undef X
};

static const char *const cause_texts[] = {
#define X(name, text) text,
    JOB_CAUSE_TABLE(X)
#undef X
};

static const struct {
    const char *text;
    enum job_cause cause;
} channel_states[] = {
#define X(name, text, cause) {text, cause},
    CHANNEL_STATE_TABLE(X)
#undef X
};

static const char *const client_states[] = {
#define X(name, text) text,
    CLIENT_STATE_TABLE(X)
#undef X
};

static bool find_text(const char *const *texts, int count, const char *text, int *ret)
{
    for (int i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

const char *job_state_text(enum job_state state)
{
    return state_texts[state];
}

bool job_state_parse(const char *text, enum job_state *ret)
{
    int found;
    if (!find_text(state_texts, JOB_STATE_COUNT, text, &found))
        return false;
    *ret = (enum job_state)found;
    return true;
}

const char *job_cause_text(enum job_cause cause)
{
    return cause_texts[cause];
}

bool job_cause_parse(const char *text, enum job_cause *ret)
{
    int found;
    if (!find_text(cause_texts, CAUSE_COUNT, text, &found))
        return false;
    *ret = (enum job_cause)found;
    return true;
}

#define TO(state) (1u << JOB_##state)

/*
 * Why the missing ones are forbidden:
 * - nothing leaves `completed`: a second video could come of it;
 * - `finishing` never goes back to `queued`, `uploading` or `failed`: the video exists, whatever happens to
 * its steps;
 * - only a claim makes `uploading`, so a job cannot be uploaded without a lease;
 * - `cancelled` and `failed` are left only by an operator's retry, which starts anew;
 * - `held` -> `completed` is `job resolve --video`; `held`, `queued` -> `finishing` a claim of a job whose
 * video is known.
 */
static const unsigned allowed_moves[JOB_STATE_COUNT] = {
    [JOB_QUEUED] = TO(UPLOADING) | TO(FINISHING) | TO(HELD) | TO(CANCELLED) | TO(FAILED),
    [JOB_UPLOADING] =
        TO(QUEUED) | TO(WAITING) | TO(HELD) | TO(FINISHING) | TO(COMPLETED) | TO(FAILED) | TO(CANCELLED),
    [JOB_WAITING] = TO(QUEUED) | TO(UPLOADING) | TO(HELD) | TO(CANCELLED) | TO(FAILED),
    [JOB_HELD] = TO(QUEUED) | TO(UPLOADING) | TO(FINISHING) | TO(COMPLETED) | TO(CANCELLED) | TO(FAILED),
    [JOB_FINISHING] = TO(COMPLETED) | TO(HELD),
    [JOB_COMPLETED] = 0,
    [JOB_FAILED] = TO(QUEUED),
    [JOB_CANCELLED] = TO(QUEUED),
};

bool job_move_is_allowed(enum job_state from, enum job_state to)
{
    if (from == to)
        return !job_state_is_terminal(from);
    return (allowed_moves[from] & 1u << to) != 0;
}

bool job_state_is_terminal(enum job_state state)
{
    return state == JOB_COMPLETED || state == JOB_FAILED || state == JOB_CANCELLED;
}

bool job_cause_is_timed(enum job_cause cause)
{
    return cause == CAUSE_QUOTA || cause == CAUSE_UPLOAD_LIMIT;
}

const char *channel_state_text(enum channel_state state)
{
    return channel_states[state].text;
}

bool channel_state_parse(const char *text, enum channel_state *ret)
{
    for (int i = 0; i < CHANNEL_STATE_COUNT; i++)
        if (strcmp(channel_states[i].text, text) == 0) {
            *ret = (enum channel_state)i;
            return true;
        }
    return false;
}

enum job_cause channel_state_cause(enum channel_state state)
{
    return channel_states[state].cause;
}

const char *client_state_text(enum client_state state)
{
    return client_states[state];
}

bool client_state_parse(const char *text, enum client_state *ret)
{
    int found;
    if (!find_text(client_states, CLIENT_STATE_COUNT, text, &found))
        return false;
    *ret = (enum client_state)found;
    return true;
}

const char *quota_bucket_text(enum quota_bucket bucket)
{
    return bucket == BUCKET_UPLOADS ? "uploads" : bucket == BUCKET_UNITS ? "units" : "";
}
