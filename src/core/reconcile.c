/*
 * What became of a session that is dead.
 *
 * If its last byte never left, nothing can have come of it: a new session from byte 0. If it may have left, a
 * video may exist, and only the channel's list of uploads can tell, late and vaguely (H10). So several looks
 * over a span; a video that is surely ours is adopted; anything unclear is held for a person.
 */
#include <stdio.h>
#include <string.h>

#include "core/backoff.h"
#include "core/slot.h"

enum { LOOK_BASE_MS = 30000, LOOK_CAP_MS = 1200000 };

/* ---- a session that does not exist any more ---- */

void session_is_gone(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    struct job_write write = save_write(slot);
    write.note = note_of_reply("session dead", reply);
    if (slot->last_byte_may_be_out) {
        write.set_session_dead = true;
    } else {
        write.clear_session = true;
        if (++slot->restarts > SESSION_RESTARTS_MAX) {
            slot->last_error = write.note;
            settle_wait(engine, slot, 0);
            settle_without_session(slot);
            return;
        }
    }
    save_begin(engine, slot, STORE_DEAD, &write);
}

/* ---- looks ---- */

enum likeness { NOT_OURS, MAY_BE_OURS, LOOKS_OURS, SURELY_OURS };

/* The Slug sent at the start holds the job's id; where YouTube shows it as the file name it decides, together
 * with title, size and time, never alone. */
static enum likeness likeness_of(const struct slot *slot, const struct video_facts *video)
{
    bool too_early =
        video->published_at_ms != 0 && video->published_at_ms < slot->job.session_at_ms - RECONCILE_SKEW_MS;
    if (too_early || video->file_name == MATCH_NO || video->size == MATCH_NO || video->title == MATCH_NO)
        return NOT_OURS;
    if (video->file_name == MATCH_YES)
        return SURELY_OURS;
    return video->size == MATCH_YES && video->title == MATCH_YES ? LOOKS_OURS : MAY_BE_OURS;
}

static void adopt(struct engine *engine, struct slot *slot, const struct video_facts *video)
{
    trace(engine, slot, "adopted %s", video->id);
    slot->settling = false;
    memcpy(slot->job.video_id, video->id, sizeof(slot->job.video_id));
    memcpy(slot->etag, video->etag, sizeof(slot->etag));
    slot->job.confirmed_bytes = slot->job.size_bytes;
    slot->video_unsaved = true;
}

static void hold_ambiguous(struct slot *slot, const char *reason, const char *message)
{
    struct audit_note note = note_make("reconciled", reason, message);
    settle_hold_until(slot, CAUSE_AMBIGUOUS, 0, &note);
}

static void look_again_later(struct engine *engine, struct slot *slot)
{
    int64_t pause =
        backoff_half_ms(LOOK_BASE_MS, LOOK_CAP_MS, slot->job.reconcile_looks - 1, engine_entropy(engine));
    struct audit_note note = note_make("video not found yet", "reconciling", "");
    settle_wait_until(slot, engine->now.wall_ms + pause, &note);
    slot->outcome.set_reconcile = true;
    slot->outcome.reconcile_looks = slot->job.reconcile_looks;
    slot->outcome.reconcile_from_ms = slot->job.reconcile_from_ms;
}

static bool looked_long_enough(const struct engine *engine, const struct slot *slot)
{
    return slot->job.reconcile_looks >= RECONCILE_LOOKS_MAX &&
           engine->now.wall_ms - slot->job.reconcile_from_ms >= RECONCILE_SPAN_MS;
}

static void believe_absent(struct engine *engine, struct slot *slot)
{
    if (!engine->config.reconcile_restarts || slot->job.cancel_wanted) {
        hold_ambiguous(slot, "videoNotFound",
                       "the upload may have finished, but the channel does not list it: look at YouTube, "
                       "then `sluice job resolve`");
        return;
    }
    struct job_write write = save_write(slot);
    write.clear_session = true;
    write.set_reconcile = true;
    write.note = note_make("absence believed", "videoNotFound", "");
    slot->job.reconcile_looks = 0;
    save_begin(engine, slot, STORE_DEAD, &write);
}

static void hold_for_candidate(struct slot *slot, const struct video_facts *video, uint32_t count)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof(message),
             "video %s may be this job's (%u like it): look, then `sluice job resolve`", video->id, count);
    hold_ambiguous(slot, "videoUnclear", message);
}

void reconcile_on_list(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    const struct video_facts *best = NULL;
    enum likeness best_likeness = NOT_OURS;
    uint32_t best_count = 0;
    for (uint32_t i = 0; i < reply->candidate_count; i++) {
        enum likeness likeness = likeness_of(slot, &reply->candidates[i]);
        if (likeness == NOT_OURS || likeness < best_likeness)
            continue;
        best_count = likeness > best_likeness ? 1 : best_count + 1;
        best_likeness = likeness;
        best = &reply->candidates[i];
    }

    if (slot->job.reconcile_looks++ == 0)
        slot->job.reconcile_from_ms = engine->now.wall_ms;
    bool alone = best_count == 1 && reply->list_is_complete;
    if (best_likeness == SURELY_OURS && alone)
        adopt(engine, slot, best);
    else if (best_likeness == LOOKS_OURS && alone && slot->job.twin_count == 0)
        adopt(engine, slot, best);
    else if (best_likeness >= LOOKS_OURS)
        hold_for_candidate(slot, best, best_count);
    else if (!looked_long_enough(engine, slot))
        look_again_later(engine, slot);
    else if (best)
        hold_for_candidate(slot, best, best_count);
    else if (reply->list_is_complete)
        believe_absent(engine, slot);
    else
        hold_ambiguous(slot, "listTooLong", "the channel has more new uploads than could be compared");
}
