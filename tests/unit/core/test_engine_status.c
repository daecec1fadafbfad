/* Faults H07 to H15: what else an HTTP status leads to. */
#include "harness.h"

static void h07_unauthorized_refreshes_once_asks_and_goes_on(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_reason(401, "authError"));
    EXPECT(h, "token fresh");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "query");
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    answer_progress(h, WRITE_OK);
    answer(h, reply_reason(401, "authError")); /* an hour later: again once */
    EXPECT(h, "token fresh");
    harness_free(h);
}

static void h07_finalised_meanwhile_is_found_by_the_query(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    answer(h, reply_reason(401, "authError"));
    EXPECT(h, "token fresh");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "query");
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 262144 chunk 0+262144 video abc");
    harness_free(h);
}

/* 401 with a fresh token: the token is tried on channels.list. */
static struct harness *at_probe(struct harness *h)
{
    answer(h, reply_of(401));
    answer_token(h, TOKEN_OK);
    EXPECT(h, "token fresh", "query");
    answer(h, reply_of(401));
    EXPECT(h, "store units+1");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "probe token");
    return h;
}

static void h07_a_refused_fresh_token_needs_a_login(void **state)
{
    (void)state;
    struct harness *h = at_probe(harness_in_mid_file());
    answer(h, reply_of(401));
    EXPECT(h,
           "store -> held channel_auth release channel auth confirmed 262144 chunk 262144+262144 (http 401)");
    harness_free(h);
}

static void h07_an_accepted_fresh_token_shows_that_the_session_is_dead(void **state)
{
    (void)state;
    struct harness *h = at_probe(harness_in_mid_file());
    answer(h, reply_of(200));
    EXPECT(h, "store clear-session");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "check source");
    harness_free(h);
}

static void h07_and_after_the_last_byte_it_is_reconciled(void **state)
{
    (void)state;
    struct harness *h = at_probe(harness_at_last_put());
    answer(h, reply_of(200));
    EXPECT(h, "store dead");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store units+8");
    harness_free(h);
}

static void h07_a_refused_start_needs_a_login(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_of(401));
    EXPECT(h, "token fresh");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "store attempt uploads+1");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "start");
    answer(h, reply_of(401));
    EXPECT(h, "store -> held channel_auth release channel auth (http 401)");
    harness_free(h);
}

static void h08_suspended_or_closed_holds_the_channel_and_fails_no_job(void **state)
{
    (void)state;
    static const char *const reasons[] = {"channelSuspended", "channelClosed"};
    for (int i = 0; i < 2; i++) {
        struct harness *h = harness_in_mid_file();
        answer(h, reply_reason(403, reasons[i]));
        assert_outcome(h, JOB_HELD, CAUSE_CHANNEL_FROZEN, 0, 0);
        assert_true(h->write.set_channel && h->write.channel == CHANNEL_FROZEN);
        harness_free(h);
    }
}

static void k04_an_unusable_project_stops_its_client(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_reason(403, "accessNotConfigured"));
    assert_outcome(h, JOB_HELD, CAUSE_CHANNEL_FROZEN, 0, 0);
    assert_true(h->write.client_is_refused && !h->write.set_channel);
    harness_free(h);
}

static void h08_insufficient_permissions_need_a_login(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_reason(403, "insufficientPermissions"));
    EXPECT(h, "store -> held channel_auth release channel auth (insufficientPermissions)");
    harness_free(h);
}

static void h09_a_dead_unfinished_session_is_replaced_from_byte_zero(void **state)
{
    (void)state;
    for (int status = 404; status <= 410; status += 6) {
        struct harness *h = harness_in_mid_file();
        answer(h, reply_of(status));
        EXPECT(h, "store clear-session");
        answer_stored(h, WRITE_OK);
        EXPECT(h, "check source"); /* again */
        answer_source(h, SOURCE_OK);
        EXPECT(h, "store attempt uploads+1"); /* the extra call is charged */
        answer_stored(h, WRITE_OK);
        EXPECT(h, "start");
        assert_int_equal(h->last.lease_epoch, 1);
        answer(h, reply_location());
        EXPECT(h, "store session confirmed 0");
        answer_stored(h, WRITE_OK);
        EXPECT(h, "put 0+262144");
        harness_free(h);
    }
}

