/* Leases: kept, lost, run out, given back; and what a pause does. */
#include "harness.h"

/* ---- kept ---- */

static void a_lease_is_renewed_at_a_third_for_as_long_as_a_put_takes(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    harness_advance(h, 3600000);
    EXPECT_NOTHING(h);
    assert_in_range(h->renew_count, 239, 241);
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    harness_free(h);
}

/* The margin before its end is at most a quarter of it. */
static void the_shortest_lease_is_renewed_before_transfers_stop(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.lease_ms = 12000;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 5 * CHUNK);
    harness_advance(h, 120000);
    EXPECT_NOTHING(h);
    assert_in_range(h->renew_count, 29, 31);
    harness_free(h);
}

/* After a fail-over that lost the claim: the store gives the job away once more, under the same epoch. */
static void d03_a_job_that_is_claimed_anew_is_worked_on_once(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    struct job_claim again = claim_of(5 * CHUNK);
    uint32_t slot = harness_claim(h, &again);
    EXPECT(h, "abort put", "1: token");
    assert_int_equal(slot, 1);
    harness_free(h);
}

/* Its place is free, and with it perhaps a place of its channel: a full batch or not, there may be more. */
static void the_end_of_a_job_is_a_reason_to_claim(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->renews = false;
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    answer_renewed(h, WRITE_LEASE_LOST);
    uint32_t before = h->claim_count;
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "renew", "abort put", "forget");
    assert_int_equal(h->claim_count, before + 1);
    harness_free(h);
}

/* … but not where a certificate was refused just now: no new jobs into a broken host. */
static void t01_the_end_of_a_job_in_trouble_is_none(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->renews = false;
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    answer(h, reply_transport(TRANSPORT_TLS));
    harness_skip(h);
    uint32_t before = h->claim_count;
    answer_renewed(h, WRITE_LEASE_LOST);
    EXPECT(h, "forget");
    assert_int_equal(h->claim_count, before);
    harness_free(h);
}

static void d07_a_renewal_that_fails_is_repeated_until_the_lease_ends(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->renews = false;
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    EXPECT(h, "renew");
    answer_renewed(h, WRITE_FAILED);
    EXPECT_NOTHING(h);
    harness_advance(h, 1500);
    EXPECT(h, "renew");
    answer_renewed(h, WRITE_OK);
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    EXPECT(h, "renew");
    harness_free(h);
}

/* ---- lost ---- */

static void x07_a_write_of_an_older_epoch_ends_everything(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    answer_progress(h, WRITE_LEASE_LOST);
    EXPECT(h, "abort put");
    answer(h, reply_transport(TRANSPORT_ABORTED));
    EXPECT(h, "forget");
    assert_int_equal(engine_active_count(h->engine), 0);
    harness_free(h);
}

static void x07_a_main_write_of_an_older_epoch_forgets_the_job(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_after(503, 100000));
    EXPECT(h, "store -> waiting release confirmed 262144 chunk 262144+262144 waits 1 (http 503)");
    answer_stored(h, WRITE_LEASE_LOST);
    EXPECT(h, "forget");
    harness_free(h);
}

static void x07_a_renewal_of_an_older_epoch_stops_the_put(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->renews = false;
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    answer_renewed(h, WRITE_LEASE_LOST);
    EXPECT(h, "renew", "abort put");
    answer(h, reply_range(2 * CHUNK)); /* what it says is not for us any more */
    EXPECT(h, "forget");
    harness_free(h);
}

static void d07_a_renewal_that_comes_after_the_lease_was_given_back_is_no_loss(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->renews = false;
    harness_advance(h, LEASE_MS_DEFAULT / 3);
    answer(h, reply_after(503, 100000));
    EXPECT(h, "renew", "store -> waiting release confirmed 262144 chunk 262144+262144 waits 1 (http 503)");
    answer_renewed(h, WRITE_LEASE_LOST);
    answer_stored(h, WRITE_FAILED); /* whether it was: to be asked again */
    harness_advance(h, 5000);
    EXPECT(h, "store -> waiting release confirmed 262144 chunk 262144+262144 waits 1 (http 503)");
    answer_stored(h, WRITE_LEASE_LOST);
    EXPECT(h, "forget");
    harness_free(h);
}

