/* The harness's values: claims, replies, and jobs that have got to a place. */
#include "harness.h"

#include <stdio.h>

/* ---- claims ---- */

struct job_claim claim_of(uint64_t size_bytes)
{
    return (struct job_claim){
        .id = {"j1"},
        .tenant_id = 1,
        .client_id = 1,
        .channel_id = 1,
        .lease_epoch = 1,
        .size_bytes = size_bytes,
        .state = JOB_UPLOADING,
        .uploads_per_day = 100,
        .units_per_day = 10000,
    };
}

struct job_claim claim_with_session(uint64_t size_bytes, uint64_t confirmed_bytes)
{
    struct job_claim claim = claim_of(size_bytes);
    claim.lease_epoch = 2;
    claim.has_session = true;
    claim.confirmed_bytes = confirmed_bytes;
    claim.session_at_ms = HARNESS_WALL_MS - 600000;
    return claim;
}

/* ---- replies ---- */

struct reply reply_of(int status)
{
    return (struct reply){.status = status, .retry_after_ms = -1};
}

struct reply reply_message(int status, const char *reason, const char *message)
{
    struct reply reply = reply_of(status);
    snprintf(reply.reason, sizeof(reply.reason), "%s", reason);
    snprintf(reply.message, sizeof(reply.message), "%s", message);
    return reply;
}

struct reply reply_reason(int status, const char *reason)
{
    return reply_message(status, reason, "");
}

struct reply reply_after(int status, int64_t retry_after_ms)
{
    struct reply reply = reply_of(status);
    reply.retry_after_ms = retry_after_ms;
    return reply;
}

struct reply reply_location(void)
{
    struct reply reply = reply_of(200);
    reply.has_location = true;
    return reply;
}

struct reply reply_range(uint64_t stored_bytes)
{
    struct reply reply = reply_of(308);
    reply.range = stored_bytes ? RANGE_OK : RANGE_NONE;
    reply.range_bytes = stored_bytes;
    return reply;
}

struct reply reply_video(const char *video_id)
{
    struct reply reply = reply_of(201);
    snprintf(reply.video.id, sizeof(reply.video.id), "%s", video_id);
    reply.video.title = reply.video.privacy = MATCH_YES;
    return reply;
}

struct reply reply_transport(enum transport transport)
{
    return (struct reply){.transport = transport, .retry_after_ms = -1};
}

struct reply reply_lost(const struct harness *h)
{
    struct reply reply = reply_transport(TRANSPORT_TIMEOUT);
    reply.sent_bytes = h->slots[0].main.type == ACTION_PUT ? h->slots[0].main.put.size_bytes : 0;
    return reply;
}

struct reply reply_list(uint32_t count, const struct video_facts *candidates)
{
    struct reply reply = reply_of(200);
    reply.list_is_complete = true;
    reply.candidate_count = count;
    for (uint32_t i = 0; i < count; i++)
        reply.candidates[i] = candidates[i];
    return reply;
}

struct reply reply_seen(const struct video_facts *video)
{
    struct reply reply = reply_of(200);
    if (video)
        reply.video = *video;
    return reply;
}

struct video_facts facts_of(const char *video_id, enum match file_name, enum match size, enum match title)
{
    struct video_facts facts = {.file_name = file_name, .size = size, .title = title, .privacy = MATCH_YES};
    snprintf(facts.id, sizeof(facts.id), "%s", video_id);
    facts.published_at_ms = HARNESS_WALL_MS;
    return facts;
}

/* ---- ways to a place ---- */

void reach_put(struct harness *h, uint64_t size_bytes)
{
    struct job_claim claim = claim_of(size_bytes);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK); /* the start's quota */
    answer(h, reply_location());
    answer_stored(h, WRITE_OK); /* the session */
    assert_int_equal(h->slots[0].main.type, ACTION_PUT);
    harness_skip(h);
}

void reach_query(struct harness *h, const struct job_claim *claim)
{
    harness_claim(h, claim);
    answer_token(h, TOKEN_OK);
    answer_opened(h, OPEN_OK);
    assert_int_equal(h->slots[0].main.type, ACTION_QUERY);
    harness_skip(h);
}

struct harness *harness_at_start(void)
{
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(5 * CHUNK);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK); /* the start's quota */
    assert_int_equal(h->slots[0].main.type, ACTION_START);
    harness_skip(h);
    return h;
}

struct harness *harness_in_mid_file(void)
{
    struct harness *h = harness_new();
    reach_put(h, 5 * CHUNK);
    answer(h, reply_range(CHUNK));
    answer_progress(h, WRITE_OK);
    harness_skip(h);
    return h;
}

struct harness *harness_at_last_put(void)
{
    struct harness *h = harness_new();
    reach_put(h, CHUNK);
    return h;
}
