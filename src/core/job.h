/*
 * A job: one file to one channel. Its states, causes of a hold and the moves between states;
 * docs/lifecycle.md draws them. Pure values; any thread.
 */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"
#include "core/window.h"

struct job_id {
    char text[JOB_ID_SIZE];
};

/* name, text. A job with a lease is `uploading` or `finishing`, and no other job is leased. */
#define JOB_STATE_TABLE(X)                                                                                   \
    X(QUEUED, "queued")       /* may be claimed at once */                                                   \
    X(UPLOADING, "uploading") /* leased: a worker is at it; the lease may have run out */                    \
    X(WAITING, "waiting")     /* may be claimed from next_at_ms on */                                        \
    X(HELD, "held") /* until its cause is lifted; quota and upload_limit: also from next_at_ms on */         \
    X(FINISHING, "finishing") /* the video exists; steps remain */                                           \
    X(COMPLETED, "completed") /* the video exists, is stored here and was seen at YouTube */                 \
    X(FAILED, "failed")       /* a reason that a person can act on is stored */                              \
    X(CANCELLED, "cancelled")

enum job_state {
#define X(name, text) JOB_##name,
    JOB_STATE_TABLE(X)
#undef X
        JOB_STATE_COUNT
};

#define JOB_CAUSE_TABLE(X)                                                                                   \
    X(NONE, "")                                                                                              \
    X(QUOTA, "quota")                   /* the client's bucket, until midnight Pacific */                    \
    X(UPLOAD_LIMIT, "upload_limit")     /* the channel's own cap, about 24 h */                              \
    X(CHANNEL_PAUSED, "channel_paused") /* by an operator */                                                 \
    X(CHANNEL_AUTH, "channel_auth")     /* no usable token: a new login is needed */                         \
    X(CHANNEL_FROZEN, "channel_frozen") /* the channel or its client is unusable, or misuse is suspected */  \
    X(AMBIGUOUS, "ambiguous")           /* a video may exist: a person decides (`job resolve`) */            \
    X(SOURCE_CHANGED, "source_changed")                                                                      \
    X(SOURCE_MISSING, "source_missing")                                                                      \
    X(CDN_MISMATCH, "cdn_mismatch")                                                                          \
    X(CORRUPT, "corrupt") /* a stored value cannot be used */

enum job_cause {
#define X(name, text) CAUSE_##name,
    JOB_CAUSE_TABLE(X)
#undef X
        CAUSE_COUNT
};

const char *job_state_text(enum job_state state);
bool job_state_parse(const char *text, enum job_state *ret);
const char *job_cause_text(enum job_cause cause);
bool job_cause_parse(const char *text, enum job_cause *ret);

/* Whether a job may go from one state to another (staying is always allowed, except in a terminal state where
 * nothing moves but by an operator's `retry`). The store refuses every other move. */
bool job_move_is_allowed(enum job_state from, enum job_state to);
bool job_state_is_terminal(enum job_state state);
/* Claimable now or once next_at_ms is past: queued, waiting, finishing, and held for a cause that time lifts.
 */
bool job_cause_is_timed(enum job_cause cause);

/* A channel's state says why its jobs may not be sent; `active`: they may. */
#define CHANNEL_STATE_TABLE(X)                                                                               \
    X(ACTIVE, "active", CAUSE_NONE)                                                                          \
    X(LIMITED, "limited", CAUSE_UPLOAD_LIMIT) /* until channel.until_ms */                                   \
    X(PAUSED, "paused", CAUSE_CHANNEL_PAUSED)                                                                \
    X(AUTH, "auth", CAUSE_CHANNEL_AUTH)                                                                      \
    X(FROZEN, "frozen", CAUSE_CHANNEL_FROZEN)

enum channel_state {
#define X(name, text, cause) CHANNEL_##name,
    CHANNEL_STATE_TABLE(X)
#undef X
        CHANNEL_STATE_COUNT
};

const char *channel_state_text(enum channel_state state);
bool channel_state_parse(const char *text, enum channel_state *ret);
enum job_cause channel_state_cause(enum channel_state state);

/* Whether a client's tokens may be used. Both of the others stop all of its channels until a person acts. */
#define CLIENT_STATE_TABLE(X)                                                                                \
    X(ACTIVE, "active")                                                                                      \
    X(REFUSED, "refused") /* by Google, as workers found out; a new import of the client lifts it */         \
    X(FROZEN, "frozen")   /* by an operator; nothing else lifts it */

enum client_state {
#define X(name, text) CLIENT_##name,
    CLIENT_STATE_TABLE(X)
#undef X
        CLIENT_STATE_COUNT
};

const char *client_state_text(enum client_state state);
bool client_state_parse(const char *text, enum client_state *ret);

/* Quota buckets of a client [quota]: calls of videos.insert, and units of everything else. */
enum quota_bucket { BUCKET_NONE, BUCKET_UPLOADS, BUCKET_UNITS };
/* How lines of the trail tell a charge: the amount, quota_bucket_text(). */
#define CHARGED_FORMAT "%" PRIu32 " charged of the day's %s"
/* And a token, by the broker that had it and by the engine that uses it: its digest. */
#define TOKEN_FORMAT "token %s"
const char *quota_bucket_text(enum quota_bucket bucket);

