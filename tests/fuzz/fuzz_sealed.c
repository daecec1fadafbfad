/*
 * Sealed values from a store that somebody has written to (K10): whatever stands there, nothing opens but
 * what was sealed for that place; and what was sealed opens, unless a bit of it is another one.
 */
#include "fuzz.h"
#include "vault/key.h"

static const struct seal_place place = {
    .tenant_id = 7, .table = "token", .row = "42", .field = "refresh_token"};
static struct vault_key *key;

/* The seed "valid" was sealed under this key for this place; nobody can make another one. */
static void open_input(const uint8_t *data, size_t size)
{
    struct secret opened AUTO_SECRET = {0};
    struct err err = {0};
    int code = vault_open(key, &place, data, size, &opened, &err);
    CHECK(code == 0 || code == ERR_CORRUPT);
    CHECK((code == 0) == (opened.data != NULL));
    CHECK(code != 0 || strcmp(opened.data, "1//0seed") == 0);
    CHECK(code == 0 || err.message[0]);
}

static void seal_input(const uint8_t *data, size_t size)
{
    struct buf sealed AUTO_BUF;
    struct secret opened AUTO_SECRET = {0};
    buf_init(&sealed, 65536);
    vault_seal(key, &place, data, size, &sealed);
    if (sealed.overflowed)
        return;
    CHECK(vault_open(key, &place, sealed.data, sealed.len, &opened, NULL) == 0);
    CHECK(opened.len == size && (size == 0 || memcmp(opened.data, data, size) == 0));
    secret_release(&opened);
    size_t bit = size ? (data[0] * 251u + data[size - 1]) % (sealed.len * 8) : 0;
    sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ (1 << bit % 8));
    CHECK(vault_open(key, &place, sealed.data, sealed.len, &opened, NULL) == ERR_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char root[KEY_ROOT_BYTES] = "the root key of the fuzz target";
    if (!key) {
        vault_start();
        key = vault_key_new(root);
    }
    open_input(data, size);
    seal_input(data, size);
    return 0;
}
