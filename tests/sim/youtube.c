/* The model YouTube: what a session holds, when a video comes into being, and every way of not telling so. */
#include <stdio.h>
#include <string.h>

#include "core/pacific.h"
#include "sim.h"

static void set_reason(struct reply *reply, int status, const char *reason, const char *message)
{
    reply->status = status;
    snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
    snprintf(reply->message, sizeof(reply->message), "%s", message);
}

/* A refusal that any request may meet. */
static bool refuses(struct world *world, uint32_t channel, struct reply *ret)
{
    if (strikes(world, FAULT_STATUS_5XX)) {
        static const int statuses[] = {500, 502, 503, 504};
        set_reason(ret, statuses[draw_below(world, 4)], "backendError", "");
        if (strikes(world, FAULT_RETRY_AFTER))
            ret->retry_after_ms = draw_between(world, 0, 200000);
    } else if (strikes(world, FAULT_STATUS_429)) {
        set_reason(ret, 429, "rateLimitExceeded", "slow down");
    } else if (world->channels[channel].revoked || strikes(world, FAULT_STATUS_401)) {
        set_reason(ret, 401, "authError", "Invalid Credentials");
    } else {
        return false;
    }
    return true;
}

/* ---- sessions ---- */

void youtube_start(struct world *world, uint32_t job, struct reply *ret, uint32_t *ret_session)
{
    struct model_job *row = &world->jobs[job];
    uint32_t day = quota_row(world, pacific_day(wall_now(world)));
    world->quota[day].charged++; /* even an invalid request costs */
    if (refuses(world, row->channel, ret))
        return;
    if (strikes(world, FAULT_DAY_QUOTA))
        world->quota[day].spent = true; /* by somebody else's program of the same project */
    if (world->quota[day].spent) {
        world->quota[day].refused_count += world->quota[day].is_known;
        set_reason(
            ret, 429, "rateLimitExceeded",
            "Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads per day' of service");
        return;
    }
    if (strikes(world, FAULT_CHANNEL_LIMIT)) {
        set_reason(ret, 400, "uploadLimitExceeded",
                   "The user has exceeded the number of videos they may upload.");
        return;
    }
    if (world->session_count + 1 >= SESSIONS_MAX) {
        broken(world, "more sessions than the simulator can hold");
        return;
    }
    uint32_t session = ++world->session_count;
    world->sessions[session] = (struct session){.job = job, .channel = row->channel};
    ret->status = 200;
    ret->has_location = true;
    ret->location_refused = strikes(world, FAULT_BAD_LOCATION);
    *ret_session = session;
    say(world, "youtube session %u for %s", session, row->id.text);
}

static void finish(struct world *world, uint32_t index)
{
    struct session *session = &world->sessions[index];
    struct video *video = &world->videos[world->video_count++];
    int64_t hidden = strikes(world, FAULT_HIDDEN_VIDEO) ? draw_between(world, 0, 1500000) : 0;
    *video = (struct video){.job = session->job,
                            .channel = session->channel,
                            .at_ms = wall_now(world),
                            .listed_at_ms = wall_now(world) + hidden,
                            .versions = session->versions};
    snprintf(video->id, sizeof(video->id), "video%06u", world->video_count);
    session->finished = true;
    session->video = world->video_count;
    say(world, "youtube session %u made %s", index, video->id);
    check_video(world, video);
}

static void tell_video(struct world *world, const struct session *session, struct reply *ret)
{
    ret->status = draw_below(world, 10) ? 201 : 200;
    if (strikes(world, FAULT_NO_ID))
        return;
    const struct video *video = &world->videos[session->video - 1];
    snprintf(ret->video.id, sizeof(ret->video.id), "%s", video->id);
    ret->video.title = strikes(world, FAULT_OTHER_VIDEO) ? MATCH_NO : MATCH_YES;
    ret->video.privacy = MATCH_YES;
}

/* The truth, or one of the lies of docs/faults.md P01-P05. */
static void tell_offset(struct world *world, struct session *session, struct reply *ret)
{
    uint64_t stored = session->stored_bytes;
    ret->status = 308;
    ret->range = RANGE_OK;
    ret->range_bytes = stored;
    if (strikes(world, FAULT_BAD_RANGE)) {
        ret->range = RANGE_BAD;
    } else if (stored == 0 || strikes(world, FAULT_NO_RANGE)) {
        ret->range = RANGE_NONE;
    } else if (strikes(world, FAULT_LYING_RANGE)) {
        /* not only a lie: what it had was lost */
        session->stored_bytes = ret->range_bytes = draw(world) % stored;
        if (ret->range_bytes == 0)
            ret->range = RANGE_NONE;
    } else if (strikes(world, FAULT_HIGH_RANGE)) {
        ret->range_bytes = stored + 1 + draw(world) % 1000000;
    } else if (strikes(world, FAULT_NEW_LOCATION)) {
        ret->has_location = true;
    }
    if (ret->range == RANGE_OK && ret->range_bytes > session->told_bytes)
        session->told_bytes = ret->range_bytes;
}

