/* A channel's window: growth, shrinking, rest and probe. */
#include "unit.h"

#include "core/window.h"

enum { NOW_MS = 1000000 };

static void learn(struct window *window, enum feedback feedback, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        window_learn(window, feedback, NOW_MS);
}

static void it_begins_in_the_middle(void **state)
{
    (void)state;
    assert_int_equal(window_places(window_new(), NOW_MS), WINDOW_START);
}

static void a_good_cohort_opens_one_place(void **state)
{
    (void)state;
    struct window window = window_new();
    learn(&window, FEEDBACK_GOOD, WINDOW_START + 1);
    assert_int_equal(window_places(window, NOW_MS), WINDOW_START + 1);
}

static void it_never_opens_wider_than_its_limit(void **state)
{
    (void)state;
    struct window window = window_new();
    learn(&window, FEEDBACK_GOOD, 100000);
    assert_int_equal(window_places(window, NOW_MS), WINDOW_MAX);
    assert_false(window_learn(&window, FEEDBACK_GOOD, NOW_MS)); /* nothing to store */
}

static void a_failed_cohort_closes_one_place(void **state)
{
    (void)state;
    struct window window = window_new();
    learn(&window, FEEDBACK_TROUBLE, 1);
    assert_int_equal(window.milliplaces, WINDOW_START * 1000 - 1000 / WINDOW_START);
    learn(&window, FEEDBACK_TROUBLE, WINDOW_START - 1);
    assert_int_equal(window_places(window, NOW_MS), WINDOW_START - 2); /* 5.0 to just under 4.0 */
}

static void l02_a_dead_channel_rests_and_then_tries_one_job(void **state)
{
    (void)state;
    struct window window = window_new();
    learn(&window, FEEDBACK_TROUBLE, 2 * WINDOW_START * WINDOW_START);
    assert_int_equal(window_places(window, NOW_MS), 0);
    assert_int_equal(window_places(window, NOW_MS + WINDOW_REST_MS - 1), 0);
    assert_int_equal(window_places(window, NOW_MS + WINDOW_REST_MS), 1);
}

static void a_failed_probe_begins_the_next_rest(void **state)
{
    (void)state;
    struct window window = {.milliplaces = 0, .rest_until_ms = NOW_MS};
    assert_true(window_learn(&window, FEEDBACK_TROUBLE, NOW_MS + 5));
    assert_int_equal(window_places(window, NOW_MS + 5), 0);
    assert_int_equal(window.rest_until_ms, NOW_MS + 5 + WINDOW_REST_MS);
}

static void l04_after_an_outage_it_comes_back_step_by_step(void **state)
{
    (void)state;
    struct window window = {.milliplaces = 0, .rest_until_ms = NOW_MS};
    uint32_t places = 0, jobs = 0;
    while (places < WINDOW_MAX && jobs < 10000) {
        window_learn(&window, FEEDBACK_GOOD, NOW_MS);
        assert_in_range(window_places(window, NOW_MS), places, places + 1);
        places = window_places(window, NOW_MS);
        jobs++;
    }
    /* 1 + 1 + 2 + … + 19, and what the rounding down of each share costs */
    assert_in_range(jobs, WINDOW_MAX * (WINDOW_MAX - 1) / 2, WINDOW_MAX * WINDOW_MAX);
}

static void holds_and_bad_jobs_teach_nothing(void **state)
{
    (void)state;
    struct window window = window_new();
    assert_false(window_learn(&window, FEEDBACK_NONE, NOW_MS));
    assert_int_equal(window_places(window, NOW_MS), WINDOW_START);
}

/* What was stored may be anything: it stays within its bounds whatever comes. */
static void any_order_stays_in_bounds(void **state)
{
    (void)state;
    struct window window = window_new();
    uint64_t seed = 20261122;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        window_learn(&window, (enum feedback)((seed >> 33) % 3), NOW_MS + i);
        assert_in_range(window.milliplaces, 0, WINDOW_MAX * 1000);
        assert_true(window.milliplaces == 0 || window.milliplaces >= 1000);
        assert_true((window.milliplaces == 0) == (window.rest_until_ms != 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_in_the_middle),
        cmocka_unit_test(a_good_cohort_opens_one_place),
        cmocka_unit_test(it_never_opens_wider_than_its_limit),
        cmocka_unit_test(a_failed_cohort_closes_one_place),
        cmocka_unit_test(l02_a_dead_channel_rests_and_then_tries_one_job),
        cmocka_unit_test(a_failed_probe_begins_the_next_rest),
        cmocka_unit_test(l04_after_an_outage_it_comes_back_step_by_step),
        cmocka_unit_test(holds_and_bad_jobs_teach_nothing),
        cmocka_unit_test(any_order_stays_in_bounds),
    };
    return RUN_UNIT_TESTS(tests);
}
