/* A rotation of the root key: the values stay as they are, and so do the data keys; only what these are
 * wrapped with changes. */
#include <string.h>

#include "base/mem.h"
#include "vault/rotation_inside.h"

enum { KEYS_A_STEP = 100, TRIES_MAX = 5 };

/* The new one becomes the first of the file, unless a rotation that was broken off has done so already. Where
 * keys are kept elsewhere, that is for the operator to do. */
static int promote(struct rotating *rotating, struct err *err)
{
    struct vault_ring *ring = rotating->rotation->ring;
    const char *file = vault_ring_file(ring);
    if (!file || strcmp(vault_ring_id(ring, 0), rotating->record.from) != 0)
        return 0;
    int code = vault_key_file_promote(file, err);
    return code != 0 ? code : vault_ring_reload(ring, err);
}

/* ---- wrapping ---- */

static int rewrap(struct rotating *rotating, struct store_key *key, struct err *err)
{
    struct store_key old = *key;
    int code = tenant_key_rewrap(rotating->keys, key, err);
    if (code == 0)
        code = store_key_rewrap(rotating->store, key, old.root_id, err);
    rotating->progress->keys += code == 0;
    return code;
}

static int rewrap_step(struct rotating *rotating, struct store_key *keys, uint32_t count, struct err *err)
{
    int code = store_begin(rotating->store, err);
    if (code != 0)
        return code;
    for (uint32_t i = 0; i < count && code == 0; i++)
        code = rewrap(rotating, &keys[i], err);
    return store_end(rotating->store, code, err);
}

static int rewrap_all(struct rotating *rotating, struct err *err)
{
    const char *current = vault_ring_id(rotating->rotation->ring, 0);
    struct store_key *keys = mem_alloc_array(KEYS_A_STEP, sizeof(*keys));
    struct store_key after = {.tenant_id = INT64_MIN};
    uint32_t count;
    int code;
    do {
        code = store_key_other_root(rotating->store, current, &after, KEYS_A_STEP, keys, &count, err);
        if (code == 0 && count) {
            after = keys[count - 1];
            code = rewrap_step(rotating, keys, count, err);
        }
        for (uint32_t i = 0; i < count; i++)
            mem_free((void *)keys[i].wrapped.data);
        if (code == 0)
            code = rotating_went_on(rotating, err);
    } while (code == 0 && count);
    mem_free(keys);
    return code;
}

/* ---- the former ones ---- */

static int retire(struct rotating *rotating, const char *root_id, struct err *err)
{
    int code = store_root_retire(rotating->store, root_id, err);
    rotating->progress->retired += code == 0;
    return code;
}

static int retire_all(struct rotating *rotating, struct err *err)
{
    const struct vault_ring *ring = rotating->rotation->ring;
    int code = 0;
    for (size_t i = 1; i < vault_ring_count(ring) && code == 0; i++)
        if (!vault_ring_is_next(ring, i))
            code = retire(rotating, vault_ring_id(ring, i), err);
    return code;
}

/* Only now: whatever is stored can be opened without them. */
static int drop_all(struct rotating *rotating, struct err *err)
{
    struct vault_ring *ring = rotating->rotation->ring;
    const char *file = vault_ring_file(ring);
    int code = 0;
    for (size_t i = 1; file && i < vault_ring_count(ring) && code == 0; i++)
        if (!vault_ring_is_next(ring, i))
            code = vault_key_file_drop(file, vault_ring_id(ring, i), err);
    return code != 0 || !file ? code : vault_ring_reload(ring, err);
}

/* ---- all of it ---- */

static int check_source(const struct vault_ring *ring, struct err *err)
{
    if (vault_ring_file(ring) || vault_ring_count(ring) > 1)
        return 0;
    return err_set(err, ERR_USAGE,
                   "%s has one key only: make a new one with `sluice key new FILE`, put its line before the "
                   "old one there, restart the workers, and run this again",
                   vault_ring_name(ring));
}

static int rotate(struct rotating *rotating, struct err *err)
{
    int code = promote(rotating, err);
    /* A broker that has not seen the new key yet may wrap with the old one until that is retired. */
    for (int i = 0; i < TRIES_MAX && code == 0; i++) {
        code = rewrap_all(rotating, err);
        if (code == 0)
            code = retire_all(rotating, err);
        if (code != ERR_INVALID)
            break;
        code = i + 1 < TRIES_MAX ? 0 : code;
    }
    if (code == 0)
        code = drop_all(rotating, err);
    return code != 0 ? code : rotating_end(rotating, err);
}

int rotation_of_root_key(const struct rotation *rotation, struct rotation_progress *ret, struct err *err)
{
    struct rotating rotating;
    int code = check_source(rotation->ring, err);
    if (code == 0)
        code = rotation_of_former_values(rotation, err);
    if (code != 0)
        return code;
    code = rotating_begin(&rotating, rotation, "root", ret, err);
    if (code == 0)
        code = rotate(&rotating, err);
    rotating_release(&rotating);
    return code;
}
