/*
 * How a lease ends: completed, failed, held, waiting, given back, cancelled. The first decision stands;
 * upload_next() carries it out.
 */
#include <stdio.h>
#include <string.h>

#include "core/backoff.h"
#include "core/pacific.h"
#include "core/slot.h"

struct audit_note note_make(const char *what, const char *reason, const char *message)
{
    struct audit_note note = {0};
    snprintf(note.what, sizeof(note.what), "%s", what);
    snprintf(note.reason, sizeof(note.reason), "%s", reason);
    snprintf(note.message, sizeof(note.message), "%s", message);
    return note;
}

struct audit_note note_of_reply(const char *what, const struct reply *reply)
{
    bool spoke = reply->transport == TRANSPORT_OK;
    struct audit_note note = note_make(what, reply->reason, reply->message);
    note.http_status = reply->status;
    memcpy(note.request_id, reply->request_id, sizeof(note.request_id));
    if (!note.reason[0] && spoke)
        snprintf(note.reason, sizeof(note.reason), "http %d", reply->status);
    else if (!note.reason[0])
        snprintf(note.reason, sizeof(note.reason), "%s", transport_text(reply->transport));
    return note;
}

/* Returns whether this is the first decision. */
static bool settle(struct slot *slot, enum job_state state, enum job_cause cause, int64_t next_at_ms,
                   const struct audit_note *note)
{
    if (slot->settling)
        return false;
    slot->settling = true;
    slot->outcome = save_write(slot);
    slot->outcome.set_state = true;
    slot->outcome.state = state;
    slot->outcome.cause = cause;
    slot->outcome.next_at_ms = next_at_ms;
    slot->outcome.release_lease = true;
    slot->outcome.note = *note;
    if (slot->job.has_session && !slot->job.session_dead && !slot->job.video_id[0]) {
        slot->outcome.set_confirmed = true;
        slot->outcome.confirmed_bytes = slot->job.confirmed_bytes;
        slot->outcome.chunks = slot->digests;
    }
    return true;
}

/* As settle(), for an outcome whose reason is shown with the job. */
static bool settle_with_error(struct slot *slot, enum job_state state, enum job_cause cause,
                              int64_t next_at_ms, const struct audit_note *note)
{
    bool first = settle(slot, state, cause, next_at_ms, note);
    if (first)
        slot->outcome.set_error = true;
    return first;
}

void settle_hold_until(struct slot *slot, enum job_cause cause, int64_t next_at_ms,
                       const struct audit_note *note)
{
    /* Once the video exists a hold would hide that; only doubt about the video itself may hold the job. */
    enum job_state state = slot->job.video_id[0] && job_cause_is_timed(cause) ? JOB_FINISHING : JOB_HELD;
    settle_with_error(slot, state, state == JOB_HELD ? cause : CAUSE_NONE, next_at_ms, note);
}

void settle_hold(struct slot *slot, enum job_cause cause, const char *reason, const char *message)
{
    struct audit_note note = note_make("held", reason, message);
    settle_hold_until(slot, cause, 0, &note);
}

/* A reason that a person can act on is stored. But where the last byte may be out, "failed" would be a guess.
 */
void settle_fail(struct slot *slot, const struct audit_note *note)
{
    if (slot->job.video_id[0] || slot->last_byte_may_be_out)
        settle_hold_until(slot, CAUSE_AMBIGUOUS, 0, note);
    else if (settle_with_error(slot, JOB_FAILED, CAUSE_NONE, 0, note))
        slot->cancel_session = slot->job.has_session;
}

/* The outcome leaves nothing of the session in the store: neither its offset nor digests of what it got. */
void settle_without_session(struct slot *slot)
{
    slot->outcome.clear_session = slot->job.has_session;
    slot->outcome.set_confirmed = false;
    slot->outcome.chunks.count = 0;
}

void settle_source_changed(struct slot *slot, const char *message)
{
    struct audit_note note = note_make("held", "sourceChanged", message);
    /* The last byte may be out, of the right content: then it is not known whether there is a video. */
    enum job_cause cause = slot->last_byte_may_be_out ? CAUSE_AMBIGUOUS : CAUSE_SOURCE_CHANGED;
    if (!settle_with_error(slot, JOB_HELD, cause, 0, &note) || cause == CAUSE_AMBIGUOUS)
        return;
    slot->cancel_session = slot->job.has_session;
    settle_without_session(slot);
}

void settle_wait_until(struct slot *slot, int64_t next_at_ms, const struct audit_note *note)
{
    enum job_state state = slot->job.video_id[0] ? JOB_FINISHING : JOB_WAITING;
    settle_with_error(slot, state, CAUSE_NONE, next_at_ms, note);
}

/* The lifetime counts time without progress: a job that waits for its turn, or for quota, does not grow old.
 */
static bool is_too_old(const struct engine *engine, const struct slot *slot)
{
    int64_t waited_ms = 0;
    for (uint32_t i = 0; i < slot->job.waits && waited_ms < engine->config.job_life_ms; i++)
        waited_ms += backoff_ceiling_ms(WAIT_BASE_MS, WAIT_CAP_MS, i) * 3 / 4; /* the mean of half to all */
    return waited_ms >= engine->config.job_life_ms;
}

