#include "pacific.h"

#include <stdbool.h>

#include "base/parse.h"

static const int64_t HOUR_MS = 3600 * 1000;
static const int64_t DAY_MS = 24 * 3600 * 1000;

static int64_t floor_to_day(int64_t ms)
{
    int64_t day = ms / DAY_MS;
    return ms % DAY_MS < 0 ? day - 1 : day;
}

/* The n-th Sunday of a month, as days since 1970-01-01, which was a Thursday. */
static int64_t nth_sunday(int64_t year, int month, int n)
{
    int64_t first = days_from_civil(year, month, 1);
    int64_t weekday = (first + 4) % 7; /* 0 is Sunday */
    return first + (7 - weekday) % 7 + 7 * (n - 1);
}

static int64_t offset_ms_at(int64_t wall_ms)
{
    int64_t year;
    int month, day;
    civil_from_days(floor_to_day(wall_ms), &year, &month, &day);
    int64_t begins_ms = nth_sunday(year, 3, 2) * DAY_MS + 10 * HOUR_MS;
    int64_t ends_ms = nth_sunday(year, 11, 1) * DAY_MS + 9 * HOUR_MS;
    bool is_daylight_time = wall_ms >= begins_ms && wall_ms < ends_ms;
    return (is_daylight_time ? -7 : -8) * HOUR_MS;
}

/* The clocks never change at midnight, so exactly one of the two offsets is the one in force there. */
static int64_t midnight_ms(int64_t local_day)
{
    int64_t standard_ms = local_day * DAY_MS + 8 * HOUR_MS;
    return offset_ms_at(standard_ms) == -8 * HOUR_MS ? standard_ms : standard_ms - HOUR_MS;
}

int64_t pacific_day_start_ms(int64_t wall_ms)
{
    return midnight_ms(floor_to_day(wall_ms + offset_ms_at(wall_ms)));
}

int64_t pacific_day_end_ms(int64_t wall_ms)
{
    return midnight_ms(floor_to_day(wall_ms + offset_ms_at(wall_ms)) + 1);
}
