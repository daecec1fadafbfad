#include "unit.h"

#include "base/parse.h"
#include "core/pacific.h"

#define HOUR_MS INT64_C(3600000)

static int64_t at(const char *text)
{
    int64_t wall_ms = 0;
    assert_true(parse_time(text, &wall_ms));
    return wall_ms;
}

/* The day begins at `begin` and the next one `hours` later; every instant between belongs to it. */
static void assert_day(int64_t year, int month, int day, const char *begin, int hours)
{
    int32_t number = (int32_t)days_from_civil(year, month, day);
    int64_t begin_ms = at(begin), end_ms = begin_ms + hours * HOUR_MS;
    assert_int_equal(pacific_day_start_ms(number), begin_ms);
    assert_int_equal(pacific_day_start_ms(number + 1), end_ms);
    assert_int_equal(pacific_day(begin_ms - 1), number - 1);
    assert_int_equal(pacific_day(begin_ms), number);
    assert_int_equal(pacific_day(end_ms - 1), number);
    assert_int_equal(pacific_day(end_ms), number + 1);
    assert_int_equal(pacific_next_midnight_ms(begin_ms - 1), begin_ms);
    assert_int_equal(pacific_next_midnight_ms(begin_ms), end_ms);
    assert_int_equal(pacific_next_midnight_ms(end_ms - 1), end_ms);
}

static void days_of_the_clock_change_have_23_and_25_hours(void **state)
{
    (void)state;
    assert_day(2026, 11, 1, "2026-11-01T07:00:00Z", 25);
    assert_day(2026, 11, 2, "2026-11-02T08:00:00Z", 24);
    assert_day(2027, 3, 14, "2027-03-14T08:00:00Z", 23);
    assert_day(2027, 3, 15, "2027-03-15T07:00:00Z", 24);
}

/* Dates of the change as published for these years: earliest and latest possible Sundays among them. */
static void other_years_change_on_the_second_and_first_sunday(void **state)
{
    (void)state;
    assert_day(2026, 3, 8, "2026-03-08T08:00:00Z", 23); /* the 8th: the month begins on a Sunday */
    assert_day(2020, 3, 8, "2020-03-08T08:00:00Z", 23); /* leap year */
    assert_day(2020, 11, 1, "2020-11-01T07:00:00Z", 25);
    assert_day(2021, 3, 14, "2021-03-14T08:00:00Z", 23); /* the latest: the month begins on a Monday */
    assert_day(2021, 11, 7, "2021-11-07T07:00:00Z", 25);
    assert_day(2024, 3, 10, "2024-03-10T08:00:00Z", 23);
    assert_day(2024, 11, 3, "2024-11-03T07:00:00Z", 25);
}

static void the_year_and_a_leap_day_turn_at_local_midnight(void **state)
{
    (void)state;
    assert_day(2026, 12, 31, "2026-12-31T08:00:00Z", 24);
    assert_day(2027, 1, 1, "2027-01-01T08:00:00Z", 24);
    assert_day(2028, 2, 29, "2028-02-29T08:00:00Z", 24);
    assert_day(2026, 7, 4, "2026-07-04T07:00:00Z", 24);
    assert_day(1970, 1, 1, "1970-01-01T08:00:00Z", 24);
    assert_day(1969, 12, 31, "1969-12-31T08:00:00Z", 24);
}

static void ten_years_of_hours_agree_with_their_day(void **state)
{
    (void)state;
    int64_t wall_ms = at("2026-01-01T08:00:00Z"), end_ms = at("2036-01-01T08:00:00Z");
    int32_t last = pacific_day(wall_ms);
    for (; wall_ms < end_ms; wall_ms += HOUR_MS) {
        int32_t day = pacific_day(wall_ms);
        int64_t next_ms = pacific_next_midnight_ms(wall_ms);
        assert_in_range(day - last, 0, 1);
        assert_true(pacific_day_start_ms(day) <= wall_ms && wall_ms < next_ms);
        assert_in_range(next_ms - pacific_day_start_ms(day), 23 * HOUR_MS, 25 * HOUR_MS);
        last = day;
    }
}

static void a_wild_clock_is_held_within_the_calendar(void **state)
{
    (void)state;
    assert_int_equal(pacific_day(INT64_MAX), days_from_civil(9999, 12, 31));
    assert_int_equal(pacific_day(INT64_MIN), days_from_civil(1, 1, 1) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_of_the_clock_change_have_23_and_25_hours),
        cmocka_unit_test(other_years_change_on_the_second_and_first_sunday),
        cmocka_unit_test(the_year_and_a_leap_day_turn_at_local_midnight),
        cmocka_unit_test(ten_years_of_hours_agree_with_their_day),
        cmocka_unit_test(a_wild_clock_is_held_within_the_calendar),
    };
    return RUN_UNIT_TESTS(tests);
}
