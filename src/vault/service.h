/*
 * The token service: an operator's own service that keeps the logins, in place of the store's refresh tokens
 * and the token endpoint. Its contract is docs/token-service.md; this is its configuration and its messages.
 * No sockets: broker_service.c has those. Any thread.
 */
#ifndef VAULT_SERVICE_H
#define VAULT_SERVICE_H

#include "vault/secret.h"
#include "youtube/youtube.h"

/* Texts belong to the caller; files are absolute paths. */
struct service_config {
    const char *url;         /* of the service's one resource; "": there is no service */
    const char *ca_file;     /* NULL: the system's */
    const char *cert_file;   /* with key_file; NULL: none */
    const char *key_file;    /* of the certificate */
    const char *bearer_file; /* NULL: none */
};

/* ERR_INVALID: not https (or http to a loopback address where allow_plain), or without what it is to know the
 * broker by; ERR_NOT_FOUND, ERR_AUTH: a file is missing, or may be read by others. Reads files. */
int service_check(const struct service_config *config, bool allow_plain, struct err *err) MUST_CHECK;

/* "Authorization: Bearer …" from a file of one line. ERR_NOT_FOUND, ERR_AUTH, ERR_IO. */
int service_read_bearer(const char *path, struct secret *ret, struct err *err) MUST_CHECK;

struct service_ask {
    const char *tenant;
    const char *channel;       /* our name for it */
    const char *yt_channel_id; /* "": not known yet */
    bool is_fresh_wanted;      /* YouTube refused the one that came last */
};
void service_build_ask(const struct service_ask *ask, struct buf *ret);

struct service_reply {
    struct yt_token_reply token;      /* its result may be NONE and SCOPE, too; refresh_token: always "" */
    char channel_id[YT_CHANNEL_SIZE]; /* "": not told */
    int http_status;                  /* 0: there was no reply */
    bool is_for_operator; /* TRANSIENT, but it will hardly pass by itself: the broker is refused, and so on */
};
/* `now_wall_ms`: for an `expires_at`. */
void service_parse_reply(const struct yt_http *http, int64_t now_wall_ms, struct service_reply *ret);

#endif
