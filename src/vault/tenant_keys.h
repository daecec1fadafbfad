/*
 * The tenants' data keys, opened: each is 32 random bytes that lie in the store, wrapped with a root key. A
 * tenant's first is made when its first value is sealed. Values name the key that sealed them, so any number
 * of keys of a tenant open at once; the active one seals, and which that is, is asked at each seal.
 *
 * One thread; opened keys stay in locked memory.
 */
#ifndef VAULT_TENANT_KEYS_H
#define VAULT_TENANT_KEYS_H

#include "store/key.h"
#include "vault/ring.h"

struct tenant_keys;

struct tenant_keys *tenant_keys_new(struct store *store,
                                    struct vault_ring *ring); /* both stay the caller's */
void tenant_keys_free(struct tenant_keys *keys);              /* NULL is fine */
/* ERR_AUTH if the store has wrapped keys and none of them with a key of the ring: they do not belong
 * together. Where some are missing that is logged as an error. */
int tenant_keys_check(struct tenant_keys *keys, struct err *err) MUST_CHECK;

/* Seals under place->tenant_id's active key. From within another call of the store (a login's callback) only
 * after tenant_keys_prepare(). `ret_key_id`: of the key; may be NULL. ERR_INVALID: too long. */
int tenant_seal(struct tenant_keys *keys, const struct seal_place *place, const void *plain, size_t len,
                struct buf *ret, char ret_key_id[VAULT_KEY_ID_SIZE], struct err *err) MUST_CHECK;
int tenant_keys_prepare(struct tenant_keys *keys, int64_t tenant, struct err *err) MUST_CHECK;
/* Also opens what a root key has sealed itself, as stores of before data keys have it. ERR_CORRUPT as
 * vault_open(), also for a key that the tenant does not have or that does not open.
 * ERR_NOT_YET (logged as an error): its key is wrapped with a root key that is not at hand (K11). ERR_STORE
 * and its kin where the store could not be asked. */
int tenant_open(struct tenant_keys *keys, const struct seal_place *place, const void *sealed, size_t len,
                struct secret *ret, struct err *err) MUST_CHECK;

/* ---- for rotations ---- */

/* Opens and seals anew under the key of that id, which is the tenant's. Errors of both. */
int tenant_reseal(struct tenant_keys *keys, const struct seal_place *place, const void *sealed, size_t len,
                  const char *key_id, struct buf *ret, struct err *err) MUST_CHECK;

/* A new data key, wrapped with the current root key, as a row for the store; caller frees wrapped.data. */
void tenant_key_make(const struct tenant_keys *keys, int64_t tenant, enum key_state state,
                     struct store_key *ret);
/* Wraps the key of a row with the current root key, in place. */
int tenant_key_rewrap(struct tenant_keys *keys, struct store_key *row, struct err *err) MUST_CHECK;

#endif
