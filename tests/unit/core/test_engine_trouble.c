/* Trouble on our own side of the line: tokens and keys (group K), source files (group F). */
#include "harness.h"

static struct harness *at_token(void)
{
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(5 * CHUNK);
    harness_claim(h, &claim);
    EXPECT(h, "token");
    return h;
}

static struct harness *at_source(void)
{
    struct harness *h = at_token();
    answer_token(h, TOKEN_OK);
    EXPECT(h, "check source");
    return h;
}

/* The last PUT of two is under way. */
static struct harness *at_last_put(void)
{
    struct harness *h = harness_new();
    reach_put(h, 2 * CHUNK);
    answer(h, reply_range(CHUNK));
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store finalizing confirmed 262144 chunk 0+262144", "put 262144+262144 completes");
    return h;
}

/* ---- tokens ---- */

static void k01_a_token_that_ends_is_replaced_between_chunks(void **state)
{
    (void)state;
    struct harness *h = at_token();
    answer_token_until(h, h->mono_ms + 60000);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK);
    answer(h, reply_location());
    answer_stored(h, WRITE_OK);
    EXPECT(h, "check source", "store attempt uploads+1", "start", "store session confirmed 0",
           "put 0+262144");
    harness_advance(h, 61000);
    EXPECT_NOTHING(h); /* the PUT under way usually goes on */
    answer(h, reply_range(CHUNK));
    EXPECT(h, "store confirmed 262144 chunk 0+262144", "token");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "put 262144+262144");
    harness_free(h);
}

static void k02_a_token_endpoint_that_is_away_is_waited_for(void **state)
{
    (void)state;
    struct harness *h = at_token();
    for (int i = 0; i < RETRY_TRIES_MAX; i++) {
        answer_token(h, TOKEN_TRANSIENT);
        EXPECT_NOTHING(h);
        harness_wait(h, RETRY_CAP_MS);
        EXPECT(h, "token");
    }
    answer_token(h, TOKEN_TRANSIENT);
    EXPECT(h, "store -> waiting release waits 1 (tokenUnavailable)");
    assert_int_equal(h->write.feedback, FEEDBACK_NONE); /* not the channel's fault */
    harness_free(h);
}

static void k03_a_revoked_login_holds_the_channel(void **state)
{
    (void)state;
    static const enum token_result results[] = {TOKEN_REVOKED, TOKEN_NONE};
    for (int i = 0; i < 2; i++) {
        struct harness *h = at_token();
        answer_token(h, results[i]);
        assert_outcome(h, JOB_HELD, CAUSE_CHANNEL_AUTH, 0, 0);
        assert_true(h->write.set_channel && h->write.channel == CHANNEL_AUTH);
        answer_stored(h, WRITE_OK);
        harness_skip(h);
        harness_advance(h, 3600000);
        EXPECT_NOTHING(h); /* no loop */
        harness_free(h);
    }
}

static void k04_a_refused_client_is_stopped_and_asked_no_more(void **state)
{
    (void)state;
    struct harness *h = at_token();
    answer_token(h, TOKEN_CLIENT);
    EXPECT(h, "store -> held channel_frozen release client refused (client refused)");
    harness_free(h);
}

static void k05_a_token_that_has_ended_already_is_no_loop(void **state)
{
    (void)state;
    struct harness *h = at_token();
    for (int i = 0; i <= RETRY_TRIES_MAX; i++) {
        answer_token_until(h, h->mono_ms - 1);
        if (i < RETRY_TRIES_MAX) {
            EXPECT_NOTHING(h);
            harness_wait(h, RETRY_CAP_MS);
            EXPECT(h, "token");
        }
    }
    EXPECT(h, "store -> waiting release waits 1 (tokenUnavailable)");
    harness_free(h);
}

