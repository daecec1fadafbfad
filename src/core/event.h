/*
 * What the engine is told (events) and what it asks for (actions). Both are values: no pointer into the
 * shell, no secret.
 *
 * Every action that has an `op` is answered by exactly one event with the same `op`, also when it was
 * aborted. An answer to an op that the engine no longer waits for is dropped.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"

/* ---- answers' parts ---- */

/* How an HTTP exchange ended below HTTP. */
#define TRANSPORT_TABLE(X)                                                                                   \
    X(OK, "ok")                         /* a whole reply was read; status is valid */                        \
    X(CONNECT, "connect failed")        /* refused, unreachable, DNS: nothing was sent */                    \
    X(TIMEOUT, "timed out")             /* connect, low speed or total */                                    \
    X(BROKEN, "connection broken")      /* reset, cut, bad record, TLS alert in mid-stream */                \
    X(TLS, "certificate not trusted")   /* never downgraded, never sent (T01-T05, T09) */                    \
    X(PROTOCOL, "not HTTP")             /* malformed, over a cap */                                          \
    X(LOCAL, "no local resource")       /* EMFILE, no port, the broker is gone: ours, not theirs */          \
    X(SOURCE_CHANGED, "source changed") /* found while reading; the last byte was withheld */                \
    X(SOURCE_IO, "source unreadable")                                                                        \
    X(ABORTED, "aborted") /* as asked */

enum transport {
#define X(name, text) TRANSPORT_##name,
    TRANSPORT_TABLE(X)
#undef X
};
const char *transport_text(enum transport transport);

enum range_kind {
    RANGE_NONE, /* no Range header */
    RANGE_OK,   /* "bytes=0-N" */
    RANGE_BAD,  /* present but not the documented form (P05) */
};

enum match { MATCH_UNKNOWN, MATCH_YES, MATCH_NO };

/* A video as a reply describes it, compared by the shell with the job's own metadata. */
struct video_facts {
    char id[VIDEO_ID_SIZE]; /* "" : the reply has none */
    char etag[ETAG_SIZE];
    enum match title;
    enum match size;      /* fileDetails.fileSize */
    enum match file_name; /* fileDetails.fileName against the Slug that was sent */
    enum match privacy;
    int64_t published_at_ms; /* wall; 0: not told */
    bool failed;             /* uploadStatus failed, rejected or deleted */
    char failure[REASON_SIZE];
};

struct reply {
    enum transport transport;
    int status;
    char reason[REASON_SIZE];
    char message[MESSAGE_SIZE];
    char request_id[REQUEST_ID_SIZE];
    int64_t retry_after_ms; /* -1: none; a date was turned into a duration */
    enum range_kind range;
    uint64_t range_bytes; /* RANGE_OK: bytes stored, the last byte's index + 1 */
    bool has_location;
    bool location_refused; /* not a URL that may be used (P10); the shell keeps an allowed one as the session
                            */
    bool is_override;      /* X-HTTP-Status-Code-Override: 308 (P07) */
    struct video_facts video;
    /* LIST_UPLOADS; CHECK_VIDEO uses `video` */
    struct video_facts candidates[CANDIDATES_MAX];
    uint32_t candidate_count;
    bool list_is_complete; /* every upload since the session began was seen */
    /* CHECK_CDN */
    bool cdn_url_refused; /* by our own rules: nothing was asked, message says why */
    bool has_content_bytes;
    uint64_t content_bytes; /* of the whole object */
    /* PUT */
    uint64_t sent_bytes; /* body bytes handed to the connection */
    struct chunk_digest chunk;
    int64_t elapsed_ms;
    int64_t wait_ms; /* from the last body byte to the reply */
};

#define TOKEN_RESULT_TABLE(X)                                                                                \
    X(OK, "ok")                                                                                              \
    X(TRANSIENT, "token endpoint unavailable")                                                               \
    X(NONE, "no login")                          /* the channel has no token */                              \
    X(REVOKED, "login expired or revoked")       /* invalid_grant and its like (K03) */                      \
    X(SCOPE, "scope missing")                    /* K07 */                                                   \
    X(WRONG_CHANNEL, "token of another channel") /* K09 */                                                   \
    X(CLIENT, "client refused")                  /* invalid_client and its like (K04) */                     \
    X(FROZEN, "channel unusable") /* suspended, closed: the token is good, the channel is not (H08) */       \
    X(CORRUPT, "sealed token does not open") /* K10 */

enum token_result {
#define X(name, text) TOKEN_##name,
    TOKEN_RESULT_TABLE(X)
#undef X
};
const char *token_result_text(enum token_result result);

enum source_result {
    SOURCE_OK,
    SOURCE_DIFFERENT, /* not the file that was added, or not the bytes that were sent */
    SOURCE_GONE,      /* missing, not readable, not a regular file beneath the root */
    SOURCE_ERROR,     /* EIO, ESTALE, read deadline: may pass */
};

