/* A job's source file: opened, compared with what was added and with what was sent, kept while a reader uses
 * it. */
#include <string.h>

#include "base/mem.h"
#include "worker/shell.h"

struct source *source_use(struct source *source)
{
    source->users++;
    return source;
}

void source_drop(struct source *source)
{
    if (!source || --source->users > 0)
        return;
    media_close(source->file);
    mem_free(source);
}

/* One comparison of a source with what was added and with what was sent. Its disk work runs in the pool; if
 * that hangs, the task is answered in time and the comparison goes on alone until the disk answers (F08). */
struct comparison {
    uv_work_t work;
    uv_timer_t deadline;
    struct worker *worker;
    struct task *task; /* NULL: answered already */
    uint64_t op;
    uint64_t confirmed_bytes, size_bytes;
    char taken[MEDIA_FINGERPRINT_SIZE]; /* of a file that was added without one */
    char *path, *fingerprint;           /* owned */
    struct source *source;              /* one use is ours */
    struct chunk_digest *chunks;        /* owned; what was sent, where that matters */
    uint32_t chunk_count;
    enum media_change change;
    struct err err;
    bool is_over; /* no work is under way */
    bool timer_closed;
};

static void comparison_free(struct comparison *comparison)
{
    if (!comparison->is_over || !comparison->timer_closed)
        return;
    source_drop(comparison->source);
    mem_free(comparison->path);
    mem_free(comparison->fingerprint);
    mem_free(comparison->chunks);
    mem_free(comparison);
}

static void on_deadline_closed(uv_handle_t *handle)
{
    struct comparison *comparison = handle->data;
    comparison->timer_closed = true;
    comparison_free(comparison);
}

static void comparison_answer(struct comparison *comparison, enum source_result result, const char *message)
{
    struct task *task = comparison->task;
    if (!task)
        return;
    comparison->task = NULL;
    task->comparison = NULL;
    if (result == SOURCE_OK && !comparison->worker->closed) {
        source_drop(task->source);
        task->source = source_use(comparison->source);
    }
    uv_close((uv_handle_t *)&comparison->deadline, on_deadline_closed);
    struct event event = event_make(EVENT_SOURCE, task->slot, comparison->op);
    event.source.result = result;
    snprintf(event.source.message, sizeof(event.source.message), "%s", message);
    answer(comparison->worker, &event);
}

static void on_deadline(uv_timer_t *timer)
{
    comparison_answer(timer->data, SOURCE_ERROR, "the disk does not answer");
}

static void comparison_end(struct comparison *comparison, enum source_result result, const char *message)
{
    comparison_answer(comparison, result, message);
    comparison->is_over = true;
    comparison_free(comparison);
}

static enum source_result result_of_error(const struct err *err)
{
    return err->code == ERR_NOT_FOUND || err->code == ERR_INVALID ? SOURCE_GONE : SOURCE_ERROR;
}

/* A job that another program has added may have no fingerprint yet: what the file is now is what it was. */
static int take_fingerprint(struct comparison *comparison, struct err *err)
{
    bool fits = media_size(comparison->source->file) == comparison->size_bytes;
    comparison->change = fits && comparison->confirmed_bytes == 0 ? MEDIA_SAME : MEDIA_DIFFERENT;
    return fits ? media_fingerprint(comparison->source->file, comparison->taken, err) : 0;
}

static int compare(struct comparison *comparison, struct err *err)
{
    if (!comparison->fingerprint[0])
        return take_fingerprint(comparison, err);
    return media_compare(comparison->source->file, comparison->fingerprint, &comparison->change, err);
}

static void open_and_compare(uv_work_t *work)
{
    struct comparison *comparison = work->data;
    struct err *err = &comparison->err;
    if (media_open(comparison->worker->media_root, comparison->path, &comparison->source->file, err) == 0 &&
        compare(comparison, err) == 0)
        err->code = 0;
}

/* Only ctime, inode or device differ: the same bytes as were sent, or not? Every byte that was sent must be
 * covered by a digest. */
