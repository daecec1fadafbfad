#include "worker/store_thread.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/store_group.h"
#include "worker/thread.h"

enum { GROUP_TRIES_MAX = 3 };

/* A bounded queue of requests; the only thing that the two threads share. */
struct ring {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct request **items;
    uint32_t size, first, count;
    bool closed;
};

struct store_thread {
    struct store_thread_config config;
    struct store *store;             /* the thread's, once it runs; NULL while it cannot be opened */
    bool is_in_doubt;                /* to be opened anew before it is used again */
    bool was_reopened;               /* in the present group */
    struct store_write_item *writes; /* room for those of a group */
    struct store_renew_item *renewals;
    pthread_t thread;
    struct ring todo, done;
    uv_async_t answers;
    /* the loop's */
    uint32_t under_way;
    int64_t heard_at_mono_ms;                /* the last answer, or the first question after a pause */
    int64_t per_channel_max, per_tenant_max; /* of claims to come */
    bool last_was_good;
};

/* ---- rings ---- */

static void ring_init(struct ring *ring, uint32_t size)
{
    pthread_mutex_init(&ring->mutex, NULL);
    pthread_cond_init(&ring->filled, NULL);
    ring->items = mem_alloc_array(size, sizeof(*ring->items));
    ring->size = size;
}

static void ring_release(struct ring *ring)
{
    pthread_cond_destroy(&ring->filled);
    pthread_mutex_destroy(&ring->mutex);
    mem_free(ring->items);
}

static void ring_put(struct ring *ring, struct request *const *requests, uint32_t count)
{
    pthread_mutex_lock(&ring->mutex);
    assert(ring->count + count <= ring->size);
    for (uint32_t i = 0; i < count; i++)
        ring->items[(ring->first + ring->count++) % ring->size] = requests[i];
    pthread_cond_signal(&ring->filled);
    pthread_mutex_unlock(&ring->mutex);
}

static uint32_t ring_take(struct ring *ring, struct request **ret, uint32_t max, bool wait)
{
    pthread_mutex_lock(&ring->mutex);
    while (wait && ring->count == 0 && !ring->closed)
        pthread_cond_wait(&ring->filled, &ring->mutex);
    uint32_t count = ring->count < max ? ring->count : max;
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = ring->items[ring->first];
        ring->first = (ring->first + 1) % ring->size;
    }
    ring->count -= count;
    pthread_mutex_unlock(&ring->mutex);
    return count;
}

static void ring_close(struct ring *ring)
{
    pthread_mutex_lock(&ring->mutex);
    ring->closed = true;
    pthread_cond_signal(&ring->filled);
    pthread_mutex_unlock(&ring->mutex);
}

/* ---- in the thread ---- */

/* A handle whose sync failed is of no use any more: what the file holds is found out by opening it anew
 * (store.h). */
static int make_ready(struct store_thread *thread, struct err *err)
{
    if (thread->store && !thread->is_in_doubt)
        return 0;
    store_close(thread->store);
    thread->store = NULL;
    int rc = store_open(thread->config.store, STORE_USE, &thread->store, err);
    thread->is_in_doubt = rc != 0;
    thread->was_reopened = rc == 0;
    return rc;
}

/* One transaction; on error nothing of it was kept. */
static int try_group(struct store_thread *thread, struct request **requests, uint32_t count, struct err *err)
{
    int rc = make_ready(thread, err);
    bool is_grouped = thread->config.use != STORE_FOR_LOOKS;
    if (rc == 0 && is_grouped)
        rc = store_begin(thread->store, err);
    if (rc == 0)
        rc = store_group_run(
            &(struct store_group){&thread->config, thread->store, thread->writes, thread->renewals}, requests,
            count, err);
    if (rc == 0 && is_grouped)
        rc = store_commit(thread->store, err);
    if (rc == 0)
        return 0;
    if (thread->store && is_grouped)
        store_rollback(thread->store);
    for (uint32_t i = 0; i < count; i++)
        request_disbelieve(requests[i]);
    return rc;
}

