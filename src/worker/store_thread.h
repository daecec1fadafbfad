/*
 * The store's own thread: a hung disk or database must not stop transfers. Requests go in through one bounded
 * ring and come back through another; the thread takes all that wait, runs them in one transaction (group
 * commit), and answers after the commit. Requests are carried out in the order of their making.
 *
 * Everything here but the thread's inside belongs to the loop's thread. Each request is answered exactly
 * once, on the loop, never from within the call; at close what is under way is answered first.
 */
#ifndef WORKER_STORE_THREAD_H
#define WORKER_STORE_THREAD_H

#include <uv.h>

#include "store/store.h"
#include "worker/board.h"

struct store_thread;

enum store_thread_use {
    STORE_FOR_JOBS,   /* what the worker does; it tells the store when the worker has left */
    STORE_FOR_LEASES, /* renewals, which must not wait for the former (D07) */
    STORE_FOR_LOOKS,  /* what takes long: no group, each request for itself */
};

struct store_thread_config {
    const char *store;        /* URL */
    const char *worker;       /* name */
    struct store_reach reach; /* what it points to must outlive the thread */
    int64_t lease_ms;
    uint32_t requests_max; /* never more than this many under way */
    struct counts *counts; /* the loop's; NULL: nobody wants to know */
    enum store_thread_use use;
};

/* A store that owes an answer for this long does not answer. */
enum { STORE_ANSWER_OVERDUE_MS = 5000 };
/* Opens the store in the calling thread, so that an error is told at once. */
int store_thread_open(uv_loop_t *loop, const struct store_thread_config *config, struct store_thread **ret,
                      struct err *err) MUST_CHECK;
/* Waits for the thread; runs the callbacks that are due. The uv handle closes in the next turn. */
void store_thread_close(struct store_thread *thread);

/* `works` (count of them) belong to the callback, which must release each. */
/* Of the claims to come: see struct store_reach. */
void store_thread_set_limits(struct store_thread *thread, int64_t per_channel_max, int64_t per_tenant_max);
void store_thread_claim(struct store_thread *thread, uint32_t max,
                        void (*done)(void *ctx, uint64_t op, bool ok, struct store_work *works,
                                     uint32_t count),
                        void *ctx, uint64_t op);
/* `sealed_session` is copied. */
void store_thread_write(struct store_thread *thread, const struct job_write *write,
                        struct blob sealed_session,
                        void (*done)(void *ctx, uint64_t op, const struct job_write *write,
                                     enum write_result result),
                        void *ctx, uint64_t op);
void store_thread_renew(struct store_thread *thread, struct job_id job, int64_t lease_epoch,
                        void (*done)(void *ctx, uint64_t op, const struct store_renewal *renewal), void *ctx,
                        uint64_t op);
/* `chunks` lives as long as the callback. */
void store_thread_chunks(struct store_thread *thread, struct job_id job,
                         void (*done)(void *ctx, uint64_t op, bool ok, const struct chunk_digest *chunks,
                                      uint32_t count),
                         void *ctx, uint64_t op);
/* Of a job that was added without one; the text is copied. */
void store_thread_fingerprint(struct store_thread *thread, struct job_id job, int64_t lease_epoch,
                              const char *fingerprint,
                              void (*done)(void *ctx, uint64_t op, enum write_result result), void *ctx,
                              uint64_t op);
void store_thread_backlog(struct store_thread *thread,
                          void (*done)(void *ctx, bool ok, const struct store_backlog *backlog), void *ctx);
/* What waits, and the day's quota. `queue` belongs to the callback, which must drop it. */
void store_thread_queue(struct store_thread *thread, void (*done)(void *ctx, bool ok, struct queue *queue),
                        void *ctx);
/* Looks for misuse in the trail; `raised`: new alarms. */
void store_thread_alarms(struct store_thread *thread, int64_t every_ms,
                         void (*done)(void *ctx, bool ok, uint32_t raised), void *ctx);
/* An alarm that is to be told now, as store_alarm_untold(); its id is 0 if there is none. It lives as long as
 * the callback. */
void store_thread_untold(struct store_thread *thread, int64_t within_ms,
                         void (*done)(void *ctx, bool ok, const struct store_alarm *alarm), void *ctx);
void store_thread_told(struct store_thread *thread, int64_t alarm, void (*done)(void *ctx, bool ok),
                       void *ctx);
void store_thread_seen(struct store_thread *thread, uint32_t active_count);
/* Whether the last answer was good, and none is overdue. */
bool store_thread_is_well(const struct store_thread *thread);

#endif
