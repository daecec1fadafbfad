#include "core/engine.h"

#include <assert.h>
#include <string.h>

#include "core/backoff.h"
#include "core/slot.h"

void engine_config_defaults(struct engine_config *config)
{
    *config = (struct engine_config){
        .chunk_bytes = CHUNK_BYTES_DEFAULT,
        .chunk_mode = CHUNK_MODE_CHUNKED,
        .lease_ms = LEASE_MS_DEFAULT,
        .retry_base_ms = RETRY_BASE_MS,
        .retry_cap_ms = RETRY_CAP_MS,
        .retry_tries_max = RETRY_TRIES_MAX,
        .job_life_ms = JOB_LIFE_MS,
        .quota_soft_percent = QUOTA_SOFT_PERCENT,
        .progress_every_ms = PROGRESS_EVERY_MS,
        .check_video = true,
    };
}

static uint64_t destination_count(uint32_t slot_count)
{
    return 4 * (uint64_t)slot_count;
}

uint64_t engine_size(uint32_t slot_count)
{
    return sizeof(struct engine) + slot_count * sizeof(struct slot) +
           destination_count(slot_count) * sizeof(struct destination);
}

struct engine *engine_init(void *memory, const struct engine_config *config, uint32_t slot_count)
{
    assert(slot_count >= 1 && slot_count <= SLOTS_MAX);
    assert(config->chunk_bytes % CHUNK_GRANULE_BYTES == 0 && config->chunk_bytes <= CHUNK_BYTES_MAX &&
           config->chunk_bytes > 0);
    memset(memory, 0, engine_size(slot_count));
    struct engine *engine = memory;
    engine->config = *config;
    engine->slot_count = slot_count;
    engine->destination_count = (uint32_t)destination_count(slot_count);
    engine->slots = (struct slot *)(engine + 1);
    engine->destinations = (struct destination *)(engine->slots + slot_count);
    for (uint32_t i = 0; i < slot_count; i++)
        engine->slots[i].index = i;
    budget_init(&engine->host, 0);
    return engine;
}

/* ---- leases ---- */

static bool is_idle(const struct slot *slot)
{
    return slot->op == 0 && slot->progress_op == 0 && slot->renew_op == 0;
}

/* A claim that is under way may have looked too early: then once more. */
static void claim_at_once(struct engine *engine)
{
    engine->claim_at_mono_ms = engine->now.mono_ms;
    if (engine->claim_op)
        engine->woken = true;
}

static void forget_if_idle(struct engine *engine, struct slot *slot)
{
    if (!slot->lost || !is_idle(slot))
        return;
    if (slot->session_unsaved && !slot->job.has_session && !slot->cancel_tried) {
        slot->cancel_tried = true;
        slot_start(engine, slot,
                   ACTION_CANCEL); /* nobody else knows of this session: leave none behind (P16) */
        return;
    }
    engine_emit(engine, slot, ACTION_FORGET);
    uint32_t index = slot->index;
    memset(slot, 0, sizeof(*slot));
    slot->index = index;
    engine->active_count--;
    if (engine->now.mono_ms >= engine->trouble_until_mono_ms)
        claim_at_once(engine); /* its place is free, and its channel's */
}

static void renew(struct engine *engine, struct slot *slot)
{
    slot->renew_op = engine_emit(engine, slot, ACTION_RENEW)->op;
    slot->renew_sent_mono_ms = engine->now.mono_ms;
    slot->renew_at_mono_ms = INT64_MAX;
}

/* A short lease has a short margin: it must be renewed, at a third of it, well before transfers stop. */
static int64_t lease_margin_ms(int64_t lease_ms)
{
    return lease_ms / 4 < LEASE_MARGIN_MS ? lease_ms / 4 : LEASE_MARGIN_MS;
}

static void grant_lease(struct engine *engine, struct slot *slot, int64_t asked_mono_ms)
{
    int64_t lease_ms = engine->config.lease_ms;
    slot->lease_end_mono_ms = asked_mono_ms + lease_ms - lease_margin_ms(lease_ms);
    slot->renew_at_mono_ms = asked_mono_ms + lease_ms / 3;
}

/* What is under way, or backs off, makes room for what a person wants now; but a session is deleted with a
 * token, at its URL. */
static void interrupt(struct engine *engine, struct slot *slot)
{
    bool is_wanted = slot->doing == ACTION_TOKEN || slot->doing == ACTION_OPEN_SESSION;
    if (!slot->job.has_session || !is_wanted)
        slot_abort(engine, slot);
    slot->not_before_mono_ms = slot->wake_mono_ms = engine->now.mono_ms;
}

/* That write may have come first: its own answer tells whose the lease was. */
static bool gives_back(const struct slot *slot)
{
    return slot->op && slot->doing == ACTION_STORE && slot->storing == STORE_SETTLE;
}