static void x02_not_renewed_in_time_stops_the_put_before_the_lease_ends(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->renews = false;
    int64_t begin_ms = h->mono_ms;
    while (strstr(h->text, "abort put") == NULL && h->mono_ms < begin_ms + LEASE_MS_DEFAULT)
        harness_advance(h, 100);
    EXPECT(h, "renew", "abort put");
    assert_true(h->mono_ms - begin_ms <= LEASE_MS_DEFAULT - LEASE_MARGIN_MS);
    answer(h, reply_transport(TRANSPORT_ABORTED));
    EXPECT_NOTHING(h); /* the renewal is still to be answered */
    answer_renewed(h, WRITE_OK);
    EXPECT(h, "forget");
    harness_free(h);
}

static void x02_stopped_for_longer_than_the_lease_writes_nothing(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    harness_stop(h, LEASE_MS_DEFAULT + 1000);
    answer(h, reply_range(2 * CHUNK)); /* it waited in the socket */
    EXPECT(h, "forget");
    harness_free(h);
}

static void x02_stopped_during_the_last_put_does_not_store_the_video(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    harness_stop(h, LEASE_MS_DEFAULT + 1000);
    answer(h, reply_video("abc"));
    EXPECT(h, "forget"); /* whoever has the job now finds it by the query */
    harness_free(h);
}

static void x02_stopped_while_backing_off_sends_nothing(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(503));
    EXPECT_NOTHING(h);
    harness_stop(h, LEASE_MS_DEFAULT);
    harness_tick(h);
    EXPECT(h, "forget");
    harness_free(h);
}

/* ---- the store fails ---- */

static void d01_a_write_whose_outcome_is_unknown_is_repeated(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    answer(h, reply_video("abc"));
    harness_skip(h);
    for (int i = 0; i < 5; i++) {
        answer_stored(h, WRITE_FAILED);
        EXPECT_NOTHING(h);
        assert_in_range(harness_wait(h, 2000), 200, 2000);
        EXPECT(h, "store -> finishing confirmed 262144 chunk 0+262144 video abc");
    }
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

static void d01_no_byte_leaves_while_the_session_is_not_stored(void **state)
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
    answer_stored(h, WRITE_FAILED);
    EXPECT_NOTHING(h);
    harness_wait(h, 2000);
    EXPECT(h, "store session finalizing confirmed 0");
    harness_free(h);
}

static void d05_progress_that_is_not_stored_is_stored_later(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_range(2 * CHUNK));
    harness_skip(h);
    answer_progress(h, WRITE_FAILED);
    EXPECT(h, "store confirmed 524288");
    harness_free(h);
}

/* ---- drain ---- */

static void x03_drain_stops_the_put_and_gives_the_lease_back(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    harness_drain(h);
    EXPECT(h, "abort put");
    assert_false(engine_is_idle(h->engine));
    answer(h, reply_transport(TRANSPORT_ABORTED));
    EXPECT(h, "store -> queued release confirmed 262144");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget");
    assert_true(engine_is_idle(h->engine));
    assert_true(engine_next_tick_mono_ms(h->engine) == INT64_MAX); /* claims nothing more */
    harness_free(h);
}

static void x03_drain_ends_a_pause_at_once(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_after(503, 60000));
    harness_drain(h);
    EXPECT(h, "store -> queued release confirmed 262144 chunk 262144+262144");
    harness_free(h);
}

static void x03_drain_first_stores_a_video_that_has_come(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    harness_drain(h);
    EXPECT(h, "abort put");
    answer(h, reply_video("abc")); /* it crossed the abort */
    EXPECT(h, "store -> finishing confirmed 262144 chunk 0+262144 video abc");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> finishing release");
    harness_free(h);
}