static void k07_a_missing_scope_needs_a_login_and_names_it(void **state)
{
    (void)state;
    struct harness *h = at_token();
    struct event event = {.type = EVENT_TOKEN, .op = h->slots[0].main.op};
    event.token.result = TOKEN_SCOPE;
    strcpy(event.token.message, "youtube.upload is missing");
    h->slots[0].main.op = 0;
    harness_event(h, &event);
    EXPECT(h, "store -> held channel_auth release channel auth (scope missing)");
    assert_string_equal(h->write.note.message, "youtube.upload is missing");
    harness_free(h);
}

static void k09_a_token_of_another_channel_sends_no_byte(void **state)
{
    (void)state;
    struct harness *h = at_token();
    answer_token(h, TOKEN_WRONG_CHANNEL);
    EXPECT(h, "store -> held channel_auth release channel auth (token of another channel)");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget");
    harness_free(h);
}

static void k10_a_sealed_token_that_does_not_open_holds_corrupt(void **state)
{
    (void)state;
    struct harness *h = at_token();
    answer_token(h, TOKEN_CORRUPT);
    EXPECT(h, "store -> held corrupt release (tokenDoesNotOpen)");
    assert_false(h->write.set_channel);
    harness_free(h);
}

static void assert_session_holds(enum open_result result, const char *reason)
{
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    harness_skip(h);
    answer_opened(h, result);
    assert_outcome(h, JOB_HELD, CAUSE_CORRUPT, 0, 0);
    assert_string_equal(h->write.note.reason, reason);
    assert_false(h->write.clear_session); /* and none other is opened */
    harness_free(h);
}

static void k10_a_sealed_session_that_does_not_open_holds_and_opens_no_other(void **state)
{
    (void)state;
    assert_session_holds(OPEN_CORRUPT, "sessionDoesNotOpen");
}

static void p10_a_stored_session_at_another_host_is_not_used(void **state)
{
    (void)state;
    assert_session_holds(OPEN_ELSEWHERE, "sessionElsewhere");
}

static void x06_a_broker_that_is_away_is_waited_for(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    harness_skip(h);
    answer_opened(h, OPEN_TRANSIENT);
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "open session");
    harness_free(h);
}

/* ---- sources ---- */

static void f01_a_missing_source_is_held(void **state)
{
    (void)state;
    struct harness *h = at_source();
    answer_source(h, SOURCE_GONE);
    EXPECT(h, "store -> held source_missing release (sourceMissing)");
    harness_free(h);
}

static void f03_an_unreadable_source_is_waited_for_then_held(void **state)
{
    (void)state;
    for (uint32_t waits = 0; waits <= SOURCE_WAITS_MAX; waits++) {
        struct harness *h = harness_new();
        struct job_claim claim = claim_of(5 * CHUNK);
        claim.waits = waits;
        harness_claim(h, &claim);
        answer_token(h, TOKEN_OK);
        for (int i = 0; i < RETRY_TRIES_MAX && waits < SOURCE_WAITS_MAX; i++) {
            answer_source(h, SOURCE_ERROR);
            harness_wait(h, RETRY_CAP_MS);
        }
        answer_source(h, SOURCE_ERROR);
        if (waits < SOURCE_WAITS_MAX)
            assert_int_equal(h->write.state, JOB_WAITING);
        else
            assert_outcome(h, JOB_HELD, CAUSE_SOURCE_MISSING, 0, 0);
        harness_free(h);
    }
}

static void f03_an_unreadable_block_in_mid_file_backs_off_and_asks(void **state)
{
    (void)state;
    struct harness *h = at_last_put();
    answer(h, reply_transport(TRANSPORT_SOURCE_IO));
    EXPECT_NOTHING(h);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    harness_free(h);
}

static void f04_to_f07_a_changed_source_makes_no_session(void **state)
{
    (void)state;
    struct harness *h = at_source();
    answer_source(h, SOURCE_DIFFERENT);
    EXPECT(h, "store -> held source_changed release (sourceChanged)");
    harness_free(h);
}