static void on_renewed(struct engine *engine, struct slot *slot, const struct event *event)
{
    slot->renew_op = 0;
    if (event->renewed.result == WRITE_LEASE_LOST) {
        if (!gives_back(slot))
            slot_lose(engine, slot, "another worker has the job");
        return;
    }
    if (event->renewed.result != WRITE_OK) {
        slot->renew_at_mono_ms = engine->now.mono_ms + jitter_between(500, 1500, engine_entropy(engine));
        return;
    }
    grant_lease(engine, slot, slot->renew_sent_mono_ms);
    if (event->renewed.cancel_wanted && !slot->job.cancel_wanted) {
        slot->job.cancel_wanted = true;
        trace(engine, slot, "cancel wanted");
        interrupt(engine, slot);
    }
    enum channel_state channel = event->renewed.channel;
    bool stops = channel == CHANNEL_PAUSED || channel == CHANNEL_FROZEN || channel == CHANNEL_AUTH;
    if (stops && !slot->settling && !slot->job.video_id[0]) {
        settle_hold(slot, channel_state_cause(channel), "channel", channel_state_text(channel));
        if (slot->op && slot->doing == ACTION_PUT && slot->put_size_bytes > engine->config.chunk_bytes)
            slot_abort(engine, slot); /* the rest of a file in one PUT is too long to wait for */
    }
}

/* ---- claims ---- */

static int64_t poll_pause_ms(struct engine *engine)
{
    return jitter_between(POLL_MS / 2, POLL_MS * 3 / 2, engine_entropy(engine));
}

static void claim_if_due(struct engine *engine)
{
    uint32_t free_count = engine->slot_count - engine->active_count;
    if (engine->draining || engine->claim_op || free_count == 0 ||
        engine->now.mono_ms < engine->claim_at_mono_ms || !engine_has_room(engine))
        return;
    struct action *action = engine_emit(engine, NULL, ACTION_CLAIM);
    action->claim.count = free_count < CLAIM_BATCH_MAX ? free_count : CLAIM_BATCH_MAX;
    engine->claim_op = action->op;
    engine->claim_count = action->claim.count;
    engine->claim_sent_mono_ms = engine->now.mono_ms;
}

static void on_claimed(struct engine *engine, const struct event *event)
{
    if (event->op != engine->claim_op)
        return;
    engine->claim_op = 0;
    if (engine->woken) { /* what woke us may have come after the claim looked */
        engine->woken = false;
        engine->claim_at_mono_ms = engine->now.mono_ms;
        return;
    }
    bool full = event->claimed.ok && event->claimed.claimed_count >= engine->claim_count;
    engine->claim_at_mono_ms = engine->now.mono_ms + (full ? 0 : poll_pause_ms(engine));
}

uint32_t engine_next_slot(const struct engine *engine)
{
    for (uint32_t i = 0; i < engine->slot_count; i++)
        if (!engine->slots[i].used)
            return i;
    assert(!"a job without a free slot");
    return 0;
}

/* After a fail-over that lost our claim we may be given the job anew, under the same epoch (D03). */
static void lose_older(struct engine *engine, struct job_id id)
{
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        struct slot *slot = &engine->slots[i];
        if (!slot->used || slot->lost || strcmp(slot->job.id.text, id.text) != 0)
            continue;
        slot_lose(engine, slot, "the job was claimed anew");
        forget_if_idle(engine, slot);
    }
}

static void on_job(struct engine *engine, const struct event *event)
{
    struct slot *slot = &engine->slots[engine_next_slot(engine)];
    lose_older(engine, event->job.id);
    assert(event->op == engine->claim_op && event->slot == slot->index);
    slot->used = true;
    engine->active_count++;
    upload_begin(engine, slot, &event->job);
    grant_lease(engine, slot, engine->claim_sent_mono_ms);
}

/* ---- time ---- */

static int64_t slot_next_mono_ms(const struct slot *slot)
{
    int64_t next = INT64_MAX;
    if (!slot->used)
        return next;
    if (!slot->lost && slot->lease_end_mono_ms < next)
        next = slot->lease_end_mono_ms;
    if (!slot->lost && slot->renew_op == 0 && slot->renew_at_mono_ms < next)
        next = slot->renew_at_mono_ms;
    if (!slot->lost && slot->progress_op == 0 && slot->progress_due_mono_ms < next)
        next = slot->progress_due_mono_ms;
    if (!slot->lost && slot->op == 0 && slot->wake_mono_ms < next)
        next = slot->wake_mono_ms;
    return next;
}

int64_t engine_next_tick_mono_ms(const struct engine *engine)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        int64_t at = slot_next_mono_ms(&engine->slots[i]);
        next = at < next ? at : next;
    }
    if (!engine->draining && !engine->claim_op && engine->active_count < engine->slot_count &&
        engine->claim_at_mono_ms < next)
        next = engine->claim_at_mono_ms;
    return next;
}

static void tick_slot(struct engine *engine, struct slot *slot)
{
    int64_t now = engine->now.mono_ms;
    if (!slot->lost && slot->renew_op == 0 && now >= slot->renew_at_mono_ms && now < slot->lease_end_mono_ms)
        renew(engine, slot);
}

/* ---- one step ---- */