static void x03_drain_first_stores_a_session_that_has_come(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(2 * CHUNK);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    answer_stored(h, WRITE_OK);
    harness_skip(h);
    harness_drain(h);
    EXPECT(h, "abort start");
    answer(h, reply_location());
    EXPECT(h, "store session confirmed 0");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> queued release confirmed 0");
    harness_free(h);
}

static void x03_drain_waits_for_no_pause_that_begins_meanwhile(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    harness_drain(h);
    EXPECT(h, "abort put");
    answer(h, reply_after(503, 60000)); /* it crossed the abort */
    EXPECT(h, "store -> queued release confirmed 262144 chunk 262144+262144");
    harness_free(h);
}

/* What says that it was stopped says nothing about the job. */
static void x03_drain_draws_nothing_from_what_it_stopped(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(3 * CHUNK, CHUNK);
    claim.waits = SOURCE_WAITS_MAX;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_opened(h, OPEN_OK);
    answer(h, reply_range(CHUNK));
    EXPECT(h, "token", "open session", "query", "check source");
    harness_drain(h);
    EXPECT(h, "abort check source");
    answer_source(h, SOURCE_ERROR);
    EXPECT(h, "store -> queued release confirmed 262144");
    harness_free(h);
}

static void x03_x06_drain_does_not_wait_for_a_token(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(2 * CHUNK);
    harness_claim(h, &claim);
    EXPECT(h, "token");
    harness_drain(h);
    EXPECT(h, "abort token");
    answer_token(h, TOKEN_TRANSIENT);
    EXPECT(h, "store -> queued release");
    harness_free(h);
}

static void x03_drain_gives_every_slot_back(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    for (int i = 0; i < HARNESS_SLOTS; i++) {
        struct job_claim claim = claim_of(5 * CHUNK);
        claim.id.text[1] = (char)('1' + i);
        harness_claim(h, &claim);
    }
    harness_skip(h);
    harness_drain(h);
    for (uint32_t slot = 0; slot < HARNESS_SLOTS; slot++) {
        struct event event = {.type = EVENT_TOKEN, .op = h->slots[slot].main.op, .slot = slot};
        h->slots[slot].main.op = 0;
        harness_event(h, &event);
        assert_int_equal(h->write.state, JOB_QUEUED);
        event = (struct event){.type = EVENT_STORED, .op = h->slots[slot].main.op, .slot = slot};
        h->slots[slot].main.op = 0;
        harness_event(h, &event);
    }
    assert_true(engine_is_idle(h->engine));
    harness_free(h);
}

/* ---- a channel that stops ---- */

static void a_pause_holds_after_the_chunk_under_way(void **state)
{
    (void)state;
    static const enum channel_state states[] = {CHANNEL_PAUSED, CHANNEL_FROZEN, CHANNEL_AUTH};
    static const enum job_cause causes[] = {CAUSE_CHANNEL_PAUSED, CAUSE_CHANNEL_FROZEN, CAUSE_CHANNEL_AUTH};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_in_mid_file();
        h->channel = states[i];
        harness_advance(h, LEASE_MS_DEFAULT / 3 + 1);
        EXPECT_NOTHING(h);
        answer(h, reply_range(2 * CHUNK));
        assert_outcome(h, JOB_HELD, causes[i], 0, 0);
        assert_false(h->write.clear_session);
        assert_false(h->write.set_waits);
        harness_free(h);
    }
}

/* Nothing of the dead session stays: its offset would make the next one look as if it were nearly done. */
static void a_pause_met_by_a_dead_session_keeps_no_offset(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->channel = CHANNEL_PAUSED;
    harness_advance(h, LEASE_MS_DEFAULT / 3 + 1);
    answer(h, reply_of(404));
    EXPECT(h, "store clear-session");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> held channel_paused release (channel)");
    harness_free(h);
}

static void a_limit_of_the_channel_does_not_stop_what_runs(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->channel = CHANNEL_LIMITED;
    harness_advance(h, LEASE_MS_DEFAULT / 3 + 1);
    answer(h, reply_range(2 * CHUNK));
    EXPECT(h, "store confirmed 524288 chunk 262144+262144", "put 524288+262144");
    harness_free(h);
}

