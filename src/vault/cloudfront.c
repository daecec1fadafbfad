#include "vault/cloudfront.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "vault/secret_file.h"

enum {
    PEM_BYTES_MAX = 16384,
    RSA_BITS_MIN = 2048,
    EC_BITS = 256,
    SIGNATURE_BYTES_MAX = 2048,
    TAIL_BYTES = 128
};

#define POLICY_HEAD "{\"Statement\":[{\"Resource\":\""
#define POLICY_TAIL "\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":%" PRId64 "}}}]}"

struct cloudfront_key {
    EVP_PKEY *pkey;
};

/* ---- the key ---- */

/* Nobody is there to type a password. */
static int no_password(char *data, int size, int is_writing, void *ctx)
{
    (void)data, (void)size, (void)is_writing, (void)ctx;
    return -1;
}

static EVP_PKEY *parse_pem(const struct secret *pem, size_t len)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)len);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    return pkey;
}

static bool is_p256(const EVP_PKEY *pkey)
{
    char group[32] = "";
    return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_bits(pkey) == EC_BITS &&
           EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 && strcmp(group, "prime256v1") == 0;
}

static bool is_acceptable(const EVP_PKEY *pkey)
{
    return (EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN) || is_p256(pkey);
}

static const char *what_is_wrong(const struct secret *pem, const EVP_PKEY *pkey)
{
    if (pkey)
        return "is not for CloudFront: RSA of 2048 bits or ECDSA on P-256 is needed";
    if (strstr(pem->data, "ENCRYPTED"))
        return "is encrypted: decrypt it with `openssl pkey`, and leave it to its permissions";
    if (strstr(pem->data, "PUBLIC KEY-----") || strstr(pem->data, "CERTIFICATE-----"))
        return "holds what is public, not the private key";
    return "holds no private key (PEM is expected)";
}

static int read_file(const char *path, struct secret *ret, size_t *ret_len, struct err *err)
{
    static const char what[] = "CDN key file";
    int fd = secret_file_open(path, what, err);
    if (fd < 0)
        return fd;
    secret_reserve(ret, PEM_BYTES_MAX);
    int code = secret_file_read(fd, path, what, ret, ret_len, err);
    close(fd);
    return code;
}

int cloudfront_key_load(const char *path, struct cloudfront_key **ret, struct err *err)
{
    struct secret pem AUTO_SECRET = {0};
    size_t len = 0;
    int code = read_file(path, &pem, &len, err);
    if (code != 0)
        return code;
    EVP_PKEY *pkey = parse_pem(&pem, len);
    if (!pkey || !is_acceptable(pkey)) {
        code = err_set(err, ERR_AUTH, "%s %s", path, what_is_wrong(&pem, pkey));
        EVP_PKEY_free(pkey);
        return code;
    }
    *ret = mem_alloc(sizeof(**ret));
    (*ret)->pkey = pkey;
    return 0;
}

void cloudfront_key_free(struct cloudfront_key *key)
{
    if (key)
        EVP_PKEY_free(key->pkey); /* OpenSSL wipes what it held */
    mem_free(key);
}

const char *cloudfront_key_kind(const struct cloudfront_key *key)
{
    return EVP_PKEY_is_a(key->pkey, "RSA") ? "RSA" : "ECDSA";
}

int cloudfront_key_bits(const struct cloudfront_key *key)
{
    return EVP_PKEY_get_bits(key->pkey);
}

/* ---- the URL ---- */

/* The place of a query parameter of this name; NULL: none. */
static const char *find_parameter(const char *url, const char *name)
{
    size_t len = strlen(name);
    const char *at = strchr(url, '?');
    while (at) {
        at++;
        if (strncmp(at, name, len) == 0 && (at[len] == '=' || at[len] == '&' || at[len] == '\0'))
            return at;
        at = strchr(at, '&');
    }
    return NULL;
}

bool cloudfront_has_signature(const char *url)
{
    return find_parameter(url, "Signature") && find_parameter(url, "Key-Pair-Id");
}

/* CloudFront takes these as its own [cli]. An asterisk would be a wildcard to who reads the policy, and the
 * same text must not be good for more than this URL. */