/* Whether the other transaction that was in the way may be through by now. */
static bool may_repeat(const struct store_thread *thread, int rc)
{
    return rc == ERR_BUSY && thread->store && store_was_conflict(thread->store);
}

static const char *const troubles[] = {
    [STORE_FOR_JOBS] = "the store did not take what was to be stored; it is tried again",
    [STORE_FOR_LEASES] = "the store did not renew the leases; it is tried again",
    [STORE_FOR_LOOKS] = "the store could not be looked at",
};

static int run_group(struct store_thread *thread, struct request **requests, uint32_t count)
{
    struct err err = {0};
    int rc = try_group(thread, requests, count, &err);
    for (int tries = 1; tries < GROUP_TRIES_MAX && may_repeat(thread, rc); tries++)
        rc = try_group(thread, requests, count, &err);
    if (rc == 0)
        return 0;
    thread->is_in_doubt = rc == ERR_STORE;
    LOG(LOG_ERROR, troubles[thread->config.use], F_STR("error", err.message));
    return rc;
}

static struct group time_group(struct store_thread *thread, struct request **requests, uint32_t count)
{
    int64_t begun_mono_ms = clock_mono_ms();
    thread->was_reopened = false;
    int rc = run_group(thread, requests, count);
    return (struct group){.count = count,
                          .ok = rc == 0,
                          .reopened = thread->was_reopened,
                          .took_ms = clock_mono_ms() - begun_mono_ms};
}

static void *thread_main(void *arg)
{
    struct store_thread *thread = arg;
    struct request *group[GROUP_MAX];
    uint32_t count;
    while ((count = ring_take(&thread->todo, group, GROUP_MAX, true)) > 0) {
        group[0]->group = time_group(thread, group, count);
        ring_put(&thread->done, group, count);
        uv_async_send(&thread->answers);
    }
    return NULL;
}

/* ---- on the loop ---- */

static void note_group(struct store_thread *thread, const struct group *group)
{
    struct counts *counts = thread->config.counts;
    thread->last_was_good = group->ok;
    if (!counts)
        return;
    counts->store_commits += group->ok;
    counts->store_failures += !group->ok;
    counts->store_reopened += group->reopened;
    if (!group->ok)
        return;
    histogram_add(&counts->commit_ms, &buckets_commit_ms, group->took_ms);
    histogram_add(&counts->batch, &buckets_batch, group->count);
}

static void note_answer(struct store_thread *thread, const struct request *request)
{
    thread->under_way--;
    thread->heard_at_mono_ms = clock_mono_ms();
    if (request->group.count > 0)
        note_group(thread, &request->group);
}

bool store_thread_is_well(const struct store_thread *thread)
{
    bool is_overdue =
        thread->under_way > 0 && clock_mono_ms() - thread->heard_at_mono_ms > STORE_ANSWER_OVERDUE_MS;
    return thread->last_was_good && !is_overdue;
}

static void give_answer(struct request *request)
{
    switch (request->type) {
    case REQUEST_CLAIM:
        request->claim.done(request->ctx, request->op, request->ok, request->claim.works,
                            request->claim.count);
        mem_free(request->claim.works);
        break;
    case REQUEST_WRITE:
        request->write.done(request->ctx, request->op, &request->write.write, request->write.result);
        mem_free(request->write.sealed);
        break;
    case REQUEST_RENEW:
        request->renew.done(request->ctx, request->op, &request->renew.renewal);
        break;
    case REQUEST_CHUNKS:
        request->chunks.done(request->ctx, request->op, request->ok, request->chunks.chunks,
                             request->chunks.count);
        mem_free(request->chunks.chunks);
        break;
    case REQUEST_FINGERPRINT:
        request->fingerprint.done(request->ctx, request->op, request->fingerprint.result);
        mem_free(request->fingerprint.text);
        break;
    case REQUEST_BACKLOG:
        request->backlog.done(request->ctx, request->ok, &request->backlog.backlog);
        break;
    case REQUEST_QUEUE:
        request->queue.done(request->ctx, request->ok, request->queue.queue);
        break;
    case REQUEST_ALARMS:
        request->alarms.done(request->ctx, request->ok, request->alarms.raised);
        break;
    case REQUEST_UNTOLD:
        request->untold.done(request->ctx, request->ok, &request->untold.alarm);
        break;
    case REQUEST_TOLD:
        request->told.done(request->ctx, request->ok);
        break;
    case REQUEST_SEEN:
        break;
    }
    mem_free(request);
}

