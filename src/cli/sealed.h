/*
 * Whether the key file is the one that the store's secrets were sealed with, told by the key ids that stand
 * in front of sealed values; nothing is opened. For `init` and `check`. Main thread.
 */
#ifndef CLI_SEALED_H
#define CLI_SEALED_H

#include "store/store.h"

struct sealed_census {
    uint32_t client_count; /* with a sealed secret */
    uint32_t token_count;
    uint32_t other_key_count; /* sealed with another key than `key_id` */
    char other_key_id[17];    /* one of those */
};

/* `key_id`: of the key at hand; "" : there is none. */
int sealed_count(struct store *store, const char *key_id, struct sealed_census *ret,
                 struct err *err) MUST_CHECK;

#endif