static int check_url(const char *url, struct err *err)
{
    static const char *const own[] = {"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (find_parameter(url, own[i]))
            return err_set(err, ERR_INVALID, "the CDN's URL has a parameter %s, which is CloudFront's own",
                           own[i]);
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"\\*#", *c))
            return err_set(err, ERR_INVALID, "the CDN's URL has characters that must be escaped");
    return 0;
}

bool cloudfront_is_signed_host(const char *hosts, const char *host)
{
    size_t len = strlen(host);
    while (*hosts) {
        hosts += strspn(hosts, ", \t");
        size_t name_len = strcspn(hosts, ", \t");
        if (len > 0 && name_len == len && strncasecmp(hosts, host, len) == 0)
            return true;
        hosts += name_len;
    }
    return false;
}

/* ---- the signature ---- */

/* Exactly the text that CloudFront will build from the URL: no blanks, this order [canned]. */
static void write_policy(const char *url, int64_t expires_at_s, struct secret *ret)
{
    secret_reserve(ret, strlen(url) + sizeof(POLICY_HEAD) + TAIL_BYTES);
    size_t head_len = (size_t)snprintf(ret->data, ret->len, POLICY_HEAD "%s", url);
    int tail_len = snprintf(ret->data + head_len, ret->len - head_len, POLICY_TAIL, expires_at_s);
    ret->len = head_len + (size_t)tail_len;
}

static int sign_bytes(const struct cloudfront_key *key, enum cloudfront_hash hash, const struct secret *text,
                      unsigned char *ret, size_t *len, struct err *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_signed = context &&
                     EVP_DigestSignInit(context, NULL, hash == CLOUDFRONT_SHA1 ? EVP_sha1() : EVP_sha256(),
                                        NULL, key->pkey) == 1 &&
                     EVP_DigestSign(context, ret, len, (const unsigned char *)text->data, text->len) == 1;
    EVP_MD_CTX_free(context);
    if (!is_signed)
        return err_set(err, ERR_AUTH, "OpenSSL does not sign with this key and %s here",
                       hash == CLOUDFRONT_SHA1 ? "SHA-1" : "SHA-256");
    return 0;
}

/* Base64, with what means something in a URL replaced [canned]. */
static void write_signature(const unsigned char *signature, size_t len, struct secret *ret)
{
    secret_reserve(ret, sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL));
    sodium_bin2base64(ret->data, ret->len, signature, len, sodium_base64_VARIANT_ORIGINAL);
    for (char *c = ret->data; *c; c++)
        *c = *c == '+' ? '-' : *c == '=' ? '_' : *c == '/' ? '~' : *c;
}

static void write_url(const char *url, int64_t expires_at_s, const struct secret *signature,
                      const char *key_id, enum cloudfront_hash hash, struct secret *ret)
{
    const char *hash_parameter = hash == CLOUDFRONT_SHA256 ? "&Hash-Algorithm=SHA256" : "";
    secret_reserve(ret, strlen(url) + signature->len + strlen(key_id) + TAIL_BYTES);
    int len = snprintf(ret->data, ret->len, "%s%cExpires=%" PRId64 "&Signature=%s&Key-Pair-Id=%s%s", url,
                       strchr(url, '?') ? '&' : '?', expires_at_s, signature->data, key_id, hash_parameter);
    ret->len = (size_t)len;
}

int cloudfront_sign(const struct cloudfront_key *key, const char *key_id, enum cloudfront_hash hash,
                    const char *url, int64_t expires_at_s, struct secret *ret, struct err *err)
{
    unsigned char bytes[SIGNATURE_BYTES_MAX];
    size_t len = sizeof(bytes);
    struct secret policy AUTO_SECRET = {0};
    struct secret signature AUTO_SECRET = {0};
    int code = check_url(url, err);
    if (code != 0)
        return code;
    write_policy(url, expires_at_s, &policy);
    code = sign_bytes(key, hash, &policy, bytes, &len, err);
    if (code != 0)
        return code;
    write_signature(bytes, len, &signature);
    secret_wipe(bytes, sizeof(bytes));
    write_url(url, expires_at_s, &signature, key_id, hash, ret);
    return 0;
}
