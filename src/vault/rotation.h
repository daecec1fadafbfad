/*
 * Rotations of keys, online: brokers and workers go on meanwhile, because values name the key that sealed
 * them, and every key that may be named opens. Each step is a transaction; a rotation that is broken off at
 * any moment is taken up by the next one. For the command line; one thread, blocking.
 *
 * Data keys: each tenant gets a new one (pending, then active; the old one retired), every value is sealed
 * anew, and retired keys that nothing is sealed with are forgotten after `keep_ms`, by then or by the next
 * rotation: a worker may still have a value in hand that was sealed before.
 *
 * Root key: a new one becomes the first of the key file (or the operator has put it first, where keys are
 * kept), every data key is wrapped with it, and the former ones are retired and leave the file.
 */
#ifndef VAULT_ROTATION_H
#define VAULT_ROTATION_H

#include "store/key.h"
#include "vault/ring.h"

enum { ROTATION_KEEP_MS = 3600000 };

struct rotation_progress {
    uint32_t keys;    /* made, or wrapped anew */
    int64_t rows;     /* looked at */
    int64_t resealed; /* of those */
    uint32_t corrupt; /* of those: did not open, and stay as they are */
    uint32_t forgotten;
    uint32_t retired; /* root: former keys that were retired */
};

struct rotation {
    struct store *store;
    struct vault_ring *ring;
    const char *who; /* for the trail */
    int64_t keep_ms;
    void (*told)(void *ctx, const struct rotation_progress *progress); /* now and then; may be NULL */
    void *ctx;
};

/* ERR_BUSY: another one is under way. ERR_EXISTS: one of the other kind must be ended first. ERR_CORRUPT:
 * it came to its end, but some values do not open. ERR_USAGE (root): the new key must come from where keys
 * are kept. */
int rotation_of_data_keys(const struct rotation *rotation, struct rotation_progress *ret,
                          struct err *err) MUST_CHECK;
int rotation_of_root_key(const struct rotation *rotation, struct rotation_progress *ret,
                         struct err *err) MUST_CHECK;

#endif
