/* The token bucket in virtual time: its contract is the inequality in rate.h. */
#include "http/rate.h"
#include "unit.h"

static void no_limit_grants_all(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 0, 0);
    assert_int_equal(rate_take(&rate, UINT64_MAX, 0), UINT64_MAX);
    assert_int_equal(rate_wait_ms(&rate, 0), 0);
}

/* Who always wants all and comes when told gets the rate, over each second, within the depth. */
static void check_steady(uint64_t bytes_per_s)
{
    struct rate rate;
    uint64_t total = 0, depth;
    int64_t now_ms = 1000;
    rate_init(&rate, bytes_per_s, now_ms);
    depth = rate.depth_bytes;
    for (int second = 1; second <= 20; second++) {
        while (now_ms < 1000 + second * 1000) {
            total += rate_take(&rate, UINT64_MAX, now_ms);
            int64_t wait_ms = rate_wait_ms(&rate, now_ms);
            assert_true(wait_ms > 0);
            now_ms += wait_ms;
        }
        uint64_t due = (uint64_t)(now_ms - 1000) * bytes_per_s / 1000;
        assert_true(total <= due);
        assert_true(total + depth + 1 >= due);
    }
}

static void a_steady_taker_gets_the_rate(void **state)
{
    (void)state;
    check_steady(1);
    check_steady(999);
    check_steady(100000);
    check_steady(125000000);
    check_steady(12500000000);
}

static void an_idle_bucket_holds_no_more_than_its_depth(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1000000, 0);
    assert_int_equal(rate_take(&rate, UINT64_MAX, INT64_C(86400000000)), 50000);
    assert_int_equal(rate_take(&rate, 1, INT64_C(86400000000)), 0);
}

static void a_clock_that_goes_back_grants_nothing(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1000000, 5000);
    assert_int_equal(rate_take(&rate, 10, 4000), 0);
    assert_int_equal(rate_take(&rate, UINT64_MAX, 5010), 10000);
}

static void what_was_not_used_comes_back(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1000000, 0);
    assert_int_equal(rate_take(&rate, 20000, 20), 20000);
    rate_give_back(&rate, 5000);
    assert_int_equal(rate_take(&rate, UINT64_MAX, 20), 5000);
    rate_give_back(&rate, UINT64_MAX); /* never more than the depth */
    assert_int_equal(rate_take(&rate, UINT64_MAX, 20), 50000);
}

static void the_largest_rate_does_not_overflow(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, UINT64_MAX, 0);
    assert_true(rate_take(&rate, UINT64_MAX, INT64_MAX) >= UINT64_MAX / 1000 / 1000 / 4 / 20);
    assert_true(rate_wait_ms(&rate, INT64_MAX) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_grants_all),
        cmocka_unit_test(a_steady_taker_gets_the_rate),
        cmocka_unit_test(an_idle_bucket_holds_no_more_than_its_depth),
        cmocka_unit_test(a_clock_that_goes_back_grants_nothing),
        cmocka_unit_test(what_was_not_used_comes_back),
        cmocka_unit_test(the_largest_rate_does_not_overflow),
    };
    return RUN_UNIT_TESTS(tests);
}
