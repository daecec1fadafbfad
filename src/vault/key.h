/*
 * The inside of a key, for src/vault alone. Its 32 bytes are a root that is used for nothing but deriving:
 * one subkey a purpose, so that none says anything about another. Root keys and data keys are both of this
 * make.
 */
#ifndef VAULT_KEY_H
#define VAULT_KEY_H

#include "vault/seal.h"

enum { KEY_ID_BYTES = 8, KEY_ROOT_BYTES = 32 };

/* Lives in guarded memory. */
struct vault_key {
    unsigned char sealing[32];
    unsigned char digest[VAULT_DIGEST_KEY_SIZE];
    unsigned char id[KEY_ID_BYTES];
    char id_text[VAULT_KEY_ID_SIZE];
};

struct vault_key *vault_key_new(const unsigned char root[KEY_ROOT_BYTES]);

#endif
