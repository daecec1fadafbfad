/*
 * The token broker: the one process that holds the key, opens refresh tokens and client secrets, and talks to
 * token endpoints. It has its own login to the store (`broker_store`) and serves one parent over a socket
 * pair; when the parent is gone, it ends.
 *
 * It hands a worker an access token only for a job that the worker's lease covers (id, epoch and channel are
 * looked up), keeps one refresh in flight a channel, and before a token's first use asks channels.list
 * mine=true: a token of another channel is refused (K09). Session URLs are sealed and opened here too.
 *
 * This header has both sides: broker_main() for the child, struct broker for the parent. The parent's side
 * belongs to the loop's thread; callbacks come on the loop, once each, never from within the call; secrets
 * given to a callback live as long as it does. If the child dies, sends garbage or hangs, what was under way
 * answers TRANSIENT, and it is started again with a growing pause (X06).
 */
#ifndef VAULT_BROKER_H
#define VAULT_BROKER_H

#include <uv.h>

#include "base/log.h"
#include "core/event.h"
#include "store/store.h"
#include "vault/cloudfront.h"
#include "vault/seal.h"
#include "vault/service.h"

struct keeper;

/* Everything the child needs, sent to it as its first message; texts stay with the caller during
 * broker_open(). */
struct broker_config {
    const char *store;      /* broker_store, or store */
    const char *key_source; /* as ring.h has it */
    const char *api_root;
    const char *ca_file; /* NULL: the system's */
    const char *proxy;   /* NULL: none */
    bool allow_plain_loopback;
    struct service_config service; /* url NULL or "": logins are kept in the store */
    struct keeper *keeper;         /* starts the child (keeper.h), and outlives the broker; NULL: we do */
    const char *executable;   /* run as `sluice broker`; calls broker_main() with descriptor 3, its socket */
    enum log_level log_level; /* 0: info */
    enum log_format log_format;
    const char
        *cdn_key_file; /* NULL: nothing is signed; read at each signature, so that it may be replaced */
    const char *cdn_key_id;
    const char *cdn_sign_hosts;
    enum cloudfront_hash cdn_sign_hash;
    const char *tenants;          /* "a,b": what concerns another is refused; NULL or "": none */
    const char *isolated_tenants; /* not NULL: the child refuses to run where its login to the store is not
                                     kept to these; "" : whichever it reaches (store/isolation.h) */
    const char *who; /* in whose name logins, imports, removals are trailed, as cli:anna; NULL: nobody's */
    int64_t watch_videos_ms; /* > 0: a channel's uploads are looked at for videos of nobody here, so often */
    int64_t answer_ms;       /* a child that owes an answer, or its hello, for this long hangs; 0: 60 s */
};

/* The child: runs until its parent closes the socket. Returns an exit code. Logs to standard error, never a
 * secret. */
int broker_main(int fd);

/* ---- the parent's side ---- */

struct broker;

/* Starts the child and waits for its hello (bounded): ERR_INVALID (no executable named), and ERR_AUTH or
 * ERR_NOT_FOUND (key), ERR_STORE, ERR_SCHEMA, as the child met them. */
int broker_open(uv_loop_t *loop, const struct broker_config *config, struct broker **ret,
                struct err *err) MUST_CHECK;
/* Closes the socket and ends the child; outstanding callbacks come first, as TRANSIENT. Handles close in the
 * next turn. */
void broker_close(struct broker *broker);
/* From the hello: for vault_digest(). */
const unsigned char *broker_digest_key(const struct broker *broker);
int64_t broker_pid(const struct broker *broker); /* 0: it is being replaced */

struct broker_token {
    enum token_result result;
    const char *access_token; /* TOKEN_OK: a secret */
    int64_t expires_at_mono_ms;
    int64_t retry_after_ms; /* -1: none */
    const char *message;    /* for people; no secret */
};
/* `fresh`: not the one handed out last for this channel (after a 401) — unless a newer one came meanwhile. */
void broker_token(struct broker *broker, int64_t tenant_id, int64_t channel_id, struct job_id job,
                  int64_t lease_epoch, bool fresh, void (*done)(void *ctx, const struct broker_token *token),
                  void *ctx);