static bool is_gone(struct world *world, struct session *session, struct reply *ret)
{
    if (strikes(world, FAULT_EXPIRE))
        session->dead = true;
    if (!session->dead)
        return false;
    set_reason(ret, draw_below(world, 2) ? 404 : 410, "", "");
    return true;
}

/* Bytes [first, first + size) of one source version arrived. Not contiguous: none of it is stored [guide]. */
static void take_bytes(struct world *world, uint32_t index, uint64_t first, uint64_t size, uint32_t version)
{
    struct session *session = &world->sessions[index];
    uint64_t total = world->jobs[session->job].size_bytes;
    if (session->finished || session->dead || first != session->stored_bytes || size == 0)
        return;
    session->stored_bytes += size;
    session->versions |= 1u << version;
    if (session->stored_bytes < total)
        return;
    session->lazy = strikes(world, FAULT_LAZY_FINAL);
    if (!session->lazy)
        finish(world, index);
}

void youtube_put(struct world *world, const struct due *due, struct reply *ret)
{
    struct session *session = &world->sessions[due->session];
    uint32_t version = due->event.reply.chunk.digest[0];
    uint64_t first = due->action.put.first_byte, size = due->sent_bytes;
    if (is_gone(world, session, ret))
        return;
    if (!session->finished && refuses(world, session->channel, ret)) {
        if (strikes(world, FAULT_COMMIT_THEN_ERROR))
            take_bytes(world, due->session, first, size, version);
        else if (strikes(world, FAULT_PARTIAL))
            take_bytes(world, due->session, first, draw(world) % (size + 1) % due->action.put.size_bytes,
                       version);
        return;
    }
    if (strikes(world, FAULT_STATUS_404)) {
        session->dead = true;
        is_gone(world, session, ret);
        return;
    }
    if (strikes(world, FAULT_STATUS_ODD)) {
        static const int statuses[] = {409, 412, 416};
        set_reason(ret, statuses[draw_below(world, 3)], "conflict", "");
        return;
    }
    if (strikes(world, FAULT_PARTIAL))
        size = draw(world) % (size + 1);
    if (strikes(world, FAULT_STALL))
        size = 0;
    take_bytes(world, due->session, first, size, version);
    if (session->finished)
        tell_video(world, session, ret);
    else
        tell_offset(world, session, ret);
}

void youtube_query(struct world *world, uint32_t index, struct reply *ret)
{
    struct session *session = &world->sessions[index];
    if (is_gone(world, session, ret) || refuses(world, session->channel, ret))
        return;
    if (session->lazy && !session->finished && draw_below(world, 2))
        finish(world, index);
    if (session->finished)
        tell_video(world, session, ret);
    else
        tell_offset(world, session, ret);
}

void youtube_cancel(struct world *world, uint32_t index, struct reply *ret)
{
    struct session *session = &world->sessions[index];
    if (is_gone(world, session, ret) || refuses(world, session->channel, ret))
        return;
    if (session->finished) {
        tell_video(world, session, ret);
        return;
    }
    session->dead = true;
    ret->status = 499;
}

/* ---- lists ---- */

/* Late and vague: videos show up after a while, and details only sometimes. */
static void describe(struct world *world, const struct video *video, uint32_t job, struct video_facts *ret)
{
    bool vague = strikes(world, FAULT_VAGUE_LIST);
    const struct model_job *ours = &world->jobs[job], *theirs = &world->jobs[video->job];
    bool like = video->job == job || ((ours->twin || theirs->twin) && ours->size_bytes == theirs->size_bytes);
    snprintf(ret->id, sizeof(ret->id), "%s", video->id);
    ret->published_at_ms = video->at_ms;
    ret->title = like ? MATCH_YES : MATCH_NO;
    ret->size = vague ? MATCH_UNKNOWN : like ? MATCH_YES : MATCH_NO;
    ret->file_name = vague ? MATCH_UNKNOWN : video->job == job ? MATCH_YES : MATCH_NO;
    ret->privacy = MATCH_YES;
}

void youtube_list(struct world *world, uint32_t job, struct reply *ret)
{
    if (refuses(world, world->jobs[job].channel, ret))
        return;
    ret->status = 200;
    ret->list_is_complete = true;
    for (uint32_t i = 0; i < world->video_count; i++) {
        const struct video *video = &world->videos[i];
        if (video->channel != world->jobs[job].channel || video->listed_at_ms > wall_now(world))
            continue;
        if (ret->candidate_count == CANDIDATES_MAX) {
            ret->list_is_complete = false;
            break;
        }
        struct video_facts facts = {0};
        describe(world, video, job, &facts);
        if (facts.title != MATCH_NO)
            ret->candidates[ret->candidate_count++] = facts;
    }
}

void youtube_check(struct world *world, uint32_t job, const char *video_id, struct reply *ret)
{
    if (refuses(world, world->jobs[job].channel, ret))
        return;
    ret->status = 200;
    for (uint32_t i = 0; i < world->video_count; i++)
        if (strcmp(world->videos[i].id, video_id) == 0 && world->videos[i].listed_at_ms <= wall_now(world))
            describe(world, &world->videos[i], job, &ret->video);
}

void youtube_probe(struct world *world, uint32_t job, struct reply *ret)
{
    if (!refuses(world, world->jobs[job].channel, ret))
        ret->status = 200;
}
