#include "unit.h"

#include "web/health.h"

enum { BEGUN = 1000000 };

static struct view working(int64_t at_mono_ms)
{
    return (struct view){.at_mono_ms = at_mono_ms, .has_store = true, .has_broker = true};
}

static void assert_health(struct health health, int status, const char *line)
{
    assert_int_equal(health.status, status);
    assert_string_equal(health.line, line);
}

static void a_worker_that_turns_and_has_all_it_needs_is_ready(void **state)
{
    struct view view = working(BEGUN);
    (void)state;
    assert_health(health_live(&view, BEGUN, BEGUN + LOOP_STANDS_STILL_MS), 200, "alive");
    assert_health(health_ready(&view, BEGUN, BEGUN + LOOP_STANDS_STILL_MS), 200, "ready");
}

static void a_loop_that_stands_still_is_neither_alive_nor_ready(void **state)
{
    struct view view = working(BEGUN);
    (void)state;
    int64_t now = BEGUN + LOOP_STANDS_STILL_MS + 1;
    assert_health(health_live(&view, BEGUN, now), 503, "the loop stands still");
    assert_health(health_ready(&view, BEGUN, now), 503, "the loop stands still");
}

static void what_starts_is_alive_for_a_while_and_not_ready(void **state)
{
    (void)state;
    assert_health(health_live(NULL, BEGUN, BEGUN + START_MAX_MS), 200, "alive");
    assert_health(health_ready(NULL, BEGUN, BEGUN), 503, "starting");
    assert_health(health_live(NULL, BEGUN, BEGUN + START_MAX_MS + 1), 503,
                  "it does not get through its start");
}

static void what_cannot_work_is_alive_and_says_why_it_is_not_ready(void **state)
{
    struct view view = working(BEGUN);
    (void)state;
    view.has_broker = false;
    assert_health(health_ready(&view, BEGUN, BEGUN), 503, "the token broker is being replaced");
    view.has_store = false;
    assert_health(health_ready(&view, BEGUN, BEGUN), 503, "the store does not answer, or refuses");
    view.is_draining = true;
    assert_health(health_ready(&view, BEGUN, BEGUN), 503, "draining");
    assert_health(health_live(&view, BEGUN, BEGUN), 200, "alive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_turns_and_has_all_it_needs_is_ready),
        cmocka_unit_test(a_loop_that_stands_still_is_neither_alive_nor_ready),
        cmocka_unit_test(what_starts_is_alive_for_a_while_and_not_ready),
        cmocka_unit_test(what_cannot_work_is_alive_and_says_why_it_is_not_ready),
    };
    return RUN_UNIT_TESTS(tests);
}
