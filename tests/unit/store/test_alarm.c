/* Alarms: found in the trail, once each, with what is done at once; by one worker at a time. */
#include <stdio.h>

#include "base/text.h"
#include "fixture.h"

enum { EVERY_MS = 30000 };

static struct store_event line_of(const char *channel, const char *what, const char *reason)
{
    struct store_event event = {.tenant = "t", .who = "broker"};
    copy_text(event.channel, channel);
    copy_text(event.what, what);
    copy_text(event.reason, reason);
    return event;
}

static void add_lines(struct fixture *fix, const struct store_event *event, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_ok(store_event_add(fix->store, event, &fix->err), fix);
}

/* A while later; returns how many new ones there are. */
static uint32_t look(struct fixture *fix)
{
    uint32_t raised;
    fix->now_ms += EVERY_MS;
    assert_ok(store_alarm_look(fix->store, "w", EVERY_MS, &raised, &fix->err), fix);
    return raised;
}

static uint32_t threshold_of(enum misuse_signal signal)
{
    return misuse_rule(signal)->threshold;
}

static void work_and_a_login_that_was_revoked_raise_none(void **state)
{
    struct fixture *fix = *state;
    struct store_event refreshed = line_of("c", "token refreshed", "");
    struct store_event refused = line_of("c", "token refused", "login expired or revoked");
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "J", 100);
    add_lines(fix, &refreshed, 16);
    add_lines(fix, &refused, 16); /* by as many workers' brokers */
    set_channel(fix, channel, CHANNEL_AUTH, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(look(fix), 0);
    assert_int_equal(alarms_of(fix, true).count, 0);
}

static void what_was_refused_too_often_is_one_alarm(void **state)
{
    struct fixture *fix = *state;
    struct store_event refused = line_of("c", "token refused", "client refused");
    int64_t channel = make_channel(fix, "t", "c");
    add_lines(fix, &refused, threshold_of(MISUSE_REFUSALS) - 1);
    assert_int_equal(look(fix), 0);
    add_lines(fix, &refused, 1);
    assert_int_equal(look(fix), 1);
    add_lines(fix, &refused, 5);
    assert_int_equal(look(fix), 0);
    struct alarms alarms = alarms_of(fix, false);
    assert_int_equal(alarms.count, 1);
    assert_int_equal(alarms.last.signal, MISUSE_REFUSALS);
    assert_int_equal(alarms.last.count, threshold_of(MISUSE_REFUSALS) + 5);
    assert_string_equal(alarms.last.tenant, "t");
    assert_string_equal(alarms.last.channel, "c");
    assert_string_equal(alarms.last.yt_channel_id, get_channel(fix, channel).yt_channel_id);
    assert_string_equal(alarms.last.client, "");
    assert_string_equal(alarms.last.reaction, "notified");
    assert_true(alarms.last.last_at_ms > alarms.last.since_ms);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_ACTIVE);
    assert_int_equal(count_events(fix, NULL, "alarm raised"), 1);
}

static void a_login_of_another_channel_freezes_the_channel(void **state)
{
    struct fixture *fix = *state;
    struct store_event refused = line_of("c", "token refused", "token of another channel");
    int64_t channel = make_channel(fix, "t", "c"), other = make_channel(fix, "t", "other");
    struct job_id job = add_job(fix, channel, "JOB1");
    set_channel(fix, channel, CHANNEL_AUTH, 0);
    add_lines(fix, &refused, 1);
    assert_int_equal(look(fix), 1);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_FROZEN);
    assert_int_equal(get_channel(fix, other).state, CHANNEL_ACTIVE);
    assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_FROZEN);
    assert_string_equal(alarms_of(fix, false).last.reaction, "channel frozen");
}

static void tokens_asked_for_without_a_lease_freeze_the_channel(void **state)
{
    struct fixture *fix = *state;
    struct store_event refused = line_of("c", "token refused", "no lease");
    int64_t channel = make_channel(fix, "t", "c");
    add_lines(fix, &refused, threshold_of(MISUSE_NO_LEASE));
    assert_int_equal(look(fix), 1);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_FROZEN);
}

static void an_alarm_of_a_channel_that_is_gone_is_raised_all_the_same(void **state)
{
    struct fixture *fix = *state;
    struct store_event refused = line_of("c", "token refused", "token of another channel");
    int64_t channel = make_channel(fix, "t", "c");
    add_lines(fix, &refused, 1);
    assert_ok(store_channel_remove(fix->store, channel, "tester", &fix->err), fix);
    assert_int_equal(look(fix), 1);
}

static void drift_is_the_clients(void **state)
{
    struct fixture *fix = *state;
    struct store_event one = line_of("c", "quota drift", ""), two = line_of("d", "quota drift", "");
    make_channel(fix, "t", "c");
    make_channel(fix, "t", "d");
    add_lines(fix, &one, 1);
    add_lines(fix, &two, 1);
    assert_int_equal(look(fix), 1);
    struct alarms alarms = alarms_of(fix, false);
    assert_string_equal(alarms.last.client, "main");
    assert_string_equal(alarms.last.channel, "");
    assert_int_equal(alarms.last.count, 2);
}

