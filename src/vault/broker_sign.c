/* Signs URLs of CDNs, so that the private key is in this process alone. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/http.h"
#include "vault/broker.h"
#include "vault/child.h"

/* Long enough for both questions to a CDN and a clock that is off by a little. */
enum { SIGNATURE_LIFE_S = 300 };

void cdn_signing_set(struct cdn_signing *cdn, const struct message *config)
{
    cdn_signing_release(cdn);
    cdn->key_file = mem_dup(config->fields[CONFIG_CDN_KEY_FILE].text);
    cdn->key_id = mem_dup(config->fields[CONFIG_CDN_KEY_ID].text);
    cdn->hosts = mem_dup(config->fields[CONFIG_CDN_SIGN_HOSTS].text);
    cdn->hash =
        config->fields[CONFIG_CDN_SIGN_HASH].number == CLOUDFRONT_SHA1 ? CLOUDFRONT_SHA1 : CLOUDFRONT_SHA256;
}

void cdn_signing_release(struct cdn_signing *cdn)
{
    mem_free(cdn->key_file);
    mem_free(cdn->key_id);
    mem_free(cdn->hosts);
    *cdn = (struct cdn_signing){0};
}

/* What is signed is decided here, too, not only by who asks. */
static int check_host(const struct cdn_signing *cdn, const char *url, struct err *err)
{
    struct http_origin origin;
    int code = http_origin_parse(url, &origin, err);
    if (code != 0)
        return code;
    if (!origin.https || !*cdn->key_file || !cloudfront_is_signed_host(cdn->hosts, origin.host))
        return err_set(err, ERR_INVALID, "%s: nothing is signed for this host", origin.host);
    return 0;
}

static enum sign_result sign(const struct cdn_signing *cdn, const char *url, struct secret *ret,
                             struct err *err)
{
    struct cloudfront_key *key = NULL;
    int64_t expires_at_s = clock_wall_ms() / 1000 + SIGNATURE_LIFE_S;
    if (check_host(cdn, url, err) != 0)
        return SIGN_REFUSED;
    if (cloudfront_key_load(cdn->key_file, &key, err) != 0)
        return SIGN_NO_KEY;
    int code = cloudfront_sign(key, cdn->key_id, cdn->hash, url, expires_at_s, ret, err);
    cloudfront_key_free(key);
    return code == 0 ? SIGN_OK : code == ERR_INVALID ? SIGN_REFUSED : SIGN_NO_KEY;
}

void url_sign(struct child *child, const struct message *ask)
{
    struct secret url AUTO_SECRET = {0};
    struct err err = {0};
    struct message_out out;
    enum sign_result result = sign(&child->cdn, ask->fields[SIGN_URL].text, &url, &err);
    message_start(&out, MESSAGE_SIGNED, ask->id);
    message_put_number(&out, result);
    message_put_text(&out, result == SIGN_OK ? url.data : "");
    message_put_text(&out, err.message);
    child_answer(child, &out);
}
