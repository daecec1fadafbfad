/* CloudFront's signed URLs: the text that is signed, byte by byte, and keys that are none. */
#include "unit.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "scratch.h"
#include "vault/cloudfront.h"

#define KEY_ID "K2JCJMDEHXQW5F"

static char key_path[96];

static int make_folder(void **state)
{
    int code = scratch_open(state);
    snprintf(key_path, sizeof(key_path), "%s/key.pem", scratch);
    return code;
}

/* ---- keys ---- */

static void write_pem(EVP_PKEY *pkey, const char *password)
{
    FILE *file = fopen(key_path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, pkey, password ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL,
                                          (void *)password),
                     1);
    fclose(file);
    assert_int_equal(chmod(key_path, 0400), 0);
}

static int remove_key(void **state)
{
    (void)state;
    unlink(key_path);
    return 0;
}

static struct cloudfront_key *must_load(void)
{
    struct cloudfront_key *key = NULL;
    struct err err = {0};
    if (cloudfront_key_load(key_path, &key, &err) != 0)
        fail_msg("%s", err.message);
    return key;
}

static void assert_not_loaded(int code, const char *part)
{
    struct cloudfront_key *key = NULL;
    struct err err = {0};
    assert_int_equal(cloudfront_key_load(key_path, &key, &err), code);
    assert_null(key);
    assert_non_null(strstr(err.message, key_path));
    if (!strstr(err.message, part))
        fail_msg("\"%s\" lacks \"%s\"", err.message, part);
}

static void assert_key_not_loaded(EVP_PKEY *pkey, const char *part)
{
    unlink(key_path);
    write_pem(pkey, NULL);
    EVP_PKEY_free(pkey);
    assert_not_loaded(ERR_AUTH, part);
}

static void keys_that_cloudfront_does_not_take(void **state)
{
    (void)state;
    assert_key_not_loaded(EVP_RSA_gen(1024), "RSA of 2048 bits or ECDSA on P-256");
    assert_key_not_loaded(EVP_EC_gen("secp384r1"), "ECDSA on P-256");
    assert_key_not_loaded(EVP_EC_gen("secp256k1"), "ECDSA on P-256");
    assert_key_not_loaded(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "ECDSA on P-256");
}

static void files_that_hold_no_key(void **state)
{
    (void)state;
    assert_not_loaded(ERR_NOT_FOUND, "there is no");
    put_file(key_path, "", 0400);
    assert_not_loaded(ERR_AUTH, "no private key");
    put_file(key_path, "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", 0400);
    assert_not_loaded(ERR_AUTH, "no private key");
    put_file(key_path, "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----\n", 0400);
    assert_not_loaded(ERR_AUTH, "public");
}

static void a_key_that_is_encrypted(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    write_pem(pkey, "password");
    EVP_PKEY_free(pkey);
    assert_not_loaded(ERR_AUTH, "encrypted");
}

static void k11_a_key_that_others_may_read(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    write_pem(pkey, NULL);
    EVP_PKEY_free(pkey);
    assert_int_equal(chmod(key_path, 0444), 0);
    assert_not_loaded(ERR_AUTH, "chmod 0400");
    assert_int_equal(chmod(key_path, 0400), 0);
    cloudfront_key_free(must_load());
}

/* ---- signatures ---- */

/* What stands between `before` and the next '&'. */
static void take_parameter(const char *url, const char *before, struct buf *ret)
{
    const char *at = strstr(url, before);
    assert_non_null(at);
    at += strlen(before);
    buf_append(ret, at, strcspn(at, "&"));
}

static void undo_replacements(char *text)
{
    for (; *text; text++)
        *text = *text == '-' ? '+' : *text == '_' ? '=' : *text == '~' ? '/' : *text;
}

