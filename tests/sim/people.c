/* Owners and operators: they change files, cancel, pause, log in again, and workers are stopped for upgrades.
 */
#include <stddef.h>

#include "sim.h"

static void do_something(struct world *world, struct due *due)
{
    (void)due;
    if (world->healed)
        return;
    uint32_t job = draw_below(world, world->job_count), channel = draw_below(world, world->channel_count);
    struct model_job *row = &world->jobs[job];
    if (strikes(world, FAULT_SOURCE_CHANGES) && !row->version)
        row->version = 1;
    if (strikes(world, FAULT_CANCEL) && !job_state_is_terminal(row->state) && row->state != JOB_FINISHING &&
        !(row->state == JOB_HELD && row->cause == CAUSE_AMBIGUOUS)) {
        say(world, "people  cancel %s", row->id.text);
        row->cancel_wanted = row->cancelled_by_owner = true;
        if (!row->lease_until_ms)
            row->next_at_ms = wall_now(world);
        worker_wake_all(world);
    }
    if (strikes(world, FAULT_PAUSE) && world->channels[channel].state == CHANNEL_ACTIVE)
        store_set_channel(world, channel, CHANNEL_PAUSED, 0);
    else if (draw_below(world, 2) && world->channels[channel].state != CHANNEL_LIMITED) {
        world->channels[channel].revoked = false;
        store_set_channel(world, channel, CHANNEL_ACTIVE, 0);
    }
    struct worker *worker = &world->workers[draw_below(world, world->worker_count)];
    if (strikes(world, FAULT_WALL_JUMP))
        worker->wall_skew_ms = draw_between(world, -3600000, 3600000);
    if (strikes(world, FAULT_DRAIN) && worker->alive && !worker->draining)
        worker_drain(world, worker);
    later(world, draw_between(world, 500, 20000), do_something);
}

void people_begin(struct world *world)
{
    later(world, 1000, do_something);
}

/* Everything that a person would mend is mended; and again every hour, since what is on its way may still
 * break something. */
void people_heal(struct world *world)
{
    people_mend(world, NULL);
}

static bool is_mended_by_retry(enum job_cause cause)
{
    return cause == CAUSE_SOURCE_MISSING || cause == CAUSE_CDN_MISMATCH;
}

void people_mend(struct world *world, struct due *due)
{
    (void)due;
    for (uint32_t i = 0; i < world->channel_count; i++) {
        world->channels[i].revoked = false;
        if (world->channels[i].state != CHANNEL_LIMITED)
            store_set_channel(world, i, CHANNEL_ACTIVE, 0);
    }
    for (uint32_t i = 0; i < world->worker_count; i++)
        world->workers[i].wall_skew_ms = 0;
    for (uint32_t i = 0; i < world->job_count; i++)
        if (world->jobs[i].state == JOB_HELD && is_mended_by_retry(world->jobs[i].cause))
            store_move(world, &world->jobs[i], JOB_QUEUED, CAUSE_NONE);
    worker_wake_all(world);
    later(world, 3600000, people_mend);
}
