/* Faults H01 to H06: what passes, and what is spent. */
#include "core/pacific.h"
#include "harness.h"

static const char day_message[] = "Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads "
                                  "per day' of service 'youtube.googleapis.com'";

static void h01_server_error_at_the_start_starts_again_and_is_charged_again(void **state)
{
    (void)state;
    static const int statuses[] = {500, 502, 504};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_at_start();
        answer(h, reply_of(statuses[i]));
        EXPECT_NOTHING(h);
        assert_in_range(harness_wait(h, RETRY_BASE_MS), 0, RETRY_BASE_MS);
        EXPECT(h, "store attempt uploads+1");
        answer_stored(h, WRITE_OK);
        EXPECT(h, "start");
        harness_free(h);
    }
}

static void h01_server_error_in_a_session_asks_the_same_session(void **state)
{
    (void)state;
    static const int statuses[] = {500, 502, 504};
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

static void h01_pauses_grow_then_the_lease_is_given_back(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_of(503));
    for (int tries = 1; tries <= RETRY_TRIES_MAX; tries++) {
        assert_in_range(harness_wait(h, RETRY_CAP_MS), 0, RETRY_BASE_MS << (tries - 1));
        EXPECT(h, "query");
        answer(h, reply_of(503));
    }
    EXPECT(h, "store -> waiting release confirmed 262144 chunk 262144+262144 waits 1 (http 503)");
    assert_int_equal(h->write.feedback, FEEDBACK_TROUBLE);
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget");
    harness_free(h);
}

static void h01_progress_begins_a_new_count(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    for (int round = 0; round < 3; round++) {
        for (int tries = 0; tries < RETRY_TRIES_MAX; tries++) {
            answer(h, reply_of(503));
            harness_wait(h, RETRY_CAP_MS);
            EXPECT(h, "query");
        }
        answer(h, reply_range((uint64_t)(round + 2) * CHUNK - 1));
        harness_skip(h);
        answer_progress(h, WRITE_OK);
    }
    harness_free(h);
}

static void h02_retry_after_is_a_lower_bound(void **state)
{
    (void)state;
    for (int run = 0; run < 20; run++) {
        struct harness *h = harness_in_mid_file();
        h->entropy += (uint64_t)run * 1000;
        answer(h, reply_after(503, 30000));
        EXPECT_NOTHING(h);
        assert_in_range(harness_wait(h, 40000), 30000, 30000 + RETRY_BASE_MS);
        EXPECT(h, "query");
        harness_free(h);
    }
}

static void h02_retry_after_of_64_seconds_keeps_the_lease(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_after(503, 64000));
    EXPECT_NOTHING(h);
    harness_wait(h, 70000);
    EXPECT(h, "query");
    assert_true(h->renew_count >= 4);
    harness_free(h);
}

static void h02_retry_after_over_64_seconds_gives_the_lease_back(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_after(503, 120000));
    EXPECT(h, "store -> waiting release confirmed 262144 chunk 262144+262144 waits 1 (http 503)");
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, 120000, 135000);
    harness_free(h);
}

static void h02_retry_after_over_an_hour_counts_as_an_hour(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_after(503, INT64_C(365) * 86400000));
    assert_outcome(h, JOB_WAITING, CAUSE_NONE, 3600000, 4050000);
    harness_free(h);
}

static void h02_retry_after_at_the_start_holds_as_well(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_after(503, 20000));
    assert_in_range(harness_wait(h, 30000), 20000, 21000);
    EXPECT(h, "store attempt uploads+1");
    harness_free(h);
}

static void h03_part_of_a_put_is_stored_and_the_server_says_how_much(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    struct reply reply = reply_of(503);
    reply.sent_bytes = 200000;
    answer(h, reply);
    harness_wait(h, RETRY_BASE_MS);
    EXPECT(h, "query");
    answer(h, reply_range(CHUNK + 65536));
    EXPECT(h, "store confirmed 327680", "put 327680+262144");
    harness_free(h);
}

