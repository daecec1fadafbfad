/*
 * Secrets in memory: locked against swap, left out of core dumps, wiped when given back, and without any way
 * to print them. Only src/vault touches libsodium; the rest of the program handles a struct secret. Any
 * thread; not shared.
 */
#ifndef VAULT_SECRET_H
#define VAULT_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct secret {
    char *data; /* NUL-terminated, locked; NULL: none */
    size_t len;
};

/* Once, before any other call of this room and before threads. Ends the process where libsodium cannot start.
 */
void vault_start(void);

void secret_set(struct secret *secret, const void *data, size_t len); /* copies; frees what was there */
/* Likewise, with `prefix` before it. */
void secret_set_after(struct secret *secret, const char *prefix, const void *data, size_t len);
/* `len` zero bytes to be written in place, so that a secret needs no copy outside of locked memory. */
void secret_reserve(struct secret *secret, size_t len);
void secret_release(struct secret *secret); /* wipes; an empty one is fine */
void secret_move(struct secret *to, struct secret *from);
bool secret_equals(const struct secret *a, const struct secret *b); /* constant time */
/* Whether all memory handed out so far could be locked; false: raise RLIMIT_MEMLOCK. */
bool secret_memory_is_locked(void);
/* Wipes what held a secret for a moment outside of a struct secret (a parsed reply, a stack buffer). */
void secret_wipe(void *data, size_t len);

#define AUTO_SECRET CLEANUP(secret_release)

#endif
