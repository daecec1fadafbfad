/*
 * Messages between the broker and its parent: a small binary form of our own, since they carry secrets that a
 * JSON library would copy about. docs/vault.md lists them.
 *
 * A frame is a length (4 bytes, big endian, of what follows), a type (1), an id (8) and the type's fields in
 * their order: a kind (1), a length (4) and the bytes. Parsing is strict: each field must be of the kind that
 * the table says, no longer than it allows, and nothing may follow. Frames live in locked memory. Any thread;
 * not shared.
 */
#ifndef VAULT_MESSAGE_H
#define VAULT_MESSAGE_H

#include <stdint.h>

#include "base/err.h"
#include "vault/secret.h"

enum { MESSAGE_LEN_MAX = 65536, MESSAGE_HEAD_BYTES = 4, MESSAGE_FIELDS_MAX = 22 };

/* Requests, answered with the same id: by their answer, or by ERROR. */
enum message_type {
    MESSAGE_CONFIG, /* the first one; answered by HELLO or ERROR */
    MESSAGE_TOKEN,  /* answered by TOKEN_ANSWER */
    MESSAGE_SEAL,   /* answered by SEALED */
    MESSAGE_OPEN,   /* answered by OPENED */
    MESSAGE_IMPORT, /* answered by CLIENT or ERROR */
    MESSAGE_LOGIN,  /* answered by CHANNEL or ERROR */
    MESSAGE_ADOPT,  /* answered by CHANNEL or ERROR */
    MESSAGE_DEVICE, /* answered by DEVICE_CODE or ERROR */
    MESSAGE_POLL,   /* answered by CHANNEL or ERROR (NOT_YET: ask again) */
    MESSAGE_TAKE,   /* answered by CHANNEL or ERROR */
    MESSAGE_REMOVE, /* answered by REMOVED or ERROR */
    MESSAGE_PROBE,  /* answered by PROBED or ERROR */
    MESSAGE_SIGN,   /* answered by SIGNED */
    MESSAGE_HELLO,
    MESSAGE_TOKEN_ANSWER,
    MESSAGE_SEALED,
    MESSAGE_OPENED,
    MESSAGE_CLIENT,
    MESSAGE_CHANNEL,
    MESSAGE_DEVICE_CODE,
    MESSAGE_REMOVED,
    MESSAGE_PROBED,
    MESSAGE_SIGNED,
    MESSAGE_ERROR,
    MESSAGE_TYPE_COUNT
};
const char *message_name(enum message_type type);

