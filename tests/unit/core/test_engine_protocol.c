/* Faults of group P: what the server says cannot be, or is said too late; and of group C: it says nothing. */
#include "harness.h"

static struct reply bad_range(void)
{
    struct reply reply = reply_of(308);
    reply.range = RANGE_BAD;
    return reply;
}

static void p01_no_range_is_byte_zero_of_the_same_session(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 5 * CHUNK);
    answer(h, reply_range(0));
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "put 0+262144");
    harness_free(h);
}

static void p01_no_range_after_progress_is_asked_about_first(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(0));
    EXPECT(h, "query");
    answer(h, reply_range(2 * CHUNK)); /* only the header was missing */
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    harness_free(h);
}

static void p01_no_range_twice_is_believed(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(0));
    EXPECT(h, "query");
    answer(h, reply_range(0));
    EXPECT(h, "store confirmed 0 chunk 262144+262144", "put 0+262144");
    harness_free(h);
}

/* The PUT stores nothing and tells no Range, the query repeats the old offset: no loop without a pause. */
static void p01_no_range_for_ever_is_bounded(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    int puts = 0;
    while (h->slots[0].main.type != ACTION_STORE && puts < 100) {
        bool is_put = h->slots[0].main.type == ACTION_PUT;
        puts += is_put;
        answer(h, is_put ? reply_range(0) : reply_range(CHUNK));
        if (h->slots[0].main.op == 0)
            harness_wait(h, RETRY_CAP_MS);
    }
    assert_in_range(puts, 2, STALLS_MAX + 1);
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
    harness_free(h);
}

static void p02_less_than_was_sent_goes_on_from_there(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(CHUNK + 1000));
    EXPECT(h, "store confirmed 263144 chunk 262144+262144",
           "put 263144+262144"); /* the length, not the offset */
    harness_free(h);
}

static void p02_a_last_chunk_kept_in_part_is_sent_to_the_end(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 1000);
    answer(h, reply_range(600));
    EXPECT(h, "store confirmed 600 chunk 0+1000", "put 600+400 completes");
    harness_free(h);
}

static void p03_behind_a_confirmed_offset_is_the_truth(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(1000));
    EXPECT(h, "store confirmed 1000 chunk 262144+262144", "put 1000+262144");
    assert_non_null(strstr(h->traces, "rewind 262144 -> 1000"));
    harness_free(h);
}

static void p03_rewinds_without_net_progress_back_off(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int i = 0; i < REWINDS_MAX; i++) {
        answer(h, reply_range(100));
        harness_skip(h);
        assert_int_equal(h->slots[0].main.type, ACTION_PUT);
        answer_progress(h, WRITE_OK);
        answer(h, reply_range(CHUNK));
        harness_skip(h);
        answer_progress(h, WRITE_OK);
    }
    answer(h, reply_range(100));
    EXPECT(h, "store confirmed 100 chunk 262144+262144");
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "put 100+262144");
    harness_free(h);
}

static void p04_beyond_what_was_sent_is_asked_about_and_not_finalised(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(2 * CHUNK + 1));
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    harness_free(h);
}

static void p04_if_it_persists_a_person_looks(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {5 * CHUNK, 5 * CHUNK + 1, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_in_mid_file();
        answer(h, reply_range(offsets[i]));
        for (int asked = 0; asked < PROTOCOL_ERRORS_MAX; asked++) {
            harness_wait(h, RETRY_CAP_MS);
            EXPECT(h, "query");
            answer(h, reply_range(offsets[i]));
        }
        assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
        assert_string_equal(h->write.note.reason, "impossibleRange");
        harness_free(h);
    }
}

static void p05_a_malformed_range_is_asked_about_and_bounded(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int i = 0; i < RETRY_TRIES_MAX; i++) {
        answer(h, bad_range());
        EXPECT_NOTHING(h);
        harness_wait(h, RETRY_CAP_MS);
        EXPECT(h, "query");
    }
    answer(h, bad_range());
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
    assert_string_equal(h->write.note.reason, "badRange");
    assert_int_equal(h->slots[0].stored_bytes, CHUNK); /* none of it was believed */
    harness_free(h);
}

