#include "cli/job_id.h"

#include <string.h>

enum { TIME_LETTERS = 10, RANDOM_LETTERS = 16, BITS_A_LETTER = 5 };

static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void job_id_make(int64_t wall_ms, const unsigned char random[JOB_ID_RANDOM_BYTES], struct job_id *ret)
{
    uint64_t time = (uint64_t)wall_ms & 0xffffffffffffu;
    for (int i = TIME_LETTERS - 1; i >= 0; i--, time >>= BITS_A_LETTER)
        ret->text[i] = letters[time & 31];
    uint32_t bits = 0;
    int bit_count = 0, next = 0;
    for (int i = 0; i < RANDOM_LETTERS; i++) {
        if (bit_count < BITS_A_LETTER) {
            bits = bits << 8 | random[next++];
            bit_count += 8;
        }
        bit_count -= BITS_A_LETTER;
        ret->text[TIME_LETTERS + i] = letters[bits >> bit_count & 31];
    }
    ret->text[TIME_LETTERS + RANDOM_LETTERS] = '\0';
}
