#include "worker/store_thread.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { GROUP_MAX = 256, CHUNKS_MAX = 40000 }; /* 256 GiB in chunks of 8 MiB are 32,768 */

enum request_type {
    REQUEST_CLAIM,
    REQUEST_WRITE,
    REQUEST_RENEW,
    REQUEST_CHUNKS,
    REQUEST_BACKLOG,
    REQUEST_SEEN
};

struct request {
    enum request_type type;
    void *ctx;
    uint64_t op;
    bool ok; /* the transaction was committed */
    union {
        struct {
            uint32_t max, count;
            struct store_work *works; /* owned */
            void (*done)(void *ctx, uint64_t op, bool ok, struct store_work *works, uint32_t count);
        } claim;
        struct {
            struct job_write write;
            void *sealed; /* owned */
            size_t sealed_len;
            enum write_result result;
            void (*done)(void *ctx, uint64_t op, enum write_result result);
        } write;
        struct {
            struct job_id job;
            int64_t lease_epoch;
            struct store_renewal renewal;
            void (*done)(void *ctx, uint64_t op, const struct store_renewal *renewal);
        } renew;
        struct {
            struct job_id job;
            struct chunk_digest *chunks; /* owned */
            uint32_t count, size;
            void (*done)(void *ctx, uint64_t op, bool ok, const struct chunk_digest *chunks, uint32_t count);
        } chunks;
        struct {
            struct store_backlog backlog;
            void (*done)(void *ctx, bool ok, const struct store_backlog *backlog);
        } backlog;
        struct {
            uint32_t active_count;
        } seen;
    };
};

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
    struct store *store; /* the thread's, once it runs; NULL while it cannot be opened */
    bool is_in_doubt;    /* to be opened anew before it is used again */
    pthread_t thread;
    struct ring todo, done;
    uv_async_t answers;
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

static int keep_chunk(void *ctx, const struct chunk_digest *chunk)
{
    struct request *request = ctx;
    if (request->chunks.count == request->chunks.size) {
        request->chunks.size = request->chunks.size ? request->chunks.size * 2 : 64;
        request->chunks.chunks =
            mem_grow(request->chunks.chunks, request->chunks.size, sizeof(*request->chunks.chunks));
    }
    request->chunks.chunks[request->chunks.count++] = *chunk;
    return request->chunks.count > CHUNKS_MAX ? ERR_LIMIT : 0;
}

static int run(struct store_thread *thread, struct request *request, struct err *err)
{
    struct store *store = thread->store;
    const char *worker = thread->config.worker;
    switch (request->type) {
    case REQUEST_CLAIM:
        return store_claim(store, worker, &thread->config.reach, request->claim.max, thread->config.lease_ms,
                           request->claim.works, &request->claim.count, err);
    case REQUEST_WRITE:
        return store_write(store, worker, &request->write.write,
                           (struct blob){request->write.sealed, request->write.sealed_len},
                           &request->write.result, err);
    case REQUEST_RENEW:
        return store_renew(store, request->renew.job, request->renew.lease_epoch, thread->config.lease_ms,
                           &request->renew.renewal, err);
    case REQUEST_CHUNKS:
        return store_chunk_list(store, request->chunks.job, keep_chunk, request, err);
    case REQUEST_BACKLOG:
        return store_backlog(store, &thread->config.reach, &request->backlog.backlog, err);
    case REQUEST_SEEN:
        return store_worker_seen(store, worker, thread->config.reach.region, request->seen.active_count, err);
    }
    return ERR_INTERNAL;
}

static void release_works(struct request *request)
{
    for (uint32_t i = 0; i < request->claim.count; i++)
        store_work_release(&request->claim.works[i]);
    request->claim.count = 0;
}

/* Nothing of a group that was not committed may be believed. */
static void disbelieve(struct request *request)
{
    request->ok = false;
    if (request->type == REQUEST_CLAIM)
        release_works(request);
    if (request->type == REQUEST_WRITE)
        request->write.result = WRITE_FAILED;
    if (request->type == REQUEST_RENEW)
        request->renew.renewal.result = WRITE_FAILED;
    if (request->type == REQUEST_CHUNKS)
        request->chunks.count = 0;
}

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
    return rc;
}

static void run_group(struct store_thread *thread, struct request **requests, uint32_t count)
{
    struct err err = {0};
    int rc = make_ready(thread, &err);
    if (rc == 0)
        rc = store_begin(thread->store, &err);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = run(thread, requests[i], &err);
        requests[i]->ok = rc == 0;
    }
    if (rc == 0)
        rc = store_commit(thread->store, &err);
    if (rc == 0)
        return;
    if (thread->store)
        store_rollback(thread->store);
    thread->is_in_doubt = rc == ERR_STORE;
    LOG(LOG_ERROR, "the store did not take what was to be stored; it is tried again",
        F_STR("error", err.message));
    for (uint32_t i = 0; i < count; i++)
        disbelieve(requests[i]);
}

static void *thread_main(void *arg)
{
    struct store_thread *thread = arg;
    struct request *group[GROUP_MAX];
    uint32_t count;
    while ((count = ring_take(&thread->todo, group, GROUP_MAX, true)) > 0) {
        run_group(thread, group, count);
        ring_put(&thread->done, group, count);
        uv_async_send(&thread->answers);
    }
    return NULL;
}

