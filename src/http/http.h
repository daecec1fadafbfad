/*
 * HTTP exchanges on a libuv loop through curl's multi interface. One request is one exchange, never one
 * upload.
 *
 * HTTP/1.1, keep-alive, TLS 1.2 or newer with verification always on, no redirects, no netrc, no proxy but a
 * configured one, no `Expect: 100-continue`, replies capped. Plain http only to a loopback address and only
 * where `allow_plain_loopback`. Everything here belongs to the loop's thread. The `done` callback comes
 * exactly once for each accepted request, never from within http_start(), also after http_abort() and
 * http_close().
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

struct http;
struct http_request;

/* How an exchange ended below HTTP; core/event.h's `enum transport` follows it in the worker. */
enum http_end {
    HTTP_OK,       /* a whole reply was read */
    HTTP_CONNECT,  /* refused, unreachable, DNS, no connection in time, a handshake that broke, an address
                      that no name may lead to: nothing was sent */
    HTTP_TIMEOUT,  /* low speed, total or reply deadline, after sending began */
    HTTP_BROKEN,   /* reset, cut, bad record */
    HTTP_TLS,      /* certificate or protocol not acceptable */
    HTTP_PROTOCOL, /* malformed, over a cap, ambiguous length */
    HTTP_LOCAL,    /* no descriptor, no port, no memory */
    HTTP_SOURCE,   /* the body could not be read: see the body's own state */
    HTTP_ABORTED,
};

/* A header up to the token (RFC 6750). */
#define HTTP_BEARER "Authorization: Bearer "

struct http_config {
    const char *ca_file; /* NULL: the system's */
    /* PEM files of a certificate and its key, shown to servers that ask for one; NULL: none. Read anew for
     * each connection, so that they may be renewed in place. */
    const char *cert_file;
    const char *cert_key_file;
    const char *proxy; /* NULL: none, and the environment is not asked */
    const char *user_agent;
    bool allow_plain_loopback;
    /* A URL whose own host is a private address or localhost leads there. A name never does, whatever DNS
     * says (C11); the proxy may be anywhere. */
    bool allow_private_hosts;
    bool allow_private_names;   /* except here: a name may lead anywhere, too */
    int64_t connect_timeout_ms; /* 15 s is usual */
    int64_t low_speed_ms; /* give up when fewer than low_speed_bytes a second reached the other side for this
                             long; a body that rate_max or its own source holds back is not counted */
    uint32_t low_speed_bytes;
    uint32_t connections_max; /* in all; idle ones are kept for reuse */
    uint32_t connects_per_turn_max;
    /* Upload bytes a second over all requests of a rate_group; 0: no limit. Groups have equal shares of
     * rate_max as long as they want them, however many requests each has (L05). */
    uint64_t group_rate_max;
    uint64_t rate_max; /* upload bytes a second over all requests; 0: no limit; exact over a second */
};

/* Where a request's body comes from, piece by piece. Called on the loop only. */
struct http_body {
    uint64_t size_bytes;
    /* Copies up to `len` bytes to `data`; returns how many, HTTP_BODY_LATER (then http_resume() once there is
     * more), or HTTP_BODY_FAILED (the exchange ends with HTTP_SOURCE). Asked only for what is left of
     * size_bytes. */
    int64_t (*read)(void *ctx, void *data, size_t len);
    void *ctx;
};
enum { HTTP_BODY_LATER = -1, HTTP_BODY_FAILED = -2 };

struct http_reply {
    enum http_end end;
    int status; /* 0 unless a status line was read */
    bool early; /* a final status came before the whole body had been sent */
    const char
        *headers;     /* "Name: value\n" lines of the final response, as received, without CR; "" if none */
    const char *body; /* NUL-terminated */
    size_t body_len;
    bool body_is_cut;    /* it may go on: over the cap, an early reply's rest, or no length was told (T08) */
    uint64_t sent_bytes; /* body bytes taken from the body: the other side can have no more */
    int64_t elapsed_ms;
    int64_t wait_ms;    /* from the last body byte to the first reply byte; 0 where not known */
    int64_t connect_ms; /* 0: the connection was reused */
    char message[256];  /* what happened, for people; host but never path, query or header */
};

struct http_exchange {
    const char *method;         /* GET POST PUT DELETE HEAD */
    const char *url;            /* may be a secret: copied, wiped afterwards, never logged */
    const char *const *headers; /* "Name: value", NULL-terminated; copied, wiped afterwards */
    const void *body;           /* a small body; copied, wiped afterwards. Or: */
    size_t body_len;
    const struct http_body *stream; /* copied; NULL: none */
    /* Whether the same bytes may go out once more, on a fresh connection, when a kept one was dead and no
     * body byte had been taken (C10). False: it is sent once at most, and ends with HTTP_BROKEN. A server may
     * have read, done and charged what it never answered: so false for what costs quota (I8) or makes
     * something. */
    bool is_repeatable;
    uint64_t rate_group; /* whose bandwidth it takes: a tenant, say */
    size_t reply_len_max;
    int64_t deadline_ms; /* the whole exchange; 0: none but low speed (a body) */
    int64_t
        reply_deadline_ms; /* from the last body byte to the end of the reply (C07); 0: deadline_ms alone */
    void (*done)(void *ctx, const struct http_reply *reply); /* reply lives as long as the call */
    void (*progress)(void *ctx, uint64_t sent_bytes);        /* may be NULL; at most every 100 ms */
    void *ctx;
};

int http_open(uv_loop_t *loop, const struct http_config *config, struct http **ret,
              struct err *err) MUST_CHECK;
/* Aborts what runs (their `done` come first, from within), then frees; uv handles are closed, so run the loop
 * once more. */
void http_close(struct http *http);
/* Other limits from now on: see struct http_config. A request that began without any goes on so. */
void http_set_rates(struct http *http, uint64_t rate_max, uint64_t group_rate_max);

/* Error: ERR_INVALID for a URL or header that may not be used (scheme, userinfo, CR, LF, NUL); nothing was
 * started then. */
int http_start(struct http *http, const struct http_exchange *exchange, struct http_request **ret,
               struct err *err) MUST_CHECK;
void http_resume(struct http_request *request); /* the body has more */
void http_abort(struct http_request *request);  /* `done` with HTTP_ABORTED comes in a later turn */

/* The value of a header in `headers`, NULL-terminated copy in a caller's buffer; false if absent, doubled
 * with different values, or too long. Names without regard to case. */
bool http_header(const char *headers, const char *name, char *ret, size_t size);
bool http_has_header(const char *headers, const char *name);

/* scheme, host and port of an https (or http) URL without userinfo or fragment. ERR_INVALID says why not. */
struct http_origin {
    bool https;
    char host[256]; /* lower case; IPv6 without brackets */
    uint16_t port;
};
int http_origin_parse(const char *url, struct http_origin *ret, struct err *err) MUST_CHECK;
bool http_host_is_loopback(const char *host); /* 127.0.0.0/8, ::1, localhost */
bool http_host_is_private(const char *host);  /* an address that is not public (address.h), or localhost */

#endif
