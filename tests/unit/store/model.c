#include "model.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* ---- channels ---- */

enum channel_state model_gate(const struct model *model, int channel, int64_t *ret_until_ms)
{
    const struct model_channel *row = &model->channels[channel];
    bool is_over = row->state == CHANNEL_LIMITED && row->until_ms <= model->now_ms;
    *ret_until_ms = is_over ? 0 : row->until_ms;
    return is_over ? CHANNEL_ACTIVE : row->state;
}

static bool is_channel_cause(enum job_cause cause)
{
    return cause == CAUSE_CHANNEL_PAUSED || cause == CAUSE_CHANNEL_AUTH || cause == CAUSE_CHANNEL_FROZEN;
}

static void put(struct model_job *job, enum job_state state, enum job_cause cause, int64_t next_at_ms)
{
    job->state = state;
    job->cause = cause;
    job->next_at_ms = next_at_ms;
}

static void hold_with(const struct model *model, struct model_job *job)
{
    int64_t until_ms;
    enum channel_state gate = model_gate(model, job->channel, &until_ms);
    put(job, JOB_HELD, channel_state_cause(gate), until_ms);
}

static void stop_job(struct model_job *job, enum channel_state state, int64_t until_ms)
{
    bool waits = job->state == JOB_QUEUED || job->state == JOB_WAITING ||
                 (job->state == JOB_HELD && (job_cause_is_timed(job->cause) || is_channel_cause(job->cause)));
    if (waits && job->cancel == 0)
        put(job, JOB_HELD, channel_state_cause(state), until_ms);
}

static void free_job(struct model_job *job)
{
    if (job->state == JOB_HELD && (job->cause == CAUSE_UPLOAD_LIMIT || is_channel_cause(job->cause)))
        put(job, job->video_id[0] ? JOB_FINISHING : JOB_QUEUED, CAUSE_NONE, 0);
}

void model_set_channel(struct model *model, int channel, enum channel_state state, int64_t until_ms)
{
    if (state != CHANNEL_LIMITED)
        until_ms = 0;
    model->channels[channel].state = state;
    model->channels[channel].until_ms = until_ms;
    for (int i = 0; i < model->job_count; i++) {
        if (model->jobs[i].channel != channel || model->jobs[i].is_leased)
            continue;
        if (state == CHANNEL_ACTIVE)
            free_job(&model->jobs[i]);
        else
            stop_job(&model->jobs[i], state, until_ms);
    }
}

/* ---- claims ---- */

static int64_t claim_at(const struct model_job *job)
{
    if (job->is_leased)
        return job->lease_until_ms + TAKEOVER_DELAY_MS;
    if (job_state_is_terminal(job->state))
        return INT64_MAX;
    if (job->state == JOB_QUEUED || job->state == JOB_UPLOADING)
        return 0;
    if (job->state == JOB_HELD && !job_cause_is_timed(job->cause) && job->cancel == 0)
        return INT64_MAX;
    return job->next_at_ms;
}

bool model_is_claimable(const struct model *model, const struct model_job *job)
{
    int64_t until_ms;
    bool is_open = model_gate(model, job->channel, &until_ms) == CHANNEL_ACTIVE;
    return claim_at(job) <= model->now_ms && (is_open || job->cancel || job->video_id[0]);
}

int model_leases(const struct model *model, int tenant, int channel)
{
    int count = 0;
    for (int i = 0; i < model->job_count; i++) {
        const struct model_job *job = &model->jobs[i];
        bool counts = channel >= 0 ? job->channel == channel : model->channels[job->channel].tenant == tenant;
        count += counts && job->is_leased && claim_at(job) > model->now_ms;
    }
    return count;
}

void model_pass_time(struct model *model)
{
    for (int i = 0; i < MODEL_CHANNELS; i++)
        if (model->channels[i].state == CHANNEL_LIMITED && model->channels[i].until_ms <= model->now_ms) {
            model->channels[i].state = CHANNEL_ACTIVE;
            model->channels[i].until_ms = 0;
        }
}