static void assert_signs(EVP_PKEY *pkey, const EVP_MD *hash, const char *url, const char *policy)
{
    unsigned char signature[1024];
    size_t len;
    struct buf text AUTO_BUF = BUF_INIT(2048);
    take_parameter(url, "&Signature=", &text);
    assert_int_equal(strspn(text.data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~"),
                     text.len);
    undo_replacements(text.data);
    assert_int_equal(sodium_base642bin(signature, sizeof(signature), text.data, text.len, NULL, &len, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, hash, NULL, pkey), 1);
    assert_int_equal(EVP_DigestVerify(context, signature, len, (const unsigned char *)policy, strlen(policy)),
                     1);
    EVP_MD_CTX_free(context);
}

static void must_sign(const struct cloudfront_key *key, enum cloudfront_hash hash, const char *url,
                      struct secret *ret)
{
    struct err err = {0};
    if (cloudfront_sign(key, KEY_ID, hash, url, 1767290400, ret, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(ret->len, strlen(ret->data));
}

#define URL "https://d111111abcdef8.cloudfront.net/image.jpg"
#define POLICY                                                                                               \
    "{\"Statement\":[{\"Resource\":\"" URL                                                                   \
    "\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1767290400}}}]}"

static void assert_begins_and_ends(const char *text, const char *begin, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    assert_int_equal(strncmp(text, begin, strlen(begin)), 0);
    assert_true(len > end_len);
    assert_string_equal(text + len - end_len, end);
}

static void what_is_signed_is_the_canned_policy(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    write_pem(pkey, NULL);
    struct cloudfront_key *key = must_load();
    struct secret url AUTO_SECRET = {0};
    must_sign(key, CLOUDFRONT_SHA256, URL, &url);
    assert_begins_and_ends(
        url.data, URL "?Expires=1767290400&Signature=", "&Key-Pair-Id=" KEY_ID "&Hash-Algorithm=SHA256");
    assert_signs(pkey, EVP_sha256(), url.data, POLICY);
    must_sign(key, CLOUDFRONT_SHA1, URL, &url);
    assert_begins_and_ends(url.data, URL "?Expires=1767290400&Signature=", "&Key-Pair-Id=" KEY_ID);
    assert_signs(pkey, EVP_sha1(), url.data, POLICY);
    assert_string_equal(cloudfront_key_kind(key), "RSA");
    assert_int_equal(cloudfront_key_bits(key), 2048);
    cloudfront_key_free(key);
    EVP_PKEY_free(pkey);
}

static void an_ecdsa_key_signs_too(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    write_pem(pkey, NULL);
    struct cloudfront_key *key = must_load();
    struct secret url AUTO_SECRET = {0};
    must_sign(key, CLOUDFRONT_SHA256, URL, &url);
    assert_signs(pkey, EVP_sha256(), url.data, POLICY);
    assert_string_equal(cloudfront_key_kind(key), "ECDSA");
    cloudfront_key_free(key);
    EVP_PKEY_free(pkey);
}

static void a_query_stays_and_is_signed(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    write_pem(pkey, NULL);
    struct cloudfront_key *key = must_load();
    struct secret url AUTO_SECRET = {0};
    must_sign(key, CLOUDFRONT_SHA256, URL "?size=large", &url);
    assert_begins_and_ends(url.data, URL "?size=large&Expires=1767290400&Signature=", "=SHA256");
    assert_signs(pkey, EVP_sha256(), url.data,
                 "{\"Statement\":[{\"Resource\":\"" URL
                 "?size=large\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1767290400}}}]}");
    cloudfront_key_free(key);
    EVP_PKEY_free(pkey);
}

static void urls_that_are_not_signed(void **state)
{
    static const char *const urls[] = {
        URL "?Expires=1",
        URL "?a=b&Policy=x",
        URL "?Signature",
        URL "?Key-Pair-Id=&a",
        URL "?Hash-Algorithm=",
        URL "\"}]}",
        URL "?all=*",
        URL "#part",
        URL "?a b",
        URL "/\\",
        URL "/\xc3\xa4.mp4",
    };
    (void)state;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    write_pem(pkey, NULL);
    EVP_PKEY_free(pkey);
    struct cloudfront_key *key = must_load();
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct secret url AUTO_SECRET = {0};
        struct err err = {0};
        assert_int_equal(cloudfront_sign(key, KEY_ID, CLOUDFRONT_SHA256, urls[i], 1, &url, &err),
                         ERR_INVALID);
        assert_null(strstr(err.message, "image.jpg"));
        assert_null(url.data);
    }
    struct secret url AUTO_SECRET = {0};
    must_sign(key, CLOUDFRONT_SHA256, URL "?NoExpires=1&ExpiresLate=2", &url);
    cloudfront_key_free(key);
}

/* ---- which URLs ---- */

static void hosts_are_compared_whole(void **state)
{
    (void)state;
    assert_true(cloudfront_is_signed_host("a.example", "a.example"));
    assert_true(cloudfront_is_signed_host("x.example, A.example ,y", "a.example"));
    assert_true(cloudfront_is_signed_host("x.example,y", "y"));
    assert_false(cloudfront_is_signed_host("", "a.example"));
    assert_false(cloudfront_is_signed_host("", ""));
    assert_false(cloudfront_is_signed_host(", ,", ""));
    assert_false(cloudfront_is_signed_host("aa.example,a.example.org", "a.example"));
}

static void a_signature_of_others_is_seen(void **state)
{
    (void)state;
    assert_true(cloudfront_has_signature(URL "?Policy=x&Signature=y&Key-Pair-Id=z"));
    assert_true(cloudfront_has_signature(URL "?Expires=1&Signature=y&Key-Pair-Id=z&Hash-Algorithm=SHA256"));
    assert_false(cloudfront_has_signature(URL));
    assert_false(cloudfront_has_signature(URL "?Signature=y"));
    assert_false(cloudfront_has_signature(URL "?XSignature=y&XKey-Pair-Id=z"));
    assert_false(cloudfront_has_signature("https://cdn.example/Signature=/Key-Pair-Id="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keys_that_cloudfront_does_not_take, remove_key),
        cmocka_unit_test_teardown(files_that_hold_no_key, remove_key),
        cmocka_unit_test_teardown(a_key_that_is_encrypted, remove_key),
        cmocka_unit_test_teardown(k11_a_key_that_others_may_read, remove_key),
        cmocka_unit_test_teardown(what_is_signed_is_the_canned_policy, remove_key),
        cmocka_unit_test_teardown(an_ecdsa_key_signs_too, remove_key),
        cmocka_unit_test_teardown(a_query_stays_and_is_signed, remove_key),
        cmocka_unit_test_teardown(urls_that_are_not_signed, remove_key),
        cmocka_unit_test(hosts_are_compared_whole),
        cmocka_unit_test(a_signature_of_others_is_seen),
    };
    vault_start();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, scratch_close);
}
