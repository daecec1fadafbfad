/*
 * One job's progress: bytes the server has confirmed, speed, time left, what is being done; as a bar or as a
 * plain line. Pure: time comes in, text goes out.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

#include "base/buf.h"

/* What is done while bytes move; a bar that shows a speed leaves it out. */
#define PROGRESS_SENDING "sending"

enum { PROGRESS_SAMPLES = 16, PROGRESS_SAMPLE_MS = 500, PROGRESS_TEXT_SIZE = 160 };

struct progress {
    char name[PROGRESS_TEXT_SIZE];
    uint64_t size_bytes;
    uint64_t confirmed_bytes;
    uint64_t sent_bytes; /* under way, beyond the confirmed ones */
    char doing[PROGRESS_TEXT_SIZE];
    struct {
        int64_t mono_ms;
        uint64_t bytes;
    } samples[PROGRESS_SAMPLES]; /* a ring: the newest is at `newest` */
    uint32_t sample_count;
    uint32_t newest;
};

void progress_init(struct progress *progress, const char *name, uint64_t size_bytes);
void progress_update(struct progress *progress, uint64_t confirmed_bytes, uint64_t sent_bytes,
                     const char *doing, int64_t mono_ms);
/* Bytes a second over the last few seconds; 0: not known, or nothing moves. */
uint64_t progress_speed(const struct progress *progress, int64_t mono_ms);
/* A line of at most `width` columns. */
void progress_bar(const struct progress *progress, uint32_t width, int64_t mono_ms, struct buf *ret);
/* "clip.mp4: 42 % (512 MiB of 1.2 GiB), 8.1 MiB/s, 1 min 20 s left, sending" */
void progress_line(const struct progress *progress, int64_t mono_ms, struct buf *ret);

#endif
