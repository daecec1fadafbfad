/* Inside the store: whose turn it is. claim.c says how jobs are chosen. */
#ifndef STORE_CLAIM_H
#define STORE_CLAIM_H

#include "store/internal.h"

enum {
    CLAIM_PASS_MAX = 512,    /* jobs whose time has come that one claim notices */
    CLAIM_TENANTS_MAX = 256, /* tenants, and channels of one, that one claim looks at */
    CLAIM_CHANNELS_MAX = 256,
    CLAIM_REGIONS_MAX = 32,
};

struct channel_turn {
    int64_t id;
    int64_t leased;
    int64_t served_seq;
    int64_t
        places; /* of its window: more leases it does not get, but for cancels and jobs whose video exists */
    bool is_open; /* false: only these, too */
    bool is_done; /* nothing more to take here */
    bool is_mine; /* no other claim takes from it meanwhile */
};

struct regions {
    uint32_t count;
    char names[CLAIM_REGIONS_MAX][NAME_SIZE];
};

struct tenant_turn {
    int64_t id;
    int64_t leased;
    int64_t served_seq;
    int64_t served_channel_id;
    bool is_loaded; /* regions and channels are known */
    bool is_done;
    struct regions regions;
    struct channel_turn *channels; /* owned */
    uint32_t channel_count;
};

struct turns {
    struct tenant_turn *tenants; /* owned */
    uint32_t count;
};

/* The tenants of the reach that have claimable jobs, without their channels. */
int turns_init(struct store *store, const struct store_reach *reach, struct turns *ret,
               struct err *err) MUST_CHECK;
void turns_release(struct turns *turns);
/* Regions of the reach and channels with claimable jobs in them, after the one that was served last. */
int tenant_load(struct store *store, const struct store_reach *reach, const char *worker,
                struct tenant_turn *tenant, struct err *err) MUST_CHECK;

/* Whether a tenant's name is in "a,b"; "" names all. */
bool reach_has_tenant(const struct store_reach *reach, const char *name);

/* Fills in everything a worker needs of a job that was leased just now (work.c). */
int do_read_work(struct store *store, const char *job, struct store_work *ret, struct err *err) MUST_CHECK;

#endif
