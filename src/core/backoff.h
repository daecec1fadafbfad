/*
 * How long to wait before trying again. Pure: entropy comes with the call.
 *
 * Full jitter (docs/faults.md section 3): the delay is uniform over [0, min(cap, base · 2^n)], so that
 * clients that failed together do not come back together.
 */
#ifndef CORE_BACKOFF_H
#define CORE_BACKOFF_H

#include <stdint.h>

/* Uniform over [low, high]; high >= low. */
int64_t jitter_between(int64_t low, int64_t high, uint64_t entropy);
/* min(cap, base · 2^tries), without overflow. */
int64_t backoff_ceiling_ms(int64_t base_ms, int64_t cap_ms, uint32_t tries);
/* Full jitter: while the lease is held. */
int64_t backoff_full_ms(int64_t base_ms, int64_t cap_ms, uint32_t tries, uint64_t entropy);
/* Half of the ceiling is certain: after the lease was given back, so that a claim is not wasted on a draw
 * near zero. */
int64_t backoff_half_ms(int64_t base_ms, int64_t cap_ms, uint32_t tries, uint64_t entropy);

#endif
