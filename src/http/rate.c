#include "http/rate.h"

#define DEPTH_BYTES_MIN 4096u

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The depth is never more than a second's worth, so a longer time adds nothing; and thousandths of a byte
 * must fit in 64 bits. */
#define ELAPSED_MS_MAX  1000
#define BYTES_PER_S_MAX (UINT64_MAX / 1000 / ELAPSED_MS_MAX / 4)

void rate_init(struct rate *rate, uint64_t bytes_per_s, int64_t now_ms)
{
    bytes_per_s = smaller(bytes_per_s, BYTES_PER_S_MAX);
    *rate = (struct rate){
        .bytes_per_s = bytes_per_s,
        .depth_bytes = larger(bytes_per_s / 20, smaller(bytes_per_s, DEPTH_BYTES_MIN)),
        .at_ms = now_ms,
    };
}

static void refill(struct rate *rate, int64_t now_ms)
{
    if (now_ms <= rate->at_ms)
        return;
    uint64_t elapsed_ms = smaller((uint64_t)(now_ms - rate->at_ms), ELAPSED_MS_MAX);
    rate->at_ms = now_ms;
    rate->has_mbytes = smaller(rate->has_mbytes + elapsed_ms * rate->bytes_per_s, rate->depth_bytes * 1000);
}

void rate_fill(struct rate *rate)
{
    rate->has_mbytes = rate->depth_bytes * 1000;
}

bool rate_is_full(struct rate *rate, int64_t now_ms)
{
    refill(rate, now_ms);
    return rate->has_mbytes == rate->depth_bytes * 1000;
}

uint64_t rate_take(struct rate *rate, uint64_t wanted, int64_t now_ms)
{
    if (!rate->bytes_per_s)
        return wanted;
    refill(rate, now_ms);
    uint64_t granted = smaller(wanted, rate->has_mbytes / 1000);
    rate->has_mbytes -= granted * 1000;
    return granted;
}

void rate_give_back(struct rate *rate, uint64_t bytes)
{
    if (!rate->bytes_per_s)
        return;
    uint64_t room = rate->depth_bytes * 1000 - rate->has_mbytes;
    rate->has_mbytes += smaller(smaller(bytes, rate->depth_bytes) * 1000, room);
}

int64_t rate_wait_ms(struct rate *rate, int64_t now_ms)
{
    if (!rate->bytes_per_s)
        return 0;
    refill(rate, now_ms);
    uint64_t needed = larger(rate->depth_bytes / 2, 1) * 1000;
    if (rate->has_mbytes >= needed)
        return 0;
    return (int64_t)((needed - rate->has_mbytes + rate->bytes_per_s - 1) / rate->bytes_per_s);
}
