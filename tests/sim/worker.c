/* The shell of the model: carries out actions with delays, loses what the seed says, dies and comes back. It
 * decides nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static void schedule_tick(struct world *world, struct worker *worker);

/* ---- telling the engine ---- */

static void carry_out(struct world *world, struct worker *worker, const struct action *action);

static void feed(struct world *world, struct worker *worker, struct event *event)
{
    struct actions actions;
    event->now.mono_ms = world->now_ms;
    event->now.wall_ms = wall_now(world) + worker->wall_skew_ms;
    event->entropy = draw(world);
    engine_step(worker->engine, event, &actions);
    for (uint32_t i = 0; i < actions.count && worker->alive; i++)
        carry_out(world, worker, &actions.items[i]);
    if (worker->alive && worker->draining && engine_is_idle(worker->engine)) {
        if (worker->outstanding != 0)
            broken(world, "worker %u is idle with %llu answers outstanding", worker->index,
                   (unsigned long long)worker->outstanding);
        worker_kill(world, worker);
        return;
    }
    if (worker->alive)
        schedule_tick(world, worker);
}

static bool is_current(struct world *world, struct due *due)
{
    struct worker *worker = &world->workers[due->worker];
    return worker->alive && worker->incarnation == due->incarnation;
}

static void redeliver(struct world *world, struct due *due)
{
    struct due *again = later(world, world->workers[due->worker].stopped_until_ms - world->now_ms, due->run);
    int64_t at_ms = again->at_ms;
    uint64_t order = again->order;
    *again = *due;
    again->at_ms = at_ms;
    again->order = order;
}

static void deliver(struct world *world, struct due *due)
{
    if (!is_current(world, due))
        return;
    struct worker *worker = &world->workers[due->worker];
    if (worker->stopped_until_ms > world->now_ms) { /* SIGSTOP: it waits in the socket */
        redeliver(world, due);
        return;
    }
    worker->outstanding--;
    feed(world, worker, &due->event);
}

static struct due *answer(struct world *world, struct worker *worker, const struct action *action,
                          enum event_type type, int64_t delay_ms)
{
    struct due *due = later(world, delay_ms, deliver);
    due->worker = worker->index;
    due->incarnation = worker->incarnation;
    due->event.type = type;
    due->event.op = action->op;
    due->event.slot = action->slot;
    worker->outstanding++;
    return due;
}

static void tick(struct world *world, struct due *due)
{
    struct worker *worker = &world->workers[due->worker];
    if (!is_current(world, due) || worker->tick_order != due->order)
        return;
    if (worker->stopped_until_ms > world->now_ms) {
        schedule_tick(world, worker);
        return;
    }
    struct event event = {.type = EVENT_TICK};
    worker->tick_at_ms = INT64_MAX;
    feed(world, worker, &event);
}

/* While nothing is under way the next claim may be late: the skipped polls would find nothing. */
static void schedule_tick(struct world *world, struct worker *worker)
{
    int64_t at = engine_next_tick_mono_ms(worker->engine);
    if (at == INT64_MAX)
        return;
    if (engine_active_count(worker->engine) == 0 && worker->outstanding == 0) {
        int64_t claimable = store_next_claimable_ms(world);
        if (claimable > world->now_ms + 3600000)
            claimable = world->now_ms + 3600000;
        at = at > claimable ? at : claimable;
    }
    if (at < worker->stopped_until_ms)
        at = worker->stopped_until_ms;
    struct due *due = later(world, at - world->now_ms, tick);
    due->worker = worker->index;
    due->incarnation = worker->incarnation;
    worker->tick_order = due->order;
}

void worker_wake_all(struct world *world)
{
    for (uint32_t i = 0; i < world->worker_count; i++) {
        struct worker *worker = &world->workers[i];
        struct event event = {.type = EVENT_WAKE};
        if (worker->alive && worker->stopped_until_ms <= world->now_ms)
            feed(world, worker, &event);
    }
}

/* ---- life and death ---- */

static void start_again(struct world *world, struct due *due)
{
    worker_start(world, &world->workers[due->worker]);
}

void worker_start(struct world *world, struct worker *worker)
{
    worker->alive = true;
    worker->draining = false;
    worker->incarnation++;
    worker->outstanding = 0;
    worker->store_free_at_ms = 0;
    worker->stopped_until_ms = 0;
    memset(worker->slots, 0, sizeof(worker->slots));
    if (!worker->engine)
        worker->engine = malloc(engine_size(SLOTS_A_WORKER));
    engine_init(worker->engine, &world->config, SLOTS_A_WORKER);
    say(world, "worker %u starts", worker->index);
    struct event event = {.type = EVENT_WAKE};
    feed(world, worker, &event);
}