void broker_seal_session(struct broker *broker, int64_t tenant_id, struct job_id job, const char *url,
                         void (*done)(void *ctx, enum open_result result, struct blob sealed), void *ctx);
void broker_open_session(struct broker *broker, int64_t tenant_id, struct job_id job, struct blob sealed,
                         void (*done)(void *ctx, enum open_result result, const char *url), void *ctx);

enum sign_result {
    SIGN_OK,
    SIGN_REFUSED,   /* this URL is never signed */
    SIGN_NO_KEY,    /* the key cannot be used just now: the operator */
    SIGN_TRANSIENT, /* no broker */
};
struct broker_signed {
    enum sign_result result;
    const char *url;     /* SIGN_OK: a secret */
    const char *message; /* for people; nothing of the URL or key */
};
/* A CDN's URL with a signature that is good for a few minutes (cloudfront.h). */
void broker_sign_url(struct broker *broker, const char *url,
                     void (*done)(void *ctx, const struct broker_signed *answer), void *ctx);

/* ---- for the command line: each runs the loop until its answer is there ---- */

/* Reads, checks and stores a client_secret*.json; `name` NULL: "default". */
int broker_client_import(struct broker *broker, const char *tenant, const char *name, const char *json,
                         size_t len, struct store_client *ret, struct err *err) MUST_CHECK;

struct broker_login {
    const char *tenant;
    int64_t client_id;          /* the store's */
    const char *channel;        /* our name for it */
    const char *expect_channel; /* YouTube's id; NULL: any, unless the channel is known already */
    const char *code;           /* from the redirect: a secret */
    const char *verifier;       /* PKCE: a secret */
    const char *redirect_uri;
};
/* Exchanges the code, checks scopes (K07) and whose channel it is (K09), seals and stores the refresh token.
 */
int broker_channel_login(struct broker *broker, const struct broker_login *login, struct store_channel *ret,
                         struct err *err) MUST_CHECK;
/* A login with a code that a person enters on another device [device]. Of `login` all but code, verifier and
 * redirect_uri counts. */
struct broker_device_code {
    char user_code[64];
    char url[512]; /* where to enter it */
    int64_t expires_in_ms;
};
int broker_device_start(struct broker *broker, const struct broker_login *login,
                        struct broker_device_code *ret, struct err *err) MUST_CHECK;
/* Whether the person has answered; waits for as long as Google wants between two looks. ERR_NOT_YET: call
 * again; else as broker_channel_login(). */
int broker_device_poll(struct broker *broker, struct store_channel *ret, struct err *err) MUST_CHECK;
/* Takes over another program's login from its file (youtube.h: yt_token_file). `login`: as above; client_id
 * 0: the one that the file names, or else the channel's or the tenant's only one. */
int broker_login_take(struct broker *broker, const struct broker_login *login, const char *json, size_t len,
                      struct store_channel *ret, struct err *err) MUST_CHECK;
/* Takes over a channel whose login the token service keeps: asks it for a token, asks YouTube whose channel
 * that is, and stores the channel; or lifts its `channel_auth` if it is known already. ERR_USAGE without a
 * token service. `expect_channel`: as for a login. */
int broker_channel_adopt(struct broker *broker, const char *tenant, int64_t client_id, const char *channel,
                         const char *expect_channel, struct store_channel *ret, struct err *err) MUST_CHECK;
/* Asks the token service whether it is there and knows us. *ret_status: its HTTP status (200: yes), 0 if it
 * cannot be reached; the message says more. ERR_USAGE: there is none. */
int broker_service_probe(struct broker *broker, int *ret_status, char ret_message[MESSAGE_SIZE],
                         struct err *err) MUST_CHECK;
/* Removes the channel from the store (ERR_EXISTS while it has jobs), then, if `revoke`, its token at Google:
 * best effort, *ret_revoked tells. */
int broker_channel_remove(struct broker *broker, int64_t channel_id, bool revoke, bool *ret_revoked,
                          struct err *err) MUST_CHECK;

#endif