static void compare_sent(uv_work_t *work)
{
    struct comparison *comparison = work->data;
    uint64_t covered = 0;
    for (uint32_t i = 0; i < comparison->chunk_count; i++) {
        const struct chunk_digest *chunk = &comparison->chunks[i];
        unsigned char digest[MEDIA_DIGEST_SIZE];
        if (media_digest(comparison->source->file, chunk->first_byte, chunk->size_bytes, digest,
                         &comparison->err) != 0)
            return;
        if (memcmp(digest, chunk->digest, sizeof(digest)) != 0) {
            comparison->change = MEDIA_DIFFERENT;
            return;
        }
        uint64_t end = chunk->first_byte + chunk->size_bytes;
        if (chunk->first_byte <= covered && end > covered)
            covered = end;
    }
    comparison->change = covered >= comparison->confirmed_bytes ? MEDIA_SAME : MEDIA_DIFFERENT;
}

static void on_sent_compared(uv_work_t *work, int status)
{
    struct comparison *comparison = work->data;
    if (status != 0 || comparison->err.code != 0)
        comparison_end(comparison, SOURCE_ERROR, comparison->err.message);
    else if (comparison->change == MEDIA_SAME)
        comparison_end(comparison, SOURCE_OK, "");
    else
        comparison_end(comparison, SOURCE_DIFFERENT,
                       "the file was replaced or touched, and what was sent of it is not what it holds now");
}

static void on_chunks(void *ctx, uint64_t op, bool ok, const struct chunk_digest *chunks, uint32_t count)
{
    (void)op;
    struct comparison *comparison = ctx;
    if (!ok || comparison->worker->closed) {
        comparison_end(comparison, SOURCE_ERROR, "the digests of what was sent could not be read");
        return;
    }
    comparison->chunks = mem_alloc_array(count, sizeof(*chunks));
    if (count > 0)
        memcpy(comparison->chunks, chunks, count * sizeof(*chunks));
    comparison->chunk_count = count;
    comparison->err.code = 0;
    uv_queue_work(&comparison->worker->loop, &comparison->work, compare_sent, on_sent_compared);
}

/* It is stored before a byte is sent, so that a worker who goes on later compares with it. */
static void on_fingerprint(void *ctx, uint64_t op, enum write_result result)
{
    (void)op;
    struct comparison *comparison = ctx;
    struct task *task = comparison->task;
    if (result != WRITE_OK || !task) {
        comparison_end(comparison, SOURCE_ERROR, "the file's fingerprint could not be stored");
        return;
    }
    mem_free(task->work.fingerprint);
    task->work.fingerprint = mem_dup(comparison->taken);
    comparison_end(comparison, SOURCE_OK, "");
}

static void on_compared(uv_work_t *work, int status)
{
    struct comparison *comparison = work->data;
    struct task *task = comparison->task;
    if (status != 0 || comparison->err.code != 0)
        comparison_end(comparison, result_of_error(&comparison->err), comparison->err.message);
    else if (comparison->change == MEDIA_DIFFERENT)
        comparison_end(comparison, SOURCE_DIFFERENT,
                       "the file is not the one that was added: its size, time or content changed");
    else if (comparison->change == MEDIA_TOUCHED && comparison->confirmed_bytes > 0 && task)
        store_thread_chunks(comparison->worker->store, task->work.claim.id, on_chunks, comparison,
                            comparison->op);
    else if (comparison->taken[0] && task)
        store_thread_fingerprint(comparison->worker->store, task->work.claim.id, task->work.claim.lease_epoch,
                                 comparison->taken, on_fingerprint, comparison, comparison->op);
    else
        comparison_end(comparison, SOURCE_OK, "");
}

void source_check(struct task *task, const struct action *action)
{
    struct worker *worker = task->worker;
    struct comparison *comparison = mem_alloc(sizeof(*comparison));
    comparison->worker = worker;
    comparison->task = task;
    task->comparison = comparison;
    comparison->op = action->op;
    comparison->confirmed_bytes = action->source.confirmed_bytes;
    comparison->size_bytes = task->work.claim.size_bytes;
    comparison->path = mem_dup(task->work.storage_path);
    comparison->fingerprint = mem_dup(task->work.fingerprint);
    comparison->source = source_use(mem_alloc(sizeof(*comparison->source)));
    comparison->work.data = comparison;
    comparison->deadline.data = comparison;
    uv_timer_init(&worker->loop, &comparison->deadline);
    uv_timer_start(&comparison->deadline, on_deadline, (uint64_t)worker->settings->read_timeout_ms, 0);
    uv_queue_work(&worker->loop, &comparison->work, open_and_compare, on_compared);
}

void source_abort(struct task *task, uint64_t op)
{
    if (task->comparison && task->comparison->op == op)
        comparison_answer(task->comparison, SOURCE_ERROR, "stopped");
}