static void advance(struct engine *engine, struct slot *slot)
{
    if (!slot->used)
        return;
    /* Not only at a tick: after SIGSTOP or a suspend an old answer may come first, and nothing may follow
     * from it (X02). */
    if (!slot->lost && engine->now.mono_ms >= slot->lease_end_mono_ms)
        slot_lose(engine, slot, "not renewed in time");
    if (!slot->lost)
        upload_next(engine, slot);
    forget_if_idle(engine, slot);
}

static void on_tick(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->slot_count && engine_has_room(engine); i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->used && slot_next_mono_ms(slot) <= engine->now.mono_ms) {
            tick_slot(engine, slot);
            advance(engine, slot);
        }
    }
}

/* Slots beyond the room of one step are aborted at their next event or tick: upload_next() looks at
 * `draining` as well. */
static void on_drain(struct engine *engine)
{
    engine->draining = true;
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        struct slot *slot = &engine->slots[i];
        if (!slot->used)
            continue;
        slot->not_before_mono_ms = engine->now.mono_ms;
        slot->wake_mono_ms = engine->now.mono_ms;
        if (!engine_has_room(engine)) {
            slot->renew_at_mono_ms = engine->now.mono_ms;
            continue;
        }
        slot_abort(engine, slot);
        advance(engine, slot);
    }
}

static void on_main_answer(struct engine *engine, struct slot *slot, const struct event *event)
{
    enum action_type doing = slot->doing;
    bool is_near = event->type == EVENT_TOKEN || event->type == EVENT_OPENED || event->type == EVENT_SOURCE;
    bool was_stopped = slot->aborting;
    slot->op = 0;
    slot->aborting = false;
    if (slot->lost) {
        if (event->type == EVENT_REPLY)
            reply_after_lease(slot, doing, &event->reply);
        return;
    }
    /* A question that was stopped has no answer. A request may have done something all the same. */
    if (was_stopped && is_near)
        return;
    switch (event->type) {
    case EVENT_STORED:
        save_on_stored(engine, slot, event->stored.result);
        break;
    case EVENT_SOURCE:
        reply_on_source(engine, slot, event);
        break;
    case EVENT_TOKEN:
        reply_on_token(engine, slot, event);
        break;
    case EVENT_OPENED:
        reply_on_opened(engine, slot, event->opened.result);
        break;
    case EVENT_REPLY:
        reply_handle(engine, slot, doing, &event->reply);
        break;
    case EVENT_TICK:
    case EVENT_WAKE:
    case EVENT_CLAIMED:
    case EVENT_JOB:
    case EVENT_RENEWED:
    case EVENT_DRAIN:
        assert(!"not an answer to a main action");
    }
}

/* An answer to an op that is no longer waited for is dropped (a stale epoch, P16). */
static void on_answer(struct engine *engine, const struct event *event)
{
    assert(event->slot < engine->slot_count);
    struct slot *slot = &engine->slots[event->slot];
    if (!slot->used || event->op == 0)
        return;
    if (event->op == slot->op)
        on_main_answer(engine, slot, event);
    else if (event->op == slot->progress_op)
        save_on_progress_stored(engine, slot, event->stored.result);
    else if (event->op == slot->renew_op)
        on_renewed(engine, slot, event);
    else
        return;
    advance(engine, slot);
}

void engine_step(struct engine *engine, const struct event *event, struct actions *ret_actions)
{
    ret_actions->count = 0;
    engine->actions = ret_actions;
    engine->now.wall_ms = event->now.wall_ms;
    engine->now.mono_ms = event->now.mono_ms;
    engine->now.entropy = event->entropy;
    switch (event->type) {
    case EVENT_TICK:
        on_tick(engine);
        break;
    case EVENT_WAKE:
        claim_at_once(engine);
        break;
    case EVENT_CLAIMED:
        on_claimed(engine, event);
        break;
    case EVENT_JOB:
        on_job(engine, event);
        advance(engine, &engine->slots[event->slot]);
        break;
    case EVENT_DRAIN:
        on_drain(engine);
        break;
    case EVENT_STORED:
    case EVENT_RENEWED:
    case EVENT_SOURCE:
    case EVENT_TOKEN:
    case EVENT_OPENED:
    case EVENT_REPLY:
        on_answer(engine, event);
        break;
    }
    claim_if_due(engine);
    engine->actions = NULL;
}

bool engine_look(const struct engine *engine, uint32_t index, struct engine_view *ret)
{
    const struct slot *slot = &engine->slots[index];
    bool backs_off = slot->op == 0 && slot->wake_mono_ms != INT64_MAX;
    if (slot->used)
        *ret = (struct engine_view){
            .job = slot->job.id,
            .size_bytes = slot->job.size_bytes,
            .confirmed_bytes = slot->job.confirmed_bytes,
            .doing = slot->op ? action_text(slot->doing) : "",
            .retry_at_mono_ms = backs_off ? slot->wake_mono_ms : 0,
            .pauses = slot->pauses,
            .reason = slot->last_error.reason,
        };
    return slot->used;
}

uint32_t engine_active_count(const struct engine *engine)
{
    return engine->active_count;
}

bool engine_is_idle(const struct engine *engine)
{
    return engine->draining && engine->active_count == 0 && engine->claim_op == 0;
}