static void p06_one_offset_for_ever_waits(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int i = 0; i < STALLS_MAX; i++) {
        answer(h, reply_range(CHUNK));
        EXPECT_NOTHING(h);
        harness_wait(h, RETRY_CAP_MS);
        EXPECT(h, "put 262144+262144");
    }
    answer(h, reply_range(CHUNK));
    EXPECT(h, "store -> waiting release confirmed 262144 chunk 262144+262144 waits 1 (http 308)");
    harness_free(h);
}

/* Waits grow to an hour; after seven days of them the job fails with the last reason. */
static void p06_a_week_without_progress_fails(void **state)
{
    (void)state;
    int64_t waited_ms = 0;
    uint32_t waits = 0;
    for (; waits < 1000; waits++) {
        struct harness *h = harness_new();
        h->entropy = waits * 1000;
        struct job_claim claim = claim_with_session(5 * CHUNK, CHUNK);
        claim.waits = waits;
        reach_query(h, &claim);
        answer(h, reply_after(503, 65000));
        assert_true(h->write.set_state || h->slots[0].main.type == ACTION_CANCEL);
        bool is_over = h->slots[0].main.type == ACTION_CANCEL;
        if (is_over) {
            answer(h, reply_of(499));
            assert_outcome(h, JOB_FAILED, CAUSE_NONE, 0, 0);
            assert_string_equal(h->write.note.reason, "http 503");
        } else {
            assert_int_equal(h->write.state, JOB_WAITING);
            assert_int_equal(h->write.waits, waits + 1);
            waited_ms += h->write.next_at_ms - h->wall_ms;
        }
        harness_free(h);
        if (is_over)
            break;
    }
    assert_true(waited_ms > (int64_t)JOB_LIFE_MS * 9 / 10 && waited_ms < (int64_t)JOB_LIFE_MS * 11 / 10);
}

static void p06_progress_forgets_the_waits(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(5 * CHUNK, CHUNK);
    claim.waits = 7;
    reach_query(h, &claim);
    answer(h, reply_range(CHUNK + 1));
    EXPECT(h, "store confirmed 262145 waits 0", "check source");
    harness_free(h);
}

static void p07_an_overridden_308_is_not_done(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    struct reply reply = reply_video("abc");
    reply.status = 200;
    reply.is_override = true;
    answer(h, reply);
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    harness_free(h);
}

static void p07_a_plain_200_in_mid_file_is_not_done(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(200));
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    harness_free(h);
}

static void p08_another_video_is_held_and_not_adopted(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct harness *h = harness_new();
        reach_put(h, 1000);
        struct reply reply = reply_video("abc");
        *(i ? &reply.video.title : &reply.video.size) = MATCH_NO;
        answer(h, reply);
        assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
        assert_false(h->write.set_video);
        assert_non_null(strstr(h->write.note.message, "abc"));
        harness_free(h);
    }
}

static void p08_another_title_at_the_check_is_held(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.check_video = true;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 1000);
    answer(h, reply_video("abc"));
    answer_stored(h, WRITE_OK);
    struct video_facts seen = facts_of("abc", MATCH_UNKNOWN, MATCH_UNKNOWN, MATCH_NO);
    answer(h, reply_seen(&seen));
    assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
    harness_free(h);
}

/* After the first final reply nothing is asked of the session again, so no second one can come; a video that
 * another job has already is nobody's. */
static void p09_the_first_stored_id_wins(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 1000);
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 1000 chunk 0+1000 video abc");
    answer_stored(h, WRITE_FAILED);
    harness_wait(h, 2000);
    EXPECT(h, "store -> finishing confirmed 1000 chunk 0+1000 video abc");
    answer_stored(h, WRITE_VIDEO_TAKEN);
    EXPECT(h, "store -> held ambiguous release confirmed 1000 (videoTaken)");
    assert_string_equal(h->write.note.message, "abc");
    harness_free(h);
}

static void p10_without_a_usable_location_no_byte_is_sent(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        struct harness *h = harness_new();
        struct job_claim claim = claim_of(1000);
        harness_claim(h, &claim);
        answer_token(h, TOKEN_OK);
        answer_source(h, SOURCE_OK);
        for (int tries = 0; tries < RETRY_TRIES_MAX + 1; tries++) {
            harness_wait(h, RETRY_CAP_MS);
            answer_stored(h, WRITE_OK);
            harness_skip(h);
            struct reply reply = reply_of(200);
            reply.has_location = reply.location_refused = refused;
            answer(h, reply);
        }
        assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
        assert_string_equal(h->write.note.reason, refused ? "locationRefused" : "noSession");
        harness_free(h);
    }
}

