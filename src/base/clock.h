/*
 * The one source of time. Wall time (epoch milliseconds) is for people, quota days and what is stored;
 * monotonic time is for durations and keeps counting while the machine sleeps (CLOCK_BOOTTIME). Neither is
 * read anywhere else.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct now {
    int64_t wall_ms; /* since 1970-01-01T00:00:00Z; may jump */
    int64_t mono_ms; /* since some fixed moment; never goes back */
};

struct now clock_now(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_ms(void);

#endif