void model_lease(struct model *model, struct model_job *job, int64_t lease_ms)
{
    put(job, job->video_id[0] ? JOB_FINISHING : JOB_UPLOADING, CAUSE_NONE, 0);
    job->is_leased = true;
    job->epoch++;
    job->lease_until_ms = model->now_ms + lease_ms;
    job->cancel = job->cancel ? 2 : 0;
}

bool model_is_stray(const struct model *model, const struct model_job *job)
{
    int64_t until_ms;
    return model_gate(model, job->channel, &until_ms) != CHANNEL_ACTIVE && job->state == JOB_UPLOADING &&
           claim_at(job) <= model->now_ms && job->cancel == 0 && !job->video_id[0];
}

void model_hold_stray(struct model *model, struct model_job *job)
{
    hold_with(model, job);
    job->is_leased = false;
    job->lease_until_ms = 0;
}

/* ---- writes ---- */

static void forget_session(struct model_job *job)
{
    job->has_session = job->finalizing = job->session_dead = false;
    job->confirmed_bytes = 0;
}

static void apply_transfer(struct model_job *job, const struct job_write *write)
{
    if (write->clear_session)
        forget_session(job);
    if (write->set_session) {
        job->has_session = true;
        job->session_dead = false;
    }
    job->finalizing = job->finalizing || write->set_finalizing;
    job->session_dead = job->session_dead || write->set_session_dead;
    if (write->set_confirmed)
        job->confirmed_bytes = write->confirmed_bytes;
    job->attempts += write->count_attempt;
    if (write->set_waits)
        job->waits = write->waits;
    if (write->set_video)
        snprintf(job->video_id, sizeof(job->video_id), "%s", write->video_id);
}

/* A job given back goes where its channel is now. */
static void follow(const struct model *model, struct model_job *job)
{
    int64_t until_ms;
    bool is_active = model_gate(model, job->channel, &until_ms) == CHANNEL_ACTIVE;
    if (job->state == JOB_HELD && is_channel_cause(job->cause)) {
        if (is_active)
            put(job, job->video_id[0] ? JOB_FINISHING : JOB_QUEUED, CAUSE_NONE, 0);
        else
            hold_with(model, job);
        return;
    }
    bool waits = job->state == JOB_QUEUED || job->state == JOB_WAITING || job->state == JOB_UPLOADING ||
                 (job->state == JOB_HELD && job_cause_is_timed(job->cause));
    if (waits && !is_active && job->cancel == 0 && !job->video_id[0])
        hold_with(model, job);
}

static void apply_state(const struct model *model, struct model_job *job, const struct job_write *write)
{
    bool releases = write->release_lease;
    if (write->set_state) {
        put(job, write->state, write->state == JOB_HELD ? write->cause : CAUSE_NONE, write->next_at_ms);
        releases = releases || (job->state != JOB_UPLOADING && job->state != JOB_FINISHING);
    }
    if (releases)
        follow(model, job);
    if (job_state_is_terminal(job->state)) {
        job->cancel = 0;
        job->next_at_ms = 0;
        job->has_session = false;
    }
    if (job->state == JOB_HELD && !job_cause_is_timed(job->cause) && job->cancel == 2)
        job->cancel = 0;
    if (releases) {
        job->is_leased = false;
        job->lease_until_ms = 0;
        if (job->cancel == 1)
            job->next_at_ms = 0;
    }
}

/* What no row may be, whoever writes it. */
static bool is_possible(enum job_state from, const struct model_job *job, bool moves)
{
    bool has_video = job->video_id[0] != '\0';
    if (moves && !job_move_is_allowed(from, job->state))
        return false;
    if ((job->state == JOB_FINISHING || job->state == JOB_COMPLETED) && !has_video)
        return false;
    bool never_has_video = job->state == JOB_QUEUED || job->state == JOB_WAITING ||
                           job->state == JOB_FAILED || job->state == JOB_CANCELLED;
    return !has_video || !never_has_video;
}

static bool video_is_taken(const struct model *model, const struct model_job *job, const char *video_id)
{
    for (int i = 0; i < model->job_count; i++)
        if (strcmp(model->jobs[i].id.text, job->id.text) != 0 && model->jobs[i].channel == job->channel &&
            strcmp(model->jobs[i].video_id, video_id) == 0)
            return true;
    return false;
}

