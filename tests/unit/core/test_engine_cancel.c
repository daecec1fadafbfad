/* What a cancel does in each phase of a job. */
#include "harness.h"

/* The next renewal tells that the owner wants the job cancelled. */
static void cancel(struct harness *h)
{
    h->cancel_wanted = true;
    harness_advance(h, LEASE_MS_DEFAULT / 3 + 1);
}

static void cancel_before_the_session_needs_nothing_of_youtube(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    claim.cancel_wanted = true;
    harness_claim(h, &claim);
    EXPECT(h, "store -> cancelled release");
    harness_free(h);
}

static void cancel_in_mid_file_deletes_the_session(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    cancel(h);
    EXPECT(h, "abort put");
    answer(h, reply_transport(TRANSPORT_ABORTED));
    EXPECT(h, "cancel session");
    answer(h, reply_of(404)); /* best effort: any answer will do */
    EXPECT(h, "store -> cancelled release confirmed 262144");
    harness_free(h);
}

static void cancel_while_a_session_is_opened_deletes_it(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(2 * CHUNK);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK);
    harness_skip(h);
    cancel(h);
    EXPECT(h, "abort start");
    answer(h, reply_location());
    EXPECT(h, "store session confirmed 0");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "cancel session");
    answer(h, reply_of(499));
    EXPECT(h, "store -> cancelled release confirmed 0");
    harness_free(h);
}

static void cancel_while_backing_off_does_not_wait(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_after(503, 60000));
    cancel(h);
    EXPECT(h, "cancel session");
    harness_free(h);
}

/* Nothing can come of the session any more: the DELETE is a courtesy, and nothing that it needs may be in the
 * way. */
static void cancel_of_a_waiting_job_deletes_its_session(void **state)
{
    (void)state;
    for (int trouble = 0; trouble < 3; trouble++) {
        struct harness *h = harness_new();
        struct job_claim claim = claim_with_session(3 * CHUNK, CHUNK);
        claim.cancel_wanted = true;
        harness_claim(h, &claim);
        EXPECT(h, "token");
        answer_token(h, trouble == 1 ? TOKEN_REVOKED : TOKEN_OK);
        if (trouble != 1) {
            EXPECT(h, "open session");
            answer_opened(h, trouble == 2 ? OPEN_CORRUPT : OPEN_OK);
        }
        if (trouble == 0) {
            EXPECT(h, "cancel session");
            answer(h, reply_of(499));
        }
        EXPECT(h, "store -> cancelled release confirmed 262144");
        harness_free(h);
    }
}

static void cancel_while_its_token_is_asked_for_keeps_the_question(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(3 * CHUNK, CHUNK);
    harness_claim(h, &claim);
    EXPECT(h, "token");
    cancel(h);
    EXPECT_NOTHING(h);
    answer_token(h, TOKEN_OK);
    EXPECT(h, "open session");
    answer_opened(h, OPEN_OK);
    EXPECT(h, "cancel session");
    harness_free(h);
}

static void cancel_before_anything_was_sent_needs_no_token(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    harness_claim(h, &claim);
    harness_skip(h);
    cancel(h);
    answer_token(h, TOKEN_REVOKED);
    assert_outcome(h, JOB_CANCELLED, CAUSE_NONE, 0, 0);
    harness_free(h);
}

/* The last byte is out: only a session that is known to be dead makes no video any more. */
static void cancel_after_the_last_byte_asks_the_session_first(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    cancel(h);
    EXPECT(h, "abort put");
    struct reply reply = reply_transport(TRANSPORT_ABORTED);
    reply.sent_bytes = CHUNK;
    answer(h, reply);
    EXPECT(h, "query");
    answer(h, reply_range(CHUNK / 2)); /* not done */
    EXPECT(h, "store confirmed 131072 chunk 0+262144", "cancel session");
    answer_progress(h, WRITE_OK);
    answer(h, reply_of(499));
    EXPECT(h, "store -> cancelled release confirmed 131072");
    harness_free(h);
}

static void cancel_after_the_last_byte_may_be_too_late(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    cancel(h);
    struct reply reply = reply_transport(TRANSPORT_ABORTED);
    reply.sent_bytes = CHUNK;
    answer(h, reply);
    EXPECT(h, "abort put", "query");
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 262144 chunk 0+262144 video abc");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

static void cancel_of_a_session_that_is_gone_after_the_last_byte_reconciles(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    cancel(h);
    struct reply reply = reply_transport(TRANSPORT_ABORTED);
    reply.sent_bytes = CHUNK;
    answer(h, reply);
    answer(h, reply_range(1));
    answer_progress(h, WRITE_OK);
    harness_skip(h);
    answer(h, reply_of(404)); /* dead, but finished or not? */
    EXPECT(h, "store dead");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store units+8");
    harness_free(h);
}

static void cancel_by_a_takeover_asks_too(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    claim.finalizing = claim.cancel_wanted = true;
    harness_claim(h, &claim);
    EXPECT(h, "token");
    answer_token(h, TOKEN_OK);
    EXPECT(h, "open session");
    answer_opened(h, OPEN_OK);
    EXPECT(h, "query");
    harness_free(h);
}

static void cancel_without_a_token_cannot_tell(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    claim.finalizing = claim.cancel_wanted = true;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_REVOKED);
    assert_outcome(h, JOB_HELD, CAUSE_AMBIGUOUS, 0, 0);
    harness_free(h);
}

static void cancel_after_the_video_exists_changes_nothing(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 1000);
    claim.state = JOB_FINISHING;
    claim.cancel_wanted = true;
    strcpy(claim.video_id, "abc");
    harness_claim(h, &claim);
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_before_the_session_needs_nothing_of_youtube),
        cmocka_unit_test(cancel_in_mid_file_deletes_the_session),
        cmocka_unit_test(cancel_while_a_session_is_opened_deletes_it),
        cmocka_unit_test(cancel_while_backing_off_does_not_wait),
        cmocka_unit_test(cancel_of_a_waiting_job_deletes_its_session),
        cmocka_unit_test(cancel_while_its_token_is_asked_for_keeps_the_question),
        cmocka_unit_test(cancel_before_anything_was_sent_needs_no_token),
        cmocka_unit_test(cancel_after_the_last_byte_asks_the_session_first),
        cmocka_unit_test(cancel_after_the_last_byte_may_be_too_late),
        cmocka_unit_test(cancel_of_a_session_that_is_gone_after_the_last_byte_reconciles),
        cmocka_unit_test(cancel_by_a_takeover_asks_too),
        cmocka_unit_test(cancel_without_a_token_cannot_tell),
        cmocka_unit_test(cancel_after_the_video_exists_changes_nothing),
    };
    return RUN_UNIT_TESTS(tests);
}