static void p11_a_moved_session_is_stored_before_it_is_used(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    struct reply reply = reply_range(2 * CHUNK);
    reply.has_location = true;
    answer(h, reply);
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "store session");
    answer_progress(h, WRITE_OK);
    answer_stored(h, WRITE_OK);
    EXPECT(h, "put 524288+262144");
    harness_free(h);
}

static void p12_a_broken_reply_is_asked_about_on_a_fresh_connection(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_transport(TRANSPORT_PROTOCOL));
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    harness_free(h);
}

/* The last byte never left: a dead session then has no video, and none is looked for. */
static void p13_an_early_status_means_that_the_last_byte_did_not_leave(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 1000);
    struct reply reply = reply_of(404);
    reply.sent_bytes = 999;
    answer(h, reply);
    EXPECT(h, "store clear-session");
    harness_free(h);
}

/* … but not where an earlier PUT had sent it. */
static void p13_an_early_status_does_not_take_back_an_earlier_last_byte(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 1000);
    answer(h, reply_lost(h));
    harness_wait(h, RETRY_BASE_MS);
    answer(h, reply_range(500));
    harness_skip(h);
    struct reply reply = reply_of(404);
    reply.sent_bytes = 10;
    answer(h, reply);
    answer_progress(h, WRITE_OK);
    EXPECT(h, "store dead");
    harness_free(h);
}

static void p14_stored_but_answered_500_is_found_by_the_query(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(500));
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    harness_free(h);
}

static void p14_also_on_the_last_byte(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 1000);
    answer(h, reply_of(500));
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 1000 chunk 0+1000 video abc");
    harness_free(h);
}

static void p15_a_video_that_is_not_there_alarms_and_is_not_sent_again(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.check_video = true;
    for (uint32_t looks = 0; looks < CHECK_LOOKS_MAX; looks++) {
        struct harness *h = harness_new_with(&config);
        struct job_claim claim = claim_with_session(1000, 1000);
        claim.state = JOB_FINISHING;
        strcpy(claim.video_id, "abc");
        claim.check_looks = looks;
        claim.waits = looks;
        harness_claim(h, &claim);
        answer_token(h, TOKEN_OK);
        answer_stored(h, WRITE_OK);
        EXPECT(h, "token", "store units+1", "check video abc");
        answer(h, reply_seen(NULL));
        if (looks + 1 < CHECK_LOOKS_MAX) {
            assert_outcome(h, JOB_FINISHING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_CAP_MS);
            assert_int_equal(h->write.check_looks, looks + 1);
        } else {
            assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
            assert_string_equal(h->write.note.reason, "videoNotSeen");
        }
        assert_false(h->write.clear_session);
        harness_free(h);
    }
}

/* Two sessions exist: the one of the older epoch was never stored, and is cancelled. */
static void p16_a_session_that_came_too_late_is_cancelled(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK);
    answer(h, reply_location());
    harness_skip(h);
    answer_stored(h, WRITE_LEASE_LOST);
    EXPECT(h, "cancel session");
    answer(h, reply_of(499));
    EXPECT(h, "forget");
    harness_free(h);
}

/* The reply crossed the abort. */
static void p16_a_start_reply_after_the_lease_is_cancelled(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK);
    harness_skip(h);
    h->renews = false;
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    EXPECT(h, "renew");
    answer_renewed(h, WRITE_LEASE_LOST);
    EXPECT(h, "abort start");
    answer(h, reply_location());
    EXPECT(h, "cancel session");
    answer(h, reply_transport(TRANSPORT_BROKEN)); /* best effort */
    EXPECT(h, "forget");
    harness_free(h);
}

static void p16_an_answer_to_an_old_question_is_dropped(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    uint64_t op = h->slots[0].main.op;
    struct event late = {.type = EVENT_REPLY, .op = op - 1, .reply = reply_of(404)};
    harness_event(h, &late);
    EXPECT_NOTHING(h);
    assert_int_equal(h->slots[0].main.op, op);
    harness_free(h);
}

/* ---- connections ---- */