static void h09_sessions_that_die_at_once_do_not_spend_the_day(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int restarts = 0; restarts < SESSION_RESTARTS_MAX; restarts++) {
        answer(h, reply_of(404));
        EXPECT(h, "store clear-session");
        answer_stored(h, WRITE_OK);
        answer_source(h, SOURCE_OK);
        answer_stored(h, WRITE_OK);
        answer(h, reply_location());
        answer_stored(h, WRITE_OK);
        harness_skip(h);
    }
    answer(h, reply_of(404));
    EXPECT(h, "store -> waiting release clear-session waits 1 (http 404)");
    harness_free(h);
}

static void h09_a_changed_source_makes_no_second_session(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(404));
    answer_stored(h, WRITE_OK);
    answer_source(h, SOURCE_DIFFERENT);
    EXPECT(h, "store clear-session", "check source", "store -> held source_changed release (sourceChanged)");
    harness_free(h);
}

static void h10_after_the_last_byte_a_dead_session_is_reconciled(void **state)
{
    (void)state;
    for (int status = 404; status <= 410; status += 6) {
        struct harness *h = harness_at_last_put();
        answer(h, reply_lost(h));
        harness_skip(h);
        harness_wait(h, RETRY_BASE_MS);
        EXPECT(h, "query");
        answer(h, reply_of(status));
        EXPECT(h, "store dead");
        answer_stored(h, WRITE_OK);
        EXPECT(h, "store units+8");
        answer_stored(h, WRITE_OK);
        EXPECT(h, "list uploads");
        harness_free(h);
    }
}

static void h10_a_takeover_that_finds_finalizing_reconciles_too(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    claim.finalizing = true;
    reach_query(h, &claim);
    answer(h, reply_of(404));
    EXPECT(h, "store dead");
    harness_free(h);
}

static void h11_bad_metadata_fails_with_googles_reason(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_message(400, "invalidTitle", "The request metadata specifies an invalid video title."));
    EXPECT(h, "store -> failed release (invalidTitle)");
    assert_string_equal(h->write.note.message, "The request metadata specifies an invalid video title.");
    assert_int_equal(h->write.note.http_status, 400);
    harness_free(h);
}

static void h11_in_a_session_it_is_cancelled_then_failed(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_reason(400, "badRequest"));
    EXPECT(h, "cancel session");
    answer(h, reply_of(499));
    assert_outcome(h, JOB_FAILED, CAUSE_NONE, 0, 0);
    harness_free(h);
}

static void h11_after_the_last_byte_failed_would_be_a_guess(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    answer(h, reply_reason(400, "badRequest"));
    EXPECT(h, "query");
    answer(h, reply_reason(400, "badRequest"));
    EXPECT(h, "store dead"); /* the session does not know it any more: the list must tell */
    harness_free(h);
}

static void h12_conflicts_ask_first_then_decide(void **state)
{
    (void)state;
    static const int statuses[] = {409, 412, 416};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_in_mid_file();
        answer(h, reply_of(statuses[i]));
        EXPECT_NOTHING(h);
        harness_wait(h, RETRY_BASE_MS);
        EXPECT(h, "query");
        answer(h, reply_range(CHUNK));
        EXPECT(h, "put 262144+262144");
        harness_free(h);
    }
}

static void h12_conflicts_without_end_wait(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int i = 0; i < RETRY_TRIES_MAX; i++) {
        answer(h, reply_of(409));
        harness_wait(h, RETRY_CAP_MS);
    }
    harness_skip(h);
    answer(h, reply_of(409));
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
    harness_free(h);
}

static void h12_too_large_is_permanent(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_reason(413, "uploadTooLarge"));
    EXPECT(h, "store -> failed release (uploadTooLarge)");
    harness_free(h);
}

