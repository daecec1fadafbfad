/* The way of a job on which nothing goes wrong, and what a worker does that takes one over. */
#include "harness.h"

static void one_chunk_from_claim_to_completed(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    harness_claim(h, &claim);
    EXPECT(h, "token");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "check source");
    answer_source(h, SOURCE_OK);
    EXPECT(h, "store attempt uploads+1");
    assert_int_equal(h->write.charge_limit, 90);
    assert_string_equal(h->write.note.message, "1 charged of the day's uploads, token t1");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "start");
    answer(h, reply_location());
    EXPECT(h, "store session finalizing confirmed 0"); /* the intent goes with the session */
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 0+1000 completes");
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 1000 chunk 0+1000 video abc");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> completed release");
    assert_true(h->write.clear_error && !h->write.set_error);
    assert_int_equal(h->write.feedback, FEEDBACK_GOOD);
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget");
    assert_int_equal(engine_active_count(h->engine), 0);
    harness_free(h);
}

/* Progress is stored beside the next chunk; the intent to complete waits for it. */
static void many_chunks_store_progress_beside_the_next_one(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 3 * CHUNK + 5);
    answer(h, reply_range(CHUNK));
    EXPECT(h, "store confirmed 262144 chunk 0+262144", "put 262144+262144");
    answer_progress(h, WRITE_OK);
    EXPECT_NOTHING(h);
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    answer(h, reply_range(3 * CHUNK));
    EXPECT_NOTHING(h); /* the store is a chunk behind */
    answer_progress(h, WRITE_OK);
    EXPECT(h, "store finalizing confirmed 786432 chunk 524288+262144");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 786432+5 completes");
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 786437 chunk 786432+5 video abc");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

/* Fast links would otherwise pay a write to the disk for each chunk. */
static void progress_is_stored_at_a_pace(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.progress_every_ms = 500;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 20 * CHUNK);
    for (uint64_t sent = 1; sent < 4; sent++) {
        answer(h, reply_range(sent * CHUNK));
        assert_true(h->last.type == ACTION_PUT);
        harness_skip(h);
    }
    harness_advance(h, 500);
    EXPECT(h, "store confirmed 786432 chunk 0+262144 chunk 262144+262144 chunk 524288+262144");
    answer_progress(h, WRITE_OK);
    for (uint64_t sent = 4; sent < 19; sent++) {
        answer(h, reply_range(sent * CHUNK));
        assert_true(h->last.type == ACTION_PUT);
        harness_skip(h);
    }
    answer(h, reply_range(19 * CHUNK)); /* as many as are kept: at once, here with the intent to complete */
    assert_true(h->write.set_finalizing && h->write.chunks.count == PROGRESS_DIGESTS_MAX);
    harness_free(h);
}

static void the_last_of_equal_chunks_completes(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 2 * CHUNK);
    answer(h, reply_range(CHUNK));
    EXPECT(h, "store finalizing confirmed 262144 chunk 0+262144");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 262144+262144 completes");
    harness_free(h);
}

static void whole_mode_sends_the_rest_in_one_put(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.chunk_mode = CHUNK_MODE_WHOLE;
    struct harness *h = harness_new_with(&config);
    struct job_claim claim = claim_with_session(10 * CHUNK, 3 * CHUNK);
    reach_query(h, &claim);
    answer(h, reply_range(3 * CHUNK));
    EXPECT(h, "check source");
    answer_source(h, SOURCE_OK);
    EXPECT(h, "store finalizing confirmed 786432");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 786432+1835008 completes");
    harness_free(h);
}

static void auto_mode_goes_over_to_one_put_where_waiting_costs(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.chunk_mode = CHUNK_MODE_AUTO;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 4 * CHUNK);
    struct reply quick = reply_range(CHUNK);
    quick.elapsed_ms = 1000;
    quick.wait_ms = 100;
    answer(h, quick);
    EXPECT(h, "store confirmed 262144 chunk 0+262144", "put 262144+262144");
    answer_progress(h, WRITE_OK);
    struct reply slow = reply_range(2 * CHUNK);
    slow.elapsed_ms = 1000;
    slow.wait_ms = 101;
    answer(h, slow);
    EXPECT(h, "store finalizing confirmed 524288 chunk 262144+262144");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 524288+524288 completes");
    harness_free(h);
}

static void a_file_of_256_gib_is_exact(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(FILE_BYTES_MAX, FILE_BYTES_MAX - CHUNK - 1);
    reach_query(h, &claim);
    answer(h, reply_range(FILE_BYTES_MAX - CHUNK - 1));
    answer_source(h, SOURCE_OK);
    EXPECT(h, "check source", "put 274877644799+262144");
    answer(h, reply_range(FILE_BYTES_MAX - 1));
    EXPECT(h, "store finalizing confirmed 274877906943 chunk 274877644799+262144");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 274877906943+1 completes");
    harness_free(h);
}

static void the_new_video_is_seen_at_youtube_before_completed(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.check_video = true;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 1000);
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 1000 chunk 0+1000 video abc units+1");
    assert_string_equal(h->write.note.message, "abc, 1 charged of the day's units");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "check video abc");
    struct video_facts seen = facts_of("abc", MATCH_UNKNOWN, MATCH_UNKNOWN, MATCH_YES);
    answer(h, reply_seen(&seen));
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

static void another_privacy_than_asked_completes_with_a_warning(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 1000);
    struct reply reply = reply_video("abc");
    reply.video.privacy = MATCH_NO;
    answer(h, reply);
    answer_stored(h, WRITE_OK);
    assert_outcome(h, JOB_COMPLETED, CAUSE_NONE, 0, 0);
    assert_true(h->write.set_error);
    assert_non_null(strstr(h->write.note.message, "privacy"));
    harness_free(h);
}

