/*
 * A channel's window: how many of its jobs may be leased at once, over all workers. It grows while jobs go
 * well, shrinks while they fail for the channel's own or the way's sake, and closes for a rest when a whole
 * cohort has failed (docs/faults.md section 3; Postfix keeps such a window per destination).
 *
 * Contract, with n the places open now:
 * - n jobs that went well in a row open one place more, up to WINDOW_MAX; n that failed in a row close one.
 * - No place left: closed for WINDOW_REST_MS, then one job may try. If it goes well the window grows from 1,
 * which is also how a great many jobs come back after an outage (L04); if it fails, the next rest begins.
 *
 * Counted in thousandths of a place. A value; the store keeps it with the channel. Pure.
 */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"

/* What the end of a lease says about the channel. Holds, pauses, quota and a bad job say nothing. */
enum feedback { FEEDBACK_NONE, FEEDBACK_GOOD, FEEDBACK_TROUBLE };

struct window {
    int32_t milliplaces;   /* 0: closed until rest_until_ms, then one probe */
    int64_t rest_until_ms; /* wall; 0: not resting */
};

struct window window_new(void);
/* How many jobs of the channel may be leased at this moment; at least 1 unless it rests. */
uint32_t window_places(struct window window, int64_t now_ms);
/* Returns whether it changed. */
bool window_learn(struct window *window, enum feedback feedback, int64_t now_ms);

#endif
