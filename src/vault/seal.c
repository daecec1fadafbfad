#include "vault/seal.h"

#include <sodium.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "vault/key.h"

enum {
    FORMAT_VERSION = 1,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    HEAD_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES,
    PLACE_BYTES_MAX = 1024,
};

static void put_text(struct buf *out, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    unsigned char head[4] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
                             (unsigned char)(len >> 8), (unsigned char)len};
    buf_append(out, head, sizeof(head));
    buf_append(out, text, len);
}

/* Every part has a fixed length or carries it, so two places never give the same bytes. */
static void build_place(const struct vault_key *key, const struct seal_place *place, struct buf *out)
{
    unsigned char tenant[8];
    for (int i = 0; i < 8; i++)
        tenant[i] = (unsigned char)((uint64_t)place->tenant_id >> (56 - 8 * i));
    buf_puts(out, "sluice sealed");
    buf_putc(out, FORMAT_VERSION);
    buf_append(out, key->id, KEY_ID_BYTES);
    buf_append(out, tenant, sizeof(tenant));
    put_text(out, place->table);
    put_text(out, place->row);
    put_text(out, place->field);
}

void vault_seal(const struct vault_key *key, const struct seal_place *place, const void *plain, size_t len,
                struct buf *ret)
{
    struct buf context AUTO_BUF = BUF_INIT(PLACE_BYTES_MAX);
    build_place(key, place, &context);
    if (context.overflowed || len > ret->len_max) {
        ret->overflowed = true;
        return;
    }
    unsigned char head[HEAD_BYTES] = {FORMAT_VERSION};
    memcpy(head + 1, key->id, KEY_ID_BYTES);
    random_bytes(head + 1 + KEY_ID_BYTES, NONCE_BYTES);

    struct secret sealed AUTO_SECRET = {0};
    secret_reserve(&sealed, len + TAG_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt((unsigned char *)sealed.data, NULL, plain, len,
                                               (const unsigned char *)context.data, context.len, NULL,
                                               head + 1 + KEY_ID_BYTES, key->sealing);
    buf_append(ret, head, sizeof(head));
    buf_append(ret, sealed.data, sealed.len);
}

bool vault_sealed_key_id(const void *sealed, size_t len, char ret[VAULT_KEY_ID_SIZE])
{
    const unsigned char *bytes = sealed;
    if (len < HEAD_BYTES + TAG_BYTES || bytes[0] != FORMAT_VERSION)
        return false;
    text_hex(ret, bytes + 1, KEY_ID_BYTES);
    return true;
}

static int check_head(const struct vault_key *key, const struct seal_place *place,
                      const unsigned char *sealed, size_t len, struct err *err)
{
    if (len < HEAD_BYTES + TAG_BYTES)
        return err_set(err, ERR_CORRUPT, "the sealed %s of %s %s is cut short", place->field, place->table,
                       place->row);
    if (sealed[0] != FORMAT_VERSION)
        return err_set(err, ERR_CORRUPT, "the sealed %s of %s %s has the unknown format %d", place->field,
                       place->table, place->row, sealed[0]);
    if (sodium_memcmp(sealed + 1, key->id, KEY_ID_BYTES) != 0) {
        char id[VAULT_KEY_ID_SIZE];
        text_hex(id, sealed + 1, KEY_ID_BYTES);
        return err_set(err, ERR_CORRUPT, "the sealed %s of %s %s was sealed with key %s, not with key %s",
                       place->field, place->table, place->row, id, key->id_text);
    }
    return 0;
}

int vault_open(const struct vault_key *key, const struct seal_place *place, const void *sealed, size_t len,
               struct secret *ret, struct err *err)
{
    int code = check_head(key, place, sealed, len, err);
    if (code != 0)
        return code;
    struct buf context AUTO_BUF = BUF_INIT(PLACE_BYTES_MAX);
    build_place(key, place, &context);

    const unsigned char *bytes = sealed;
    struct secret plain AUTO_SECRET = {0};
    secret_reserve(&plain, len - HEAD_BYTES - TAG_BYTES);
    if (context.overflowed ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)plain.data, NULL, NULL, bytes + HEAD_BYTES, len - HEAD_BYTES,
            (const unsigned char *)context.data, context.len, bytes + 1 + KEY_ID_BYTES, key->sealing) != 0)
        return err_set(err, ERR_CORRUPT,
                       "the sealed %s of %s %s does not open: it was changed, or moved from another row",
                       place->field, place->table, place->row);
    secret_move(ret, &plain);
    return 0;
}

void vault_digest_key(const struct vault_key *key, unsigned char ret[VAULT_DIGEST_KEY_SIZE])
{
    memcpy(ret, key->digest, VAULT_DIGEST_KEY_SIZE);
}

void vault_digest(const unsigned char digest_key[VAULT_DIGEST_KEY_SIZE], const void *data, size_t len,
                  char ret[VAULT_DIGEST_SIZE])
{
    unsigned char digest[(VAULT_DIGEST_SIZE - 1) / 2];
    crypto_generichash(digest, sizeof(digest), data, len, digest_key, VAULT_DIGEST_KEY_SIZE);
    text_hex(ret, digest, sizeof(digest));
}

void vault_sha256(const void *data, size_t len, unsigned char ret[32])
{
    crypto_hash_sha256(ret, data, len);
}
