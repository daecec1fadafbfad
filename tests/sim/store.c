/* The model store: what docs/store.md says of claims, fenced writes, leases and channels, in plain arrays. */
#include <stdio.h>
#include <string.h>

#include "core/pacific.h"
#include "sim.h"

uint32_t store_find(struct world *world, const struct job_id *id)
{
    for (uint32_t i = 0; i < world->job_count; i++)
        if (strcmp(world->jobs[i].id.text, id->text) == 0)
            return i;
    broken(world, "no such job %s", id->text);
    return 0;
}

void store_move(struct world *world, struct model_job *job, enum job_state to, enum job_cause cause)
{
    check_move(world, job, to);
    say(world, "store   %s: %s -> %s %s", job->id.text, job_state_text(job->state), job_state_text(to),
        job_cause_text(cause));
    job->state = to;
    job->cause = cause;
}

/* ---- claims ---- */

static bool window_allows(struct world *world, const struct model_job *job)
{
    uint32_t leased = 0;
    for (uint32_t i = 0; i < world->job_count; i++)
        leased += world->jobs[i].channel == job->channel && world->jobs[i].lease_until_ms > wall_now(world);
    return leased < window_places(world->channels[job->channel].window, wall_now(world));
}

static bool is_allowed(struct world *world, const struct model_job *job)
{
    struct channel_model *channel = &world->channels[job->channel];
    if (channel->state == CHANNEL_LIMITED && channel->until_ms <= wall_now(world))
        store_set_channel(world, job->channel, CHANNEL_ACTIVE, 0);
    if (job->cancel_wanted || job->video_id[0])
        return true;
    return channel->state == CHANNEL_ACTIVE && window_allows(world, job);
}

/* From when on a job may be claimed; INT64_MAX: only after something else happened. */
static int64_t claimable_from_ms(const struct model_job *job)
{
    switch (job->state) {
    case JOB_QUEUED:
        return 0;
    case JOB_WAITING:
        return job->next_at_ms;
    case JOB_UPLOADING:
        return job->lease_until_ms + TAKEOVER_DELAY_MS;
    case JOB_FINISHING:
        return job->lease_until_ms ? job->lease_until_ms + TAKEOVER_DELAY_MS : job->next_at_ms;
    case JOB_HELD:
        return job_cause_is_timed(job->cause) || job->cancel_wanted ? job->next_at_ms : INT64_MAX;
    case JOB_COMPLETED:
    case JOB_FAILED:
    case JOB_CANCELLED:
    case JOB_STATE_COUNT:
        break;
    }
    return INT64_MAX;
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* … and from when on its channel and its client's quota let it go. */
static int64_t allowed_from_ms(struct world *world, const struct model_job *job)
{
    const struct channel_model *channel = &world->channels[job->channel];
    int64_t at = claimable_from_ms(job);
    if (job->cancel_wanted || job->video_id[0])
        return at;
    if (channel->state == CHANNEL_LIMITED)
        at = later_of(at, channel->until_ms);
    return later_of(at, channel->window.rest_until_ms);
}

int64_t store_next_claimable_ms(struct world *world)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < world->job_count; i++) {
        int64_t at = allowed_from_ms(world, &world->jobs[i]);
        next = at < next ? at : next;
    }
    return next == INT64_MAX ? next : next - SIM_EPOCH_MS;
}

static uint32_t twin_count(const struct world *world, uint32_t index)
{
    uint32_t count = 0;
    const struct model_job *job = &world->jobs[index];
    for (uint32_t i = 0; i < world->job_count; i++)
        if (i != index && world->jobs[i].channel == job->channel &&
            world->jobs[i].size_bytes == job->size_bytes && (world->jobs[i].twin || job->twin))
            count++;
    return count;
}

