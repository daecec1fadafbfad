/* H10: the session is dead, its last byte may have been accepted, and only the channel's list can tell. */
#include "harness.h"

/* One look, the `looks`-th of a job that began looking `since_ms` ago. */
static struct harness *at_look(const struct engine_config *config, uint32_t looks, int64_t since_ms,
                               uint32_t twin_count)
{
    struct harness *h = harness_new_with(config);
    struct job_claim claim = claim_with_session(1000, 0);
    claim.finalizing = claim.session_dead = true;
    claim.reconcile_looks = looks;
    claim.reconcile_from_ms = looks ? HARNESS_WALL_MS - since_ms : 0;
    claim.twin_count = twin_count;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_stored(h, WRITE_OK);
    EXPECT(h, "token", "store units+8", "list uploads");
    assert_string_equal(h->write.note.message,
                        "playlistItems.list and videos.list, 8 charged of the day's units, token t1");
    return h;
}

static struct harness *at_first_look(void)
{
    struct engine_config config = harness_config();
    return at_look(&config, 0, 0, 0);
}

static struct harness *at_last_look(bool restarts)
{
    struct engine_config config = harness_config();
    config.reconcile_restarts = restarts;
    return at_look(&config, RECONCILE_LOOKS_MAX - 1, RECONCILE_SPAN_MS, 0);
}

static void assert_adopted(struct harness *h)
{
    EXPECT(h, "store -> finishing confirmed 1000 video abc");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

static void assert_ambiguous(struct harness *h, const char *reason)
{
    assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
    assert_string_equal(h->write.note.reason, reason);
    assert_false(h->write.clear_session || h->write.set_video);
    harness_free(h);
}

static void h10_a_video_with_our_file_name_is_adopted(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    struct video_facts facts = facts_of("abc", MATCH_YES, MATCH_YES, MATCH_YES);
    answer(h, reply_list(1, &facts));
    assert_adopted(h);
}

static void h10_our_file_name_outranks_videos_that_look_alike(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    struct video_facts facts[] = {facts_of("xyz", MATCH_UNKNOWN, MATCH_YES, MATCH_YES),
                                  facts_of("abc", MATCH_YES, MATCH_YES, MATCH_YES)};
    answer(h, reply_list(2, facts));
    assert_adopted(h);
}

static void h10_size_and_title_alone_adopt_where_no_other_job_is_like_it(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    struct video_facts facts = facts_of("abc", MATCH_UNKNOWN, MATCH_YES, MATCH_YES);
    answer(h, reply_list(1, &facts));
    assert_adopted(h);
}

static void h10_size_and_title_alone_do_not_adopt_among_twins(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    struct harness *h = at_look(&config, 0, 0, 1);
    struct video_facts facts = facts_of("abc", MATCH_UNKNOWN, MATCH_YES, MATCH_YES);
    answer(h, reply_list(1, &facts));
    assert_ambiguous(h, "videoUnclear");
}

static void h10_two_videos_alike_are_ambiguous(void **state)
{
    (void)state;
    for (int sure = 0; sure < 2; sure++) {
        struct harness *h = at_first_look();
        enum match file_name = sure ? MATCH_YES : MATCH_UNKNOWN;
        struct video_facts facts[] = {facts_of("abc", file_name, MATCH_YES, MATCH_YES),
                                      facts_of("xyz", file_name, MATCH_YES, MATCH_YES)};
        answer(h, reply_list(2, facts));
        assert_non_null(strstr(h->write.note.message, "2 like it"));
        assert_ambiguous(h, "videoUnclear");
    }
}

static void h10_a_list_that_was_cut_adopts_nothing(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    struct video_facts facts = facts_of("abc", MATCH_YES, MATCH_YES, MATCH_YES);
    struct reply reply = reply_list(1, &facts);
    reply.list_is_complete = false;
    answer(h, reply);
    assert_ambiguous(h, "videoUnclear");
}

static void h10_other_videos_are_not_ours(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    struct video_facts facts[] = {
        facts_of("a", MATCH_NO, MATCH_YES, MATCH_YES), facts_of("b", MATCH_YES, MATCH_NO, MATCH_YES),
        facts_of("c", MATCH_YES, MATCH_YES, MATCH_NO), facts_of("d", MATCH_YES, MATCH_YES, MATCH_YES)};
    facts[3].published_at_ms = HARNESS_WALL_MS - 600000 - RECONCILE_SKEW_MS - 1; /* before the session */
    answer(h, reply_list(4, facts));
    assert_int_equal(h->write.state, JOB_WAITING);
    harness_free(h);
}

static void h10_absence_is_looked_for_again_later(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    answer(h, reply_list(0, NULL));
    EXPECT(h, "store -> waiting release looks 1 (reconciling)");
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, 15000, 30000);
    assert_int_equal(h->write.reconcile_from_ms, h->wall_ms);
    harness_free(h);
}

static void h10_a_list_that_is_late_is_found_by_a_later_look(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    struct harness *h = at_look(&config, 3, 600000, 0);
    struct video_facts facts = facts_of("abc", MATCH_YES, MATCH_YES, MATCH_YES);
    answer(h, reply_list(1, &facts));
    assert_adopted(h);
}

static void h10_many_looks_in_a_short_time_do_not_prove_absence(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.reconcile_restarts = true;
    struct harness *h = at_look(&config, 50, RECONCILE_SPAN_MS - 60000, 0);
    answer(h, reply_list(0, NULL));
    EXPECT(h, "store -> waiting release looks 51 (reconciling)");
    harness_free(h);
}

