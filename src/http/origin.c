/*
 * Which URLs and headers may be used. URLs are read with curl's own parser, the one that also connects, so
 * that what was checked and what is contacted cannot differ.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/text.h"
#include "http/address.h"
#include "http/http.h"

static void release_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void release_text(char **text)
{
    curl_free(*text);
}

static bool is_plain_text(const char *url)
{
    for (; *url; url++) {
        if (*url <= ' ' || *url > '~' || *url == '\\')
            return false;
    }
    return true;
}

static int read_host(CURLU *url, struct http_origin *ret, struct err *err)
{
    char *host CLEANUP(release_text) = NULL;
    char *zone CLEANUP(release_text) = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || !host[0])
        return err_set(err, ERR_INVALID, "the URL has no host");
    if (curl_url_get(url, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK)
        return err_set(err, ERR_INVALID, "the URL's address has a zone");
    size_t len = strlen(host);
    bool is_bracketed = host[0] == '[' && host[len - 1] == ']';
    const char *name = is_bracketed ? host + 1 : host;
    len -= is_bracketed ? 2 : 0;
    if (len >= sizeof ret->host)
        return err_set(err, ERR_INVALID, "the URL's host is too long");
    for (size_t i = 0; i < len; i++)
        ret->host[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    ret->host[len] = '\0';
    return 0;
}

static int read_port(CURLU *url, struct http_origin *ret, struct err *err)
{
    char *text CLEANUP(release_text) = NULL;
    uint64_t port = 0;
    if (curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        !parse_u64(text, &port) || port == 0 || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "the URL's port is not valid");
    ret->port = (uint16_t)port;
    return 0;
}

static int read_origin(const char *text, struct http_origin *ret, struct err *err)
{
    CURLU *url CLEANUP(release_url) = curl_url();
    if (!url)
        return err_set(err, ERR_INTERNAL, "no memory for a URL");
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
    if (code == CURLUE_USER_NOT_ALLOWED)
        return err_set(err, ERR_INVALID, "the URL holds a user name");
    if (code != CURLUE_OK)
        return err_set(err, ERR_INVALID, "not a valid URL: %s", curl_url_strerror(code));
    int ret_code = read_host(url, ret, err);
    return ret_code ? ret_code : read_port(url, ret, err);
}

int http_origin_parse(const char *url, struct http_origin *ret, struct err *err)
{
    struct http_origin origin = {.https = !strncasecmp(url, "https://", 8)};
    if (!origin.https && strncasecmp(url, "http://", 7))
        return err_set(err, ERR_INVALID, "the URL does not begin with https://");
    const char *host = url + (origin.https ? 8 : 7);
    if (!is_plain_text(url))
        return err_set(err, ERR_INVALID, "the URL has characters that must be escaped");
    if (*host == '/')
        return err_set(err, ERR_INVALID, "the URL has no host");
    if (strchr(url, '#'))
        return err_set(err, ERR_INVALID, "the URL has a fragment");
    if (memchr(host, '@', strcspn(host, "/?")))
        return err_set(err, ERR_INVALID, "the URL holds a user name");
    int code = read_origin(url, &origin, err);
    if (code == 0)
        *ret = origin;
    return code;
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* False: a name. */
static bool read_literal(const char *host, union address *ret)
{
    *ret = (union address){0};
    bool is_v4 = inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, &ret->v6.sin6_addr) != 1)
        return false;
    ret->any.sa_family = is_v4 ? AF_INET : AF_INET6;
    return true;
}

bool http_host_is_loopback(const char *host)
{
    union address address;
    return read_literal(host, &address) ? address_is_loopback(&address.any) : !strcasecmp(host, "localhost");
}

bool http_host_is_private(const char *host)
{
    union address address;
    return read_literal(host, &address) ? !address_is_public(&address.any) : !strcasecmp(host, "localhost");
}
