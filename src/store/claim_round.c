/*
 * A round of turns: several jobs in the order in which single claims would have taken them.
 *
 * What each channel will give is not known before it is asked, and asking locks. So the turns are first gone
 * through as if every channel had enough: that says how many jobs of each one are wanted. These are then
 * asked for, of all channels in one statement, and the turns are gone through again with what is there. A
 * channel that has less only brings the others' turns forward, so what was asked for is taken; where one
 * should give more than was asked of it, the next round goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/claim.h"
#include "store/db_rows.h"

/* ---- whose turn it is ---- */

static struct tenant_turn *next_tenant(const struct store_reach *reach, struct turns *turns)
{
    struct tenant_turn *best = NULL;
    for (uint32_t i = 0; i < turns->count; i++) {
        struct tenant_turn *one = &turns->tenants[i];
        if (one->is_done || one->is_planned_out ||
            (reach->per_tenant_max > 0 && one->planned_leased >= reach->per_tenant_max))
            continue;
        if (!best || one->planned_leased < best->planned_leased ||
            (one->planned_leased == best->planned_leased && one->planned_seq < best->planned_seq))
            best = one;
    }
    return best;
}

static struct channel_turn *next_channel(const struct store_reach *reach, struct tenant_turn *tenant)
{
    struct channel_turn *best = NULL;
    for (uint32_t i = 0; i < tenant->channel_count; i++) {
        struct channel_turn *one = &tenant->channels[i];
        if (one->is_done || (reach->per_channel_max > 0 && one->planned_leased >= reach->per_channel_max))
            continue;
        if (!best || one->planned_leased < best->planned_leased ||
            (one->planned_leased == best->planned_leased && one->planned_seq < best->planned_seq))
            best = one;
    }
    return best;
}

static void count_pick(struct turns *turns, struct tenant_turn *tenant, struct channel_turn *channel)
{
    tenant->planned_leased++;
    tenant->planned_seq = ++turns->seq;
    if (!channel)
        return;
    channel->planned_leased++;
    channel->planned_seq = turns->seq;
}

/* From where the store's truth is. */
static void restart(struct turns *turns)
{
    for (uint32_t i = 0; i < turns->count; i++) {
        struct tenant_turn *tenant = &turns->tenants[i];
        tenant->planned_leased = tenant->leased;
        tenant->planned_seq = tenant->served_seq;
        tenant->is_planned_out = false;
        for (uint32_t n = 0; n < tenant->channel_count; n++) {
            tenant->channels[n].planned_leased = tenant->channels[n].leased;
            tenant->channels[n].planned_seq = tenant->channels[n].served_seq;
        }
    }
}

/* ---- the plan ---- */

/* What must be known first. */
struct missing {
    bool has_tenants;  /* `is_wanted` */
    bool has_channels; /* `wanted` and not `is_mine` */
};

static void clear_wants(struct turns *turns)
{
    for (uint32_t i = 0; i < turns->count; i++)
        for (uint32_t n = 0; n < turns->tenants[i].channel_count; n++) {
            struct channel_turn *channel = &turns->tenants[i].channels[n];
            channel->wanted = channel->head_count = channel->head_next = 0;
        }
}

static void plan_pick(const struct store_reach *reach, struct turns *turns, struct tenant_turn *tenant,
                      uint32_t *count, struct missing *missing)
{
    struct channel_turn *channel = tenant->is_loaded ? next_channel(reach, tenant) : NULL;
    if (tenant->is_loaded && !channel && !turns_widen(tenant)) {
        tenant->is_planned_out = true;
        return;
    }
    if (channel) {
        channel->wanted++;
        missing->has_channels |= !channel->is_mine;
    } else {
        tenant->is_wanted = missing->has_tenants = true;
    }
    count_pick(turns, tenant, channel);
    ++*count;
}

static uint32_t plan(const struct store_reach *reach, struct turns *turns, uint32_t max,
                     struct missing *missing)
{
    struct tenant_turn *tenant;
    uint32_t count = 0;
    *missing = (struct missing){.has_tenants = false};
    restart(turns);
    clear_wants(turns);
    while (count < max && (tenant = next_tenant(reach, turns)))
        plan_pick(reach, turns, tenant, &count, missing);
    return count;
}

/* ---- channels that others take from too ---- */

static void add_turn_rows(struct turns *turns, struct db_rows *rows, struct channel_turn **ret)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < turns->count; i++)
        for (uint32_t k = 0; k < turns->tenants[i].channel_count; k++) {
            struct channel_turn *channel = &turns->tenants[i].channels[k];
            if (channel->wanted == 0 || channel->is_mine)
                continue;
            ret[n] = channel;
            db_rows_add(rows, DB_ARGS(DB_I(n++), DB_I(turns->tenants[i].id), DB_I(channel->id)));
            channel->is_mine = channel->is_done = true;
        }
}

