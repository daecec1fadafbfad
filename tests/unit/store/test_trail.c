/* The audit trail: read page by page, and what of it may be removed. */
#include <string.h>

#include "fixture.h"

static uint32_t old_lines(struct fixture *fix, int64_t ids[32])
{
    struct store_event_query query = {.old_before_ms = fix->now_ms - EVENT_KEPT_MS};
    struct store_event page[32];
    uint32_t count;
    assert_ok(store_event_page(fix->store, &query, page, 32, &count, &fix->err), fix);
    for (uint32_t i = 0; i < count; i++)
        ids[i] = page[i].id;
    return count;
}

static void only_old_lines_of_finished_jobs_go(void **state)
{
    struct fixture *fix = *state;
    int64_t ids[32], all[200];
    bool done;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_id open = add_job(fix, channel, "OPEN"), ended = add_job(fix, channel, "ENDED");
    assert_ok(store_job_cancel(fix->store, ended, "tester", &done, &fix->err), fix);
    for (int i = 0; i < 200; i++)
        all[i] = i;
    fix->now_ms += EVENT_KEPT_MS - 1;
    assert_int_equal(old_lines(fix, ids), 0);
    assert_ok(store_event_remove(fix->store, all, 200, &fix->err), fix); /* too young, all of them */
    assert_int_equal(count_events(fix, ended.text, NULL), 2);
    fix->now_ms += 2;
    uint32_t people = count_events(fix, NULL, "client imported") + count_events(fix, NULL, "login");
    assert_int_equal(old_lines(fix, ids), people + 2);
    assert_ok(store_event_remove(fix->store, all, 200, &fix->err), fix);
    assert_int_equal(count_events(fix, ended.text, NULL), 0);
    assert_int_equal(count_events(fix, open.text, NULL), 1);
    assert_int_equal(count_events(fix, NULL, NULL), 1);
    assert_ok(store_verify(fix->store, &fix->err), fix);
    assert_int_equal(number(fix, "select count(*) from event_removal"), 0);
}

static void the_trail_is_read_page_by_page(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "J", 600);
    assert_int_equal(count_events(fix, NULL, "job added"), 600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_trail_is_read_page_by_page),
        TEST(only_old_lines_of_finished_jobs_go),
    };
    return RUN_UNIT_TESTS(tests);
}
