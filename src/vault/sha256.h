/* SHA-256 of what comes in pieces. No secret is hashed with it. Any thread; not shared. */
#ifndef VAULT_SHA256_H
#define VAULT_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint64_t state[16]; /* libsodium's */
};
void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t len);
void sha256_end(struct sha256 *hash, char ret_hex[65]);

#endif
