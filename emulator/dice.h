/* A seeded source of chance: the same seed gives the same ids and the same draws of faults. Not for secrets.
 */
#ifndef EMULATOR_DICE_H
#define EMULATOR_DICE_H

#include <stddef.h>
#include <stdint.h>

struct dice {
    uint64_t state; /* the seed, at first */
};

uint64_t dice_u64(struct dice *dice);
double dice_fraction(struct dice *dice); /* 0 <= x < 1 */
/* Fills in `len` characters of base64url's alphabet, which YouTube's ids use, and a NUL. */
void dice_id(struct dice *dice, char *ret, size_t len);

#endif
