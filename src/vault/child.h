/*
 * The inside of the broker process. One thread, one loop: everything here belongs to it. Calls of the store
 * block this process alone, for a bounded time.
 *
 * broker_main.c     start, hardening, configuration, dispatch, end
 * broker_token.c    access tokens on request: leases, cache, who waits for which flight
 * broker_flight.c   one flight: refresh, rotation, whose channel; broker_flight_service.c: to a token service
 * broker_share.c    the access token that all brokers share in the store, and whose turn it is to refresh
 * broker_gate.c     when not to ask a token endpoint
 * broker_login.c    a code becomes a sealed refresh token; broker_login_device.c: one that is entered on
 *                   another device; broker_login_file.c: or another program's file
 * broker_client.c   imports clients; broker_removal.c removes channels
 * broker_rows.c     sealed rows and sessions; broker_reach.c: of which tenants
 * broker_videos.c   looks at channels' uploads, for videos that no job has made
 * broker_net.c      what goes over the network; broker_service.c: to a token service
 *
 * sandbox.c         what this process gives up
 *
 * The parent's side is broker.c and broker_calls.c; link.c and message.c belong to both.
 */
#ifndef VAULT_CHILD_H
#define VAULT_CHILD_H

#include <uv.h>

#include "http/http.h"
#include "store/store.h"
#include "vault/cloudfront.h"
#include "vault/link.h"
#include "vault/seal.h"
#include "vault/service.h"
#include "vault/tenant_keys.h"
#include "youtube/youtube.h"

struct device_login;
struct flight;
struct service;
struct tokens;

/* How URLs of CDNs are signed; texts owned. */
struct cdn_signing {
    char *key_file; /* "": not at all */
    char *key_id;
    char *hosts;
    enum cloudfront_hash hash;
};

struct child {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_timer_t poll;        /* while flights wait for another broker's */
    struct flight *waiting; /* those */
    char owner[NAME_SIZE];  /* in whose name a turn to refresh is taken: the same after a restart */
    struct link *link;      /* NULL: the parent is gone */
    struct vault_ring *ring;
    unsigned char digest_key[VAULT_DIGEST_KEY_SIZE]; /* the parent has the same */
    struct tenant_keys *keys;
    struct store *store;
    struct http *http;
    struct service *service; /* NULL: logins are in the store */
    char *api_root;
    bool allow_plain_loopback;
    int64_t watch_videos_ms; /* 0: videos are not looked at */
    struct tokens *tokens;
    struct cdn_signing cdn;
    char *who;       /* owned; see struct broker_config */
    char *tenants;   /* owned; "" : all */
    int64_t *served; /* owned; ids of those among them that were asked for */
    size_t served_count;
    struct device_login *device; /* NULL: none waits for a person */
    uint16_t *ports;             /* owned; where it may connect to; none: anywhere (sandbox.h) */
    size_t port_count;
    uint32_t busy_count;                                  /* logins and removals under way */
    int64_t leave_at_mono_ms;                             /* 0: it stays */
    enum { CHILD_NEW, CHILD_REFUSED, CHILD_READY } state; /* whether it got its configuration */
    bool is_closing;
    int exit_code;
};

/* ---- answers ---- */

void child_answer(struct child *child, struct message_out *out); /* takes it */
void child_answer_error(struct child *child, uint64_t id, const struct err *err);
void child_answer_channel(struct child *child, uint64_t id, const struct store_channel *channel);

/* ---- tenants ---- */

/* Whether the parent was told to serve that tenant: what it asks for another is refused, whatever the store
 * would let through. 0, or ERR_INVALID, logged; errors of the store. */
int child_check_tenant(struct child *child, const char *tenant, struct err *err) MUST_CHECK;
int child_check_tenant_id(struct child *child, int64_t tenant_id, struct err *err) MUST_CHECK;

/* ---- requests that are carried out at once ---- */

void session_seal(struct child *child, const struct message *ask);
void session_open(struct child *child, const struct message *ask);
void client_import(struct child *child, const struct message *ask);
void url_sign(struct child *child, const struct message *ask);

/* From the configuration; released with the child. */
void cdn_signing_set(struct cdn_signing *cdn, const struct message *config);
void cdn_signing_release(struct cdn_signing *cdn);

/* ---- requests that need the network ---- */