void worker_kill(struct world *world, struct worker *worker)
{
    say(world, "worker %u ends", worker->index);
    worker->alive = false;
    struct due *due = later(world, draw_between(world, 100, 90000), start_again);
    due->worker = worker->index;
}

void worker_drain(struct world *world, struct worker *worker)
{
    say(world, "worker %u drains", worker->index);
    worker->draining = true;
    struct event event = {.type = EVENT_DRAIN};
    feed(world, worker, &event);
}

/* Death at any step: before or after what an action does, as the dice fall. */
static bool dies(struct world *world, struct worker *worker)
{
    if (!strikes(world, FAULT_CRASH))
        return false;
    worker_kill(world, worker);
    return true;
}

/* ---- the store ---- */

static int64_t store_time(struct world *world, struct worker *worker)
{
    int64_t at = world->now_ms + draw_between(world, 1, 20);
    if (at <= worker->store_free_at_ms)
        at = worker->store_free_at_ms + 1;
    worker->store_free_at_ms = at; /* writes are applied in the order of their actions */
    return at - world->now_ms;
}

static void give_jobs(struct world *world, struct worker *worker, const struct action *action,
                      const struct job_claim *claims, const uint32_t *jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count && worker->alive; i++) {
        uint32_t slot = engine_next_slot(worker->engine);
        worker->slots[slot] = (struct sim_slot){.job = jobs[i], .session = world->jobs[jobs[i]].session};
        struct event event = {.type = EVENT_JOB, .op = action->op, .slot = slot, .job = claims[i]};
        feed(world, worker, &event);
    }
    struct event event = {
        .type = EVENT_CLAIMED, .op = action->op, .claimed = {.ok = true, .claimed_count = count}};
    if (worker->alive)
        feed(world, worker, &event);
}

/* SIGSTOP stops the store's thread too: what was in its ring is written after SIGCONT, when the lease may be
 * over (X02). */
static bool is_stopped(struct world *world, struct due *due)
{
    if (!is_current(world, due) || world->workers[due->worker].stopped_until_ms <= world->now_ms)
        return false;
    redeliver(world, due);
    return true;
}

static void apply_claim(struct world *world, struct due *due)
{
    struct job_claim claims[CLAIM_BATCH_MAX];
    uint32_t jobs[CLAIM_BATCH_MAX];
    struct worker *worker = &world->workers[due->worker];
    if (!is_current(world, due) || is_stopped(world, due))
        return;
    worker->outstanding--;
    if (strikes(world, FAULT_STORE_FAILED)) {
        struct event event = {.type = EVENT_CLAIMED, .op = due->action.op};
        feed(world, worker, &event);
        return;
    }
    uint32_t count = store_claim_model(world, due->action.claim.count, claims, jobs);
    if (!dies(world, worker)) /* X01: after the claim's commit */
        give_jobs(world, worker, &due->action, claims, jobs, count);
}

static void apply_store(struct world *world, struct due *due)
{
    struct worker *worker = &world->workers[due->worker];
    enum write_result result = WRITE_FAILED;
    if (is_stopped(world, due))
        return;
    if (!strikes(world, FAULT_STORE_FAILED)) {
        uint32_t job;
        int64_t epoch = world->jobs[store_find(world, &due->action.job)].lease_epoch;
        result = store_write_model(world, &due->action.write, due->session, &job);
        check_fence(world, &due->action.write, epoch, result);
        if (strikes(world, FAULT_STORE_UNKNOWN))
            result = WRITE_FAILED; /* committed, but nobody says so (D01) */
    }
    if (!is_current(world, due))
        return;
    worker->outstanding--;
    if (!dies(world, worker))
        answer(world, worker, &due->action, EVENT_STORED, draw_between(world, 0, 10))->event.stored.result =
            result;
}

static void begin_store(struct world *world, struct worker *worker, const struct action *action,
                        void (*apply)(struct world *world, struct due *due))
{
    struct due *due = later(world, store_time(world, worker), apply);
    due->worker = worker->index;
    due->incarnation = worker->incarnation;
    due->action = *action;
    due->session = worker->slots[action->slot].session;
    worker->outstanding++;
}

static void renew(struct world *world, struct worker *worker, const struct action *action)
{
    struct due *due = answer(world, worker, action, EVENT_RENEWED, draw_between(world, 1, 30));
    if (strikes(world, FAULT_RENEW_FAILED))
        due->event.renewed.result = WRITE_FAILED;
    else
        store_renew_model(world, action, &due->event);
}

/* ---- what is near: source, token, session ---- */

static void check_source(struct world *world, struct worker *worker, const struct action *action)
{
    struct sim_slot *slot = &worker->slots[action->slot];
    struct due *due = answer(world, worker, action, EVENT_SOURCE, draw_between(world, 1, 50));
    slot->version_seen = world->jobs[slot->job].version;
    if (strikes(world, FAULT_SOURCE_ERROR))
        due->event.source.result = SOURCE_ERROR;
    else
        due->event.source.result = slot->version_seen ? SOURCE_DIFFERENT : SOURCE_OK;
}