static void more_jobs_than_ever_are_an_alarm(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    for (int hour = 0; hour <= MISUSE_WINDOWS_MIN; hour++) {
        char prefix[8];
        snprintf(prefix, sizeof(prefix), "H%02d", hour);
        add_many(fix, channel, prefix, 2);
        assert_int_equal(look(fix), 0);
        fix->now_ms += misuse_rule(MISUSE_HABIT)->window_ms;
    }
    add_many(fix, channel, "MANY", (int)threshold_of(MISUSE_HABIT));
    assert_int_equal(look(fix), 1);
    assert_int_equal(alarms_of(fix, false).last.signal, MISUSE_HABIT);
}

static void a_closed_alarm_is_raised_again_if_it_goes_on(void **state)
{
    struct fixture *fix = *state;
    struct store_event refused = line_of("c", "token refused", "token of another channel");
    int64_t channel = make_channel(fix, "t", "c");
    add_lines(fix, &refused, 1);
    assert_int_equal(look(fix), 1);
    int64_t id = alarms_of(fix, false).last.id;
    assert_ok(store_alarm_close(fix->store, id, "tester", &fix->err), fix);
    assert_code(store_alarm_close(fix->store, id, "tester", &fix->err), ERR_NOT_FOUND);
    assert_int_equal(alarms_of(fix, false).count, 0);
    assert_true(alarms_of(fix, true).last.closed_at_ms > 0);
    assert_int_equal(count_events(fix, NULL, "alarm closed"), 1);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_FROZEN);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_int_equal(look(fix), 0);
    add_lines(fix, &refused, 1);
    assert_int_equal(look(fix), 1);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_FROZEN);
}

static int64_t untold(struct fixture *fix, uint64_t entropy)
{
    struct store_alarm alarm;
    assert_ok(store_alarm_untold(fix->store, 1000, entropy, &alarm, &fix->err), fix);
    return alarm.id;
}

static void an_alarm_is_told_until_somebody_has_taken_it(void **state)
{
    struct fixture *fix = *state;
    struct store_event drift = line_of("c", "quota drift", "");
    make_channel(fix, "t", "c");
    assert_int_equal(untold(fix, 0), 0);
    add_lines(fix, &drift, 1);
    assert_int_equal(look(fix), 1);
    int64_t id = alarms_of(fix, false).last.id;
    assert_int_equal(untold(fix, 0), id);
    assert_int_equal(untold(fix, 0), 0); /* somebody is at it */
    fix->now_ms += 1000;
    assert_int_equal(untold(fix, UINT64_MAX), id);
    fix->now_ms += 1000;
    assert_int_equal(untold(fix, 0), 0); /* a pause, too */
    fix->now_ms += 2 * RETRY_BASE_MS;
    assert_int_equal(untold(fix, 0), id);
    assert_ok(store_alarm_told(fix->store, id, &fix->err), fix);
    fix->now_ms += WAIT_CAP_MS;
    assert_int_equal(untold(fix, 0), 0);
    assert_code(store_alarm_told(fix->store, id + 1, &fix->err), ERR_NOT_FOUND);
}

static void one_of_the_workers_looks(void **state)
{
    struct fixture *fix = *state;
    struct store_event drift = line_of("c", "quota drift", "");
    uint32_t raised;
    make_channel(fix, "t", "c");
    assert_int_equal(look(fix), 0);
    add_lines(fix, &drift, 1);
    fix->now_ms += EVERY_MS - 1;
    assert_ok(store_alarm_look(fix->store, "another", EVERY_MS, &raised, &fix->err), fix);
    assert_int_equal(raised, 0);
    fix->now_ms++;
    assert_ok(store_alarm_look(fix->store, "another", EVERY_MS, &raised, &fix->err), fix);
    assert_int_equal(raised, 1);
}

static void a_line_counts_once(void **state)
{
    struct fixture *fix = *state;
    struct store_event refused = line_of("c", "token refused", "client refused");
    make_channel(fix, "t", "c");
    add_lines(fix, &refused, threshold_of(MISUSE_REFUSALS) - 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(look(fix), 0);
    assert_int_equal(number(fix, "select count from tally where signal = 'refusals'"),
                     threshold_of(MISUSE_REFUSALS) - 1);
}

static void a_tenant_that_is_new_is_looked_at_from_its_first_line(void **state)
{
    struct fixture *fix = *state;
    struct store_event drift = line_of("c", "quota drift", "");
    make_channel(fix, "t", "c");
    assert_int_equal(look(fix), 0);
    make_channel(fix, "u", "c");
    copy_text(drift.tenant, "u");
    add_lines(fix, &drift, 1);
    assert_int_equal(look(fix), 1);
    assert_string_equal(alarms_of(fix, false).last.tenant, "u");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(work_and_a_login_that_was_revoked_raise_none),
        TEST(what_was_refused_too_often_is_one_alarm),
        TEST(a_login_of_another_channel_freezes_the_channel),
        TEST(tokens_asked_for_without_a_lease_freeze_the_channel),
        TEST(an_alarm_of_a_channel_that_is_gone_is_raised_all_the_same),
        TEST(drift_is_the_clients),
        TEST(more_jobs_than_ever_are_an_alarm),
        TEST(a_closed_alarm_is_raised_again_if_it_goes_on),
        TEST(an_alarm_is_told_until_somebody_has_taken_it),
        TEST(one_of_the_workers_looks),
        TEST(a_line_counts_once),
        TEST(a_tenant_that_is_new_is_looked_at_from_its_first_line),
    };
    return RUN_UNIT_TESTS(tests);
}