/* Places of the fields, in the order in which they are put. */
enum {
    CONFIG_STORE,
    CONFIG_KEY_SOURCE,
    CONFIG_API_ROOT,
    CONFIG_CA_FILE,
    CONFIG_PROXY,
    CONFIG_PLAIN,
    CONFIG_LOG_LEVEL,
    CONFIG_LOG_FORMAT,
    CONFIG_CDN_KEY_FILE,
    CONFIG_CDN_KEY_ID,
    CONFIG_CDN_SIGN_HOSTS,
    CONFIG_CDN_SIGN_HASH,
    CONFIG_SERVICE_URL,
    CONFIG_SERVICE_CA_FILE,
    CONFIG_SERVICE_CERT_FILE,
    CONFIG_SERVICE_KEY_FILE,
    CONFIG_SERVICE_BEARER_FILE,
    CONFIG_TENANTS,
    CONFIG_IS_ISOLATED,
    CONFIG_ISOLATED_TENANTS,
    CONFIG_WHO,
    CONFIG_WATCH_VIDEOS_MS
};
enum { ASK_TENANT_ID, ASK_CHANNEL_ID, ASK_JOB, ASK_EPOCH, ASK_FRESH };
enum { SEAL_TENANT_ID, SEAL_JOB, SEAL_URL };
enum { OPEN_TENANT_ID, OPEN_JOB, OPEN_SEALED };
enum { IMPORT_TENANT, IMPORT_NAME, IMPORT_JSON };
/* ADOPT, DEVICE and TAKE have the first four of these; TAKE may have 0 as client. */
enum {
    LOGIN_TENANT,
    LOGIN_CLIENT_ID,
    LOGIN_CHANNEL,
    LOGIN_EXPECT,
    LOGIN_CODE,
    LOGIN_VERIFIER,
    LOGIN_REDIRECT
};
enum { TAKE_JSON = LOGIN_EXPECT + 1 };
enum { POLL_WHAT }; /* 0: the device login */
enum { DEVICE_USER_CODE, DEVICE_URL, DEVICE_EXPIRES_IN_MS };
enum { REMOVE_CHANNEL_ID, REMOVE_REVOKE };
enum { SIGN_URL };
enum { HELLO_DIGEST_KEY };
enum { ANSWER_RESULT, ANSWER_TOKEN, ANSWER_EXPIRES_AT_MS, ANSWER_RETRY_AFTER_MS, ANSWER_MESSAGE };
enum { SEALED_RESULT, SEALED_BYTES };
enum { OPENED_RESULT, OPENED_URL };
enum {
    GOT_CLIENT_ID,
    GOT_CLIENT_TENANT_ID,
    GOT_CLIENT_TENANT,
    GOT_CLIENT_NAME,
    GOT_CLIENT_PUBLIC_ID,
    GOT_CLIENT_AUTH_URI,
    GOT_CLIENT_TOKEN_URI,
    GOT_CLIENT_KIND,
    GOT_CLIENT_UPLOADS,
    GOT_CLIENT_UNITS,
    GOT_CLIENT_CHANNELS
};
enum {
    GOT_CHANNEL_ID,
    GOT_CHANNEL_TENANT_ID,
    GOT_CHANNEL_CLIENT_ID,
    GOT_CHANNEL_TENANT,
    GOT_CHANNEL_CLIENT,
    GOT_CHANNEL_NAME,
    GOT_CHANNEL_YT_ID,
    GOT_CHANNEL_TITLE,
    GOT_CHANNEL_PLAYLIST,
    GOT_CHANNEL_STATE,
    GOT_CHANNEL_REASON,
    GOT_CHANNEL_UNTIL_MS,
    GOT_CHANNEL_ADDED_AT_MS,
    GOT_CHANNEL_HAS_TOKEN
};
enum { REMOVED_REVOKED };
enum { PROBE_WHAT }; /* 0: the token service */
enum { PROBED_STATUS, PROBED_MESSAGE };
enum { SIGNED_RESULT, SIGNED_URL, SIGNED_MESSAGE };
enum { ERROR_CODE, ERROR_MESSAGE };

/* ---- reading ---- */

struct message_field {
    int64_t number;
    const char *text; /* NUL-terminated; in the frame */
    size_t len;
};
struct message {
    enum message_type type;
    uint64_t id;
    struct message_field fields[MESSAGE_FIELDS_MAX];
};
/* `frame` without its length, `ret` points into it. ERR_INVALID; the message holds nothing of the content. */
int message_parse(const void *frame, size_t len, struct message *ret, struct err *err) MUST_CHECK;

/* ---- writing ---- */

struct message_out {
    struct secret frame;
    size_t len;
    enum message_type type;
    unsigned field_count;
    bool overflowed;
};
void message_start(struct message_out *out, enum message_type type, uint64_t id);
void message_put_number(struct message_out *out, int64_t number);
void message_put_text(struct message_out *out, const char *text); /* NULL: "" */
void message_put_bytes(struct message_out *out, const void *data, size_t len);
/* Puts the length before it. False if a field was longer than its kind allows; the frame is released then.
 * `ret_len` bytes of `ret` are the frame. Every field must have been put. */
bool message_finish(struct message_out *out, struct secret *ret, size_t *ret_len);

#endif
