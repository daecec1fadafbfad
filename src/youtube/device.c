/* What answers the first request of the device flow [device]. */
#include <string.h>

#include "core/limits.h"
#include "youtube/json.h"
#include "youtube/message.h"
#include "youtube/url.h"
#include "youtube/youtube.h"

static int64_t read_seconds_ms(const json_t *body, const char *key, int64_t least_s, int64_t most_s,
                               int64_t fallback_s)
{
    uint64_t seconds;
    if (!yt_json_number_u64(body, key, &seconds))
        return fallback_s * 1000;
    if (seconds < (uint64_t)least_s)
        return least_s * 1000;
    return (seconds > (uint64_t)most_s ? most_s : (int64_t)seconds) * 1000;
}

static int refuse(const struct yt_http *http, struct err *err)
{
    struct yt_token_reply reply;
    yt_parse_token_reply(http, &reply);
    if (reply.result == TOKEN_TRANSIENT)
        return err_set(err, ERR_IO, "asking for a device code: %s: try again", reply.message);
    if (reply.result == TOKEN_CLIENT && strcmp(reply.error, "invalid_client") == 0)
        return err_set(
            err, ERR_AUTH,
            "Google gives this client no device code (%s): a device login needs an OAuth client of "
            "type \"TVs and Limited Input devices\"; make one in Google's console, import it, and "
            "name it with --client",
            reply.message);
    return err_set(err, ERR_AUTH, "Google gives no device code: %s", reply.message);
}

/* RFC 8628 says verification_uri, Google verification_url. */
static bool take_url(const json_t *body, struct yt_device_code *ret)
{
    return yt_json_visible(body, "verification_url", ret->url, sizeof(ret->url)) ||
           yt_json_visible(body, "verification_uri", ret->url, sizeof(ret->url));
}

int yt_parse_device_code(const struct yt_http *http, struct yt_device_code *ret, struct err *err)
{
    *ret = (struct yt_device_code){.url = ""};
    if (http->status != 200)
        return refuse(http, err);
    json_t *body AUTO_JSON = http->body_is_cut ? NULL : yt_json_load_reply(http->body, http->body_len);
    if (!yt_json_visible(body, "device_code", ret->device_code, sizeof(ret->device_code)) ||
        !yt_json_visible(body, "user_code", ret->user_code, sizeof(ret->user_code)) || !take_url(body, ret)) {
        explicit_bzero(ret, sizeof(*ret));
        return err_set(err, ERR_IO, "asking for a device code: the reply cannot be understood");
    }
    ret->expires_in_ms = read_seconds_ms(body, "expires_in", 60, 86400, 1800);
    ret->interval_ms = read_seconds_ms(body, "interval", 1, 60, 5);
    int code = yt_url_check_secure(ret->url, "the page to enter the code at", err);
    if (code < 0)
        explicit_bzero(ret, sizeof(*ret));
    return code;
}
