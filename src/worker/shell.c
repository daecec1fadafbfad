/* Between the engine and the rooms: events in, actions handed on. */
#include "worker/shell.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

struct event event_make(enum event_type type, uint32_t slot, uint64_t op)
{
    return (struct event){.type = type, .slot = slot, .op = op};
}

void task_release(struct task *task)
{
    assert(!task->call);
    source_drop(task->source);
    secret_release(&task->session_url);
    secret_release(&task->access_token);
    store_work_release(&task->work);
    struct worker *worker = task->worker;
    uint32_t slot = task->slot;
    memset(task, 0, sizeof(*task));
    task->worker = worker;
    task->slot = slot;
}

static void write_trace(struct task *task, const struct action *action)
{
    LOG(action->trace.is_detail ? LOG_DEBUG : LOG_INFO, action->trace.text, F_STR("job", action->job.text),
        F_STR("channel", task->work.channel), F_I64("epoch", action->lease_epoch));
}

static void forget(struct task *task)
{
    struct worker_progress progress = {.job = task->work.claim.id, .left = true, .doing = ""};
    const struct worker_options *options = task->worker->options;
    if (options->progress)
        options->progress(options->progress_ctx, &progress);
    tell_forgotten(task);
    task_release(task);
}

static void carry_out(struct worker *worker, const struct action *action)
{
    struct task *task = &worker->tasks[action->slot];
    switch (action->type) {
    case ACTION_CLAIM:
        near_claim(worker, action);
        break;
    case ACTION_STORE:
        near_store(task, action);
        break;
    case ACTION_RENEW:
        near_renew(task, action);
        break;
    case ACTION_CHECK_SOURCE:
        source_check(task, action);
        break;
    case ACTION_TOKEN:
        near_token(task, action);
        break;
    case ACTION_OPEN_SESSION:
        near_open_session(task, action);
        break;
    case ACTION_START:
        call_start(task, action);
        break;
    case ACTION_PUT:
        call_put(task, action);
        break;
    case ACTION_QUERY:
        call_query(task, action);
        break;
    case ACTION_CANCEL:
        call_cancel(task, action);
        break;
    case ACTION_LIST_UPLOADS:
        look_list(task, action);
        break;
    case ACTION_CHECK_VIDEO:
        look_check(task, action);
        break;
    case ACTION_CHECK_CDN:
        cdn_check(task, action);
        break;
    case ACTION_PROBE_TOKEN:
        call_probe(task, action);
        break;
    case ACTION_ABORT:
        call_abort(task, action->op);
        near_abort(task, action->op);
        source_abort(task, action->op);
        break;
    case ACTION_FORGET:
        forget(task);
        break;
    case ACTION_TRACE:
        write_trace(task, action);
        break;
    }
}

void worker_tell_progress(struct worker *worker, uint32_t slot)
{
    struct engine_view view;
    if (!worker->options->progress || slot >= worker->slot_count || !engine_look(worker->engine, slot, &view))
        return;
    struct worker_progress progress = {.job = view.job,
                                       .size_bytes = view.size_bytes,
                                       .confirmed_bytes = view.confirmed_bytes,
                                       .sent_bytes = worker->tasks[slot].sent_bytes,
                                       .doing = view.doing,
                                       .reason = view.reason};
    if (view.retry_at_mono_ms)
        progress.retry_in_ms = view.retry_at_mono_ms - clock_mono_ms();
    worker->options->progress(worker->options->progress_ctx, &progress);
}

static void step(struct worker *worker, struct event *event)
{
    struct now now = clock_now();
    struct engine_view before;
    bool was_used = engine_look(worker->engine, event->slot, &before);
    event->now.wall_ms = now.wall_ms;
    event->now.mono_ms = now.mono_ms;
    event->entropy = random_u64();
    engine_step(worker->engine, event, &worker->actions);
    for (uint32_t i = 0; i < worker->actions.count; i++)
        carry_out(worker, &worker->actions.items[i]);
    tell_step(worker, event, was_used ? &before : NULL);
    worker_tell_progress(worker, event->slot);
}

/* Carrying out an action may answer at once: that answer waits here until the engine's step is done. */
void answer(struct worker *worker, const struct event *event)
{
    if (worker->closed)
        return;
    assert(worker->pending_count < worker->pending_size);
    worker->pending[(worker->pending_first + worker->pending_count++) % worker->pending_size] = *event;
    if (worker->pumping)
        return;
    worker->pumping = true;
    while (worker->pending_count > 0) {
        struct event next = worker->pending[worker->pending_first];
        worker->pending_first = (worker->pending_first + 1) % worker->pending_size;
        worker->pending_count--;
        step(worker, &next);
    }
    worker->pumping = false;
    worker_after_step(worker);
}
