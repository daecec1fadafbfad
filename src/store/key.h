/*
 * Data keys as they rest, and the rows that are sealed with them; docs/vault.md says what is sealed with
 * what. Nothing here knows a key: wrapped keys and sealed values are opaque bytes. Errors and threads as in
 * store.h.
 *
 * A data key belongs to one tenant. `pending`: made, and not used yet; `active`: seals and opens, at most one
 * a tenant; `retired`: only opens. It is wrapped with a root key, which this table knows by its id alone.
 */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "store/store.h"

enum { KEY_ID_SIZE = 17 }; /* 16 hexadecimal digits */

#define KEY_STATE_TABLE(X)                                                                                   \
    X(PENDING, "pending")                                                                                    \
    X(ACTIVE, "active")                                                                                      \
    X(RETIRED, "retired")
enum key_state {
#define X(name, text) KEY_##name,
    KEY_STATE_TABLE(X)
#undef X
        KEY_STATE_COUNT
};
const char *key_state_text(enum key_state state);

/* ---- data keys ---- */

struct store_key {
    int64_t tenant_id;
    char id[KEY_ID_SIZE];
    char root_id[KEY_ID_SIZE]; /* what it is wrapped with */
    enum key_state state;
    struct blob wrapped; /* read: caller frees data */
    int64_t added_at_ms;
    int64_t retired_at_ms; /* 0: it is not */
};

/* Both are plain reads, also for use from within another call of the store. ERR_NOT_FOUND. */
int store_key_get(struct store *store, int64_t tenant, const char *id, struct store_key *ret,
                  struct err *err) MUST_CHECK;
int store_key_active(struct store *store, int64_t tenant, char ret_id[KEY_ID_SIZE],
                     struct err *err) MUST_CHECK;
/* `state` is KEY_PENDING, or KEY_ACTIVE for a tenant's first. ERR_EXISTS: the tenant has one in that state
 * (another process was faster). ERR_INVALID: its root key was retired. */
int store_key_add(struct store *store, const struct store_key *key, struct err *err) MUST_CHECK;
/* Pending becomes active, active retired; nothing where none is pending. */
int store_key_promote(struct store *store, int64_t tenant, const char *who, struct err *err) MUST_CHECK;
/* Wrapped anew, if it is still wrapped with `old_root_id`. ERR_INVALID as above. */
int store_key_rewrap(struct store *store, const struct store_key *key, const char *old_root_id,
                     struct err *err) MUST_CHECK;
/* Forgets those that were retired before `before_ms`. Who calls it has seen that nothing is sealed with them.
 */
int store_key_forget(struct store *store, int64_t before_ms, const char *who, uint32_t *ret_count,
                     struct err *err) MUST_CHECK;
/* Tenants from `after` on, ascending, whose active key was made before `before_ms`. At most `max` ids. */
int store_key_stale_tenants(struct store *store, int64_t before_ms, int64_t after, uint32_t max, int64_t *ret,
                            uint32_t *ret_count, struct err *err) MUST_CHECK;
/* Data keys that are wrapped with another root key than this one, at most `max`, behind (tenant, id). */
int store_key_other_root(struct store *store, const char *root_id, const struct store_key *after,
                         uint32_t max, struct store_key *ret, uint32_t *ret_count,
                         struct err *err) MUST_CHECK;
int store_key_list(struct store *store, int (*row)(void *ctx, const struct store_key *key), void *ctx,
                   struct err *err) MUST_CHECK; /* without `wrapped` */

/* ---- root keys ---- */

/* Ids of those that data keys are wrapped with. */
int store_root_list(struct store *store, int (*row)(void *ctx, const char *root_id), void *ctx,
                    struct err *err) MUST_CHECK;
/* Whether there is one of that id that was not retired. */
int store_root_is_live(struct store *store, const char *root_id, bool *ret, struct err *err) MUST_CHECK;
/* From now on nothing can be wrapped with it. ERR_INVALID while a data key is: of any tenant, also of those
 * that this login does not reach. */
int store_root_retire(struct store *store, const char *root_id, struct err *err) MUST_CHECK;

/* ---- sealed rows ---- */

enum sealed_table { SEALED_TOKEN, SEALED_ACCESS, SEALED_CLIENT, SEALED_SESSION, SEALED_TABLE_COUNT };

struct sealed_row {
    int64_t tenant_id;
    char row[32]; /* the row's id as text */
    struct blob sealed;
    struct blob fresh; /* what is to take its place; len 0: it stays */
    char key_id[KEY_ID_SIZE];
};
/* In the order of their ids, behind `after` ("" : from the start); at most `max`, caller frees sealed.data.
 */
int store_sealed_list(struct store *store, enum sealed_table table, const char *after, uint32_t max,
                      struct sealed_row *ret, uint32_t *ret_count, struct err *err) MUST_CHECK;
/* Puts each row's `fresh` where the row still has `sealed` and nobody is at it, all in one transaction;
 * *ret_done: in how many. */
int store_sealed_replace(struct store *store, enum sealed_table table, const struct sealed_row *rows,
                         uint32_t count, uint32_t *ret_done, struct err *err) MUST_CHECK;

/* ---- rotations ---- */

/* At most one is under way. It outlives whoever drives it: the next one takes it over. */
struct store_rotation {
    int64_t id;
    char kind[16];          /* "data", "root", or "former": of values that a root key has sealed itself */
    char from[KEY_ID_SIZE]; /* root: what was current when it began */
    char owner[NAME_SIZE];  /* who drives it */
    int64_t started_at_ms;
    int64_t seen_at_ms;
    int64_t ended_at_ms; /* 0: it is under way */
    int64_t resealed;    /* rows, so far */
};
enum { ROTATION_SILENT_MS = 30000 }; /* a driver that is silent for so long has died */
/* Begins one, or takes over the one that is under way: *ret tells which. ERR_BUSY: its driver lives;
 * `is_dead` may know better. ERR_EXISTS: one of the other kind is to be ended first. */
int store_rotation_begin(struct store *store, const struct store_rotation *wanted,
                         bool (*is_dead)(const char *owner), struct store_rotation *ret,
                         struct err *err) MUST_CHECK;
/* The driver lives; ERR_BUSY: another one has taken over. */
int store_rotation_seen(struct store *store, const struct store_rotation *rotation,
                        struct err *err) MUST_CHECK;
int store_rotation_end(struct store *store, const struct store_rotation *rotation,
                       struct err *err) MUST_CHECK;
/* Whether the store was made before there were data keys, and its values are still sealed as they were. */
int store_rotation_is_due(struct store *store, bool *ret, struct err *err) MUST_CHECK;
/* The last one. ERR_NOT_FOUND: there was none. */
int store_rotation_last(struct store *store, struct store_rotation *ret, struct err *err) MUST_CHECK;

#endif
