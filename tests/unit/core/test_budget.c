#include "unit.h"

#include "core/budget.h"

/* How many retries are allowed by `end_ms`, where one is tried at every millisecond that is allowed. */
static int retries_until(struct budget *budget, int64_t now_ms, int64_t end_ms)
{
    int count = 0;
    while ((now_ms = budget_retry(budget, now_ms)) <= end_ms)
        count++;
    return count;
}

static void a_fresh_budget_holds_its_cap(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 5000);
    for (int i = 0; i < BUDGET_CAP; i++)
        assert_int_equal(budget_retry(&budget, 5000), 5000);
    assert_int_equal(budget_retry(&budget, 5000), 6000);
    assert_int_equal(budget_retry(&budget, 5000), 7000);
}

static void the_floor_is_one_a_second(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0);
    assert_int_equal(retries_until(&budget, 0, 60000), BUDGET_CAP + 60);
}

static void ten_requests_pay_for_one_retry(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0);
    for (int i = 0; i < BUDGET_CAP; i++)
        budget_retry(&budget, 0);
    for (int i = 0; i < 9; i++)
        budget_request(&budget);
    struct budget nine = budget;
    assert_int_equal(budget_retry(&nine, 0), 100); /* a tenth of a second is still missing */
    budget_request(&budget);
    assert_int_equal(budget_retry(&budget, 0), 0);
}

static void idle_time_fills_no_more_than_the_cap(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0);
    int64_t day_ms = 86400000;
    for (int i = 0; i < 1000; i++)
        budget_request(&budget);
    assert_int_equal(retries_until(&budget, day_ms, day_ms), BUDGET_CAP);
}

/* The contract of the header, over random histories: retries <= requests/10 + s + BUDGET_CAP. */
static void over_any_span_the_inequality_holds(void **state)
{
    (void)state;
    uint64_t seed = 1;
    print_message("# seeds 1 to 50\n");
    for (uint64_t run = 1; run <= 50; run++) {
        struct budget budget;
        int64_t now_ms = 0, requests = 0, retries = 0;
        seed = run;
        budget_init(&budget, 0);
        for (int i = 0; i < 2000; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            unsigned dice = (unsigned)(seed >> 33);
            if (dice % 3) {
                budget_request(&budget);
                requests++;
                now_ms += dice % 7 * (run % 5);
                continue;
            }
            int64_t at_ms = budget_retry(&budget, now_ms);
            assert_true(at_ms >= now_ms);
            now_ms = at_ms;
            retries++;
            if (retries * 1000 > requests * 100 + now_ms + BUDGET_CAP * 1000)
                fail_msg("run %llu: %lld retries, %lld requests, %lld ms", (unsigned long long)run,
                         (long long)retries, (long long)requests, (long long)now_ms);
        }
    }
}

static void x05_a_clock_that_stands_or_goes_back_adds_nothing(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 100000);
    for (int i = 0; i < BUDGET_CAP; i++)
        budget_retry(&budget, 100000);
    assert_int_equal(budget_retry(&budget, 90000), 91000);   /* went back: a second from what it shows */
    assert_int_equal(budget_retry(&budget, 100000), 102000); /* back again: nothing was gained */
    assert_int_equal(budget_retry(&budget, 100000), 103000);
}

static void x05_a_jump_forward_does_not_overflow(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0);
    for (int i = 0; i < 100000; i++)
        budget_retry(&budget, 0);
    assert_int_equal(budget_retry(&budget, INT64_MAX), INT64_MAX);
    for (int i = 1; i < BUDGET_CAP; i++)
        budget_retry(&budget, INT64_MAX);
    assert_true(budget.millitokens < 1000 && budget.millitokens > -1000);
    budget_init(&budget, 0);
    budget_request(&budget);
    assert_int_equal(budget.millitokens, BUDGET_CAP * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_budget_holds_its_cap),
        cmocka_unit_test(the_floor_is_one_a_second),
        cmocka_unit_test(ten_requests_pay_for_one_retry),
        cmocka_unit_test(idle_time_fills_no_more_than_the_cap),
        cmocka_unit_test(over_any_span_the_inequality_holds),
        cmocka_unit_test(x05_a_clock_that_stands_or_goes_back_adds_nothing),
        cmocka_unit_test(x05_a_jump_forward_does_not_overflow),
    };
    return RUN_UNIT_TESTS(tests);
}
