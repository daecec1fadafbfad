#include "core/pacific.h"

#include <stdbool.h>

#include "base/parse.h"

#define HOUR_MS         INT64_C(3600000)
#define DAY_MS          INT64_C(86400000)
#define WALL_MIN_MS     INT64_C(-62135596800000) /* 0001-01-01T00:00:00Z */
#define WALL_MAX_MS     INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define STANDARD_OFFSET (-8 * HOUR_MS)
#define DAYLIGHT_OFFSET (-7 * HOUR_MS)

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int64_t floor_days(int64_t ms)
{
    return ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
}

/* The nth Sunday of a month. 1970-01-01 was a Thursday: day d is a Sunday where (d + 4) % 7 == 0. */
static int64_t nth_sunday(int64_t year, int month, int n)
{
    int64_t first = days_from_civil(year, month, 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7;
    return first + (7 - weekday) % 7 + (n - 1) * 7;
}

static int64_t year_of_day(int64_t day)
{
    int64_t year;
    int month, day_of_month;
    civil_from_days(day, &year, &month, &day_of_month);
    return year;
}

/* The clocks change at 2:00 standard time in March and at 2:00 daylight time in November. */
static bool is_daylight(int64_t wall_ms)
{
    int64_t year = year_of_day(floor_days(wall_ms + STANDARD_OFFSET));
    int64_t begin_ms = nth_sunday(year, 3, 2) * DAY_MS + 2 * HOUR_MS - STANDARD_OFFSET;
    int64_t end_ms = nth_sunday(year, 11, 1) * DAY_MS + 2 * HOUR_MS - DAYLIGHT_OFFSET;
    return wall_ms >= begin_ms && wall_ms < end_ms;
}

int32_t pacific_day(int64_t wall_ms)
{
    wall_ms = clamp(wall_ms, WALL_MIN_MS, WALL_MAX_MS);
    return (int32_t)floor_days(wall_ms + (is_daylight(wall_ms) ? DAYLIGHT_OFFSET : STANDARD_OFFSET));
}

int64_t pacific_day_start_ms(int32_t day)
{
    /* Midnight comes before 2:00, so the day of a change still begins with the old offset. */
    int64_t year = year_of_day(day);
    bool daylight = day > nth_sunday(year, 3, 2) && day <= nth_sunday(year, 11, 1);
    return day * DAY_MS - (daylight ? DAYLIGHT_OFFSET : STANDARD_OFFSET);
}

int64_t pacific_next_midnight_ms(int64_t wall_ms)
{
    return pacific_day_start_ms(pacific_day(wall_ms) + 1);
}
