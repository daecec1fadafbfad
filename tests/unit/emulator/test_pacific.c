#include "unit.h"

#include "base/attr.h"
#include "base/parse.h"
#include "pacific.h"

static const int64_t HOUR_MS = 3600 * 1000;

static int64_t at(const char *text)
{
    int64_t wall_ms;
    assert_true(parse_time(text, &wall_ms));
    return wall_ms;
}

/* The vectors of Google's quota day: two changes of the clocks and the days around them. */
static void days_around_the_changes(void **state)
{
    static const struct {
        const char *begin;
        int hours;
    } days[] = {
        {"2026-10-31T07:00:00Z", 24}, {"2026-11-01T07:00:00Z", 25}, {"2026-11-02T08:00:00Z", 24},
        {"2027-03-13T08:00:00Z", 24}, {"2027-03-14T08:00:00Z", 23}, {"2027-03-15T07:00:00Z", 24},
        {"2026-12-31T08:00:00Z", 24}, {"2028-02-29T08:00:00Z", 24},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        int64_t begin_ms = at(days[i].begin);
        int64_t end_ms = begin_ms + days[i].hours * HOUR_MS;
        for (int64_t now_ms = begin_ms; now_ms < end_ms; now_ms += HOUR_MS / 2) {
            assert_true(pacific_day_start_ms(now_ms) == begin_ms);
            assert_true(pacific_day_end_ms(now_ms) == end_ms);
        }
        assert_true(pacific_day_end_ms(begin_ms - 1) == begin_ms);
        assert_true(pacific_day_start_ms(end_ms) == end_ms);
    }
}

/* Day after day without a gap, for a century. */
static void days_follow_each_other(void **state)
{
    int short_days = 0, long_days = 0;
    int64_t now_ms = at("2010-01-01T08:00:00Z");
    (void)state;
    for (int64_t end_ms = at("2110-01-01T08:00:00Z"); now_ms < end_ms;) {
        int64_t next_ms = pacific_day_end_ms(now_ms);
        assert_true(pacific_day_start_ms(next_ms - 1) == now_ms);
        short_days += next_ms - now_ms == 23 * HOUR_MS;
        long_days += next_ms - now_ms == 25 * HOUR_MS;
        assert_true(next_ms - now_ms >= 23 * HOUR_MS && next_ms - now_ms <= 25 * HOUR_MS);
        now_ms = next_ms;
    }
    assert_int_equal(short_days, 100);
    assert_int_equal(long_days, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_around_the_changes),
        cmocka_unit_test(days_follow_each_other),
    };
    return RUN_UNIT_TESTS(tests);
}