static struct job_claim claim_of(struct world *world, uint32_t index)
{
    struct model_job *job = &world->jobs[index];
    struct job_claim claim = {
        .id = job->id,
        .tenant_id = 1,
        .client_id = 1,
        .channel_id = job->channel + 1,
        .lease_epoch = job->lease_epoch,
        .size_bytes = job->size_bytes,
        .priority = job->priority,
        .waits = job->waits,
        .has_cdn = job->has_cdn,
        .state = job->state,
        .cancel_wanted = job->cancel_wanted,
        .has_session = job->session != 0,
        .finalizing = job->finalizing,
        .session_dead = job->session_dead,
        .confirmed_bytes = job->confirmed_bytes,
        .session_at_ms = job->session_at_ms,
        .reconcile_from_ms = job->reconcile_from_ms,
        .reconcile_looks = job->reconcile_looks,
        .twin_count = twin_count(world, index),
        .check_looks = job->check_looks,
        .uploads_per_day = world->uploads_per_day,
        .units_per_day = 10000,
    };
    memcpy(claim.video_id, job->video_id, sizeof(claim.video_id));
    return claim;
}

uint32_t store_claim_model(struct world *world, uint32_t max, struct job_claim *ret, uint32_t *ret_jobs)
{
    uint32_t count = 0;
    uint32_t first = draw_below(world, world->job_count);
    for (uint32_t n = 0; n < world->job_count && count < max; n++) {
        uint32_t i = (first + n) % world->job_count;
        struct model_job *job = &world->jobs[i];
        if (claimable_from_ms(job) > wall_now(world) || !is_allowed(world, job))
            continue;
        store_move(world, job, job->video_id[0] ? JOB_FINISHING : JOB_UPLOADING, CAUSE_NONE);
        job->lease_epoch++;
        job->lease_until_ms = wall_now(world) + world->config.lease_ms;
        ret[count] = claim_of(world, i);
        ret_jobs[count++] = i;
    }
    return count;
}

/* ---- channels ---- */

static bool cause_is_channels(enum job_cause cause)
{
    return cause == CAUSE_CHANNEL_PAUSED || cause == CAUSE_CHANNEL_AUTH || cause == CAUSE_CHANNEL_FROZEN;
}

void store_set_channel(struct world *world, uint32_t index, enum channel_state state, int64_t until_ms)
{
    struct channel_model *channel = &world->channels[index];
    enum job_cause cause = channel_state_cause(state);
    channel->state = state;
    channel->until_ms = until_ms;
    for (uint32_t i = 0; i < world->job_count; i++) {
        struct model_job *job = &world->jobs[i];
        if (job->channel != index || job->lease_until_ms || job->cancel_wanted)
            continue;
        if (state != CHANNEL_ACTIVE && (job->state == JOB_QUEUED || job->state == JOB_WAITING)) {
            store_move(world, job, JOB_HELD, cause);
            job->next_at_ms = until_ms;
        } else if (state == CHANNEL_ACTIVE && job->state == JOB_HELD &&
                   (cause_is_channels(job->cause) || job->cause == CAUSE_UPLOAD_LIMIT)) {
            store_move(world, job, JOB_QUEUED, CAUSE_NONE);
        }
    }
}

/* ---- writes ---- */

uint32_t quota_row(struct world *world, int32_t day)
{
    for (uint32_t i = 0; i < QUOTA_DAYS_MAX; i++) {
        if (world->quota[i].day == day)
            return i;
        if (world->quota[i].day == 0) {
            world->quota[i].day = day;
            return i;
        }
    }
    broken(world, "more days than the simulator can hold");
    return 0;
}

static bool video_is_taken(struct world *world, const struct model_job *job, const char *video_id)
{
    for (uint32_t i = 0; i < world->job_count; i++)
        if (&world->jobs[i] != job && world->jobs[i].channel == job->channel &&
            strcmp(world->jobs[i].video_id, video_id) == 0)
            return true;
    return false;
}

static void apply_session(struct world *world, struct model_job *job, const struct job_write *write,
                          uint32_t session)
{
    if (write->set_session) {
        if (!job->session)
            job->session_at_ms = wall_now(world);
        job->session = session;
    }
    if (write->clear_session) {
        job->session = 0;
        job->finalizing = job->session_dead = false;
        job->confirmed_bytes = 0;
    }
    if (write->set_finalizing)
        job->finalizing = true;
    if (write->set_session_dead)
        job->session_dead = true;
    if (write->set_confirmed)
        job->confirmed_bytes = write->confirmed_bytes;
    check_confirmed(world, job);
}