static void give_answers(struct store_thread *thread)
{
    struct request *request;
    while (ring_take(&thread->done, &request, 1, false) == 1) {
        note_answer(thread, request);
        give_answer(request);
    }
}

static void on_answers(uv_async_t *async)
{
    give_answers(async->data);
}

static struct store_thread *thread_new(const struct store_thread_config *config, struct store *store)
{
    struct store_thread *thread = mem_alloc(sizeof(*thread));
    thread->config = *config;
    thread->store = store;
    store_thread_set_limits(thread, config->reach.per_channel_max, config->reach.per_tenant_max);
    thread->last_was_good = true;
    thread->writes = mem_alloc_array(GROUP_MAX, sizeof(*thread->writes));
    thread->renewals = mem_alloc_array(GROUP_MAX, sizeof(*thread->renewals));
    ring_init(&thread->todo, config->requests_max);
    ring_init(&thread->done, config->requests_max);
    thread->answers.data = thread;
    return thread;
}

static void thread_free(struct store_thread *thread)
{
    store_close(thread->store);
    ring_release(&thread->todo);
    ring_release(&thread->done);
    mem_free(thread->writes);
    mem_free(thread->renewals);
    mem_free(thread);
}

static void on_closed(uv_handle_t *handle)
{
    thread_free(handle->data);
}

int store_thread_open(uv_loop_t *loop, const struct store_thread_config *config, struct store_thread **ret,
                      struct err *err)
{
    struct store *store;
    int rc = store_open(config->store, STORE_USE, &store, err);
    if (rc != 0)
        return rc;
    struct store_thread *thread = thread_new(config, store);
    rc = uv_async_init(loop, &thread->answers, on_answers);
    if (rc != 0) {
        thread_free(thread);
        return err_set(err, ERR_INTERNAL, "the store's answers cannot be waited for: %s", uv_strerror(rc));
    }
    rc = thread_start(&thread->thread, thread_main, thread);
    if (rc != 0) {
        uv_close((uv_handle_t *)&thread->answers, on_closed);
        return err_set_errno(err, ERR_INTERNAL, rc, "cannot start the store's thread");
    }
    *ret = thread;
    return 0;
}

void store_thread_close(struct store_thread *thread)
{
    if (!thread)
        return;
    ring_close(&thread->todo);
    pthread_join(thread->thread, NULL);
    give_answers(thread);
    struct err err = {0};
    if (thread->store && thread->config.use == STORE_FOR_JOBS &&
        store_worker_gone(thread->store, thread->config.worker, &err) != 0)
        LOG(LOG_WARN, "the store was not told that this worker has left", F_STR("error", err.message));
    store_close(thread->store);
    thread->store = NULL;
    uv_close((uv_handle_t *)&thread->answers, on_closed);
}

static void ask(struct store_thread *thread, struct request *request)
{
    if (thread->under_way++ == 0)
        thread->heard_at_mono_ms = clock_mono_ms();
    ring_put(&thread->todo, &request, 1);
}

static struct request *request_new(enum request_type type, void *ctx, uint64_t op)
{
    struct request *request = mem_alloc(sizeof(*request));
    request->type = type;
    request->ctx = ctx;
    request->op = op;
    return request;
}

void store_thread_set_limits(struct store_thread *thread, int64_t per_channel_max, int64_t per_tenant_max)
{
    thread->per_channel_max = per_channel_max;
    thread->per_tenant_max = per_tenant_max;
}

void store_thread_claim(struct store_thread *thread, uint32_t max,
                        void (*done)(void *ctx, uint64_t op, bool ok, struct store_work *works,
                                     uint32_t count),
                        void *ctx, uint64_t op)
{
    struct request *request = request_new(REQUEST_CLAIM, ctx, op);
    request->claim.max = max;
    request->claim.per_channel_max = thread->per_channel_max;
    request->claim.per_tenant_max = thread->per_tenant_max;
    request->claim.works = mem_alloc_array(max, sizeof(*request->claim.works));
    request->claim.done = done;
    ask(thread, request);
}