static void h04_short_limits_do_not_burst(void **state)
{
    (void)state;
    static const int statuses[] = {408, 425, 429};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_in_mid_file();
        int64_t begin_ms = h->mono_ms;
        for (int tries = 0; tries < RETRY_TRIES_MAX; tries++) {
            answer(h, reply_of(statuses[i]));
            EXPECT_NOTHING(h);
            harness_wait(h, RETRY_CAP_MS);
            EXPECT(h, "query");
        }
        assert_true(h->mono_ms - begin_ms > RETRY_BASE_MS);
        answer(h, reply_of(statuses[i]));
        assert_outcome(h, JOB_WAITING, CAUSE_NONE, WAIT_BASE_MS / 2, WAIT_BASE_MS);
        harness_free(h);
    }
}

/* One retry budget for the host: with many jobs refused at once, most of the retries wait. */
static void h04_many_jobs_share_one_retry_budget(void **state)
{
    (void)state;
    struct engine_config config = harness_config();
    config.retry_base_ms = config.retry_cap_ms = 1; /* no pause but the budget's */
    config.retry_tries_max = UINT32_MAX;
    struct harness *h = harness_new_with(&config);
    for (int i = 0; i < HARNESS_SLOTS; i++) {
        struct job_claim claim = claim_with_session(5 * CHUNK, CHUNK);
        claim.id.text[1] = (char)('1' + i);
        claim.channel_id = i + 1;
        uint32_t slot = harness_claim(h, &claim);
        struct event token = {.type = EVENT_TOKEN, .op = h->slots[slot].main.op, .slot = slot};
        h->slots[slot].main.op = 0;
        harness_event(h, &token);
        struct event opened = {.type = EVENT_OPENED, .op = h->slots[slot].main.op, .slot = slot};
        h->slots[slot].main.op = 0;
        harness_event(h, &opened);
    }
    int64_t begin_ms = h->mono_ms;
    int retries = 0;
    for (int round = 0; round < 1000; round++) {
        for (uint32_t slot = 0; slot < HARNESS_SLOTS; slot++)
            if (h->slots[slot].main.op && h->slots[slot].main.type == ACTION_QUERY) {
                retries++;
                answer_in(h, slot, reply_of(429));
                harness_skip(h);
            }
        harness_advance(h, 10);
    }
    int64_t seconds = (h->mono_ms - begin_ms) / 1000;
    assert_true(retries - HARNESS_SLOTS <= retries / 10 + seconds + 10);
    assert_true(retries > 3 * HARNESS_SLOTS);
    harness_free(h);
}

static void assert_quota_hold(struct harness *h)
{
    assert_outcome(h, JOB_HELD, CAUSE_QUOTA, HARNESS_MIDNIGHT_MS - h->wall_ms,
                   HARNESS_MIDNIGHT_MS - h->wall_ms + QUOTA_JITTER_MS);
    assert_false(h->write.set_waits);     /* no attempt is burned */
    assert_false(h->write.set_channel);   /* other clients go on, and so may this channel */
    assert_false(h->write.clear_session); /* what was sent stays sent */
}

static void h05_day_quota_holds_until_midnight_pacific(void **state)
{
    (void)state;
    const struct reply refusals[] = {reply_message(429, "rateLimitExceeded", day_message),
                                     reply_reason(403, "quotaExceeded"),
                                     reply_reason(403, "dailyLimitExceeded")};
    for (int i = 0; i < 3; i++) {
        struct harness *h = harness_at_start();
        answer(h, refusals[i]);
        EXPECT(h, i ? i == 1 ? "store -> held quota release (quotaExceeded)"
                             : "store -> held quota release (dailyLimitExceeded)"
                    : "store -> held quota release (rateLimitExceeded)");
        assert_quota_hold(h);
        harness_free(h);
        h = harness_in_mid_file();
        answer(h, refusals[i]);
        assert_quota_hold(h);
        harness_free(h);
    }
}

static void h05_our_own_ledger_holds_without_a_request(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    EXPECT(h, "token", "check source", "store attempt uploads+1");
    answer_stored(h, WRITE_QUOTA_FULL);
    EXPECT(h, "store -> held quota release (uploadsPerDay)");
    assert_quota_hold(h);
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget");
    harness_free(h);
}

/* 2026-11-01 lasts 25 hours in Los Angeles: at 06:30 UTC of the 2nd it is still that day. */
static void h05_midnight_is_the_next_one_in_los_angeles(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    h->wall_ms = INT64_C(1793601000000); /* 2026-11-02 06:30:00 UTC */
    answer(h, reply_reason(403, "quotaExceeded"));
    assert_outcome(h, JOB_HELD, CAUSE_QUOTA, 5400000, 5400000 + QUOTA_JITTER_MS);
    harness_free(h);
}