/* ---- on the loop ---- */

static void give_answer(struct request *request)
{
    switch (request->type) {
    case REQUEST_CLAIM:
        request->claim.done(request->ctx, request->op, request->ok, request->claim.works,
                            request->claim.count);
        mem_free(request->claim.works);
        break;
    case REQUEST_WRITE:
        request->write.done(request->ctx, request->op, request->write.result);
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
    case REQUEST_BACKLOG:
        request->backlog.done(request->ctx, request->ok, &request->backlog.backlog);
        break;
    case REQUEST_SEEN:
        break;
    }
    mem_free(request);
}

static void give_answers(struct store_thread *thread)
{
    struct request *request;
    while (ring_take(&thread->done, &request, 1, false) == 1)
        give_answer(request);
}

static void on_answers(uv_async_t *async)
{
    give_answers(async->data);
}

/* Signals are the loop's business: this thread takes none. */
static int start_thread(struct store_thread *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread->thread, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int store_thread_open(uv_loop_t *loop, const struct store_thread_config *config, struct store_thread **ret,
                      struct err *err)
{
    struct store *store;
    int rc = store_open(config->store, STORE_USE, &store, err);
    if (rc != 0)
        return rc;
    struct store_thread *thread = mem_alloc(sizeof(*thread));
    thread->config = *config;
    thread->store = store;
    ring_init(&thread->todo, config->requests_max);
    ring_init(&thread->done, config->requests_max);
    thread->answers.data = thread;
    uv_async_init(loop, &thread->answers, on_answers);
    rc = start_thread(thread);
    if (rc != 0)
        return err_set_errno(err, ERR_INTERNAL, rc, "cannot start the store's thread");
    *ret = thread;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void store_thread_close(struct store_thread *thread)
{
    if (!thread)
        return;
    ring_close(&thread->todo);
    pthread_join(thread->thread, NULL);
    give_answers(thread);
    struct err err = {0};
    if (thread->store && store_worker_gone(thread->store, thread->config.worker, &err) != 0)
        LOG(LOG_WARN, "the store was not told that this worker has left", F_STR("error", err.message));
    store_close(thread->store);
    ring_release(&thread->todo);
    ring_release(&thread->done);
    uv_close((uv_handle_t *)&thread->answers, on_closed);
}

static struct request *request_new(enum request_type type, void *ctx, uint64_t op)
{
    struct request *request = mem_alloc(sizeof(*request));
    request->type = type;
    request->ctx = ctx;
    request->op = op;
    return request;
}

void store_thread_claim(struct store_thread *thread, uint32_t max,
                        void (*done)(void *ctx, uint64_t op, bool ok, struct store_work *works,
                                     uint32_t count),
                        void *ctx, uint64_t op)
{
    struct request *request = request_new(REQUEST_CLAIM, ctx, op);
    request->claim.max = max;
    request->claim.works = mem_alloc_array(max, sizeof(*request->claim.works));
    request->claim.done = done;
    ring_put(&thread->todo, &request, 1);
}

void store_thread_write(struct store_thread *thread, const struct job_write *write,
                        struct blob sealed_session,
                        void (*done)(void *ctx, uint64_t op, enum write_result result), void *ctx,
                        uint64_t op)
{
    struct request *request = request_new(REQUEST_WRITE, ctx, op);
    request->write.write = *write;
    request->write.done = done;
    if (sealed_session.len > 0) {
        request->write.sealed = mem_alloc(sealed_session.len);
        request->write.sealed_len = sealed_session.len;
        memcpy(request->write.sealed, sealed_session.data, sealed_session.len);
    }
    ring_put(&thread->todo, &request, 1);
}

void store_thread_renew(struct store_thread *thread, struct job_id job, int64_t lease_epoch,
                        void (*done)(void *ctx, uint64_t op, const struct store_renewal *renewal), void *ctx,
                        uint64_t op)
{
    struct request *request = request_new(REQUEST_RENEW, ctx, op);
    request->renew.job = job;
    request->renew.lease_epoch = lease_epoch;
    request->renew.done = done;
    ring_put(&thread->todo, &request, 1);
}

void store_thread_chunks(struct store_thread *thread, struct job_id job,
                         void (*done)(void *ctx, uint64_t op, bool ok, const struct chunk_digest *chunks,
                                      uint32_t count),
                         void *ctx, uint64_t op)
{
    struct request *request = request_new(REQUEST_CHUNKS, ctx, op);
    request->chunks.job = job;
    request->chunks.done = done;
    ring_put(&thread->todo, &request, 1);
}

void store_thread_backlog(struct store_thread *thread,
                          void (*done)(void *ctx, bool ok, const struct store_backlog *backlog), void *ctx)
{
    struct request *request = request_new(REQUEST_BACKLOG, ctx, 0);
    request->backlog.done = done;
    ring_put(&thread->todo, &request, 1);
}

void store_thread_seen(struct store_thread *thread, uint32_t active_count)
{
    struct request *request = request_new(REQUEST_SEEN, NULL, 0);
    request->seen.active_count = active_count;
    ring_put(&thread->todo, &request, 1);
}