static void c01_to_c05_a_broken_connection_is_asked_about(void **state)
{
    (void)state;
    static const enum transport kinds[] = {TRANSPORT_CONNECT, TRANSPORT_TIMEOUT, TRANSPORT_BROKEN};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_in_mid_file();
        answer(h, reply_transport(kinds[i]));
        EXPECT_NOTHING(h);
        harness_wait(h, RETRY_BASE_MS);
        EXPECT(h, "query");
        answer(h, reply_range(CHUNK + 1));
        EXPECT(h, "store confirmed 262145", "put 262145+262144");
        harness_free(h);
    }
}

static void c05_a_lost_start_reply_starts_again_and_is_charged_again(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK);
    harness_skip(h);
    answer(h, reply_transport(TRANSPORT_BROKEN));
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "store attempt uploads+1");
    harness_free(h);
}

static void t01_and_c13_no_new_jobs_into_a_broken_host(void **state)
{
    (void)state;
    static const enum transport kinds[] = {TRANSPORT_TLS, TRANSPORT_LOCAL};
    for (int i = 0; i < 2; i++) {
        struct harness *h = harness_in_mid_file();
        answer(h, reply_transport(kinds[i]));
        int64_t begin_ms = h->mono_ms;
        harness_wait(h, RETRY_BASE_MS); /* what runs is kept … */
        EXPECT(h, "query");
        assert_true(engine_next_tick_mono_ms(h->engine) ==
                    begin_ms + TROUBLE_PAUSE_MS); /* … nothing claimed */
        harness_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p01_no_range_is_byte_zero_of_the_same_session),
        cmocka_unit_test(p01_no_range_after_progress_is_asked_about_first),
        cmocka_unit_test(p01_no_range_twice_is_believed),
        cmocka_unit_test(p01_no_range_for_ever_is_bounded),
        cmocka_unit_test(p02_less_than_was_sent_goes_on_from_there),
        cmocka_unit_test(p02_a_last_chunk_kept_in_part_is_sent_to_the_end),
        cmocka_unit_test(p03_behind_a_confirmed_offset_is_the_truth),
        cmocka_unit_test(p03_rewinds_without_net_progress_back_off),
        cmocka_unit_test(p04_beyond_what_was_sent_is_asked_about_and_not_finalised),
        cmocka_unit_test(p04_if_it_persists_a_person_looks),
        cmocka_unit_test(p05_a_malformed_range_is_asked_about_and_bounded),
        cmocka_unit_test(p06_one_offset_for_ever_waits),
        cmocka_unit_test(p06_a_week_without_progress_fails),
        cmocka_unit_test(p06_progress_forgets_the_waits),
        cmocka_unit_test(p07_an_overridden_308_is_not_done),
        cmocka_unit_test(p07_a_plain_200_in_mid_file_is_not_done),
        cmocka_unit_test(p08_another_video_is_held_and_not_adopted),
        cmocka_unit_test(p08_another_title_at_the_check_is_held),
        cmocka_unit_test(p09_the_first_stored_id_wins),
        cmocka_unit_test(p10_without_a_usable_location_no_byte_is_sent),
        cmocka_unit_test(p11_a_moved_session_is_stored_before_it_is_used),
        cmocka_unit_test(p12_a_broken_reply_is_asked_about_on_a_fresh_connection),
        cmocka_unit_test(p13_an_early_status_means_that_the_last_byte_did_not_leave),
        cmocka_unit_test(p13_an_early_status_does_not_take_back_an_earlier_last_byte),
        cmocka_unit_test(p14_stored_but_answered_500_is_found_by_the_query),
        cmocka_unit_test(p14_also_on_the_last_byte),
        cmocka_unit_test(p15_a_video_that_is_not_there_alarms_and_is_not_sent_again),
        cmocka_unit_test(p16_a_session_that_came_too_late_is_cancelled),
        cmocka_unit_test(p16_a_start_reply_after_the_lease_is_cancelled),
        cmocka_unit_test(p16_an_answer_to_an_old_question_is_dropped),
        cmocka_unit_test(c01_to_c05_a_broken_connection_is_asked_about),
        cmocka_unit_test(c05_a_lost_start_reply_starts_again_and_is_charged_again),
        cmocka_unit_test(t01_and_c13_no_new_jobs_into_a_broken_host),
    };
    return RUN_UNIT_TESTS(tests);
}
