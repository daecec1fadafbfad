#include "yt_test.h"

#include <stdio.h>

#include "youtube/retry_after.h"

static int64_t wait_for(const char *value)
{
    char headers[256];
    snprintf(headers, sizeof(headers), "Retry-After: %s\n", value);
    return yt_retry_after_ms(headers, NOW_MS);
}

static void h02_seconds_become_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(wait_for("0"), 0);
    assert_int_equal(wait_for("1"), 1000);
    assert_int_equal(wait_for("3600"), 3600000);
    assert_int_equal(wait_for("007"), 7000);
    assert_int_equal(wait_for("-5"), 0);
    assert_int_equal(wait_for("99999999999"), RETRY_AFTER_TOLD_MAX_MS);
    assert_int_equal(wait_for("99999999999999999999999999"), RETRY_AFTER_TOLD_MAX_MS);
}

static void h02_dates_of_all_three_forms_become_durations(void **state)
{
    (void)state;
    assert_int_equal(wait_for("Sun, 22 Nov 2026 07:00:01 GMT"), 1000);
    assert_int_equal(wait_for("Sunday, 22-Nov-26 07:00:30 GMT"), 30000);
    assert_int_equal(wait_for("Sun Nov 22 07:01:00 2026"), 60000);
    assert_int_equal(wait_for("Tue Dec  1 07:00:00 2026"), INT64_C(9) * 86400000);
    assert_int_equal(wait_for("Sun, 22 Nov 2026 06:59:59 GMT"), 0);
    assert_int_equal(wait_for("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(wait_for("Fri, 31 Dec 9999 23:59:59 GMT"), RETRY_AFTER_TOLD_MAX_MS);
}

static void http_dates_are_those_of_the_rfc(void **state)
{
    (void)state;
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        int64_t at_ms = 0;
        assert_true(yt_http_date_parse(same[i], NOW_MS, &at_ms));
        assert_int_equal(at_ms, INT64_C(784111777000));
    }
}

/* RFC 9110 section 5.6.7: a two-digit year more than 50 years ahead is one of the past. */
static void a_two_digit_year_is_the_nearest_one(void **state)
{
    (void)state;
    int64_t at_ms, wanted_ms;
    assert_true(yt_http_date_parse("Sunday, 01-Jan-76 00:00:00 GMT", NOW_MS, &at_ms));
    assert_true(parse_time("2076-01-01", &wanted_ms));
    assert_int_equal(at_ms, wanted_ms);
    assert_true(yt_http_date_parse("Sunday, 01-Jan-77 00:00:00 GMT", NOW_MS, &at_ms));
    assert_true(parse_time("1977-01-01", &wanted_ms));
    assert_int_equal(at_ms, wanted_ms);
}

static void what_is_not_understood_is_no_wait(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "soon",
        "1.5",
        "1 2",
        "+5",
        "-",
        "--5",
        "0x10",
        "5s",
        "Sun, 22 Nov 2026 07:00:01 UTC",
        "Sun, 22 Nov 2026 07:00:01",
        "Sun, 22 Nov 2026 07:00:01 GMT+1",
        "Sun, 31 Feb 2026 07:00:01 GMT",
        "Sun, 22 Nov 2026 25:00:01 GMT",
        "Son, 22 Nov 2026 07:00:01 GMT",
        "Sun, 22 nov 2026 07:00:01 GMT",
        "Sun, 2 Nov 2026 07:00:01 GMT",
        "2026-11-22T07:00:01Z",
        "Sun Nov 2 07:00:00 2026",
        "Sun, 22 Nov 2026 07:00:01 GMT and a text that is far too long to be a date of any kind",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (wait_for(bad[i]) != -1)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(yt_retry_after_ms("", NOW_MS), -1);
    assert_int_equal(yt_retry_after_ms(NULL, NOW_MS), -1);
    assert_int_equal(yt_retry_after_ms("Retry-After: 1\nRetry-After: 2\n", NOW_MS), -1);
}

static void without_a_clock_the_date_header_counts(void **state)
{
    (void)state;
    assert_int_equal(yt_retry_after_by_date_header_ms("Retry-After: 5\n"), 5000);
    assert_int_equal(yt_retry_after_by_date_header_ms("Retry-After: Sun, 22 Nov 2026 07:00:30 GMT\n"
                                                      "Date: Sun, 22 Nov 2026 07:00:00 GMT\n"),
                     30000);
    assert_int_equal(yt_retry_after_by_date_header_ms("Retry-After: Sun, 22 Nov 2026 07:00:30 GMT\n"), -1);
    assert_int_equal(yt_retry_after_by_date_header_ms("Date: Sun, 22 Nov 2026 07:00:00 GMT\n"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h02_seconds_become_milliseconds),
        cmocka_unit_test(h02_dates_of_all_three_forms_become_durations),
        cmocka_unit_test(http_dates_are_those_of_the_rfc),
        cmocka_unit_test(a_two_digit_year_is_the_nearest_one),
        cmocka_unit_test(what_is_not_understood_is_no_wait),
        cmocka_unit_test(without_a_clock_the_date_header_counts),
    };
    return RUN_UNIT_TESTS(tests);
}