static int lock_turns(struct store *store, const struct db_rows *rows, struct channel_turn *const *channels,
                      struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query_rows(store->db,
                           "select {r.n} from turn t {join rows n:int tenant:int channel:int}"
                           " where t.tenant_id = {r.tenant} and t.channel_id = {r.channel}"
                           " order by t.tenant_id, t.channel_id {take}",
                           rows, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        channels[db_int(stmt, 0)]->is_done = false;
        rc = 0;
    }
    return rc;
}

static int count_leases(struct store *store, const struct db_rows *rows, struct channel_turn *const *channels,
                        struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query_rows(store->db,
                      "select {r.n}, (select count(*) from job where lease_owner <> ''"
                      "  and claim_at_ms > now_ms() and tenant_id = {r.tenant} and channel_id = {r.channel})"
                      " {from rows n:int tenant:int channel:int}",
                      rows, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        channels[db_int(stmt, 0)]->leased = db_int(stmt, 1);
        rc = 0;
    }
    return rc;
}

/* Where a channel may only have so many leases, they are counted while no other claim takes from it; a
 * channel that another is just taking from is left to that one. */
static int take_channels(const struct claim *claim, struct turns *turns, uint32_t max, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    AUTO_FREE struct channel_turn **channels = mem_alloc_array(max, sizeof(struct channel_turn *));
    add_turn_rows(turns, &rows, channels);
    int rc = lock_turns(claim->store, &rows, channels, err);
    return rc < 0 ? rc : count_leases(claim->store, &rows, channels, err);
}

static int make_plan(const struct claim *claim, struct turns *turns, uint32_t max, uint32_t *ret_count,
                     struct err *err)
{
    bool must_take = claim->reach->per_channel_max > 0 && claim->store->db->driver->has_many_writers;
    struct missing missing;
    int rc = 0;
    for (;;) {
        *ret_count = plan(claim->reach, turns, max, &missing);
        if (missing.has_tenants)
            rc = turns_load(claim, turns, err);
        else if (missing.has_channels && must_take)
            rc = take_channels(claim, turns, max, err);
        else
            break;
        if (rc < 0)
            break;
    }
    return rc;
}

/* ---- what the channels have ---- */

#define SELECT_HEADS                                                                                         \
    "select {r.n}, w.id, w.priority, w.state, w.has_video, w.lease_owner"                                    \
    " {over rows n:int tenant:int region:text channel:int max:int}"                                          \
    " (select id, priority, state, video_id is not null as has_video, lease_owner from job"                  \
    " where claim_at_ms <= passed_ms and tenant_id = {r.tenant} and region = {r.region}"                     \
    " and channel_id = {r.channel}"
#define HEADS_END " order by priority desc, id limit {r.max} {take}) as w"

/* The channels of a round, and what they gave: of their windows' places, and beyond. */
struct gathering {
    struct channel_turn **channels; /* owned */
    uint32_t count;
};

static int compare_heads(const void *a, const void *b)
{
    const struct head *one = a, *other = b;
    if (one->priority != other->priority)
        return one->priority > other->priority ? -1 : 1;
    return strcmp(one->id, other->id);
}

static bool has_head(const struct channel_turn *channel, const char *id)
{
    for (uint32_t i = 0; i < channel->head_count; i++)
        if (strcmp(channel->heads[i].id, id) == 0)
            return true;
    return false;
}

/* Over all regions the first ones count. */
static void keep_first(struct channel_turn *channel, uint32_t from, uint32_t max)
{
    qsort(&channel->heads[from], channel->head_count - from, sizeof(*channel->heads), compare_heads);
    if (channel->head_count > max)
        channel->head_count = max;
}

static int gather(const struct claim *claim, const char *sql, const struct db_rows *rows,
                  const struct gathering *all, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query_rows(claim->store->db, sql, rows, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct channel_turn *channel = all->channels[db_int(stmt, 0)];
        rc = has_head(channel, db_text(stmt, 1))
                 ? 0
                 : head_read(stmt, 1, &channel->heads[channel->head_count++], err);
    }
    return rc;
}

static void add_heads_rows(struct db_rows *rows, const struct tenant_turn *tenant,
                           const struct channel_turn *channel, uint32_t n, uint32_t max)
{
    for (uint32_t i = 0; i < tenant->regions.count && max > 0; i++)
        db_rows_add(rows, DB_ARGS(DB_I(n), DB_I(tenant->id), DB_T(tenant->regions.names[i]),
                                  DB_I(channel->id), DB_I(max)));
}

