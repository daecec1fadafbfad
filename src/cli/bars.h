/*
 * Progress of several jobs on standard error: bars that are redrawn in place on a terminal, a plain line now
 * and then elsewhere. While bars stand there, log lines go above them and never tear them; log lines may come
 * from any thread, all else from the one thread that runs the upload.
 */
#ifndef CLI_BARS_H
#define CLI_BARS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"

struct bars;

/* `quiet`: nothing is shown at all. Takes over log lines until bars_close(). */
struct bars *bars_open(bool quiet);
void bars_add(struct bars *bars, struct job_id job, const char *name, uint64_t size_bytes);
/* A job that was not added is left alone. `left`: nothing more will come for it. */
void bars_update(struct bars *bars, struct job_id job, uint64_t confirmed_bytes, uint64_t sent_bytes,
                 const char *doing, bool left);
/* A line for people, above the bars. */
void bars_say(struct bars *bars, const char *text);
void bars_close(struct bars *bars); /* leaves the last state standing; NULL is fine */

#endif
