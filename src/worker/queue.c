#include "worker/queue.h"

#include "base/clock.h"
#include "base/mem.h"
#include "core/pacific.h"

struct queue *queue_new(void)
{
    struct queue *queue = mem_alloc(sizeof(*queue));
    atomic_init(&queue->users, 1);
    return queue;
}

struct queue *queue_use(struct queue *queue)
{
    if (queue)
        atomic_fetch_add(&queue->users, 1);
    return queue;
}

void queue_drop(struct queue *queue)
{
    if (!queue || atomic_fetch_sub(&queue->users, 1) > 1)
        return;
    mem_free(queue->depths);
    mem_free(queue->quotas);
    mem_free(queue);
}

static int keep_depth(void *ctx, const struct store_queue *depth)
{
    struct queue *queue = ctx;
    queue->depths = mem_grow(queue->depths, queue->depth_count + 1, sizeof(*queue->depths));
    queue->depths[queue->depth_count++] = *depth;
    return queue->depth_count >= QUEUE_LINES_MAX;
}

static int keep_quota(void *ctx, const struct store_quota *quota)
{
    struct queue *queue = ctx;
    if (quota->channel[0])
        return 0; /* there may be very many */
    queue->quotas = mem_grow(queue->quotas, queue->quota_count + 1, sizeof(*queue->quotas));
    queue->quotas[queue->quota_count++] = *quota;
    return queue->quota_count >= QUEUE_LINES_MAX;
}

static int count_worker(void *ctx, const struct store_worker *worker)
{
    struct queue *queue = ctx;
    (void)worker;
    queue->worker_count++;
    return 0;
}

static int count_alarm(void *ctx, const struct store_alarm *alarm)
{
    struct queue *queue = ctx;
    queue->alarms[alarm->signal]++;
    return 0;
}

int queue_count(struct store *store, struct queue *queue, struct err *err)
{
    int64_t begun_mono_ms = clock_mono_ms(), now_ms = 0;
    int rc = store_now(store, &now_ms, err);
    if (rc == 0)
        rc = store_queue_list(store, keep_depth, queue, err);
    if (rc >= 0)
        rc = store_quota_list(store, pacific_day(now_ms), keep_quota, queue, err);
    if (rc >= 0)
        rc = store_worker_list(store, count_worker, queue, err);
    if (rc >= 0)
        rc = store_alarm_list(store, false, count_alarm, queue, err);
    queue->taken_at_mono_ms = clock_mono_ms();
    queue->took_ms = queue->taken_at_mono_ms - begun_mono_ms;
    return rc < 0 ? rc : 0;
}
