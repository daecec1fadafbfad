#include "dice.h"

/* splitmix64: small, and any seed is good. */
uint64_t dice_u64(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double dice_fraction(struct dice *dice)
{
    return (double)(dice_u64(dice) >> 11) / (double)(UINT64_C(1) << 53);
}

void dice_id(struct dice *dice, char *ret, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i++)
        ret[i] = alphabet[dice_u64(dice) % 64];
    ret[len] = '\0';
}
