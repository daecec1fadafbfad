/*
 * What a worker has done since it began, in numbers that only grow: the source of its metrics
 * (src/web/metrics.c). Counted on the loop, beside the engine, from what passes between engine and shell; the
 * engine knows nothing of it. Pure values: a copy is a snapshot.
 */
#ifndef WORKER_COUNTS_H
#define WORKER_COUNTS_H

#include "core/event.h"

/* ---- histograms ---- */

enum { BUCKETS_MAX = 14 };

/* Upper bounds, ascending; what is above the last counts in `count` alone. */
struct buckets {
    uint32_t count;
    int64_t bounds[BUCKETS_MAX];
};
extern const struct buckets buckets_first_byte_ms, buckets_job_ms, buckets_commit_ms, buckets_batch;

struct histogram {
    uint64_t in[BUCKETS_MAX]; /* not cumulative */
    uint64_t count;
    int64_t sum;
};
void histogram_add(struct histogram *histogram, const struct buckets *buckets, int64_t value);

/* ---- labels ---- */

/* The requests to YouTube and to a CDN: action, label. */
#define REQUEST_TABLE(X)                                                                                     \
    X(START, "start")                                                                                        \
    X(PUT, "put")                                                                                            \
    X(QUERY, "query")                                                                                        \
    X(CANCEL, "cancel")                                                                                      \
    X(LIST_UPLOADS, "list_uploads")                                                                          \
    X(CHECK_VIDEO, "check_video")                                                                            \
    X(PROBE_TOKEN, "probe_token")                                                                            \
    X(CHECK_CDN, "check_cdn")

enum request_kind {
#define X(name, text) REQUEST_##name##_KIND,
    REQUEST_TABLE(X)
#undef X
        REQUEST_KIND_COUNT
};
const char *request_kind_text(enum request_kind kind);

enum { STATUS_CLASS_COUNT = 4 }; /* 2xx to 5xx */

/* What made a job pause and try again. */
#define RETRY_TABLE(X)                                                                                       \
    X(CONNECTION, "connection") /* refused, cut, timed out, not HTTP */                                      \
    X(TLS, "tls")                                                                                            \
    X(LOCAL, "local") /* no descriptor, no port */                                                           \
    X(SERVER, "http_5xx")                                                                                    \
    X(REFUSED, "http_4xx")                                                                                   \
    X(PROTOCOL, "protocol") /* a success or a 308 that does not say what it must, or nothing new */          \
    X(TOKEN, "token")                                                                                        \
    X(SOURCE, "source")                                                                                      \
    X(BROKER, "broker") /* the session's URL could not be opened just then */                                \
    X(STORE, "store")

enum retry_class {
#define X(name, text) RETRY_##name,
    RETRY_TABLE(X)
#undef X
        RETRY_CLASS_COUNT
};
const char *retry_class_text(enum retry_class class);

enum {
#define X(name, text) +1
    TRANSPORT_COUNT = 0 TRANSPORT_TABLE(X),
    TOKEN_RESULT_COUNT = 0 TOKEN_RESULT_TABLE(X),
#undef X
};

/* ---- all of it ---- */

struct counts {
    uint64_t jobs_claimed;
    uint64_t jobs_settled[JOB_STATE_COUNT][CAUSE_COUNT]; /* leases that ended, by what the job is since */
    uint64_t leases_lost;
    struct histogram first_byte_ms; /* from the claim until the file's first byte of this lease goes out */
    struct histogram job_ms;        /* from the claim to `completed`, in one lease */

    uint64_t sent_bytes;      /* of files */
    uint64_t confirmed_bytes; /* by the server */
    uint64_t replies[REQUEST_KIND_COUNT][STATUS_CLASS_COUNT];
    uint64_t broken[TRANSPORT_COUNT]; /* exchanges without a whole reply */
    uint64_t retries[RETRY_CLASS_COUNT];
    uint64_t tokens[TOKEN_RESULT_COUNT];

    uint64_t quota_charged[BUCKET_UNITS + 1];
    uint64_t quota_full;  /* starts that our own ledger refused */
    uint64_t quota_drift; /* refusals by YouTube of what our ledger had let through */

    uint64_t store_commits, store_failures, store_reopened;
    struct histogram commit_ms, batch;
    uint64_t broker_restarts;
};

/* A write that was answered. Returns whether it ended the job's lease. */
bool counts_written(struct counts *counts, const struct job_write *write, enum write_result result);
/* An exchange that ended; `status` 0: without a whole reply. */
void counts_exchange(struct counts *counts, enum action_type doing, enum transport transport, int status);
/* An event that made the engine pause the event's slot. */
void counts_retry(struct counts *counts, const struct event *cause);

#endif