void settle_wait(struct engine *engine, struct slot *slot, int64_t at_least_ms)
{
    if (slot->settling)
        return;
    struct audit_note note = slot->last_error;
    if (is_too_old(engine, slot) && !slot->job.video_id[0]) {
        settle_fail(slot, &note);
        return;
    }
    int64_t pause = backoff_half_ms(WAIT_BASE_MS, WAIT_CAP_MS, slot->job.waits, engine_entropy(engine));
    if (pause < at_least_ms)
        pause = at_least_ms + jitter_between(0, at_least_ms / 8, engine_entropy(engine));
    settle_wait_until(slot, engine->now.wall_ms + pause, &note);
    slot->outcome.set_waits = true;
    slot->outcome.waits = slot->job.waits + 1;
    slot->outcome.feedback = slot->is_blameless ? FEEDBACK_NONE : FEEDBACK_TROUBLE;
}

void settle_give_back(struct engine *engine, struct slot *slot)
{
    struct audit_note note = note_make("given back", "drain", "");
    bool wait = slot->job.session_dead; /* its next look has its time */
    enum job_state state = slot->job.video_id[0] ? JOB_FINISHING : wait ? JOB_WAITING : JOB_QUEUED;
    settle(slot, state, CAUSE_NONE, engine->now.wall_ms, &note);
}

void settle_cancelled(struct slot *slot)
{
    struct audit_note note = note_make("cancelled", "", "");
    settle(slot, JOB_CANCELLED, CAUSE_NONE, 0, &note);
}

void settle_completed(struct slot *slot)
{
    struct audit_note note = note_make("completed", slot->warning[0] ? "warning" : "", slot->warning);
    if (!settle(slot, JOB_COMPLETED, CAUSE_NONE, 0, &note))
        return;
    slot->outcome.feedback = FEEDBACK_GOOD;
    slot->outcome.clear_error = !slot->warning[0];
    slot->outcome.set_error = slot->warning[0];
}

void settle_channel(struct slot *slot, enum channel_state state, int64_t until_ms,
                    const struct audit_note *note)
{
    if (slot->settling)
        return;
    settle_hold_until(slot, channel_state_cause(state), until_ms, note);
    slot->outcome.set_channel = true;
    slot->outcome.channel = state;
    slot->outcome.channel_until_ms = until_ms;
}

/* The store stops all channels of the client, this one with them. */
void settle_client(struct slot *slot, const struct audit_note *note)
{
    if (slot->settling)
        return;
    settle_hold_until(slot, CAUSE_CHANNEL_FROZEN, 0, note);
    slot->outcome.client_is_refused = true;
}

void settle_quota(struct engine *engine, struct slot *slot, enum quota_bucket spent,
                  const struct audit_note *note)
{
    if (slot->settling)
        return;
    int64_t midnight = pacific_next_midnight_ms(engine->now.wall_ms);
    settle_hold_until(slot, CAUSE_QUOTA,
                      midnight + jitter_between(1000, QUOTA_JITTER_MS, engine_entropy(engine)), note);
    slot->outcome.spent = spent;
    slot->outcome.spent_limit = spent == BUCKET_UPLOADS ? slot->job.uploads_per_day : slot->job.units_per_day;
    slot->outcome.pacific_day = pacific_day(engine->now.wall_ms);
}

static void back_off(struct engine *engine, struct slot *slot, const struct audit_note *note,
                     int64_t retry_after_ms)
{
    slot->last_error = *note;
    if (retry_after_ms > RETRY_AFTER_CAP_MS)
        retry_after_ms = RETRY_AFTER_CAP_MS;
    slot->tries++;
    if (slot->tries > engine->config.retry_tries_max || retry_after_ms > RETRY_AFTER_KEEP_MS) {
        settle_wait(engine, slot, retry_after_ms);
        return;
    }
    int64_t pause = backoff_full_ms(engine->config.retry_base_ms, engine->config.retry_cap_ms,
                                    slot->tries - 1, engine_entropy(engine));
    if (retry_after_ms > 0)
        pause += retry_after_ms; /* a lower bound; the jitter comes on top */
    int64_t until = engine->now.mono_ms + pause;
    int64_t allowed = slot_retry_permission(engine, slot);
    slot_pause(slot, until < allowed ? allowed : until);
    trace(engine, slot, "retry %u in %lld ms: %s", slot->tries,
          (long long)(slot->not_before_mono_ms - engine->now.mono_ms), note->reason);
}

void retry_later(struct engine *engine, struct slot *slot, const struct audit_note *note,
                 int64_t retry_after_ms)
{
    slot->is_blameless = false;
    back_off(engine, slot, note, retry_after_ms);
}

void retry_without_blame(struct engine *engine, struct slot *slot, const struct audit_note *note,
                         int64_t retry_after_ms)
{
    slot->is_blameless = true;
    back_off(engine, slot, note, retry_after_ms);
}
