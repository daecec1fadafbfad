/*
 * What a view says of a worker's health: two questions of whoever runs it. Pure.
 */
#ifndef WEB_HEALTH_H
#define WEB_HEALTH_H

#include "worker/board.h"

/* The loop tells how it stands four times a second. */
enum { LOOP_STANDS_STILL_MS = 10000, START_MAX_MS = 120000 };

struct health {
    int status; /* 200 or 503 */
    const char *line;
};

/* `view` NULL: nothing was told yet. `started_at_mono_ms`: of the endpoint, which comes first. */

/* Is it alive? If not, only a restart helps. */
struct health health_live(const struct view *view, int64_t started_at_mono_ms, int64_t now_mono_ms);
/* Can it work? If not, the line says why; it may pass by itself. */
struct health health_ready(const struct view *view, int64_t started_at_mono_ms, int64_t now_mono_ms);

#endif
