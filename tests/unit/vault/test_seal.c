#include "unit.h"

#include <string.h>

#include "base/text.h"
#include "vault/key.h"

static const unsigned char root_a[KEY_ROOT_BYTES] = "the first root key of the tests";
static const unsigned char root_b[KEY_ROOT_BYTES] = "another root key, as after loss";
static struct vault_key *key_a, *key_b;

static const struct seal_place here = {
    .tenant_id = 7, .table = "token", .row = "42", .field = "refresh_token"};
static const char plain[] = "1//0gRefreshTokenOfATest";

static void seal_here(struct buf *sealed)
{
    buf_init(sealed, 4096);
    vault_seal(key_a, &here, plain, strlen(plain), sealed);
    assert_false(sealed->overflowed);
}

static int open_at(const struct vault_key *key, const struct seal_place *place, const void *sealed,
                   size_t len)
{
    struct secret opened AUTO_SECRET = {0};
    struct err err = {0};
    int code = vault_open(key, place, sealed, len, &opened, &err);
    if (code != 0) {
        assert_null(opened.data);
        assert_int_equal(code, ERR_CORRUPT);
        assert_null(strstr(err.message, plain));
    }
    return code;
}

static void what_is_sealed_opens(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(plain); len++) {
        struct buf sealed AUTO_BUF;
        buf_init(&sealed, 4096);
        vault_seal(key_a, &here, plain, len, &sealed);
        assert_int_equal(sealed.len, len + 1 + 8 + 24 + 16);
        struct secret opened AUTO_SECRET = {0};
        assert_int_equal(vault_open(key_a, &here, sealed.data, sealed.len, &opened, NULL), 0);
        assert_int_equal(opened.len, len);
        assert_memory_equal(opened.data, plain, len);
        assert_int_equal(opened.data[len], 0);
    }
}

static void two_seals_of_one_value_differ(void **state)
{
    (void)state;
    struct buf one AUTO_BUF, two AUTO_BUF;
    seal_here(&one);
    seal_here(&two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, 9);
    assert_true(memcmp(one.data + 9, two.data + 9, one.len - 9) != 0);
}

static void nothing_of_the_value_shows(void **state)
{
    (void)state;
    struct buf sealed AUTO_BUF;
    seal_here(&sealed);
    assert_null(memmem(sealed.data, sealed.len, plain, 6));
}

static void k10_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct buf sealed AUTO_BUF;
    seal_here(&sealed);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(open_at(key_a, &here, sealed.data, sealed.len), ERR_CORRUPT);
        sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ (1 << bit % 8));
    }
    assert_int_equal(open_at(key_a, &here, sealed.data, sealed.len), 0);
}

static void k10_every_truncation_is_refused(void **state)
{
    (void)state;
    struct buf sealed AUTO_BUF;
    seal_here(&sealed);
    for (size_t len = 0; len < sealed.len; len++) {
        assert_int_equal(open_at(key_a, &here, sealed.data, len), ERR_CORRUPT);
        assert_int_equal(open_at(key_a, &here, sealed.data + sealed.len - len, len), ERR_CORRUPT);
    }
    buf_putc(&sealed, '\0');
    assert_int_equal(open_at(key_a, &here, sealed.data, sealed.len), ERR_CORRUPT);
}

static void k10_another_place_is_refused(void **state)
{
    (void)state;
    struct buf sealed AUTO_BUF;
    seal_here(&sealed);
    static const struct seal_place elsewhere[] = {
        {.tenant_id = 8, .table = "token", .row = "42", .field = "refresh_token"},
        {.tenant_id = 7, .table = "client", .row = "42", .field = "refresh_token"},
        {.tenant_id = 7, .table = "token", .row = "43", .field = "refresh_token"},
        {.tenant_id = 7, .table = "token", .row = "42", .field = "client_secret"},
        /* the same letters, parted elsewhere */
        {.tenant_id = 7, .table = "token4", .row = "2", .field = "refresh_token"},
        {.tenant_id = 7, .table = "token", .row = "42r", .field = "efresh_token"},
        {.tenant_id = 7, .table = "token", .row = "", .field = "42refresh_token"},
        {.tenant_id = -7, .table = "token", .row = "42", .field = "refresh_token"},
    };
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        assert_int_equal(open_at(key_a, &elsewhere[i], sealed.data, sealed.len), ERR_CORRUPT);
}

static void k10_an_unknown_key_is_refused_by_its_id(void **state)
{
    (void)state;
    struct buf sealed AUTO_BUF;
    seal_here(&sealed);
    struct secret opened AUTO_SECRET = {0};
    struct err err = {0};
    assert_int_equal(vault_open(key_b, &here, sealed.data, sealed.len, &opened, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, vault_key_id(key_a)));
    assert_non_null(strstr(err.message, vault_key_id(key_b)));
    /* A forged id does not help. */
    memcpy(sealed.data + 1, key_b->id, KEY_ID_BYTES);
    assert_int_equal(open_at(key_b, &here, sealed.data, sealed.len), ERR_CORRUPT);
}

static void a_buffer_too_small_is_told(void **state)
{
    (void)state;
    struct buf sealed AUTO_BUF;
    buf_init(&sealed, 60);
    vault_seal(key_a, &here, plain, strlen(plain), &sealed);
    assert_true(sealed.overflowed);
}

static void digests_are_keyed_and_stable(void **state)
{
    (void)state;
    unsigned char digest_a[VAULT_DIGEST_KEY_SIZE], digest_b[VAULT_DIGEST_KEY_SIZE];
    vault_digest_key(key_a, digest_a);
    vault_digest_key(key_b, digest_b);
    char one[VAULT_DIGEST_SIZE], two[VAULT_DIGEST_SIZE];
    vault_digest(digest_a, "uploader", 8, one);
    vault_digest(digest_a, "uploader", 8, two);
    assert_string_equal(one, two);
    assert_int_equal(strlen(one), 32);
    vault_digest(digest_b, "uploader", 8, two);
    assert_string_not_equal(one, two);
    vault_digest(digest_a, "uploadeR", 8, two);
    assert_string_not_equal(one, two);
    assert_memory_not_equal(digest_a, key_a->sealing, 32);
}

/* RFC 7636, appendix B. */
static void sha256_makes_the_pkce_challenge(void **state)
{
    (void)state;
    static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    unsigned char digest[32];
    char challenge[45];
    vault_sha256(verifier, strlen(verifier), digest);
    text_base64url(challenge, digest, sizeof(digest));
    assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

int main(void)
{
    vault_start();
    key_a = vault_key_new(root_a);
    key_b = vault_key_new(root_b);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(two_seals_of_one_value_differ),
        cmocka_unit_test(nothing_of_the_value_shows),
        cmocka_unit_test(k10_every_flipped_bit_is_refused),
        cmocka_unit_test(k10_every_truncation_is_refused),
        cmocka_unit_test(k10_another_place_is_refused),
        cmocka_unit_test(k10_an_unknown_key_is_refused_by_its_id),
        cmocka_unit_test(a_buffer_too_small_is_told),
        cmocka_unit_test(digests_are_keyed_and_stable),
        cmocka_unit_test(sha256_makes_the_pkce_challenge),
    };
    int failed = RUN_UNIT_TESTS(tests);
    vault_key_free(key_a);
    vault_key_free(key_b);
    return failed;
}