static bool charge(struct model *model, const struct model_job *job, const struct job_write *write)
{
    int64_t *used = &model->used[model->channels[job->channel].tenant][write->pacific_day];
    if (write->charge_limit && *used + write->charge_amount > write->charge_limit)
        return false;
    *used += write->charge_amount;
    return true;
}

static bool channel_finding_counts(enum channel_state from, enum channel_state to)
{
    return from == CHANNEL_ACTIVE || from == CHANNEL_LIMITED || to > from;
}

int model_write(struct model *model, struct model_job *job, const struct job_write *write,
                enum write_result *ret_result)
{
    struct model before = *model;
    enum job_state from = job->state;
    *ret_result = WRITE_LEASE_LOST;
    if (!job->is_leased || job->epoch != write->lease_epoch)
        return 0;
    *ret_result = WRITE_FAILED;
    if (write->set_confirmed && write->confirmed_bytes > job->size_bytes)
        return ERR_INVALID;
    *ret_result = WRITE_QUOTA_FULL;
    if (write->charge == BUCKET_UPLOADS && !charge(model, job, write))
        return 0;
    if (write->set_channel && channel_finding_counts(model->channels[job->channel].state, write->channel))
        model_set_channel(model, job->channel, write->channel, write->channel_until_ms);
    apply_transfer(job, write);
    apply_state(model, job, write);
    *ret_result = WRITE_FAILED;
    bool is_wrong = !is_possible(from, job, write->set_state);
    bool is_taken = !is_wrong && write->set_video && video_is_taken(model, job, write->video_id);
    if (is_wrong || is_taken)
        *model = before;
    if (is_wrong)
        return ERR_INVALID;
    *ret_result = is_taken ? WRITE_VIDEO_TAKEN : WRITE_OK;
    return 0;
}

/* ---- operator's verbs ---- */

int model_cancel(struct model *model, struct model_job *job, bool *ret_done)
{
    (void)model;
    if (job_state_is_terminal(job->state) || job->video_id[0] || job->cause == CAUSE_AMBIGUOUS)
        return ERR_INVALID;
    *ret_done = !job->is_leased && !job->has_session && !job->finalizing;
    if (*ret_done) {
        put(job, JOB_CANCELLED, CAUSE_NONE, 0);
        forget_session(job);
        job->cancel = 0;
    } else {
        job->cancel = 1;
        job->next_at_ms = 0;
    }
    return 0;
}

static void requeue(const struct model *model, struct model_job *job)
{
    int64_t until_ms;
    put(job, job->video_id[0] ? JOB_FINISHING : JOB_QUEUED, CAUSE_NONE, 0);
    job->cancel = 0;
    job->waits = 0;
    if (job->state == JOB_QUEUED && model_gate(model, job->channel, &until_ms) != CHANNEL_ACTIVE)
        hold_with(model, job);
}

int model_retry(struct model *model, struct model_job *job)
{
    bool may = job->state == JOB_FAILED || job->state == JOB_CANCELLED || job->state == JOB_WAITING ||
               (job->state == JOB_HELD && job->cause != CAUSE_AMBIGUOUS);
    if (!may)
        return ERR_INVALID;
    if (job_state_is_terminal(job->state))
        forget_session(job);
    requeue(model, job);
    return 0;
}

int model_resolve(struct model *model, struct model_job *job, const char *video_id)
{
    if (job->cause != CAUSE_AMBIGUOUS && job->cause != CAUSE_CORRUPT)
        return ERR_INVALID;
    if (!video_id) {
        job->video_id[0] = '\0';
        forget_session(job);
        requeue(model, job);
        return 0;
    }
    if (video_is_taken(model, job, video_id))
        return ERR_EXISTS;
    put(job, JOB_COMPLETED, CAUSE_NONE, 0);
    snprintf(job->video_id, sizeof(job->video_id), "%s", video_id);
    job->has_session = job->session_dead = false;
    job->confirmed_bytes = job->size_bytes;
    job->cancel = 0;
    return 0;
}
