/*
 * What everything about a slot stands on: actions, entropy, retry budgets, and the size of the next PUT.
 * Nothing here knows what an upload is.
 */
#include <assert.h>
#include <string.h>

#include "core/slot.h"

enum { ROOM_A_SLOT = 8 }; /* actions that one slot can ask for in one step, at most */

/* ---- making actions ---- */

bool engine_has_room(const struct engine *engine)
{
    return engine->actions->count + ROOM_A_SLOT <= ACTIONS_MAX;
}

static bool has_op(enum action_type type)
{
    return type != ACTION_ABORT && type != ACTION_FORGET && type != ACTION_TRACE;
}

struct action *engine_emit(struct engine *engine, struct slot *slot, enum action_type type)
{
    assert(engine->actions->count < ACTIONS_MAX);
    struct action *action = &engine->actions->items[engine->actions->count++];
    memset(action, 0, sizeof(*action));
    action->type = type;
    if (has_op(type))
        action->op = ++engine->last_op;
    if (slot) {
        action->slot = slot->index;
        action->job = slot->job.id;
        action->lease_epoch = slot->job.lease_epoch;
    }
    return action;
}

struct action *slot_start(struct engine *engine, struct slot *slot, enum action_type type)
{
    assert(slot->op == 0);
    struct action *action = engine_emit(engine, slot, type);
    slot->op = action->op;
    slot->doing = type;
    slot->aborting = false;
    return action;
}

/* Each call gives other bits: one event's entropy may be drawn on several times. */
uint64_t engine_entropy(struct engine *engine)
{
    uint64_t z = engine->now.entropy += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* ---- retry budgets ---- */

/* The one that was not used for longest makes room: with four a slot, none in use is ever lost. */
static struct budget *budget_of(struct engine *engine, enum destination_kind kind, int64_t id)
{
    struct destination *oldest = &engine->destinations[0];
    for (uint32_t i = 0; i < engine->destination_count; i++) {
        struct destination *at = &engine->destinations[i];
        if (at->id == id && at->kind == kind) {
            at->used_mono_ms = engine->now.mono_ms;
            return &at->budget;
        }
        if (at->id == 0 ? oldest->id != 0 : oldest->id != 0 && at->used_mono_ms < oldest->used_mono_ms)
            oldest = at;
    }
    *oldest = (struct destination){.kind = kind, .id = id, .used_mono_ms = engine->now.mono_ms};
    budget_init(&oldest->budget, engine->now.mono_ms);
    return &oldest->budget;
}

void slot_count_request(struct engine *engine, struct slot *slot)
{
    if (slot->tries > 0)
        return; /* a retry earns no permission for another */
    budget_request(&engine->host);
    budget_request(budget_of(engine, DESTINATION_CLIENT, slot->job.client_id));
    budget_request(budget_of(engine, DESTINATION_CHANNEL, slot->job.channel_id));
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t slot_retry_permission(struct engine *engine, struct slot *slot)
{
    int64_t now = engine->now.mono_ms;
    int64_t at = budget_retry(&engine->host, now);
    at = later_of(at, budget_retry(budget_of(engine, DESTINATION_CLIENT, slot->job.client_id), now));
    return later_of(at, budget_retry(budget_of(engine, DESTINATION_CHANNEL, slot->job.channel_id), now));
}

void slot_pause(struct slot *slot, int64_t until_mono_ms)
{
    slot->not_before_mono_ms = slot->wake_mono_ms = until_mono_ms;
    slot->pauses++;
}

/* ---- the lease's end ---- */

/* Writes are not aborted: they are fenced, and their answer comes by itself. */
void slot_abort(struct engine *engine, struct slot *slot)
{
    if (slot->op == 0 || slot->aborting || slot->doing == ACTION_STORE)
        return;
    slot->aborting = true;
    engine_emit(engine, slot, ACTION_ABORT)->op = slot->op;
}

void slot_lose(struct engine *engine, struct slot *slot, const char *why)
{
    if (!slot->lost && why)
        trace(engine, slot, "lease over: %s", why);
    slot->lost = true;
    slot_abort(engine, slot);
}

/* ---- the next PUT ---- */

uint64_t slot_chunk_bytes(const struct engine *engine, const struct slot *slot)
{
    uint64_t rest = slot->job.size_bytes - slot->job.confirmed_bytes;
    bool whole = engine->config.chunk_mode == CHUNK_MODE_WHOLE || slot->whole;
    return whole || rest < engine->config.chunk_bytes ? rest : engine->config.chunk_bytes;
}

bool slot_put_completes(const struct engine *engine, const struct slot *slot)
{
    return slot->job.confirmed_bytes + slot_chunk_bytes(engine, slot) >= slot->job.size_bytes;
}
