/* The promises (docs/faults.md section 1). */
#include <string.h>

#include "sim.h"

/* `epoch`: the job's own, before the write. */
void check_fence(struct world *world, const struct job_write *write, int64_t epoch, enum write_result result)
{
    if (result == WRITE_OK && write->lease_epoch != epoch)
        broken(world, "%s: a write of epoch %lld was taken in epoch %lld", write->id.text,
               (long long)write->lease_epoch, (long long)epoch);
}

/* Session before bytes; intent before the last byte. A stale worker may still send, to the session that is
 * stored. */
void check_put(struct world *world, const struct due *due, uint32_t job)
{
    const struct model_job *row = &world->jobs[job];
    bool stale = row->lease_epoch != due->action.lease_epoch;
    if (!stale && row->session != due->session)
        broken(world, "%s: bytes go to session %u, but %u is stored", row->id.text, due->session,
               row->session);
    uint64_t end = due->action.put.first_byte + due->action.put.size_bytes;
    if (end >= row->size_bytes && row->session == due->session && !row->finalizing)
        broken(world, "%s: the last byte leaves, but finalizing is not stored", row->id.text);
    if (!stale && end >= row->size_bytes && due->event.reply.chunk.digest[0] != 0)
        broken(world, "%s: the last byte of another content leaves", row->id.text);
}

/* The trail names each token before it is used, and whatever was charged. */
void check_told(struct world *world, const struct action *action, const struct sim_slot *slot)
{
    const struct model_job *row = &world->jobs[slot->job];
    bool stale = row->lease_epoch != action->lease_epoch;
    const char *told = strstr(row->told, "token ");
    if (!stale && (!told || strcmp(told + strlen("token "), slot->token_id) != 0))
        broken(world, "%s: %s with token %s, but the trail has \"%s\"", row->id.text,
               action_text(action->type), slot->token_id, row->told);
}

void check_charge_told(struct world *world, const struct job_write *write)
{
    if (write->charge != BUCKET_NONE && !strstr(write->note.message, " charged of the day's "))
        broken(world, "%s: a charge that the trail does not tell", write->id.text);
}

void check_move(struct world *world, const struct model_job *job, enum job_state to)
{
    if (!job_move_is_allowed(job->state, to))
        broken(world, "I11 %s: %s -> %s", job->id.text, job_state_text(job->state), job_state_text(to));
}

void check_confirmed(struct world *world, const struct model_job *job)
{
    if (!job->session && job->confirmed_bytes)
        broken(world, "I10 %s: an offset is stored, but no session", job->id.text);
    if (!job->session)
        return;
    const struct session *session = &world->sessions[job->session];
    if (job->confirmed_bytes > session->told_bytes && !session->finished)
        broken(world, "I10 %s: %llu stored as confirmed, %llu was told", job->id.text,
               (unsigned long long)job->confirmed_bytes, (unsigned long long)session->told_bytes);
}

static uint32_t videos_of(const struct world *world, uint32_t job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->video_count; i++)
        count += world->videos[i].job == job;
    return count;
}

void check_video(struct world *world, const struct video *video)
{
    const struct model_job *job = &world->jobs[video->job];
    if (videos_of(world, video->job) > 1)
        broken(world, "I2 %s: a second video", job->id.text);
    if (job->state == JOB_CANCELLED || job->state == JOB_FAILED || job->state == JOB_COMPLETED)
        broken(world, "I2 %s: a video of a job that is %s", job->id.text, job_state_text(job->state));
}

static const struct video *video_named(const struct world *world, const char *id)
{
    for (uint32_t i = 0; i < world->video_count; i++)
        if (strcmp(world->videos[i].id, id) == 0)
            return &world->videos[i];
    return NULL;
}

static bool is_settled(const struct model_job *job)
{
    return job_state_is_terminal(job->state) ||
           (job->state == JOB_HELD && (job->cause == CAUSE_AMBIGUOUS || job->cause == CAUSE_SOURCE_CHANGED));
}

bool check_all_settled(struct world *world)
{
    for (uint32_t i = 0; i < world->job_count; i++)
        if (!is_settled(&world->jobs[i]))
            return false;
    return true;
}

static void check_job(struct world *world, uint32_t index)
{
    const struct model_job *job = &world->jobs[index];
    uint32_t videos = videos_of(world, index);
    if (!is_settled(job))
        broken(world, "I7 %s: still %s %s", job->id.text, job_state_text(job->state),
               job_cause_text(job->cause));
    if (job->state == JOB_COMPLETED) {
        const struct video *video = video_named(world, job->video_id);
        if (!video || video->job != index)
            broken(world, "I2 %s: completed with video '%s', which is not its own", job->id.text,
                   job->video_id);
        else if (video->versions != 1)
            broken(world, "I3 %s: the video has other content than was added", job->id.text);
    } else if (videos > 0 && job->cause != CAUSE_AMBIGUOUS) {
        broken(world, "I2 %s: %s %s, but a video exists", job->id.text, job_state_text(job->state),
               job_cause_text(job->cause));
    }
    if (job->state == JOB_CANCELLED && !job->cancelled_by_owner)
        broken(world, "I1 %s: cancelled by nobody", job->id.text);
    if (job->state == JOB_FAILED)
        broken(world, "I1 %s: failed, though nothing was wrong with it", job->id.text);
    if (job->state == JOB_HELD && job->cause == CAUSE_CDN_MISMATCH && !job->cdn_differed)
        broken(world, "I1 %s: held for a CDN that has the same", job->id.text);
    if (job->state == JOB_HELD && job->cause == CAUSE_SOURCE_CHANGED && !job->version)
        broken(world, "I1 %s: held for a source that did not change", job->id.text);
}

static bool is_clean(const struct world *world)
{
    return world->seed % 16 == 0;
}

void check_end(struct world *world)
{
    uint64_t needed = 0;
    for (uint32_t i = 0; i < world->job_count && !world->failed; i++) {
        const struct model_job *job = &world->jobs[i];
        check_job(world, i);
        needed += 2 + (job->size_bytes + world->config.chunk_bytes - 1) / world->config.chunk_bytes;
        if (is_clean(world) && job->state != JOB_COMPLETED)
            broken(world, "I1 %s: nothing went wrong, yet it is %s", job->id.text,
                   job_state_text(job->state));
    }
    if (is_clean(world) && world->request_count != needed)
        broken(world, "I6: nothing went wrong, yet %llu requests were made where %llu do",
               (unsigned long long)world->request_count, (unsigned long long)needed);
    for (uint32_t i = 0; i < QUOTA_DAYS_MAX && world->faults[FAULT_WALL_JUMP] == 0; i++)
        if (world->quota[i].refused_count > WORKERS_MAX * SLOTS_A_WORKER)
            broken(world, "H05: day %d: %u starts although it was known that the day is spent",
                   world->quota[i].day, world->quota[i].refused_count);
    for (uint32_t i = 0; i < QUOTA_DAYS_MAX; i++)
        if (world->quota[i].charged > world->quota[i].ledger && world->faults[FAULT_WALL_JUMP] == 0)
            broken(world, "I8: day %d: %u starts charged, %u in the ledger", world->quota[i].day,
                   world->quota[i].charged, world->quota[i].ledger);
}