void login_start(struct child *child, const struct message *ask); /* LOGIN and ADOPT */
void login_device_start(struct child *child, const struct message *ask);
void login_device_poll(struct child *child, const struct message *ask);
void login_device_forget(struct child *child);
void login_take_file(struct child *child, const struct message *ask);
void probe_start(struct child *child, const struct message *ask);
void removal_start(struct child *child, const struct message *ask);

/* ---- sealed rows ---- */

enum { ROW_DIGEST_BYTES = 32 };

/* The place of a token and of a client's secret. `row`: memory for the id's text, as long as the place. */
struct row_place {
    char row[24];
    struct seal_place place;
};
void place_of_token(struct row_place *ret, int64_t tenant_id, int64_t channel_id);
void place_of_access(struct row_place *ret, int64_t tenant_id, int64_t channel_id);
void place_of_client(struct row_place *ret, int64_t tenant_id, int64_t client_id);
/* ERR_AUTH: the client has no secret; ERR_CORRUPT, which is told to the log and the trail; ERR_STORE.
 * `ret_digest` tells this sealed row from another one; may be NULL. */
int open_client_secret(struct child *child, const struct store_client *client, struct secret *ret,
                       unsigned char ret_digest[ROW_DIGEST_BYTES], struct err *err) MUST_CHECK;
/* ERR_NOT_FOUND: no login. `ret_scopes` may be NULL, else of 512. */
int open_refresh_token(struct child *child, const struct store_channel *channel, struct secret *ret,
                       unsigned char ret_digest[ROW_DIGEST_BYTES], char *ret_scopes,
                       struct err *err) MUST_CHECK;
int open_access_token(struct child *child, const struct store_channel *channel, struct blob sealed,
                      struct secret *ret, struct err *err) MUST_CHECK;

/* ---- the network ---- */

/* POST of a form. `done` as in http.h; not called where this returns an error. */
int post_form(struct child *child, const char *url, const struct buf *form,
              void (*done)(void *ctx, const struct http_reply *reply), void *ctx, struct err *err) MUST_CHECK;
/* GET with an access token, at the API root. As post_form(). */
int get_with_token(struct child *child, const struct yt_request *request, const struct secret *access,
                   size_t reply_len_max, void (*done)(void *ctx, const struct http_reply *reply), void *ctx,
                   struct err *err) MUST_CHECK;
/* "https://host/token" and "revoke" make "https://host/revoke". False: `uri` is no such URL. */
bool neighbour_uri(const char *uri, const char *name, struct buf *ret);
struct yt_http reply_for_youtube(const struct http_reply *reply);
/* A token endpoint's reply in locked memory: struct yt_token_reply inside. */
struct yt_token_reply *read_token_reply(const struct http_reply *reply, struct secret *ret);

/* Whose channel an access token is for [channels.list mine=true, 1 unit]. */
struct whose {
    enum token_result result; /* OK; NONE: the account has no channel; others as for a token */
    struct yt_channel channel;
    char message[MESSAGE_SIZE];
    int64_t retry_after_ms; /* -1: none */
    int http_status;
};
/* `channel_id`: who pays; 0: not known yet, then the caller counts the unit once it is. `done` comes once,
 * later. */
int ask_whose(struct child *child, const struct secret *access, int64_t client_id, int64_t channel_id,
              void (*done)(void *ctx, const struct whose *whose), void *ctx, struct err *err) MUST_CHECK;
void count_whose(struct child *child, int64_t client_id, int64_t channel_id);

/* ---- the token service ---- */

/* Checks the configuration as well. Where it fails, what was opened is in child->service all the same. */
int service_open(struct child *child, const struct service_config *config, struct err *err) MUST_CHECK;
void service_stop(struct service *service); /* ends what is under way; NULL is fine */
void service_free(struct service *service); /* after the loop has run once more */
/* `done` comes once, later; its reply is in locked memory and lives as long as the call. What only the
 * operator can mend is logged as an error. */
int ask_service(struct child *child, const struct service_ask *ask,
                void (*done)(void *ctx, const struct service_reply *reply), void *ctx,
                struct err *err) MUST_CHECK;

/* ---- the audit trail ---- */

/* A line about a channel; a store that cannot take it is logged, not fatal. `job` NULL: none. */
struct audit {
    const struct store_channel *channel;
    const char *job;
    const char *what;
    const char *reason;
    const char *message;
    int http_status;
};
void audit_write(struct child *child, const struct audit *audit);

#endif