static void h13_an_unknown_success_is_asked_about_and_bounded(void **state)
{
    (void)state;
    static const int statuses[] = {202, 204, 206, 200, 201}; /* the last two without an id */
    for (int i = 0; i < 5; i++) {
        struct harness *h = harness_at_last_put();
        answer(h, reply_of(statuses[i]));
        for (int asked = 0; asked < PROTOCOL_ERRORS_MAX; asked++) {
            harness_skip(h);
            harness_wait(h, RETRY_CAP_MS);
            EXPECT(h, "query");
            answer(h, reply_of(statuses[i]));
        }
        assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
        assert_string_equal(h->write.note.reason, "successWithoutVideo");
        harness_free(h);
    }
}

static void h13_on_a_chunk_that_is_not_the_last_it_waits(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int i = 0; i < RETRY_TRIES_MAX; i++) {
        answer(h, reply_of(200));
        harness_wait(h, RETRY_CAP_MS);
    }
    answer(h, reply_of(200));
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
    harness_free(h);
}

static void h14_a_redirect_is_not_followed(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    struct reply reply = reply_of(302);
    reply.has_location = reply.location_refused = true;
    answer(h, reply);
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "store attempt uploads+1");
    harness_free(h);
}

static void h14_a_redirect_in_a_session_is_asked_about(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(307));
    harness_skip(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    harness_free(h);
}

static void h15_an_error_without_a_readable_body_is_classified_by_status(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(500));
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    answer(h, reply_of(403));
    EXPECT(h, "cancel session");
    answer(h, reply_of(204));
    assert_outcome(h, JOB_FAILED, CAUSE_NONE, 0, 0);
    assert_string_equal(h->write.note.reason, "http 403");
    harness_free(h);
}

/* Full jitter may draw a pause of no length: the job goes on in the same step. */
static void a_pause_of_no_length_is_one(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    struct engine_view view;
    config.retry_base_ms = 0;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 5 * CHUNK);
    for (uint32_t i = 1; i <= 2; i++) {
        answer(h, reply_of(503));
        EXPECT(h, "query");
        assert_true(engine_look(h->engine, 0, &view));
        assert_int_equal(view.pauses, i);
    }
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h07_unauthorized_refreshes_once_asks_and_goes_on),
        cmocka_unit_test(h07_finalised_meanwhile_is_found_by_the_query),
        cmocka_unit_test(h07_a_refused_fresh_token_needs_a_login),
        cmocka_unit_test(h07_an_accepted_fresh_token_shows_that_the_session_is_dead),
        cmocka_unit_test(h07_and_after_the_last_byte_it_is_reconciled),
        cmocka_unit_test(h07_a_refused_start_needs_a_login),
        cmocka_unit_test(h08_suspended_or_closed_holds_the_channel_and_fails_no_job),
        cmocka_unit_test(k04_an_unusable_project_stops_its_client),
        cmocka_unit_test(h08_insufficient_permissions_need_a_login),
        cmocka_unit_test(h09_a_dead_unfinished_session_is_replaced_from_byte_zero),
        cmocka_unit_test(h09_sessions_that_die_at_once_do_not_spend_the_day),
        cmocka_unit_test(h09_a_changed_source_makes_no_second_session),
        cmocka_unit_test(h10_after_the_last_byte_a_dead_session_is_reconciled),
        cmocka_unit_test(h10_a_takeover_that_finds_finalizing_reconciles_too),
        cmocka_unit_test(h11_bad_metadata_fails_with_googles_reason),
        cmocka_unit_test(h11_in_a_session_it_is_cancelled_then_failed),
        cmocka_unit_test(h11_after_the_last_byte_failed_would_be_a_guess),
        cmocka_unit_test(h12_conflicts_ask_first_then_decide),
        cmocka_unit_test(h12_conflicts_without_end_wait),
        cmocka_unit_test(h12_too_large_is_permanent),
        cmocka_unit_test(h13_an_unknown_success_is_asked_about_and_bounded),
        cmocka_unit_test(h13_on_a_chunk_that_is_not_the_last_it_waits),
        cmocka_unit_test(h14_a_redirect_is_not_followed),
        cmocka_unit_test(h14_a_redirect_in_a_session_is_asked_about),
        cmocka_unit_test(h15_an_error_without_a_readable_body_is_classified_by_status),
        cmocka_unit_test(a_pause_of_no_length_is_one),
    };
    return RUN_UNIT_TESTS(tests);
}
