/*
 * URLs: origins, percent-encoding, and where a token may be sent. Any thread.
 */
#ifndef YOUTUBE_URL_H
#define YOUTUBE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct origin {
    bool is_https;
    char host[256]; /* lower case; IPv6 without brackets */
    uint16_t port;
};

/* An absolute http or https URL of visible ASCII, without userinfo, fragment or backslash. ERR_INVALID says
 * why not and names at most the host: a URL may be a secret. */
int yt_origin_parse(const char *url, struct origin *ret, struct err *err) MUST_CHECK;
bool yt_origin_is_same(const struct origin *a, const struct origin *b);
bool yt_origin_is_loopback(const struct origin *origin); /* 127.0.0.0/8, ::1, localhost */
/* https, or http to a loopback address. ERR_INVALID names `what`. */
int yt_url_check_secure(const char *url, const char *what, struct err *err) MUST_CHECK;
/* All but the unreserved characters of RFC 3986 become %XX. */
void yt_url_escape(struct buf *out, const char *text);

#endif
