/*
 * A token bucket: bytes a second over everything that draws from it. Pure: time is given.
 *
 * Over any stretch of t milliseconds at most `bytes_per_s * t / 1000 + depth` bytes are granted, where depth
 * is a twentieth of a second's worth (at least 4 KiB, but no more than a second's worth); who always wants
 * more is granted no less than that minus one depth, as long as it comes back within depth's time.
 */
#ifndef HTTP_RATE_H
#define HTTP_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t bytes_per_s; /* 0: no limit */
    uint64_t depth_bytes;
    uint64_t has_mbytes; /* thousandths of a byte: nothing is lost to rounding */
    int64_t at_ms;
};

void rate_init(struct rate *rate, uint64_t bytes_per_s, int64_t now_ms);
/* As after a long rest; as it is by now. */
void rate_fill(struct rate *rate);
bool rate_is_full(struct rate *rate, int64_t now_ms);
/* Takes up to `wanted` bytes; returns how many. A clock that goes back grants nothing. */
uint64_t rate_take(struct rate *rate, uint64_t wanted, int64_t now_ms);
/* What was taken and not used. */
void rate_give_back(struct rate *rate, uint64_t bytes);
/* Milliseconds until it is worth coming back: half the depth is there then. 0: it is now. */
int64_t rate_wait_ms(struct rate *rate, int64_t now_ms);

#endif
