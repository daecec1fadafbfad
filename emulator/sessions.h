/*
 * Upload sessions. The session's id is both its key and a credential [guide, gcs], so everything that is
 * shown names a session by a short digest of it. Used under the state's lock; a session is counted because a
 * request may still write to one that was forgotten meanwhile.
 */
#ifndef EMULATOR_SESSIONS_H
#define EMULATOR_SESSIONS_H

#include <gnutls/crypto.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channels.h"
#include "clients.h"
#include "journal.h"
#include "map.h"

struct video;

enum session_state {
    SESSION_OPEN,
    SESSION_FINISHED,
    SESSION_CANCELLED, /* by DELETE; later requests get 404 [tb] */
    SESSION_GONE       /* expired, terminated or forgotten */
};

struct session {
    unsigned references;
    char *id;
    char digest[DIGEST_LEN + 1];
    struct channel *channel;
    struct client *client;
    enum session_state state;
    int gone_status; /* 404 or 410 */
    int64_t created_at_ms;

    json_t *metadata; /* the accepted video resource, owned */
    unsigned parts;
    char *slug; /* file name announced, may be NULL */

    bool has_total; /* announced at the start or learnt from a Content-Range */
    uint64_t total_bytes;
    uint64_t stored_bytes;
    gnutls_hash_hd_t hash;   /* SHA-256 of exactly the stored bytes; NULL once finished */
    uint64_t received_bytes; /* of all bodies, also of those that were not stored */
    uint64_t put_count;

    /* The newest request owns the session: bytes of an older one that still runs are no longer stored. */
    uint64_t generation;
    struct video *video; /* once finished */
};

struct sessions {
    struct map by_id; /* each holds one reference */
};

/* A new open session with a fresh id, held by `sessions`. Takes over `metadata`. */
struct session *sessions_add(struct sessions *sessions, struct channel *channel, struct client *client,
                             json_t *metadata);
struct session *sessions_find(struct sessions *sessions, const char *id); /* NULL if unknown */
void sessions_clear(struct sessions *sessions);                           /* all are gone, with 404 */
json_t *sessions_list(const struct sessions *sessions);
struct session *session_take(struct session *session); /* one reference more; NULL gives NULL */
void session_drop(struct session *session);            /* NULL is fine */
void session_end(struct session *session, int status); /* gone: 404 or 410 */
/* The session whose digest this is; NULL if there is none. */
struct session *sessions_find_digest(struct sessions *sessions, const char *digest);

#endif
