/* A rotation under way: what its two kinds share. For src/vault alone. */
#ifndef VAULT_ROTATION_INSIDE_H
#define VAULT_ROTATION_INSIDE_H

#include "vault/rotation.h"
#include "vault/tenant_keys.h"

struct rotating {
    const struct rotation *rotation;
    struct store *store;
    struct tenant_keys *keys;
    struct store_rotation record;
    struct rotation_progress *progress;
    int64_t told_at_mono_ms;
};

int rotating_begin(struct rotating *rotating, const struct rotation *rotation, const char *kind,
                   struct rotation_progress *progress, struct err *err) MUST_CHECK;
/* After each bounded piece of work: ERR_BUSY where another process has taken over. */
int rotating_went_on(struct rotating *rotating, struct err *err) MUST_CHECK;
int rotating_end(struct rotating *rotating, struct err *err) MUST_CHECK;
void rotating_release(struct rotating *rotating);

/* Before any rotation: values that a root key has sealed itself, in a store of before data keys, get under
 * their tenants'. Only then may a root key be given up. */
int rotation_of_former_values(const struct rotation *rotation, struct err *err) MUST_CHECK;

#endif