static void begin_channel(struct tenant_turn *tenant, struct channel_turn *channel)
{
    int64_t free_places = channel->is_open ? channel->places - channel->leased : 0;
    channel->open_max = free_places <= 0                         ? 0
                        : free_places < (int64_t)channel->wanted ? (uint32_t)free_places
                                                                 : channel->wanted;
    mem_free(channel->heads);
    channel->heads =
        mem_alloc_array(2 * (size_t)tenant->regions.count * channel->wanted + 1, sizeof(*channel->heads));
    channel->head_count = channel->head_next = 0;
}

static void name_owner(const struct tenant_turn *tenant, struct channel_turn *channel)
{
    for (uint32_t i = 0; i < channel->head_count; i++) {
        channel->heads[i].tenant_id = tenant->id;
        channel->heads[i].channel_id = channel->id;
    }
}

/* First what the windows have places for, then, where more is wanted, what needs no place. */
static int gather_heads(const struct claim *claim, struct turns *turns, uint32_t max, struct err *err)
{
    AUTO_ROWS struct db_rows open = {.count = 0};
    AUTO_ROWS struct db_rows anyway = {.count = 0};
    AUTO_FREE struct channel_turn **channels = mem_alloc_array(max, sizeof(struct channel_turn *));
    struct gathering all = {.channels = channels};
    for (uint32_t i = 0; i < turns->count; i++)
        for (uint32_t k = 0; k < turns->tenants[i].channel_count; k++) {
            struct channel_turn *channel = &turns->tenants[i].channels[k];
            if (channel->wanted == 0)
                continue;
            begin_channel(&turns->tenants[i], channel);
            add_heads_rows(&open, &turns->tenants[i], channel, all.count, channel->open_max);
            if (channel->wanted > channel->open_max)
                add_heads_rows(&anyway, &turns->tenants[i], channel, all.count, channel->wanted);
            channels[all.count++] = channel;
        }
    int rc = gather(claim, SELECT_HEADS HEADS_END, &open, &all, err);
    for (uint32_t i = 0; i < all.count; i++)
        keep_first(channels[i], 0, channels[i]->open_max);
    if (rc == 0)
        rc = gather(claim, SELECT_HEADS " and (cancel_wanted <> 0 or video_id is not null)" HEADS_END,
                    &anyway, &all, err);
    for (uint32_t i = 0; i < all.count; i++) {
        uint32_t from = channels[i]->open_max;
        if (channels[i]->head_count > from)
            keep_first(channels[i], from, channels[i]->wanted);
    }
    for (uint32_t i = 0; i < turns->count; i++)
        for (uint32_t k = 0; k < turns->tenants[i].channel_count; k++)
            if (turns->tenants[i].channels[k].wanted > 0)
                name_owner(&turns->tenants[i], &turns->tenants[i].channels[k]);
    return rc;
}

/* ---- the choice ---- */

/* 1: *ret is the next job; 0: whose turn it is has none. END: it may have more than was asked for. */
enum pick { PICK_NONE, PICK_JOB, PICK_END };

static enum pick pick_from(const struct store_reach *reach, struct turns *turns, struct tenant_turn *tenant,
                           struct head *ret)
{
    struct channel_turn *channel = tenant->is_loaded ? next_channel(reach, tenant) : NULL;
    if (!tenant->is_loaded)
        return PICK_END;
    if (!channel && turns_widen(tenant))
        return PICK_END;
    if (!channel) {
        tenant->is_done = true;
        return PICK_NONE;
    }
    if (channel->head_next == channel->wanted)
        return PICK_END;
    if (channel->head_next == channel->head_count) {
        channel->is_done = true;
        return PICK_NONE;
    }
    *ret = channel->heads[channel->head_next++];
    count_pick(turns, tenant, channel);
    tenant->leased = tenant->planned_leased;
    tenant->served_seq = channel->served_seq = turns->seq;
    channel->leased = channel->planned_leased;
    return PICK_JOB;
}

static void pick_all(const struct store_reach *reach, struct turns *turns, struct head *ret, uint32_t max,
                     uint32_t *ret_count)
{
    struct tenant_turn *tenant;
    enum pick pick = PICK_NONE;
    restart(turns);
    while (*ret_count < max && pick != PICK_END && (tenant = next_tenant(reach, turns))) {
        pick = pick_from(reach, turns, tenant, &ret[*ret_count]);
        *ret_count += pick == PICK_JOB;
    }
}

int turns_choose(const struct claim *claim, struct turns *turns, struct head *ret, uint32_t max,
                 uint32_t *ret_count, struct err *err)
{
    uint32_t planned = 0;
    *ret_count = 0;
    do {
        int rc = make_plan(claim, turns, max, &planned, err);
        if (rc == 0 && planned > 0)
            rc = gather_heads(claim, turns, max, err);
        if (rc < 0)
            return rc;
        if (planned > 0)
            pick_all(claim->reach, turns, ret, max, ret_count);
    } while (*ret_count == 0 && planned > 0); /* none of them had one; others may */
    return 0;
}