static void check_cdn(struct world *world, struct worker *worker, const struct action *action)
{
    struct due *due = answer(world, worker, action, EVENT_REPLY, draw_between(world, 1, 500));
    struct model_job *job = &world->jobs[worker->slots[action->slot].job];
    struct reply *reply = &due->event.reply;
    *reply = (struct reply){
        .status = 200, .retry_after_ms = -1, .has_content_bytes = true, .content_bytes = job->size_bytes};
    if (strikes(world, FAULT_CDN_DOWN)) {
        reply->status = 503;
    } else if (strikes(world, FAULT_CDN_DIFFERS)) {
        reply->content_bytes++;
        job->cdn_differed = true;
    }
}

static void token(struct world *world, struct worker *worker, const struct action *action)
{
    struct due *due = answer(world, worker, action, EVENT_TOKEN, draw_between(world, 1, 300));
    struct channel_model *channel = &world->channels[world->jobs[worker->slots[action->slot].job].channel];
    due->event.token.retry_after_ms = -1;
    if (strikes(world, FAULT_TOKEN_REVOKED))
        channel->revoked = true;
    if (strikes(world, FAULT_TOKEN_TRANSIENT))
        due->event.token.result = TOKEN_TRANSIENT;
    else
        due->event.token.result = channel->revoked ? TOKEN_REVOKED : TOKEN_OK;
    char *id = worker->slots[action->slot].token_id;
    snprintf(id, TOKEN_ID_SIZE, "%u.%u.%llu", worker->index, worker->incarnation,
             (unsigned long long)action->op);
    memcpy(due->event.token.id, id, TOKEN_ID_SIZE);
}

/* ---- YouTube ---- */

static uint64_t body_bytes(const struct action *action)
{
    return action->type == ACTION_PUT ? action->put.size_bytes : 0;
}

/* What the request does when it arrives. The reply is made then, too. */
static void reach_youtube(struct world *world, struct due *due, struct reply *ret, uint32_t *ret_session)
{
    uint32_t job = store_find(world, &due->action.job);
    switch ((int)due->action.type) {
    case ACTION_START:
        youtube_start(world, job, ret, ret_session);
        break;
    case ACTION_PUT:
        check_put(world, due, job);
        youtube_put(world, due, ret);
        break;
    case ACTION_QUERY:
        youtube_query(world, due->session, ret);
        break;
    case ACTION_CANCEL:
        youtube_cancel(world, due->session, ret);
        break;
    case ACTION_LIST_UPLOADS:
        youtube_list(world, job, ret);
        break;
    case ACTION_CHECK_VIDEO:
        youtube_check(world, job, due->action.check.video_id, ret);
        break;
    case ACTION_PROBE_TOKEN:
        youtube_probe(world, job, ret);
        break;
    default:
        broken(world, "%s is no request", action_text(due->action.type));
    }
}

static struct reply empty_reply(void)
{
    return (struct reply){.retry_after_ms = -1};
}

/* The client has long seen its connection break; what was in the pipe arrives all the same. */
static void late_effect(struct world *world, struct due *due)
{
    struct reply reply = empty_reply();
    uint32_t session;
    reach_youtube(world, due, &reply, &session);
}

static void arrive(struct world *world, struct due *due)
{
    struct worker *worker = &world->workers[due->worker];
    struct reply reply = empty_reply();
    uint32_t session = 0;
    bool aborted = is_current(world, due) && worker->slots[due->action.slot].current_op != due->action.op;
    reach_youtube(world, due, &reply, &session);
    if (!is_current(world, due) || aborted || world->failed)
        return;
    worker->outstanding--;
    if (dies(world, worker)) /* X01: reply before anything is stored */
        return;
    struct due *back = answer(world, worker, &due->action, EVENT_REPLY, draw_between(world, 5, 400));
    if (strikes(world, FAULT_LOST_REPLY))
        reply = (struct reply){.transport = TRANSPORT_TIMEOUT, .retry_after_ms = -1};
    else if (session && !reply.location_refused)
        worker->slots[due->action.slot].session = session;
    reply.sent_bytes = due->sent_bytes;
    reply.chunk.size_bytes = due->sent_bytes;
    reply.chunk.first_byte = due->action.type == ACTION_PUT ? due->action.put.first_byte : 0;
    reply.elapsed_ms = 1000;
    back->event.reply = reply;
}

static void answer_broken(struct world *world, struct worker *worker, const struct action *action,
                          enum transport transport, uint64_t sent_bytes)
{
    struct due *due = answer(world, worker, action, EVENT_REPLY, draw_between(world, 5, 30000));
    due->event.reply = empty_reply();
    due->event.reply.transport = transport;
    due->event.reply.sent_bytes = sent_bytes;
}