/* What the ledger did not expect is told to it: then no other job of the client tries in vain. */
static void h05_what_youtube_calls_spent_is_told_to_the_ledger(void **state)
{
    (void)state;
    struct harness *h = harness_at_start();
    answer(h, reply_reason(403, "quotaExceeded"));
    assert_int_equal(h->write.spent, BUCKET_UPLOADS);
    assert_int_equal(h->write.spent_limit, 100);
    assert_int_equal(h->write.pacific_day, pacific_day(h->wall_ms));
    harness_free(h);
}

static uint32_t limit_of(uint32_t uploads_per_day, int priority)
{
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    claim.uploads_per_day = uploads_per_day;
    claim.channel_uploads_per_day = 7;
    claim.priority = priority;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    EXPECT(h, "token", "check source", "store attempt uploads+1");
    assert_int_equal(h->write.charge_channel_limit, 7);
    uint32_t limit = h->write.charge_limit;
    harness_free(h);
    return limit;
}

static void the_last_tenth_of_the_day_is_for_raised_priority(void **state)
{
    (void)state;
    assert_int_equal(limit_of(100, 0), 90);
    assert_int_equal(limit_of(100, -1), 90);
    assert_int_equal(limit_of(100, 1), 100);
    assert_int_equal(limit_of(10, 0), 9);
    assert_int_equal(limit_of(5, 0), 5); /* a tenth of a small limit is nothing */
    assert_int_equal(limit_of(1, 0), 1);
}

static void h06_upload_limit_holds_the_channel_for_a_day(void **state)
{
    (void)state;
    for (int status = 400; status <= 403; status += 3) {
        struct harness *h = harness_at_start();
        answer(h, reply_reason(status, "uploadLimitExceeded"));
        EXPECT(h, "store -> held upload_limit release channel limited (uploadLimitExceeded)");
        assert_outcome(h, JOB_HELD, CAUSE_UPLOAD_LIMIT, CHANNEL_HOLD_MS, CHANNEL_HOLD_MS + QUOTA_JITTER_MS);
        assert_int_equal(h->write.channel_until_ms, h->write.next_at_ms);
        harness_free(h);
    }
}

static void h06_upload_limit_keeps_the_session(void **state)
{
    (void)state;
    struct harness *h = harness_in_mid_file();
    answer(h, reply_reason(400, "uploadLimitExceeded"));
    EXPECT(h, "store -> held upload_limit release channel limited confirmed 262144 chunk 262144+262144 "
              "(uploadLimitExceeded)");
    answer_stored(h, WRITE_OK);
    EXPECT(h, "forget"); /* not cancelled at YouTube either */
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h01_server_error_at_the_start_starts_again_and_is_charged_again),
        cmocka_unit_test(h01_server_error_in_a_session_asks_the_same_session),
        cmocka_unit_test(h01_pauses_grow_then_the_lease_is_given_back),
        cmocka_unit_test(h01_progress_begins_a_new_count),
        cmocka_unit_test(h02_retry_after_is_a_lower_bound),
        cmocka_unit_test(h02_retry_after_of_64_seconds_keeps_the_lease),
        cmocka_unit_test(h02_retry_after_over_64_seconds_gives_the_lease_back),
        cmocka_unit_test(h02_retry_after_over_an_hour_counts_as_an_hour),
        cmocka_unit_test(h02_retry_after_at_the_start_holds_as_well),
        cmocka_unit_test(h03_part_of_a_put_is_stored_and_the_server_says_how_much),
        cmocka_unit_test(h04_short_limits_do_not_burst),
        cmocka_unit_test(h04_many_jobs_share_one_retry_budget),
        cmocka_unit_test(h05_what_youtube_calls_spent_is_told_to_the_ledger),
        cmocka_unit_test(the_last_tenth_of_the_day_is_for_raised_priority),
        cmocka_unit_test(h05_day_quota_holds_until_midnight_pacific),
        cmocka_unit_test(h05_our_own_ledger_holds_without_a_request),
        cmocka_unit_test(h05_midnight_is_the_next_one_in_los_angeles),
        cmocka_unit_test(h06_upload_limit_holds_the_channel_for_a_day),
        cmocka_unit_test(h06_upload_limit_keeps_the_session),
    };
    return RUN_UNIT_TESTS(tests);
}
