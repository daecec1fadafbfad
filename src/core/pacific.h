/*
 * The quota day. Google resets a project's quota at midnight in America/Los_Angeles [quota], daylight saving
 * included, so a day there lasts 23, 24 or 25 hours: the next reset is the next local midnight, never "now +
 * 24 h".
 *
 * Pure integer arithmetic, no time zone database: the rules of the United States since 2007 (Energy Policy
 * Act of 2005, section 110), daylight saving from the second Sunday of March 2:00 to the first Sunday of
 * November 2:00, applied to every year. Any thread. Instants before year 1 or after year 9999 are taken as
 * these bounds.
 */
#ifndef CORE_PACIFIC_H
#define CORE_PACIFIC_H

#include <stdint.h>

/* Days since 1970-01-01 of the date that a calendar in Los Angeles shows at that instant. */
int32_t pacific_day(int64_t wall_ms);
/* The instant of the midnight with which that day begins. */
int64_t pacific_day_start_ms(int32_t day);
/* The first such midnight after wall_ms: always later than wall_ms. */
int64_t pacific_next_midnight_ms(int64_t wall_ms);

#endif
