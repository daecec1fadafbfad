/* The one source of randomness: the kernel's. Any thread. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *ret, size_t len); /* never fails: without randomness the process ends */
uint64_t random_u64(void);

#endif