static void h10_few_looks_in_a_long_time_do_not_either(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.reconcile_restarts = true;
    struct harness *h = at_look(&config, 1, 10 * RECONCILE_SPAN_MS, 0);
    answer(h, reply_list(0, NULL));
    EXPECT(h, "store -> waiting release looks 2 (reconciling)");
    harness_free(h);
}

static void h10_absence_is_held_for_a_person_by_default(void **state)
{
    (void)state;
    struct harness *h = at_last_look(false);
    answer(h, reply_list(0, NULL));
    assert_ambiguous(h, "videoNotFound");
}

static void h10_absence_restarts_where_the_operator_says_so(void **state)
{
    (void)state;
    struct harness *h = at_last_look(true);
    answer(h, reply_list(0, NULL));
    EXPECT(h, "store clear-session looks 0");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "check source");
    answer_source(h, SOURCE_OK);
    EXPECT(h, "store attempt uploads+1");
    harness_free(h);
}

static void h10_a_cut_list_does_not_prove_absence(void **state)
{
    (void)state;
    struct harness *h = at_last_look(true);
    struct reply reply = reply_list(0, NULL);
    reply.list_is_complete = false;
    answer(h, reply);
    assert_ambiguous(h, "listTooLong");
}

static void h10_a_vague_video_is_held_in_the_end(void **state)
{
    (void)state;
    struct harness *h = at_last_look(true);
    struct video_facts facts = facts_of("abc", MATCH_UNKNOWN, MATCH_UNKNOWN, MATCH_YES);
    answer(h, reply_list(1, &facts));
    assert_ambiguous(h, "videoUnclear");
}

static void h10_a_list_that_fails_is_tried_again_and_counts_as_no_look(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    answer(h, reply_of(503));
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "store units+8"); /* charged again */
    answer_stored(h, WRITE_OK);
    answer(h, reply_list(0, NULL));
    EXPECT(h, "list uploads", "store -> waiting release looks 1 (reconciling)");
    harness_free(h);
}

static void h10_the_day_quota_does_not_end_the_search(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    answer(h, reply_reason(403, "quotaExceeded"));
    assert_outcome(h, JOB_HELD, CAUSE_QUOTA, HARNESS_MIDNIGHT_MS - h->wall_ms,
                   HARNESS_MIDNIGHT_MS - h->wall_ms + QUOTA_JITTER_MS);
    assert_false(h->write.clear_session);
    harness_free(h);
}

static void h10_a_video_that_another_job_has_is_not_ours(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    struct video_facts facts = facts_of("abc", MATCH_UNKNOWN, MATCH_YES, MATCH_YES);
    answer(h, reply_list(1, &facts));
    answer_stored(h, WRITE_VIDEO_TAKEN);
    assert_ambiguous(h, "videoTaken");
}

static void h10_a_cancelled_job_is_never_started_again(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.reconcile_restarts = true;
    struct harness *h = harness_new_with(&config);
    struct job_claim claim = claim_with_session(1000, 0);
    claim.finalizing = claim.session_dead = claim.cancel_wanted = true;
    claim.reconcile_looks = RECONCILE_LOOKS_MAX;
    claim.reconcile_from_ms = HARNESS_WALL_MS - RECONCILE_SPAN_MS;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_stored(h, WRITE_OK);
    answer(h, reply_list(0, NULL));
    assert_ambiguous(h, "videoNotFound");
}

static void x03_a_drain_between_looks_keeps_the_job_waiting(void **state)
{
    (void)state;
    struct harness *h = at_first_look();
    harness_drain(h);
    EXPECT(h, "abort list uploads");
    answer(h, reply_transport(TRANSPORT_ABORTED));
    EXPECT(h, "store -> waiting release");
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h10_a_video_with_our_file_name_is_adopted),
        cmocka_unit_test(h10_our_file_name_outranks_videos_that_look_alike),
        cmocka_unit_test(h10_size_and_title_alone_adopt_where_no_other_job_is_like_it),
        cmocka_unit_test(h10_size_and_title_alone_do_not_adopt_among_twins),
        cmocka_unit_test(h10_two_videos_alike_are_ambiguous),
        cmocka_unit_test(h10_a_list_that_was_cut_adopts_nothing),
        cmocka_unit_test(h10_other_videos_are_not_ours),
        cmocka_unit_test(h10_absence_is_looked_for_again_later),
        cmocka_unit_test(h10_a_list_that_is_late_is_found_by_a_later_look),
        cmocka_unit_test(h10_many_looks_in_a_short_time_do_not_prove_absence),
        cmocka_unit_test(h10_few_looks_in_a_long_time_do_not_either),
        cmocka_unit_test(h10_absence_is_held_for_a_person_by_default),
        cmocka_unit_test(h10_absence_restarts_where_the_operator_says_so),
        cmocka_unit_test(h10_a_cut_list_does_not_prove_absence),
        cmocka_unit_test(h10_a_vague_video_is_held_in_the_end),
        cmocka_unit_test(h10_a_list_that_fails_is_tried_again_and_counts_as_no_look),
        cmocka_unit_test(h10_the_day_quota_does_not_end_the_search),
        cmocka_unit_test(h10_a_video_that_another_job_has_is_not_ours),
        cmocka_unit_test(h10_a_cancelled_job_is_never_started_again),
        cmocka_unit_test(x03_a_drain_between_looks_keeps_the_job_waiting),
    };
    return RUN_UNIT_TESTS(tests);
}