/* What a worker gets when it claims a job: everything the engine needs, copied. */
struct job_claim {
    struct job_id id;
    int64_t tenant_id;
    int64_t client_id;
    int64_t channel_id;
    int64_t lease_epoch;
    uint64_t size_bytes;
    int priority;         /* over 0: raised; may use what the soft limit keeps back */
    uint32_t waits;       /* how often it was given back without progress */
    enum job_state state; /* UPLOADING or FINISHING: as the claim left it */
    bool cancel_wanted;
    bool has_cdn; /* a CDN has the file too: it must tell the same size before a session is opened */
    /* upload */
    bool has_session;
    bool finalizing;   /* a PUT that can complete the upload may have been sent */
    bool session_dead; /* proven dead while finalizing: reconcile */
    uint64_t confirmed_bytes;
    int64_t session_at_ms; /* wall; when the session was stored */
    int64_t reconcile_from_ms;
    uint32_t reconcile_looks;
    uint32_t twin_count; /* other unsettled or finished jobs of this channel with the same size and title */
    /* after the video exists */
    char video_id[VIDEO_ID_SIZE]; /* "" : none yet */
    uint32_t check_looks;
    /* daily limits of its client, and of its channel (0: none) */
    uint32_t uploads_per_day;
    uint32_t units_per_day;
    uint32_t channel_uploads_per_day;
};

/* One entry of the audit trail, made by the engine beside the change that it tells of. */
struct audit_note {
    char what[32];            /* an event's name: "session opened" */
    int http_status;          /* 0: none */
    char reason[REASON_SIZE]; /* Google's, or ours */
    char message[MESSAGE_SIZE];
    char request_id[REQUEST_ID_SIZE]; /* keyed digest of the uploader id; "" : none */
};

/* The digest of bytes that were sent in one PUT; kept so that a changed source can be noticed later. */
struct chunk_digest {
    uint64_t first_byte;
    uint64_t size_bytes; /* 0: none */
    unsigned char digest[DIGEST_SIZE];
};

/* The digests of several PUTs that are stored together. */
struct chunk_digests {
    uint32_t count;
    struct chunk_digest items[PROGRESS_DIGESTS_MAX];
};

/*
 * A worker's write to its job. Applied whole or not at all, and only while `lease_epoch` is the job's own:
 * WHERE id = … AND lease_epoch = …. Parts that are not set leave the row as it is.
 */
struct job_write {
    struct job_id id;
    int64_t lease_epoch;

    bool set_state;
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms; /* wall; 0: none */
    bool release_lease;

    bool set_session;   /* the sealed URL comes beside this write: it never passes through the engine */
    bool clear_session; /* forget URL, progress, chunk digests, finalizing */
    bool set_finalizing;
    bool set_session_dead;
    bool set_confirmed;
    uint64_t confirmed_bytes;
    struct chunk_digests chunks;
    bool count_attempt; /* upload.upload_attempts + 1 */
    bool set_waits;
    uint32_t waits;
    bool set_reconcile;
    uint32_t reconcile_looks;
    int64_t reconcile_from_ms;
    bool set_check_looks;
    uint32_t check_looks;

    bool set_video; /* unique per channel: a video of another job answers WRITE_VIDEO_TAKEN, nothing is
                       written */
    char video_id[VIDEO_ID_SIZE];
    char etag[ETAG_SIZE];

    enum quota_bucket
        charge; /* reserved in the same write; a full bucket answers WRITE_QUOTA_FULL, nothing is written */
    uint32_t charge_amount;
    uint32_t charge_limit;         /* of all the client's channels; 0: count, but do not refuse */
    uint32_t charge_channel_limit; /* of this channel alone; 0: none */
    enum quota_bucket spent; /* YouTube says that the client's day is used up, whatever our ledger says: it is
                                brought up to spent_limit, and what was missing is kept as drift */
    uint32_t spent_limit;
    int32_t pacific_day; /* of charge and spent: days since 1970-01-01 of the day in Los Angeles */

    enum feedback feedback; /* what the end of this lease teaches the channel's window */

    bool set_channel; /* the channel's state; its other jobs that are not leased follow */
    enum channel_state channel;
    int64_t channel_until_ms; /* wall; CHANNEL_LIMITED only */
    bool client_is_refused;   /* Google refuses the channel's client: all its channels are stopped */

    bool set_error; /* error_reason and error_message from `note` */
    bool clear_error;
    struct audit_note note; /* what == "" : no audit line (progress) */
};

enum write_result {
    WRITE_OK,
    WRITE_LEASE_LOST, /* another epoch: close the sockets, forget the job, write nothing */
    WRITE_QUOTA_FULL,
    WRITE_VIDEO_TAKEN,
    WRITE_FAILED, /* the store could not; nothing is known to be written: it may be repeated */
};

#endif
