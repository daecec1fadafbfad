/* The points of `check` that concern CDNs: certificates, the key that signs. */
#include <string.h>

#include "cli/findings.h"
#include "vault/cloudfront.h"

enum { CLOUDFRONT_RSA_BITS = 2048 };

static void tell_key(struct check *check, const struct cloudfront_key *key)
{
    const struct settings *settings = &check->cli->settings;
    const char *kind = cloudfront_key_kind(key);
    int bits = cloudfront_key_bits(key);
    if (!settings->cdn_key_id || !*settings->cdn_sign_hosts)
        check_warn(check, "cdn_key_file", "set cdn_key_id and cdn_sign_hosts, or remove cdn_key_file",
                   "%s is not used: no host is named whose URLs are to be signed", settings->cdn_key_file);
    else if (strcmp(kind, "RSA") == 0 && bits != CLOUDFRONT_RSA_BITS)
        check_warn(check, "cdn_key_file", "make a key with `openssl genrsa 2048`",
                   "%s has %d bits, and CloudFront takes RSA keys of %d", settings->cdn_key_file, bits,
                   CLOUDFRONT_RSA_BITS);
    else
        check_ok(check, "cdn_key_file", "%s (%s, %d bits) signs as %s for %s", settings->cdn_key_file, kind,
                 bits, settings->cdn_key_id, settings->cdn_sign_hosts);
}

static void check_cdn_key(struct check *check)
{
    struct cloudfront_key *key = NULL;
    struct err err = {0};
    if (cloudfront_key_load(check->cli->settings.cdn_key_file, &key, &err) < 0) {
        check_fail(check, "cdn_key_file", "set cdn_key_file to the private key that belongs to cdn_key_id",
                   &err);
        return;
    }
    tell_key(check, key);
    cloudfront_key_free(key);
}

void check_cdn(struct check *check)
{
    const struct settings *settings = &check->cli->settings;
    if (settings->cdn_ca_file)
        check_ca_file(check, "cdn_ca_file", settings->cdn_ca_file);
    if (settings->cdn_key_file)
        check_cdn_key(check);
}
