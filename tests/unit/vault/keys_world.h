/*
 * A store with some tenants, each with a client, channels, tokens and sessions, all sealed under its data
 * key; and whether all of it still opens.
 */
#ifndef TESTS_VAULT_KEYS_WORLD_H
#define TESTS_VAULT_KEYS_WORLD_H

#include <sys/types.h>

#include "fixture.h"
#include "store/key.h"
#include "vault/rotation.h"
#include "vault/tenant_keys.h"

enum { TENANTS = 4, CHANNELS = 12, JOBS = 8, VALUES = TENANTS * (2 * CHANNELS + 1 + JOBS) };

struct keys_world {
    struct fixture *fix;
    char key_file[128];
    struct vault_ring *ring;
    struct tenant_keys *keys;
    int64_t channels[TENANTS][CHANNELS];
};

/* cmocka setup and teardown: *state is a world. */
int keys_setup(void **state);
int keys_teardown(void **state);
void open_keys(struct keys_world *world);
void close_keys(struct keys_world *world);
/* The store is asked at once, so that Postgres is told before another process parts from this one. */
void pass_time(struct keys_world *world, int64_t ms);

struct seal_place place_in(enum sealed_table table, int64_t tenant, const char *row);
/* What says where it belongs, and `number`. */
void must_seal(struct keys_world *world, const struct seal_place *place, uint64_t number, struct buf *ret,
               char key_id[VAULT_KEY_ID_SIZE]);
/* A new refresh token and a new access token of the channel. */
void put_token(struct keys_world *world, int64_t tenant, int64_t channel, uint64_t number);

struct verified {
    uint32_t rows;
    uint32_t closed; /* do not open */
};
struct verified verify_with(struct keys_world *world);
/* Everything opens: as a process that has just been started sees it, and as one that has all the old keys in
 * its memory. */
void verify_all(struct keys_world *world);

struct key_count {
    uint32_t active, retired, pending;
};
struct key_count count_keys(struct keys_world *world);

/* As `sluice key rotate` does: with the key file as it is now. */
int rotate_with(struct store *store, const char *key_file, bool is_root, int64_t keep_ms,
                struct rotation_progress *ret, struct err *err) MUST_CHECK;
struct rotation_progress must_rotate(struct keys_world *world, bool is_root, int64_t keep_ms);

/* Another process, with a handle of its own on the store. */
pid_t start_child(struct keys_world *world, int (*run)(struct keys_world *world, uint64_t number),
                  uint64_t number);
int end_of(pid_t pid); /* its exit code, or the signal that ended it, below zero */

#endif
