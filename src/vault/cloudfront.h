/*
 * Amazon CloudFront's signed URLs with a canned policy: "this one URL, until then". Only the broker signs;
 * the command `check` looks at the key. Any thread.
 *
 * Sources, as of November 2026:
 * [canned]
 * https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html
 * [signers]
 * https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-trusted-signers.html
 * [cli] https://docs.aws.amazon.com/cli/latest/reference/cloudfront/sign.html
 */
#ifndef VAULT_CLOUDFRONT_H
#define VAULT_CLOUDFRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vault/secret.h"

/* SHA-256 is named in the URL (`Hash-Algorithm=SHA256`); what names no hash is taken for SHA-1 [canned]. */
enum cloudfront_hash { CLOUDFRONT_SHA256, CLOUDFRONT_SHA1 };

enum { CLOUDFRONT_KEY_ID_LEN_MAX = 127 };

struct cloudfront_key;

/* A PEM file with an RSA key of 2048 bits or more, or an ECDSA key on P-256, unencrypted [signers]. Errors as
 * of secret_file_open(), and ERR_AUTH: it holds no such key. */
int cloudfront_key_load(const char *path, struct cloudfront_key **ret, struct err *err) MUST_CHECK;
void cloudfront_key_free(struct cloudfront_key *key);              /* NULL is fine */
const char *cloudfront_key_kind(const struct cloudfront_key *key); /* "RSA" or "ECDSA" */
int cloudfront_key_bits(const struct cloudfront_key *key);

/* `ret` is `url` with Expires, Signature, Key-Pair-Id and, for SHA-256, Hash-Algorithm. ERR_INVALID: the URL
 * cannot be signed (it has one of these parameters, or a character that must be escaped). ERR_AUTH: this key
 * does not sign with this hash here. Messages hold nothing of the URL. */
int cloudfront_sign(const struct cloudfront_key *key, const char *key_id, enum cloudfront_hash hash,
                    const char *url, int64_t expires_at_s, struct secret *ret, struct err *err) MUST_CHECK;

/* Whether `host` is one of `hosts`, names parted by commas; without regard to case. */
bool cloudfront_is_signed_host(const char *hosts, const char *host);
/* Whether somebody has signed this URL already. */
bool cloudfront_has_signature(const char *url);

#endif