static struct due *send(struct world *world, struct worker *worker, const struct action *action,
                        int64_t delay_ms, void (*effect)(struct world *world, struct due *due),
                        uint64_t sent_bytes)
{
    struct due *due = later(world, delay_ms, effect);
    struct sim_slot *slot = &worker->slots[action->slot];
    due->worker = worker->index;
    due->incarnation = worker->incarnation;
    due->action = *action;
    due->session = slot->session;
    due->sent_bytes = sent_bytes;
    due->event.reply.chunk.digest[0] = (unsigned char)world->jobs[slot->job].version;
    return due;
}

/* All or some of the body leaves; what has left may arrive at once, late, or never. */
static void break_request(struct world *world, struct worker *worker, const struct action *action)
{
    uint64_t size = body_bytes(action);
    uint64_t sent = size && draw_below(world, 2) ? draw(world) % size : size;
    if (strikes(world, FAULT_LATE_EFFECT))
        send(world, worker, action, draw_between(world, 1, 4000), late_effect,
             sent ? draw(world) % (sent + 1) : 0);
    answer_broken(world, worker, action, TRANSPORT_BROKEN, sent);
}

static void request(struct world *world, struct worker *worker, const struct action *action)
{
    struct sim_slot *slot = &worker->slots[action->slot];
    world->request_count++;
    world->jobs[slot->job].requests++;
    world->jobs[slot->job].bytes_sent += body_bytes(action);
    slot->current_op = action->op;
    check_told(world, action, slot);
    bool changed = action->type == ACTION_PUT && world->jobs[slot->job].version != slot->version_seen;
    if (changed && action->put.completes) {
        answer_broken(world, worker, action, TRANSPORT_SOURCE_CHANGED, 0);
    } else if (strikes(world, FAULT_LOST_REQUEST)) {
        break_request(world, worker, action);
    } else {
        send(world, worker, action, draw_between(world, 5, 2000), arrive, body_bytes(action));
        worker->outstanding++;
    }
}

/* The one that waits is told; what is on its way is not called back. */
static void abort_request(struct world *world, struct worker *worker, const struct action *action)
{
    struct sim_slot *slot = &worker->slots[action->slot];
    if (slot->current_op != action->op)
        return; /* its answer is on its way already, or it is no request: it will be answered by itself */
    for (uint32_t i = 0; i < world->heap_count; i++) {
        struct due *due = world->heap[i];
        bool same = due->worker == worker->index && due->incarnation == worker->incarnation;
        if (same && due->run == arrive && due->action.op == action->op) {
            slot->current_op = 0;
            worker->outstanding--;
            struct due *back = answer(world, worker, &due->action, EVENT_REPLY, 1);
            back->event.reply = empty_reply();
            back->event.reply.transport = TRANSPORT_ABORTED;
            back->event.reply.sent_bytes = due->sent_bytes;
            return;
        }
    }
}

static void carry_out(struct world *world, struct worker *worker, const struct action *action)
{
    if (action->type == ACTION_TRACE) {
        say(world, "w%u s%u %s e%lld: %s", worker->index, action->slot, action->job.text,
            (long long)action->lease_epoch, action->trace.text);
        return;
    }
    if (dies(world, worker)) /* before the action has any effect */
        return;
    if (strikes(world, FAULT_STOP))
        worker->stopped_until_ms = world->now_ms + draw_between(world, 1000, 180000);
    switch (action->type) {
    case ACTION_CLAIM:
        begin_store(world, worker, action, apply_claim);
        break;
    case ACTION_STORE:
        begin_store(world, worker, action, apply_store);
        break;
    case ACTION_RENEW:
        renew(world, worker, action);
        break;
    case ACTION_CHECK_SOURCE:
        check_source(world, worker, action);
        break;
    case ACTION_CHECK_CDN:
        check_cdn(world, worker, action);
        break;
    case ACTION_TOKEN:
        token(world, worker, action);
        break;
    case ACTION_OPEN_SESSION:
        answer(world, worker, action, EVENT_OPENED, draw_between(world, 1, 20));
        break;
    case ACTION_START:
    case ACTION_PUT:
    case ACTION_QUERY:
    case ACTION_CANCEL:
    case ACTION_LIST_UPLOADS:
    case ACTION_CHECK_VIDEO:
    case ACTION_PROBE_TOKEN:
        request(world, worker, action);
        break;
    case ACTION_ABORT:
        abort_request(world, worker, action);
        break;
    case ACTION_FORGET:
        memset(&worker->slots[action->slot], 0, sizeof(worker->slots[action->slot]));
        break;
    case ACTION_TRACE:
        break;
    }
}
