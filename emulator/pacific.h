/*
 * Days as Google's quota counts them: from midnight to midnight in America/Los_Angeles, daylight saving
 * included [quota]. Computed from the rule of United States law in force since 2007 (daylight time from the
 * second Sunday of March, 10:00Z, to the first Sunday of November, 09:00Z), without a time zone database.
 */
#ifndef EMULATOR_PACIFIC_H
#define EMULATOR_PACIFIC_H

#include <stdint.h>

int64_t pacific_day_start_ms(int64_t wall_ms); /* the last midnight at or before `wall_ms` */
int64_t pacific_day_end_ms(int64_t wall_ms);   /* the first midnight after it */

#endif
