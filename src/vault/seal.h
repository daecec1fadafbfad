/*
 * Sealing: XChaCha20-Poly1305 (libsodium). The additional data are format, key id, tenant, table, row and
 * field, so that a sealed value moved to another row, tenant or field does not open (docs/faults.md K10).
 *
 * Two kinds of keys seal: a root key (ring.h) wraps data keys, a tenant's data key (tenant_keys.h) seals the
 * tenant's values. Only the broker process and the commands `init`, `check` and `key` load any. Any thread.
 *
 * Sealed form: version byte, 8 bytes key id, 24 bytes nonce, ciphertext and tag.
 */
#ifndef VAULT_SEAL_H
#define VAULT_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "vault/secret.h"

enum {
    VAULT_KEY_ID_SIZE = 17,
    VAULT_DIGEST_KEY_SIZE = 32,
    VAULT_DIGEST_SIZE = 33,
    VAULT_SEALED_MAX = 8192, /* bytes of what is sealed here: the longest is a session URL */
};

struct vault_key;

void vault_key_free(struct vault_key *key);            /* wipes; NULL is fine */
const char *vault_key_id(const struct vault_key *key); /* 16 hexadecimal digits */

/* The id of the key that a sealed value names; false: it is too short to be one. */
bool vault_sealed_key_id(const void *sealed, size_t len, char ret[VAULT_KEY_ID_SIZE]);

/* What a value belongs to. Texts may not contain NUL. */
struct seal_place {
    int64_t tenant_id;
    const char *table; /* "token", "client", "upload", "tenant_key" */
    const char *row;   /* the row's id as text */
    const char *field; /* "refresh_token", "access_token", "client_secret", "session_url", "data_key" */
};

void vault_seal(const struct vault_key *key, const struct seal_place *place, const void *plain, size_t len,
                struct buf *ret);
/* ERR_CORRUPT: unknown key id, wrong place, truncated, forged. Nothing is given out then. */
int vault_open(const struct vault_key *key, const struct seal_place *place, const void *sealed, size_t len,
               struct secret *ret, struct err *err) MUST_CHECK;

/* A key for digests only, derived from the vault key: lets a worker tell two uploader ids apart in logs
 * without keeping them. */
void vault_digest_key(const struct vault_key *key, unsigned char ret[VAULT_DIGEST_KEY_SIZE]);
void vault_digest(const unsigned char digest_key[VAULT_DIGEST_KEY_SIZE], const void *data, size_t len,
                  char ret[VAULT_DIGEST_SIZE]);
/* SHA-256, for PKCE [native]. */
void vault_sha256(const void *data, size_t len, unsigned char ret[32]);

#endif