static void a_processing_failure_completes_with_a_warning(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.check_video = true;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 1000);
    answer(h, reply_video("abc"));
    answer_stored(h, WRITE_OK);
    struct video_facts seen = facts_of("abc", MATCH_UNKNOWN, MATCH_UNKNOWN, MATCH_YES);
    seen.failed = true;
    strcpy(seen.failure, "codec");
    answer(h, reply_seen(&seen));
    assert_outcome(h, JOB_COMPLETED, CAUSE_NONE, 0, 0);
    assert_non_null(strstr(h->write.note.message, "codec"));
    harness_free(h);
}

/* ---- takeovers ---- */

/* Whose token goes on with a session stands in the trail before it is used, once a token. */
static void a_takeover_tells_its_token_first(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(5 * CHUNK, CHUNK);
    h->tells = false;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_opened(h, OPEN_OK);
    EXPECT(h, "token", "open session", "store token t1");
    answer_stored(h, WRITE_FAILED);
    harness_wait(h, 2000);
    EXPECT(h, "store token t1");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "query");
    answer(h, reply_of(401));
    EXPECT(h, "token fresh");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "store token t2");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "query");
    answer(h, reply_of(401));
    EXPECT(h, "store units+1");
    assert_string_equal(h->write.note.what, "look started");
    assert_string_equal(h->write.note.message, "channels.list, 1 charged of the day's units, token t2");
    harness_free(h);
}

static void a_takeover_asks_before_it_sends(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(5 * CHUNK, CHUNK);
    harness_claim(h, &claim);
    EXPECT(h, "token");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "open session");
    answer_opened(h, OPEN_OK);
    EXPECT(h, "query");
    answer(h, reply_range(2 * CHUNK + 7)); /* more than was stored: the dead worker got further */
    EXPECT(h, "store confirmed 524295", "check source");
    answer_source(h, SOURCE_OK);
    EXPECT(h, "put 524295+262144");
    harness_free(h);
}

static void a_takeover_finds_the_upload_done(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(5 * CHUNK, 4 * CHUNK);
    claim.finalizing = true;
    reach_query(h, &claim);
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 1310720 video abc");
    harness_free(h);
}

static void a_takeover_after_the_video_only_checks_it(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.check_video = true;
    struct harness *h = harness_new_with(&config);
    struct job_claim claim = claim_with_session(1000, 1000);
    claim.state = JOB_FINISHING;
    claim.finalizing = true;
    strcpy(claim.video_id, "abc");
    harness_claim(h, &claim);
    EXPECT(h, "token");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "store units+1");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "check video abc");
    harness_free(h);
}

static void a_takeover_of_a_dead_session_only_lists(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    claim.finalizing = claim.session_dead = true;
    harness_claim(h, &claim);
    EXPECT(h, "token");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "store units+8");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "list uploads");
    assert_true(h->last.list.since_ms == claim.session_at_ms - RECONCILE_SKEW_MS);
    harness_free(h);
}

/* Everything is stored but not finalised: the query itself completes the upload, bounded [guide]. */
static void with_everything_stored_the_query_completes(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 500);
    claim.finalizing = true;
    reach_query(h, &claim);
    answer(h, reply_range(1000));
    EXPECT(h, "store confirmed 1000", "query"); /* nothing is left to send */
    answer_progress(h, WRITE_OK);
    answer(h, reply_range(1000));
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_CAP_MS);
    EXPECT(h, "query");
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 1000 video abc");
    harness_free(h);
}

static void traces_tell_one_line_a_transition(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 2 * CHUNK);
    answer(h, reply_range(CHUNK));
    answer_stored(h, WRITE_OK);
    answer(h, reply_video("abc"));
    answer_stored(h, WRITE_OK);
    answer_stored(h, WRITE_OK);
    assert_string_equal(h->traces, "claimed\n"
                                   "start: 200 ok\n"
                                   "put: 308 ok\n"
                                   "confirmed 262144 of 524288\n"
                                   "put: 201 ok\n"
                                   "video abc\n"
                                   "settled completed\n");
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_chunk_from_claim_to_completed),
        cmocka_unit_test(many_chunks_store_progress_beside_the_next_one),
        cmocka_unit_test(progress_is_stored_at_a_pace),
        cmocka_unit_test(the_last_of_equal_chunks_completes),
        cmocka_unit_test(whole_mode_sends_the_rest_in_one_put),
        cmocka_unit_test(auto_mode_goes_over_to_one_put_where_waiting_costs),
        cmocka_unit_test(a_file_of_256_gib_is_exact),
        cmocka_unit_test(the_new_video_is_seen_at_youtube_before_completed),
        cmocka_unit_test(another_privacy_than_asked_completes_with_a_warning),
        cmocka_unit_test(a_processing_failure_completes_with_a_warning),
        cmocka_unit_test(a_takeover_tells_its_token_first),
        cmocka_unit_test(a_takeover_asks_before_it_sends),
        cmocka_unit_test(a_takeover_finds_the_upload_done),
        cmocka_unit_test(a_takeover_after_the_video_only_checks_it),
        cmocka_unit_test(a_takeover_of_a_dead_session_only_lists),
        cmocka_unit_test(with_everything_stored_the_query_completes),
        cmocka_unit_test(traces_tell_one_line_a_transition),
    };
    return RUN_UNIT_TESTS(tests);
}
