/*
 * What a worker tells of itself: counts what goes by between engine and shell, and puts a view of it up on
 * the board for those who look.
 */
#include <string.h>

#include "worker/shell.h"

enum {
    /* All workers of a store together count for a hundredth of the time: the more jobs and the more workers,
     * the rarer. */
    QUEUE_PAUSE_FACTOR = 100,
    QUEUE_EVERY_MS = 5000,
    QUEUE_EVERY_MAX_MS = 300000,
    QUEUE_WANTED_MS = 120000, /* nobody asked for longer: it is not counted any more */
};

/* ---- counting ---- */

static bool has_slot(const struct event *event)
{
    switch (event->type) {
    case EVENT_TICK:
    case EVENT_WAKE:
    case EVENT_CLAIMED:
    case EVENT_DRAIN:
        return false;
    case EVENT_JOB:
    case EVENT_STORED:
    case EVENT_RENEWED:
    case EVENT_SOURCE:
    case EVENT_TOKEN:
    case EVENT_OPENED:
    case EVENT_REPLY:
        break;
    }
    return true;
}

void tell_step(struct worker *worker, const struct event *event, const struct engine_view *before)
{
    struct engine_view after;
    if (event->type == EVENT_TOKEN)
        worker->counts.tokens[event->token.result]++;
    if (!before || !has_slot(event) || !engine_look(worker->engine, event->slot, &after))
        return;
    if (after.confirmed_bytes > before->confirmed_bytes)
        worker->counts.confirmed_bytes += after.confirmed_bytes - before->confirmed_bytes;
    if (after.pauses > before->pauses)
        counts_retry(&worker->counts, event);
}

void tell_claimed(struct task *task)
{
    task->claimed_at_mono_ms = clock_mono_ms();
    task->worker->counts.jobs_claimed++;
}

void tell_written(struct task *task, const struct job_write *write, enum write_result result)
{
    struct counts *counts = &task->worker->counts;
    if (!counts_written(counts, write, result))
        return;
    task->is_settled = true;
    if (write->state == JOB_COMPLETED)
        histogram_add(&counts->job_ms, &buckets_job_ms, clock_mono_ms() - task->claimed_at_mono_ms);
}

void tell_forgotten(struct task *task)
{
    task->worker->counts.leases_lost += !task->is_settled;
}

void tell_first_byte(struct task *task)
{
    task->has_begun = true;
    histogram_add(&task->worker->counts.first_byte_ms, &buckets_first_byte_ms,
                  clock_mono_ms() - task->claimed_at_mono_ms);
}

void tell_sent(struct task *task, uint64_t sent_bytes)
{
    if (sent_bytes > task->sent_bytes)
        task->worker->counts.sent_bytes += sent_bytes - task->sent_bytes;
    task->sent_bytes = sent_bytes;
}

/* ---- the queue ---- */

static void on_queue(void *ctx, bool ok, struct queue *queue)
{
    struct worker *worker = ctx;
    worker->queue_asked = false;
    int64_t workers = queue->worker_count ? queue->worker_count : 1;
    int64_t pause_ms = queue->took_ms * QUEUE_PAUSE_FACTOR * workers;
    pause_ms = pause_ms < QUEUE_EVERY_MS ? QUEUE_EVERY_MS : pause_ms;
    pause_ms = pause_ms > QUEUE_EVERY_MAX_MS ? QUEUE_EVERY_MAX_MS : pause_ms;
    worker->queue_due_mono_ms = clock_mono_ms() + pause_ms;
    if (ok) {
        queue_drop(worker->queue);
        worker->queue = queue;
    } else {
        queue_drop(queue); /* the last one stands, and shows its age */
    }
}

static void count_queue_if_due(struct worker *worker, int64_t now)
{
    int64_t asked_at = board_asked_at_mono_ms(worker->options->board);
    bool is_wanted = !worker->queue || (asked_at != 0 && now - asked_at < QUEUE_WANTED_MS);
    if (!is_wanted || worker->queue_asked || worker->draining || now < worker->queue_due_mono_ms)
        return;
    worker->queue_asked = true;
    store_thread_queue(worker->looker, on_queue, worker);
}

/* ---- the view ---- */

static uint32_t count_transfers(const struct worker *worker)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < worker->slot_count; i++)
        count += worker->tasks[i].call && worker->tasks[i].call->doing == ACTION_PUT;
    return count;
}

static void watch_broker(struct worker *worker)
{
    int64_t pid = broker_pid(worker->broker);
    if (pid == 0 || pid == worker->broker_pid)
        return;
    worker->counts.broker_restarts += worker->broker_pid != 0;
    worker->broker_pid = pid;
}

void tell(struct worker *worker)
{
    if (!worker->options->board || worker->closed)
        return;
    int64_t now = clock_mono_ms();
    watch_broker(worker);
    count_queue_if_due(worker, now);
    struct view *view = view_new();
    view->at_mono_ms = now;
    view->started_at_mono_ms = worker->started_at_mono_ms;
    text_copy(view->worker, sizeof(view->worker), worker->name);
    text_copy(view->region, sizeof(view->region), worker->settings->region);
    view->is_draining = worker->draining;
    view->has_store = store_thread_is_well(worker->store) && store_thread_is_well(worker->leases);
    view->has_broker = broker_pid(worker->broker) != 0;
    view->slots = worker->slot_count;
    view->active = engine_active_count(worker->engine);
    view->transfers = count_transfers(worker);
    view->counts = worker->counts;
    view->queue = queue_use(worker->queue);
    board_put(worker->options->board, view);
}