static void apply_counts(struct model_job *job, const struct job_write *write)
{
    if (write->set_waits)
        job->waits = write->waits;
    if (write->set_reconcile) {
        job->reconcile_looks = write->reconcile_looks;
        job->reconcile_from_ms = write->reconcile_from_ms;
    }
    if (write->set_check_looks)
        job->check_looks = write->check_looks;
}

static void apply_state(struct world *world, struct model_job *job, const struct job_write *write)
{
    if (write->set_video)
        memcpy(job->video_id, write->video_id, sizeof(job->video_id));
    enum job_cause channel_cause = channel_state_cause(world->channels[job->channel].state);
    bool lifted =
        write->state == JOB_HELD && cause_is_channels(write->cause) && !write->set_channel &&
        write->cause != channel_cause; /* logged in again, resumed: between the decision and this write */
    if (write->set_state) {
        store_move(world, job, lifted ? JOB_QUEUED : write->state, lifted ? CAUSE_NONE : write->cause);
        job->next_at_ms = write->next_at_ms;
        if (write->state == JOB_HELD || job_state_is_terminal(write->state))
            job->cancel_wanted = false;
    }
    if (write->release_lease)
        job->lease_until_ms = 0;
    /* What a person or a worse finding decided stays: a pause outlives a limit. */
    enum channel_state now = world->channels[job->channel].state;
    if (write->set_channel && (now == CHANNEL_ACTIVE || now == CHANNEL_LIMITED))
        store_set_channel(world, job->channel, write->channel, write->channel_until_ms);
    /* a channel that stopped meanwhile takes the job with it, as at `add` */
    enum channel_state channel = world->channels[job->channel].state;
    if (write->release_lease && channel != CHANNEL_ACTIVE &&
        (job->state == JOB_QUEUED || job->state == JOB_WAITING) && !job->cancel_wanted) {
        store_move(world, job, JOB_HELD, channel_state_cause(channel));
        job->next_at_ms = world->channels[job->channel].until_ms;
    }
}

/* YouTube's word is the truth: what our ledger did not know of was spent by others. */
static void apply_spent(struct world *world, const struct job_write *write)
{
    if (write->spent != BUCKET_UPLOADS)
        return;
    uint32_t row = quota_row(world, write->pacific_day);
    world->quota[row].is_known = true;
    if (world->quota[row].ledger < write->spent_limit)
        world->quota[row].ledger = write->spent_limit;
}

enum write_result store_write_model(struct world *world, const struct job_write *write, uint32_t session,
                                    uint32_t *ret_job)
{
    *ret_job = store_find(world, &write->id);
    struct model_job *job = &world->jobs[*ret_job];
    if (job->lease_epoch != write->lease_epoch || !job->lease_until_ms)
        return WRITE_LEASE_LOST;
    if (write->set_video && video_is_taken(world, job, write->video_id))
        return WRITE_VIDEO_TAKEN;
    if (write->charge == BUCKET_UPLOADS) {
        uint32_t row = quota_row(world, write->pacific_day);
        if (write->charge_limit && world->quota[row].ledger + write->charge_amount > write->charge_limit)
            return WRITE_QUOTA_FULL;
        world->quota[row].ledger += write->charge_amount;
    }
    apply_spent(world, write);
    window_learn(&world->channels[job->channel].window, write->feedback, wall_now(world));
    apply_session(world, job, write, session);
    apply_counts(job, write);
    check_charge_told(world, write);
    if (strstr(write->note.message, "token "))
        memcpy(job->told, write->note.message, sizeof(job->told));
    apply_state(world, job, write);
    return WRITE_OK;
}

void store_renew_model(struct world *world, const struct action *action, struct event *ret)
{
    struct model_job *job = &world->jobs[store_find(world, &action->job)];
    bool ours = job->lease_epoch == action->lease_epoch && job->lease_until_ms;
    ret->renewed.result = ours ? WRITE_OK : WRITE_LEASE_LOST;
    if (!ours)
        return;
    job->lease_until_ms = wall_now(world) + world->config.lease_ms;
    ret->renewed.cancel_wanted = job->cancel_wanted;
    ret->renewed.channel = world->channels[job->channel].state;
}
