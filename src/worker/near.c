/* What is near: the store's thread, the broker, the source file. Each action is answered once, whatever
 * happens. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/shell.h"

/* ---- store ---- */

static void bind_task(struct worker *worker, uint32_t slot, struct store_work *work)
{
    struct task *task = &worker->tasks[slot];
    task->used = true;
    task->work = *work; /* taken over */
    yt_slug(work->storage_path, work->claim.id.text, task->slug);
}

static void on_claimed(void *ctx, uint64_t op, bool ok, struct store_work *works, uint32_t count)
{
    struct worker *worker = ctx;
    for (uint32_t i = 0; i < count && worker->closed; i++)
        store_work_release(&works[i]); /* claimed while we leave: the leases run out by themselves */
    for (uint32_t i = 0; i < count && !worker->closed; i++) {
        uint32_t slot = engine_next_slot(worker->engine);
        struct event event = event_make(EVENT_JOB, slot, op);
        event.job = works[i].claim;
        bind_task(worker, slot, &works[i]);
        answer(worker, &event);
    }
    struct event event = event_make(EVENT_CLAIMED, 0, op);
    event.claimed.ok = ok;
    event.claimed.claimed_count = count;
    answer(worker, &event);
}

void near_claim(struct worker *worker, const struct action *action)
{
    store_thread_claim(worker->store, action->claim.count, on_claimed, worker, action->op);
}

static void on_written(void *ctx, uint64_t op, enum write_result result)
{
    struct task *task = ctx;
    struct event event = event_make(EVENT_STORED, task->slot, op);
    event.stored.result = result;
    answer(task->worker, &event);
}

/* A write that waits until the session's URL is sealed. */
struct sealing {
    struct task *task;
    uint64_t op;
    struct job_write write;
};

static void on_sealed(void *ctx, enum open_result result, struct blob sealed)
{
    struct sealing *sealing = ctx;
    struct task *task = sealing->task;
    if (result == OPEN_OK)
        store_thread_write(task->worker->store, &sealing->write, sealed, on_written, task, sealing->op);
    else
        on_written(task, sealing->op, WRITE_FAILED);
    mem_free(sealing);
}

void near_store(struct task *task, const struct action *action)
{
    struct worker *worker = task->worker;
    if (!action->write.set_session) {
        store_thread_write(worker->store, &action->write, (struct blob){0}, on_written, task, action->op);
        return;
    }
    struct sealing *sealing = mem_alloc(sizeof(*sealing));
    *sealing = (struct sealing){.task = task, .op = action->op, .write = action->write};
    memcpy(sealing->write.note.request_id, task->request_id, sizeof(task->request_id));
    broker_seal_session(worker->broker, task->work.claim.tenant_id, task->work.claim.id,
                        task->session_url.data, on_sealed, sealing);
}

static void on_renewed(void *ctx, uint64_t op, const struct store_renewal *renewal)
{
    struct task *task = ctx;
    struct event event = event_make(EVENT_RENEWED, task->slot, op);
    event.renewed.result = renewal->result;
    event.renewed.cancel_wanted = renewal->cancel_wanted;
    event.renewed.channel = renewal->channel;
    answer(task->worker, &event);
}

void near_renew(struct task *task, const struct action *action)
{
    store_thread_renew(task->worker->store, action->job, action->lease_epoch, on_renewed, task, action->op);
}

/* ---- broker ---- */

/* Whose answer it is: the broker hands back one pointer. */
struct asked {
    struct task *task;
    uint64_t op;
};

static struct asked *asked_new(struct task *task, const struct action *action)
{
    struct asked *asked = mem_alloc(sizeof(*asked));
    *asked = (struct asked){.task = task, .op = action->op};
    return asked;
}

static void on_token(void *ctx, const struct broker_token *token)
{
    struct asked *asked = ctx;
    struct task *task = asked->task;
    struct event event = event_make(EVENT_TOKEN, task->slot, asked->op);
    mem_free(asked);
    event.token.result = token->result;
    event.token.retry_after_ms = token->retry_after_ms;
    event.token.expires_at_mono_ms = token->expires_at_mono_ms;
    snprintf(event.token.message, sizeof(event.token.message), "%s", token->message ? token->message : "");
    if (token->result == TOKEN_OK)
        secret_set(&task->access_token, token->access_token, strlen(token->access_token));
    answer(task->worker, &event);
}

void near_token(struct task *task, const struct action *action)
{
    const struct job_claim *claim = &task->work.claim;
    broker_token(task->worker->broker, claim->tenant_id, claim->channel_id, claim->id, claim->lease_epoch,
                 action->token.fresh, on_token, asked_new(task, action));
}

static void on_opened(void *ctx, enum open_result result, const char *url)
{
    struct asked *asked = ctx;
    struct task *task = asked->task;
    struct event event = event_make(EVENT_OPENED, task->slot, asked->op);
    mem_free(asked);
    event.opened.result = result;
    if (result == OPEN_OK)
        secret_set(&task->session_url, url, strlen(url));
    answer(task->worker, &event);
}

void near_open_session(struct task *task, const struct action *action)
{
    broker_open_session(task->worker->broker, task->work.claim.tenant_id, task->work.claim.id,
                        task->work.sealed_session, on_opened, asked_new(task, action));
}

/* ---- source ---- */

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
    uint64_t confirmed_bytes;
    char *path, *fingerprint;    /* owned */
    struct source *source;       /* one use is ours */
    struct chunk_digest *chunks; /* owned; what was sent, where that matters */
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

static void open_and_compare(uv_work_t *work)
{
    struct comparison *comparison = work->data;
    struct err *err = &comparison->err;
    if (media_open(comparison->worker->media_root, comparison->path, &comparison->source->file, err) == 0 &&
        media_compare(comparison->source->file, comparison->fingerprint, &comparison->change, err) == 0)
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
    else
        comparison_end(comparison, SOURCE_OK, "");
}

void near_check_source(struct task *task, const struct action *action)
{
    struct worker *worker = task->worker;
    struct comparison *comparison = mem_alloc(sizeof(*comparison));
    comparison->worker = worker;
    comparison->task = task;
    comparison->op = action->op;
    comparison->confirmed_bytes = action->source.confirmed_bytes;
    comparison->path = mem_dup(task->work.storage_path);
    comparison->fingerprint = mem_dup(task->work.fingerprint);
    comparison->source = source_use(mem_alloc(sizeof(*comparison->source)));
    comparison->work.data = comparison;
    comparison->deadline.data = comparison;
    uv_timer_init(&worker->loop, &comparison->deadline);
    uv_timer_start(&comparison->deadline, on_deadline, (uint64_t)worker->settings->read_timeout_ms, 0);
    uv_queue_work(&worker->loop, &comparison->work, open_and_compare, on_compared);
}
