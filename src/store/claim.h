/* Inside the store: whose turn it is. claim.c says how jobs are chosen. */
#ifndef STORE_CLAIM_H
#define STORE_CLAIM_H

#include "store/internal.h"

enum {
    CLAIM_PASS_MAX = 512,     /* jobs whose time has come that one claim notices */
    CLAIM_TENANTS_MAX = 256,  /* tenants that one claim looks at */
    CLAIM_CHANNELS_MIN = 8,   /* channels of one that it looks at first, */
    CLAIM_CHANNELS_MAX = 256, /* and where they give too little */
    CLAIM_REGIONS_MAX = 32,
};

struct claim {
    struct store *store;
    const char *worker;
    const struct store_reach *reach;
    uint32_t max;
    int64_t lease_ms;
};

/* A job that may be leased; its row is locked. */
struct head {
    char id[JOB_ID_SIZE];
    int64_t priority;
    int64_t tenant_id, channel_id;
    enum job_state state;
    bool has_video;
    char lease_owner[NAME_SIZE]; /* of the worker that the job is taken over from */
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
    /* of one round (claim_round.c) */
    int64_t planned_leased, planned_seq;
    uint32_t wanted;    /* jobs, if it has as many */
    uint32_t open_max;  /* of them while the window has places */
    struct head *heads; /* owned; those that it has, the first `head_next` are taken */
    uint32_t head_count, head_next;
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
    bool is_wanted; /* they must be */
    bool is_done;
    struct regions regions;
    struct channel_turn *channels; /* owned */
    uint32_t channel_count;
    uint32_t finished_count; /* of them, all is known */
    uint32_t window;         /* as many channels were looked for */
    int64_t planned_leased, planned_seq;
    bool is_planned_out;
};

/* Live leases of a channel. */
struct lease_count {
    int64_t tenant_id, channel_id, count;
};

struct turns {
    struct tenant_turn *tenants; /* owned */
    uint32_t count;
    struct lease_count *leases; /* owned */
    uint32_t lease_count;
    int64_t seq; /* later than any that the store knows: turns of this claim */
};

/* ---- claim_turns.c ---- */

/* The tenants of the reach that have claimable jobs, without their channels. */
int turns_init(const struct claim *claim, struct turns *ret, struct err *err) MUST_CHECK;
void turns_release(struct turns *turns);
/* Of the tenants that are wanted: regions of the reach and channels with claimable jobs in them, after the
 * one that was served last. */
int turns_load(const struct claim *claim, struct turns *turns, struct err *err) MUST_CHECK;
/* What was loaded of the tenant gives no more. true: it has more channels, which must be loaded. */
bool turns_widen(struct tenant_turn *tenant);
/* Whether a tenant's name is in "a,b"; "" names all. */
bool reach_has_tenant(const struct store_reach *reach, const char *name);

/* ---- claim_round.c ---- */

/* Up to `max` jobs, each the next one's turn; 0 in *ret_count: there is none left. Fewer than `max`: there
 * may be more in another round, once these are leased. */
int turns_choose(const struct claim *claim, struct turns *turns, struct head *ret, uint32_t max,
                 uint32_t *ret_count, struct err *err) MUST_CHECK;

/* ---- claim_lease.c ---- */

int head_read(const struct db_stmt *stmt, int column, struct head *ret, struct err *err) MUST_CHECK;
/* Leases them, with an audit line each, and counts whose turn it was. */
int heads_lease(const struct claim *claim, const struct head *heads, uint32_t count,
                struct err *err) MUST_CHECK;

/* ---- work.c ---- */

/* Fills in everything a worker needs of jobs that were leased just now. */
int do_read_works(struct store *store, const struct head *heads, uint32_t count, struct store_work *ret,
                  struct err *err) MUST_CHECK;

#endif
