/* What is derived from a key's 32 bytes. */
#include "vault/key.h"

#include <sodium.h>
#include <string.h>

#include "base/text.h"

/* libsodium wants eight characters of context a purpose. */
static void derive(unsigned char *ret, size_t len, uint64_t number, const unsigned char root[KEY_ROOT_BYTES])
{
    crypto_kdf_derive_from_key(ret, len, number, "sluice01", root);
}

struct vault_key *vault_key_new(const unsigned char root[KEY_ROOT_BYTES])
{
    struct secret memory = {0};
    unsigned char id[crypto_kdf_BYTES_MIN];
    secret_reserve(&memory, sizeof(struct vault_key));
    struct vault_key *key = (struct vault_key *)memory.data;
    derive(key->sealing, sizeof(key->sealing), 1, root);
    derive(key->digest, sizeof(key->digest), 2, root);
    derive(id, sizeof(id), 3, root);
    memcpy(key->id, id, KEY_ID_BYTES);
    text_hex(key->id_text, key->id, KEY_ID_BYTES);
    return key;
}

void vault_key_free(struct vault_key *key)
{
    struct secret memory = {.data = (char *)key, .len = sizeof(*key)};
    secret_release(&memory);
}

const char *vault_key_id(const struct vault_key *key)
{
    return key->id_text;
}
