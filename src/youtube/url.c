#include "youtube/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"

static bool is_visible_ascii(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7F || *text == '\\')
            return false;
    return true;
}

static bool take_scheme(const char **at, struct origin *ret)
{
    ret->is_https = strncasecmp(*at, "https://", 8) == 0;
    if (!ret->is_https && strncasecmp(*at, "http://", 7) != 0)
        return false;
    *at += ret->is_https ? 8 : 7;
    return true;
}

/* Letters, digits, dots and hyphens, or an address in brackets. */
static bool take_host(const char **at, struct origin *ret)
{
    bool is_bracketed = **at == '[';
    const char *begin = *at + is_bracketed;
    size_t len =
        strspn(begin, is_bracketed ? "0123456789abcdefABCDEF:."
                                   : "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_");
    if (len == 0 || len >= sizeof(ret->host) || (is_bracketed && begin[len] != ']'))
        return false;
    for (size_t i = 0; i < len; i++)
        ret->host[i] = (char)tolower((unsigned char)begin[i]);
    ret->host[len] = '\0';
    *at = begin + len + is_bracketed;
    return true;
}

static bool take_port(const char **at, struct origin *ret)
{
    ret->port = ret->is_https ? 443 : 80;
    if (**at != ':')
        return true;
    char digits[6];
    size_t len = strspn(*at + 1, "0123456789");
    uint64_t port;
    if (len == 0 || len >= sizeof(digits))
        return false;
    memcpy(digits, *at + 1, len);
    digits[len] = '\0';
    if (!parse_u64(digits, &port) || port == 0 || port > UINT16_MAX)
        return false;
    ret->port = (uint16_t)port;
    *at += 1 + len;
    return true;
}

int yt_origin_parse(const char *url, struct origin *ret, struct err *err)
{
    const char *at = url;
    if (!is_visible_ascii(url))
        return err_set(err, ERR_INVALID, "a URL with a blank, control or other special character");
    if (!take_scheme(&at, ret))
        return err_set(err, ERR_INVALID, "not an absolute http or https URL");
    size_t authority_len = strcspn(at, "/?#");
    if (memchr(at, '@', authority_len))
        return err_set(err, ERR_INVALID, "a URL with user information");
    if (!take_host(&at, ret))
        return err_set(err, ERR_INVALID, "a URL without a usable host");
    if (!take_port(&at, ret))
        return err_set(err, ERR_INVALID, "a URL of host %s with an impossible port", ret->host);
    if (*at != '\0' && *at != '/' && *at != '?')
        return err_set(err, ERR_INVALID, "a URL of host %s with something odd behind the host", ret->host);
    if (strchr(at, '#'))
        return err_set(err, ERR_INVALID, "a URL of host %s with a fragment", ret->host);
    return 0;
}

bool yt_origin_is_same(const struct origin *a, const struct origin *b)
{
    return a->is_https == b->is_https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool yt_origin_is_loopback(const struct origin *origin)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(origin->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, origin->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, origin->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

int yt_url_check_secure(const char *url, const char *what, struct err *err)
{
    struct origin origin;
    if (yt_origin_parse(url, &origin, err) < 0)
        return err_wrap(err, "%s", what);
    if (!origin.is_https && !yt_origin_is_loopback(&origin))
        return err_set(err, ERR_INVALID, "%s: host %s must be reached by https", what, origin.host);
    return 0;
}

void yt_url_escape(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (isalnum((unsigned char)*text) || strchr("-._~", *text))
            buf_putc(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}