enum open_result {
    OPEN_OK,
    OPEN_CORRUPT,   /* the sealed session URL does not open (K10) */
    OPEN_TRANSIENT, /* the broker is not there just now (X06) */
    OPEN_ELSEWHERE, /* it opens, and leads to another host than api_root (P10) */
};

/* ---- events ---- */

enum event_type {
    EVENT_TICK,    /* time passed */
    EVENT_WAKE,    /* there may be work: a job was added, a cause was lifted */
    EVENT_CLAIMED, /* answers ACTION_CLAIM, last of its batch: `claimed_count` jobs were handed over before it
                    */
    EVENT_JOB,     /* one claimed job; comes before the EVENT_CLAIMED of its op */
    EVENT_STORED,  /* answers ACTION_STORE */
    EVENT_RENEWED, /* answers ACTION_RENEW */
    EVENT_SOURCE,  /* answers ACTION_CHECK_SOURCE */
    EVENT_TOKEN,   /* answers ACTION_TOKEN */
    EVENT_OPENED,  /* answers ACTION_OPEN_SESSION */
    EVENT_REPLY,   /* answers START, PUT, QUERY, CANCEL, LIST_UPLOADS, CHECK_VIDEO, CHECK_CDN, PROBE_TOKEN */
    EVENT_DRAIN,   /* stop claiming, give everything back (SIGTERM) */
};

struct event {
    enum event_type type;
    struct {
        int64_t wall_ms;
        int64_t mono_ms;
    } now;
    uint64_t entropy; /* fresh random bits for each event */
    uint64_t op;
    uint32_t slot; /* as in the action that is answered */
    union {
        struct {
            bool ok; /* false: the store could not claim */
            uint32_t claimed_count;
        } claimed;
        struct job_claim job;
        struct {
            enum write_result result;
        } stored;
        struct {
            enum write_result result; /* OK, LEASE_LOST or FAILED */
            bool cancel_wanted;
            enum channel_state channel;
        } renewed;
        struct {
            enum source_result result;
            char message[MESSAGE_SIZE];
        } source;
        struct {
            enum token_result result;
            char message[MESSAGE_SIZE];
            int64_t retry_after_ms;     /* -1: none */
            int64_t expires_at_mono_ms; /* 0: not known */
            char id[TOKEN_ID_SIZE];     /* OK: tells it from others in the trail; no secret */
        } token;
        struct {
            enum open_result result;
        } opened;
        struct reply reply;
    };
};

/* ---- actions ---- */

enum action_type {
    ACTION_CLAIM,        /* claim up to `claim_count` jobs */
    ACTION_STORE,        /* apply `write` */
    ACTION_RENEW,        /* prolong the lease; tell what changed about the job */
    ACTION_CHECK_SOURCE, /* open it, compare it with what was added and with what was sent */
    ACTION_TOKEN, /* have an access token of the job's channel at hand; `fresh`: not the one used so far */
    ACTION_OPEN_SESSION, /* unseal the stored session URL */
    ACTION_START,        /* POST the metadata: a new session. The allowed Location is kept by the shell */
    ACTION_PUT,          /* send bytes [first_byte, first_byte + size_bytes) of the source */
    ACTION_QUERY,        /* ask the session what it holds */
    ACTION_CANCEL,       /* DELETE the session, best effort */
    ACTION_LIST_UPLOADS, /* reconcile: the channel's uploads since `since_ms` */
    ACTION_CHECK_VIDEO,  /* videos.list of `video_id` */
    ACTION_CHECK_CDN, /* ask the job's cdn_url for its size, without any token; redirects are not followed */
    ACTION_PROBE_TOKEN, /* channels.list mine=true with the present token: is it the token or the session? */
    ACTION_ABORT,       /* no op: stop what `op` is doing; it is answered at once, with TRANSPORT_ABORTED,
                         * TOKEN_TRANSIENT, OPEN_TRANSIENT or SOURCE_ERROR */
    ACTION_FORGET,      /* no op: the slot is free; close its file and session, wipe its secrets */
    ACTION_TRACE,       /* no op: one line for log and tests */
};
const char *action_text(enum action_type type);

struct action {
    enum action_type type;
    uint64_t op;
    uint32_t slot;
    struct job_id job;
    int64_t lease_epoch;
    union {
        struct {
            uint32_t count;
        } claim;
        struct job_write write;
        struct {
            bool fresh;
        } token;
        struct {
            uint64_t confirmed_bytes; /* what was sent so far is compared where the file was touched */
        } source;
        struct {
            uint64_t first_byte;
            uint64_t size_bytes;
            bool completes; /* it may complete the upload: the last byte is withheld if the source changed */
        } put;
        struct {
            int64_t since_ms;
        } list;
        struct {
            char video_id[VIDEO_ID_SIZE];
        } check;
        struct {
            bool is_detail; /* for a closer look only: each chunk, each reply */
            char text[320];
        } trace;
    };
};

struct actions {
    uint32_t count;
    struct action items[ACTIONS_MAX];
};

#endif
