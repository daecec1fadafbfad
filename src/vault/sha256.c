#include "vault/sha256.h"

#include <sodium.h>

#include "base/text.h"

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct sha256), "the state has room");
_Static_assert(_Alignof(crypto_hash_sha256_state) <= _Alignof(struct sha256), "the state is aligned");

void sha256_init(struct sha256 *hash)
{
    crypto_hash_sha256_init((void *)hash->state);
}

void sha256_add(struct sha256 *hash, const void *data, size_t len)
{
    crypto_hash_sha256_update((void *)hash->state, data, len);
}

void sha256_end(struct sha256 *hash, char ret_hex[65])
{
    unsigned char digest[32];
    crypto_hash_sha256_final((void *)hash->state, digest);
    text_hex(ret_hex, digest, sizeof(digest));
}
