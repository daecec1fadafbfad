/*
 * The jobs that are not done, the day's quota and the workers, as they were at one moment: for gauges.
 * Counted by a thread that may wait for the store; shared by views (board.h), and gone with the last of them.
 */
#ifndef WORKER_QUEUE_H
#define WORKER_QUEUE_H

#include <stdatomic.h>

#include "store/store.h"

struct queue {
    atomic_int users; /* of queue.c */
    int64_t taken_at_mono_ms;
    int64_t took_ms; /* to count */
    uint32_t depth_count, quota_count;
    uint32_t worker_count;         /* alive, of the whole store */
    uint32_t alarms[MISUSE_COUNT]; /* open ones */
    struct store_queue *depths;    /* owned */
    struct store_quota *quotas;    /* owned */
};

struct queue *queue_new(void);
struct queue *queue_use(struct queue *queue); /* NULL is fine */
void queue_drop(struct queue *queue);         /* any thread; NULL is fine */

/* Fills a new one from the store, on the store's thread. A list of more than QUEUE_LINES_MAX is cut. */
enum { QUEUE_LINES_MAX = 10000 };
int queue_count(struct store *store, struct queue *queue, struct err *err) MUST_CHECK;

#endif