static void a_video_that_exists_outranks_a_pause(void **state)
{
    (void)state;
    struct harness *h = harness_at_last_put();
    h->channel = CHANNEL_PAUSED;
    harness_advance(h, LEASE_MS_DEFAULT / 3 + 1);
    EXPECT_NOTHING(h);
    answer(h, reply_video("abc"));
    EXPECT(h, "store -> finishing confirmed 262144 chunk 0+262144 video abc");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "store -> completed release");
    harness_free(h);
}

static void a_pause_during_the_check_does_not_hide_the_video(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.check_video = true;
    struct harness *h = harness_new_with(&config);
    reach_put(h, 1000);
    answer(h, reply_video("abc"));
    answer_stored(h, WRITE_OK);
    harness_skip(h);
    h->channel = CHANNEL_PAUSED;
    harness_advance(h, LEASE_MS_DEFAULT);
    EXPECT_NOTHING(h);
    answer(h, reply_reason(403, "quotaExceeded"));
    assert_outcome(h, JOB_FINISHING, CAUSE_NONE, 1, 86400000); /* not held: the video exists */
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(d03_a_job_that_is_claimed_anew_is_worked_on_once),
        cmocka_unit_test(a_lease_is_renewed_at_a_third_for_as_long_as_a_put_takes),
        cmocka_unit_test(the_shortest_lease_is_renewed_before_transfers_stop),
        cmocka_unit_test(the_end_of_a_job_is_a_reason_to_claim),
        cmocka_unit_test(t01_the_end_of_a_job_in_trouble_is_none),
        cmocka_unit_test(d07_a_renewal_that_fails_is_repeated_until_the_lease_ends),
        cmocka_unit_test(x07_a_write_of_an_older_epoch_ends_everything),
        cmocka_unit_test(x07_a_main_write_of_an_older_epoch_forgets_the_job),
        cmocka_unit_test(x07_a_renewal_of_an_older_epoch_stops_the_put),
        cmocka_unit_test(d07_a_renewal_that_comes_after_the_lease_was_given_back_is_no_loss),
        cmocka_unit_test(x02_not_renewed_in_time_stops_the_put_before_the_lease_ends),
        cmocka_unit_test(x02_stopped_for_longer_than_the_lease_writes_nothing),
        cmocka_unit_test(x02_stopped_during_the_last_put_does_not_store_the_video),
        cmocka_unit_test(x02_stopped_while_backing_off_sends_nothing),
        cmocka_unit_test(d01_a_write_whose_outcome_is_unknown_is_repeated),
        cmocka_unit_test(d01_no_byte_leaves_while_the_session_is_not_stored),
        cmocka_unit_test(d05_progress_that_is_not_stored_is_stored_later),
        cmocka_unit_test(x03_drain_stops_the_put_and_gives_the_lease_back),
        cmocka_unit_test(x03_drain_ends_a_pause_at_once),
        cmocka_unit_test(x03_drain_first_stores_a_video_that_has_come),
        cmocka_unit_test(x03_drain_first_stores_a_session_that_has_come),
        cmocka_unit_test(x03_drain_waits_for_no_pause_that_begins_meanwhile),
        cmocka_unit_test(x03_drain_draws_nothing_from_what_it_stopped),
        cmocka_unit_test(x03_x06_drain_does_not_wait_for_a_token),
        cmocka_unit_test(x03_drain_gives_every_slot_back),
        cmocka_unit_test(a_pause_holds_after_the_chunk_under_way),
        cmocka_unit_test(a_pause_met_by_a_dead_session_keeps_no_offset),
        cmocka_unit_test(a_limit_of_the_channel_does_not_stop_what_runs),
        cmocka_unit_test(a_video_that_exists_outranks_a_pause),
        cmocka_unit_test(a_pause_during_the_check_does_not_hide_the_video),
    };
    return RUN_UNIT_TESTS(tests);
}
