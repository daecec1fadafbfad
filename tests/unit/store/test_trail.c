/* The audit trail: any words of others, read page by page, and what of it may be removed. */
#include <stdio.h>
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
    assert_int_equal(count_events(fix, NULL, "lines removed"),
                     1); /* whoever it was, the database tells of it */
    struct store_event line = last_event(fix, NULL);
    char said[64];
    snprintf(said, sizeof(said), "%u lines from id ", people + 2);
    assert_string_equal(line.what, "lines removed");
    assert_memory_equal(line.message, said, strlen(said));
    assert_string_equal(line.tenant, "t");
    assert_true(line.who[0] && line.at_ms == fix->now_ms);
    assert_int_equal(count_events(fix, NULL, NULL), 2);
    assert_ok(store_verify(fix->store, &fix->err), fix);
    assert_int_equal(number(fix, "select count(*) from event_removal"), 0);
}

static void units_outside_of_a_job_have_a_line(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    int64_t client = get_channel(fix, channel).client_id;
    assert_ok(charge_units(fix->store, client, channel, 3, &fix->err), fix);
    struct store_event line = last_event(fix, NULL);
    assert_string_equal(line.what, "look started");
    assert_string_equal(line.message, "channels.list, 3 charged of the day's units");
    assert_string_equal(line.who, "broker");
    assert_string_equal(line.channel, "c");
    /* Neither is there alone. */
    assert_int_equal(charge_units(fix->store, 12345, channel, 3, &fix->err), ERR_NOT_FOUND);
    assert_int_equal(count_events(fix, NULL, "look started"), 1);
    assert_int_equal(number(fix, "select sum(used) from quota where bucket = 'units'"), 3);
}

static void the_trail_is_read_page_by_page(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "J", 600);
    assert_int_equal(count_events(fix, NULL, "job added"), 600);
}

/* A message that was cut in the middle of a letter, or bytes of no letter: Postgres refuses them, and with
 * them the write that says how the job went. */
static void h16_what_others_said_is_stored_whatever_bytes_it_has(void **state)
{
    struct fixture *fix = *state;
    const struct {
        const char *said, *stored;
    } texts[] = {{"sch\xC3\xB6n", "sch\xC3\xB6n"}, {"cut \xE2\x82", "cut "}, {"a\xFFz", "a?z"}, {"\xC3", ""}};
    int64_t channel = make_channel(fix, "t", "c");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char id[8];
        snprintf(id, sizeof(id), "J%zu", i);
        add_job(fix, channel, id);
        struct job_claim claim = claim_one(fix, "w1");
        struct job_write write = move_of(&claim, JOB_FAILED, CAUSE_NONE);
        write.set_error = true;
        snprintf(write.note.what, sizeof(write.note.what), "refused");
        snprintf(write.note.reason, sizeof(write.note.reason), "%s", texts[i].said);
        snprintf(write.note.message, sizeof(write.note.message), "%s", texts[i].said);
        must_write(fix, &write);
        struct store_job job = get_job(fix, claim.id);
        struct store_event line = last_event(fix, claim.id.text);
        const char *stored[] = {job.error_reason, job.error_message, line.reason, line.message};
        for (size_t n = 0; n < ARRAY_LEN(stored); n++)
            assert_string_equal(stored[n], texts[i].stored);
        assert_ok(
            store_channel_set_state(fix->store, channel, CHANNEL_PAUSED, 0, texts[i].said, "w1", &fix->err),
            fix);
        assert_string_equal(get_channel(fix, channel).state_reason, texts[i].stored);
        set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(h16_what_others_said_is_stored_whatever_bytes_it_has),
        TEST(the_trail_is_read_page_by_page),
        TEST(units_outside_of_a_job_have_a_line),
        TEST(only_old_lines_of_finished_jobs_go),
    };
    return RUN_UNIT_TESTS(tests);
}