static void f04_to_f07_a_change_found_by_a_takeover_cancels_the_session(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(5 * CHUNK, CHUNK);
    reach_query(h, &claim);
    answer(h, reply_range(CHUNK));
    EXPECT(h, "check source");
    answer_source(h, SOURCE_DIFFERENT);
    EXPECT(h, "cancel session");
    answer(h, reply_of(499));
    EXPECT(h, "store -> held source_changed release clear-session (sourceChanged)");
    harness_free(h);
}

static void f04_to_f07_a_change_found_while_reading_withholds_the_last_byte(void **state)
{
    (void)state;
    struct harness *h = at_last_put();
    struct reply reply = reply_transport(TRANSPORT_SOURCE_CHANGED);
    reply.sent_bytes = CHUNK - 1;
    answer(h, reply);
    EXPECT(h, "cancel session");
    answer(h, reply_of(499));
    EXPECT(h, "store -> held source_changed release clear-session (sourceChanged)");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget");
    harness_free(h);
}

/* An earlier PUT had sent the last byte, of the right content: whether there is a video is not known. */
static void f04_to_f07_a_change_after_the_last_byte_is_ambiguous(void **state)
{
    (void)state;
    struct harness *h = at_last_put();
    answer(h, reply_lost(h));
    harness_wait(h, RETRY_BASE_MS);
    answer(h, reply_range(CHUNK));
    EXPECT(h, "query", "put 262144+262144 completes");
    answer(h, reply_transport(TRANSPORT_SOURCE_CHANGED));
    assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
    assert_false(h->write.clear_session);
    harness_free(h);
}

static void f12_an_unlinked_source_that_is_open_completes(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    reach_put(h, 2 * CHUNK);
    answer(h, reply_range(CHUNK));
    EXPECT(h, "store finalizing confirmed 262144 chunk 0+262144"); /* not looked for again by its name */
    answer_stored(h, WRITE_OK);
    answer(h, reply_video("abc"));
    answer_stored(h, WRITE_OK);
    assert_outcome(h, JOB_COMPLETED, CAUSE_NONE, 0, 0);
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k01_a_token_that_ends_is_replaced_between_chunks),
        cmocka_unit_test(k02_a_token_endpoint_that_is_away_is_waited_for),
        cmocka_unit_test(k03_a_revoked_login_holds_the_channel),
        cmocka_unit_test(k04_a_refused_client_is_stopped_and_asked_no_more),
        cmocka_unit_test(k05_a_token_that_has_ended_already_is_no_loop),
        cmocka_unit_test(k07_a_missing_scope_needs_a_login_and_names_it),
        cmocka_unit_test(k09_a_token_of_another_channel_sends_no_byte),
        cmocka_unit_test(k10_a_sealed_token_that_does_not_open_holds_corrupt),
        cmocka_unit_test(k10_a_sealed_session_that_does_not_open_holds_and_opens_no_other),
        cmocka_unit_test(p10_a_stored_session_at_another_host_is_not_used),
        cmocka_unit_test(x06_a_broker_that_is_away_is_waited_for),
        cmocka_unit_test(f01_a_missing_source_is_held),
        cmocka_unit_test(f03_an_unreadable_source_is_waited_for_then_held),
        cmocka_unit_test(f03_an_unreadable_block_in_mid_file_backs_off_and_asks),
        cmocka_unit_test(f04_to_f07_a_changed_source_makes_no_session),
        cmocka_unit_test(f04_to_f07_a_change_found_by_a_takeover_cancels_the_session),
        cmocka_unit_test(f04_to_f07_a_change_found_while_reading_withholds_the_last_byte),
        cmocka_unit_test(f04_to_f07_a_change_after_the_last_byte_is_ambiguous),
        cmocka_unit_test(f12_an_unlinked_source_that_is_open_completes),
    };
    return RUN_UNIT_TESTS(tests);
}
