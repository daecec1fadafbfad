/*
 * The worker: carries out the engine's actions on a libuv loop, with a store thread and the broker process
 * beside it. It decides nothing about a job (that is src/core/engine.c); it moves values between the rooms.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "vault/broker.h"
#include "worker/board.h"
#include "worker/settings.h"

/* How one job stands, told on the loop's thread whenever it changed; for progress bars. */
struct worker_progress {
    struct job_id job;
    uint64_t size_bytes;
    uint64_t confirmed_bytes; /* by the server */
    uint64_t sent_bytes;      /* of the PUT under way, not yet confirmed */
    const char *doing;        /* the action under way: "put", "query", …; "" while it backs off */
    int64_t retry_in_ms;      /* while it backs off */
    const char *reason;       /* of the last trouble: "backendError"; "" */
    bool left;                /* this worker has nothing more to do with it now: look at the store */
};

struct worker_options {
    const char *name; /* NULL: HOST-PID-random */
    bool drain; /* leave when every job of the reach is finished, held, or waits longer than drain_wait_ms */
    int64_t drain_wait_ms;
    const struct job_id *only_jobs; /* restricts to these, if count > 0 */
    uint32_t only_job_count;
    void (*progress)(void *ctx, const struct worker_progress *progress); /* may be NULL */
    void *progress_ctx;
    /* SIGHUP: reads the configuration anew into the settings that worker_run() was given, as conf_reload()
     * does; an error leaves them as they are. NULL: SIGHUP is not listened to. */
    int (*reload)(void *ctx, struct err *err);
    void *reload_ctx;
    struct board *board; /* where the worker tells how it stands; NULL: nowhere. Outlives the run */
    /* Runs when the process is set up (limits, environment) and before anything is opened, so that it may
     * start threads. May be NULL; its error ends the run. */
    int (*begin)(void *ctx, struct err *err);
    void *begin_ctx;
};

/* Runs until drained, or until SIGTERM or SIGINT (then: stops claiming, stores offsets, gives leases back,
 * returns 0 within 10 s; *ret_interrupted tells). Errors are those of starting: store, key, broker, media
 * root, CA file. */
int worker_run(const struct settings *settings, const struct worker_options *options, bool *ret_interrupted,
               struct err *err) MUST_CHECK;

/* What a broker is to know, for workers and commands alike; texts stay with `settings`. Its executable is the
 * calling program itself, which must know the subcommand `broker`. */
struct broker_config worker_broker_config(const struct settings *settings);

#endif
