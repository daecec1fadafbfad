/* Signals of misuse: which lines count, when a window's count is an alarm, what a habit is. */
#include <string.h>

#include "unit.h"

#include "base/attr.h"
#include "core/event.h"
#include "core/misuse.h"

enum { HOUR_MS = 3600000, NOW_MS = 1000000 };

static void names_are_read_as_they_are_told(void **state)
{
    (void)state;
    enum misuse_signal signal;
    for (int i = 0; i < MISUSE_COUNT; i++) {
        assert_true(misuse_parse(misuse_rule((enum misuse_signal)i)->name, &signal));
        assert_int_equal(signal, i);
    }
    assert_false(misuse_parse("no such signal", &signal));
}

/* -1: none. */
static int signal_of(const char *what, const char *reason, bool is_of_job)
{
    enum misuse_signal signal;
    struct misuse_line line = {.what = what, .reason = reason, .is_of_job = is_of_job};
    return misuse_signal_of(&line, &signal) ? (int)signal : -1;
}

static void each_refusal_of_a_token_counts_for_its_signal(void **state)
{
    (void)state;
    const struct {
        enum token_result result;
        enum misuse_signal signal;
    } rows[] = {
        {TOKEN_NONE, MISUSE_REFUSALS},   {TOKEN_REVOKED, MISUSE_REFUSALS},
        {TOKEN_SCOPE, MISUSE_SCOPES},    {TOKEN_WRONG_CHANNEL, MISUSE_CHANNEL},
        {TOKEN_CLIENT, MISUSE_REFUSALS}, {TOKEN_FROZEN, MISUSE_REFUSALS},
        {TOKEN_CORRUPT, MISUSE_DECRYPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(signal_of("token refused", token_result_text(rows[i].result), false),
                         rows[i].signal);
        assert_int_equal(signal_of("token refused", token_result_text(rows[i].result), true), -1);
    }
}

static void other_lines_count_where_they_say_so(void **state)
{
    (void)state;
    assert_int_equal(signal_of("token refused", "no lease", true), MISUSE_NO_LEASE);
    assert_int_equal(signal_of("held", "sessionDoesNotOpen", true), MISUSE_DECRYPT);
    assert_int_equal(signal_of("failed", "forbidden", true), MISUSE_REFUSALS);
    assert_int_equal(signal_of("login refused", "auth", false), MISUSE_REFUSALS);
    assert_int_equal(signal_of("token refreshed", "", false), MISUSE_REFRESHES);
    assert_int_equal(signal_of("quota drift", "", false), MISUSE_DRIFT);
    assert_int_equal(signal_of("foreign video", "dQw4w9WgXcQ", false), MISUSE_VIDEOS);
    assert_int_equal(signal_of("job added", "", true), MISUSE_HABIT);
    assert_int_equal(signal_of("claimed", "", true), -1);
    assert_int_equal(signal_of("alarm raised", "refusals", false), -1);
    assert_int_equal(signal_of("failed", "quotaExceeded", true), -1);
}

static bool is_told(const char *what, const char *reason)
{
    return misuse_is_told(&(struct misuse_line){.what = what, .reason = reason});
}

static void what_has_an_alarm_of_its_own_is_not_told_twice(void **state)
{
    (void)state;
    assert_true(is_told("token refused", token_result_text(TOKEN_SCOPE)));
    assert_true(is_told("token refused", token_result_text(TOKEN_WRONG_CHANNEL)));
    assert_false(is_told("token refused", token_result_text(TOKEN_REVOKED)));
    assert_false(is_told("token refused", token_result_text(TOKEN_CLIENT)));
    assert_false(is_told("refused", "channelSuspended"));
}

/* Lines one after another; returns how many there were when it became an alarm. */
static int64_t lines_to_alarm(enum misuse_signal signal, struct misuse_tally *tally, int64_t now_ms)
{
    for (int64_t i = 1; i <= 100000; i++)
        if (misuse_count(signal, tally, 1, now_ms))
            return i;
    return -1;
}

static void a_window_is_an_alarm_from_its_threshold_on(void **state)
{
    (void)state;
    for (int i = 0; i < MISUSE_COUNT; i++) {
        const struct misuse_rule *rule = misuse_rule((enum misuse_signal)i);
        struct misuse_tally tally = {0};
        if (i == MISUSE_HABIT)
            continue;
        assert_int_equal(lines_to_alarm((enum misuse_signal)i, &tally, NOW_MS), rule->threshold);
        assert_true(misuse_count((enum misuse_signal)i, &tally, 1, NOW_MS + rule->window_ms - 1));
    }
}

static void what_is_spread_over_windows_is_none(void **state)
{
    (void)state;
    const struct misuse_rule *rule = misuse_rule(MISUSE_REFUSALS);
    struct misuse_tally tally = {0};
    for (int i = 0; i < 100; i++)
        assert_false(
            misuse_count(MISUSE_REFUSALS, &tally, rule->threshold - 1, NOW_MS + i * rule->window_ms));
}

static void a_clock_that_goes_back_begins_a_new_window(void **state)
{
    (void)state;
    struct misuse_tally tally = {0};
    assert_false(misuse_count(MISUSE_REFUSALS, &tally, 29, NOW_MS));
    assert_false(misuse_count(MISUSE_REFUSALS, &tally, 29, NOW_MS - 1));
    assert_int_equal(tally.since_ms, NOW_MS - 1);
}

/* ---- habit ---- */

static struct misuse_tally used_to(int64_t jobs, int hours)
{
    struct misuse_tally tally = {0};
    for (int hour = 0; hour < hours; hour++)
        misuse_count(MISUSE_HABIT, &tally, (uint32_t)jobs, NOW_MS + hour * (int64_t)HOUR_MS);
    return tally;
}

static void nobody_has_a_habit_on_the_first_day(void **state)
{
    (void)state;
    struct misuse_tally tally = used_to(1, MISUSE_WINDOWS_MIN);
    assert_false(misuse_count(MISUSE_HABIT, &tally, 1000000, tally.since_ms + 1));
}

static void many_times_the_mean_is_an_alarm(void **state)
{
    (void)state;
    struct misuse_tally tally = used_to(500, 100);
    int64_t next_ms = tally.since_ms + HOUR_MS;
    assert_false(misuse_count(MISUSE_HABIT, &tally, 5000, next_ms));
    assert_true(misuse_count(MISUSE_HABIT, &tally, 1, next_ms));
}

static void few_jobs_are_none_however_seldom_they_come(void **state)
{
    (void)state;
    struct misuse_tally tally = used_to(1, 100);
    assert_int_equal(lines_to_alarm(MISUSE_HABIT, &tally, tally.since_ms + HOUR_MS),
                     misuse_rule(MISUSE_HABIT)->threshold);
}

static void idle_hours_belong_to_the_mean(void **state)
{
    (void)state;
    struct misuse_tally tally = used_to(2000, 100);
    int64_t days_later_ms = tally.since_ms + 7 * 24 * (int64_t)HOUR_MS;
    assert_false(misuse_count(MISUSE_HABIT, &tally, 0, days_later_ms));
    assert_true(tally.mean_milli < 1000000);
    assert_int_equal(tally.windows, MISUSE_WINDOWS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_they_are_told),
        cmocka_unit_test(each_refusal_of_a_token_counts_for_its_signal),
        cmocka_unit_test(other_lines_count_where_they_say_so),
        cmocka_unit_test(what_has_an_alarm_of_its_own_is_not_told_twice),
        cmocka_unit_test(a_window_is_an_alarm_from_its_threshold_on),
        cmocka_unit_test(what_is_spread_over_windows_is_none),
        cmocka_unit_test(a_clock_that_goes_back_begins_a_new_window),
        cmocka_unit_test(nobody_has_a_habit_on_the_first_day),
        cmocka_unit_test(many_times_the_mean_is_an_alarm),
        cmocka_unit_test(few_jobs_are_none_however_seldom_they_come),
        cmocka_unit_test(idle_hours_belong_to_the_mean),
    };
    return RUN_UNIT_TESTS(tests);
}