void store_thread_write(struct store_thread *thread, const struct job_write *write,
                        struct blob sealed_session,
                        void (*done)(void *ctx, uint64_t op, const struct job_write *write,
                                     enum write_result result),
                        void *ctx, uint64_t op)
{
    struct request *request = request_new(REQUEST_WRITE, ctx, op);
    request->write.write = *write;
    request->write.done = done;
    if (sealed_session.len > 0) {
        request->write.sealed = mem_alloc(sealed_session.len);
        request->write.sealed_len = sealed_session.len;
        memcpy(request->write.sealed, sealed_session.data, sealed_session.len);
    }
    ask(thread, request);
}

void store_thread_renew(struct store_thread *thread, struct job_id job, int64_t lease_epoch,
                        void (*done)(void *ctx, uint64_t op, const struct store_renewal *renewal), void *ctx,
                        uint64_t op)
{
    struct request *request = request_new(REQUEST_RENEW, ctx, op);
    request->renew.job = job;
    request->renew.lease_epoch = lease_epoch;
    request->renew.done = done;
    ask(thread, request);
}

void store_thread_chunks(struct store_thread *thread, struct job_id job,
                         void (*done)(void *ctx, uint64_t op, bool ok, const struct chunk_digest *chunks,
                                      uint32_t count),
                         void *ctx, uint64_t op)
{
    struct request *request = request_new(REQUEST_CHUNKS, ctx, op);
    request->chunks.job = job;
    request->chunks.done = done;
    ask(thread, request);
}

void store_thread_fingerprint(struct store_thread *thread, struct job_id job, int64_t lease_epoch,
                              const char *fingerprint,
                              void (*done)(void *ctx, uint64_t op, enum write_result result), void *ctx,
                              uint64_t op)
{
    struct request *request = request_new(REQUEST_FINGERPRINT, ctx, op);
    request->fingerprint.job = job;
    request->fingerprint.lease_epoch = lease_epoch;
    request->fingerprint.text = mem_dup(fingerprint);
    request->fingerprint.done = done;
    ask(thread, request);
}

void store_thread_backlog(struct store_thread *thread,
                          void (*done)(void *ctx, bool ok, const struct store_backlog *backlog), void *ctx)
{
    struct request *request = request_new(REQUEST_BACKLOG, ctx, 0);
    request->backlog.done = done;
    ask(thread, request);
}

void store_thread_seen(struct store_thread *thread, uint32_t active_count)
{
    struct request *request = request_new(REQUEST_SEEN, NULL, 0);
    request->seen.active_count = active_count;
    ask(thread, request);
}

void store_thread_queue(struct store_thread *thread, void (*done)(void *ctx, bool ok, struct queue *queue),
                        void *ctx)
{
    struct request *request = request_new(REQUEST_QUEUE, ctx, 0);
    request->queue.queue = queue_new();
    request->queue.done = done;
    ask(thread, request);
}

void store_thread_alarms(struct store_thread *thread, int64_t every_ms,
                         void (*done)(void *ctx, bool ok, uint32_t raised), void *ctx)
{
    struct request *request = request_new(REQUEST_ALARMS, ctx, 0);
    request->alarms.every_ms = every_ms;
    request->alarms.done = done;
    ask(thread, request);
}

void store_thread_untold(struct store_thread *thread, int64_t within_ms,
                         void (*done)(void *ctx, bool ok, const struct store_alarm *alarm), void *ctx)
{
    struct request *request = request_new(REQUEST_UNTOLD, ctx, 0);
    request->untold.within_ms = within_ms;
    request->untold.done = done;
    ask(thread, request);
}

void store_thread_told(struct store_thread *thread, int64_t alarm, void (*done)(void *ctx, bool ok),
                       void *ctx)
{
    struct request *request = request_new(REQUEST_TOLD, ctx, 0);
    request->told.alarm = alarm;
    request->told.done = done;
    ask(thread, request);
}
