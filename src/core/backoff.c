#include "core/backoff.h"

#include <assert.h>

int64_t jitter_between(int64_t low, int64_t high, uint64_t entropy)
{
    assert(high >= low);
    uint64_t span = (uint64_t)(high - low) + 1;
    /* The high half of a 128-bit product: uniform without a division's bias towards small values. */
    return low + (int64_t)((unsigned __int128)entropy * span >> 64);
}

int64_t backoff_ceiling_ms(int64_t base_ms, int64_t cap_ms, uint32_t tries)
{
    int64_t ceiling = base_ms;
    for (uint32_t i = 0; i < tries && ceiling < cap_ms; i++)
        ceiling = ceiling > cap_ms / 2 ? cap_ms : ceiling * 2;
    return ceiling < cap_ms ? ceiling : cap_ms;
}

int64_t backoff_full_ms(int64_t base_ms, int64_t cap_ms, uint32_t tries, uint64_t entropy)
{
    return jitter_between(0, backoff_ceiling_ms(base_ms, cap_ms, tries), entropy);
}

int64_t backoff_half_ms(int64_t base_ms, int64_t cap_ms, uint32_t tries, uint64_t entropy)
{
    int64_t ceiling = backoff_ceiling_ms(base_ms, cap_ms, tries);
    return jitter_between(ceiling / 2, ceiling, entropy);
}
