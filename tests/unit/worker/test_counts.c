#include "unit.h"

#include "base/attr.h"
#include "worker/counts.h"

static struct counts counts;

static int setup(void **state)
{
    (void)state;
    counts = (struct counts){0};
    return 0;
}

static void a_value_counts_in_the_first_bucket_that_holds_it(void **state)
{
    static const struct buckets buckets = {2, {10, 100}};
    struct histogram histogram = {.count = 0};
    (void)state;
    histogram_add(&histogram, &buckets, 0);
    histogram_add(&histogram, &buckets, 10);
    histogram_add(&histogram, &buckets, 11);
    histogram_add(&histogram, &buckets, 101);
    assert_int_equal(histogram.in[0], 2);
    assert_int_equal(histogram.in[1], 1);
    assert_int_equal(histogram.in[2], 0);
    assert_int_equal(histogram.count, 4);
    assert_int_equal(histogram.sum, 122);
}

static void all_buckets_ascend(void **state)
{
    const struct buckets *all[] = {&buckets_first_byte_ms, &buckets_job_ms, &buckets_commit_ms,
                                   &buckets_batch};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_in_range(all[i]->count, 1, BUCKETS_MAX);
        for (uint32_t k = 1; k < all[i]->count; k++)
            assert_true(all[i]->bounds[k] > all[i]->bounds[k - 1]);
    }
}

static void replies_count_by_class_and_failures_by_kind(void **state)
{
    (void)state;
    counts_exchange(&counts, ACTION_PUT, TRANSPORT_OK, 308);
    counts_exchange(&counts, ACTION_PUT, TRANSPORT_OK, 201);
    counts_exchange(&counts, ACTION_START, TRANSPORT_OK, 503);
    counts_exchange(&counts, ACTION_CHECK_VIDEO, TRANSPORT_TIMEOUT, 0);
    counts_exchange(&counts, ACTION_PUT, TRANSPORT_OK, 999); /* no class */
    counts_exchange(&counts, ACTION_STORE, TRANSPORT_OK, 200);
    assert_int_equal(counts.replies[REQUEST_PUT_KIND][1], 1);
    assert_int_equal(counts.replies[REQUEST_PUT_KIND][0], 1);
    assert_int_equal(counts.replies[REQUEST_START_KIND][3], 1);
    assert_int_equal(counts.broken[TRANSPORT_TIMEOUT], 1);
}

static struct job_write settled(enum job_state state, enum job_cause cause)
{
    return (struct job_write){.set_state = true, .state = state, .cause = cause, .release_lease = true};
}

static void only_what_was_stored_counts(void **state)
{
    struct job_write write = settled(JOB_COMPLETED, CAUSE_NONE);
    (void)state;
    write.charge = BUCKET_UNITS;
    write.charge_amount = 5;
    assert_false(counts_written(&counts, &write, WRITE_FAILED));
    assert_false(counts_written(&counts, &write, WRITE_LEASE_LOST));
    assert_int_equal(counts.jobs_settled[JOB_COMPLETED][CAUSE_NONE], 0);
    assert_int_equal(counts.quota_charged[BUCKET_UNITS], 0);
    assert_true(counts_written(&counts, &write, WRITE_OK));
    assert_int_equal(counts.jobs_settled[JOB_COMPLETED][CAUSE_NONE], 1);
    assert_int_equal(counts.quota_charged[BUCKET_UNITS], 5);
}

static void a_move_that_keeps_the_lease_is_no_end(void **state)
{
    struct job_write write = settled(JOB_FINISHING, CAUSE_NONE);
    (void)state;
    write.release_lease = false;
    assert_false(counts_written(&counts, &write, WRITE_OK));
    assert_int_equal(counts.jobs_settled[JOB_FINISHING][CAUSE_NONE], 0);
}

static void a_refusal_by_youtube_is_drift_and_our_own_is_not(void **state)
{
    struct job_write write = settled(JOB_HELD, CAUSE_QUOTA);
    (void)state;
    assert_false(counts_written(&counts, &(struct job_write){.charge = BUCKET_UPLOADS}, WRITE_QUOTA_FULL));
    counts_written(&counts, &write, WRITE_OK);
    assert_int_equal(counts.quota_full, 1);
    assert_int_equal(counts.quota_drift, 0);
    write.note.http_status = 403;
    counts_written(&counts, &write, WRITE_OK);
    assert_int_equal(counts.quota_drift, 1);
    assert_int_equal(counts.jobs_settled[JOB_HELD][CAUSE_QUOTA], 2);
}

static void retries_have_the_class_of_what_caused_them(void **state)
{
    static const struct {
        struct event event;
        enum retry_class class;
    } cases[] = {
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_OK, .status = 503}}, RETRY_SERVER},
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_OK, .status = 429}}, RETRY_REFUSED},
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_OK, .status = 308}}, RETRY_PROTOCOL},
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_BROKEN}}, RETRY_CONNECTION},
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_TLS}}, RETRY_TLS},
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_LOCAL}}, RETRY_LOCAL},
        {{.type = EVENT_REPLY, .reply = {.transport = TRANSPORT_SOURCE_IO}}, RETRY_SOURCE},
        {{.type = EVENT_TOKEN}, RETRY_TOKEN},
        {{.type = EVENT_SOURCE}, RETRY_SOURCE},
        {{.type = EVENT_OPENED}, RETRY_BROKER},
        {{.type = EVENT_STORED, .stored = {.result = WRITE_FAILED}}, RETRY_STORE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t before = counts.retries[cases[i].class];
        counts_retry(&counts, &cases[i].event);
        assert_int_equal(counts.retries[cases[i].class], before + 1);
    }
    uint64_t sum = 0;
    for (int class = 0; class < RETRY_CLASS_COUNT; class ++)
        sum += counts.retries[class];
    assert_int_equal(sum, ARRAY_LEN(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_value_counts_in_the_first_bucket_that_holds_it, setup),
        cmocka_unit_test_setup(all_buckets_ascend, setup),
        cmocka_unit_test_setup(replies_count_by_class_and_failures_by_kind, setup),
        cmocka_unit_test_setup(only_what_was_stored_counts, setup),
        cmocka_unit_test_setup(a_move_that_keeps_the_lease_is_no_end, setup),
        cmocka_unit_test_setup(a_refusal_by_youtube_is_drift_and_our_own_is_not, setup),
        cmocka_unit_test_setup(retries_have_the_class_of_what_caused_them, setup),
    };
    return RUN_UNIT_TESTS(tests);
}
