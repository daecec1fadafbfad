/* Who has claimable jobs: skip scans over the index job_ready, one seek each. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/claim.h"

/* ---- reach ---- */

bool reach_has_tenant(const struct store_reach *reach, const char *name)
{
    return !reach->tenants || !reach->tenants[0] || text_list_has(reach->tenants, name);
}

/* ---- tenants ---- */

static void add_tenant(struct turns *turns, const struct db_stmt *stmt)
{
    if (turns->count == CLAIM_TENANTS_MAX)
        return;
    if (!turns->tenants)
        turns->tenants = mem_alloc_array(CLAIM_TENANTS_MAX, sizeof(*turns->tenants));
    turns->tenants[turns->count++] = (struct tenant_turn){
        .id = db_int(stmt, 0), .served_seq = db_int(stmt, 2), .served_channel_id = db_int(stmt, 3)};
}

static int add_tenants(struct db_stmt *stmt, const struct store_reach *reach, struct turns *turns,
                       struct err *err)
{
    int rc;
    while ((rc = db_next(stmt, err)) > 0)
        if (reach_has_tenant(reach, db_text(stmt, 1)))
            add_tenant(turns, stmt);
    return rc;
}

/* Tenants with claimable jobs and $1 < id <= $2, the first $3 of them. */
static int scan_tenants(struct store *store, const struct store_reach *reach, int64_t after, int64_t until,
                        struct turns *turns, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "with recursive walk (tenant_id, n) as ("
                      " select min(tenant_id), 1 from job where claim_at_ms <= passed_ms and tenant_id > $1"
                      " union all"
                      " select (select min(j.tenant_id) from job j where j.claim_at_ms <= j.passed_ms"
                      "  and j.tenant_id > walk.tenant_id), n + 1"
                      " from walk where walk.tenant_id is not null and n < $3)"
                      " select t.id, t.name, s.served_seq, s.served_channel_id"
                      " from walk join tenant t on t.id = walk.tenant_id"
                      " join turn s on s.tenant_id = t.id and s.channel_id = 0 where t.id <= $2",
                      DB_ARGS(DB_I(after), DB_I(until), DB_I(CLAIM_TENANTS_MAX)), &stmt, err);
    return rc < 0 ? rc : add_tenants(stmt, reach, turns, err);
}

/* The scan goes round: with more tenants than one claim looks at, the next claim begins where this one ended.
 */
static int walk_tenants(struct store *store, const struct store_reach *reach, struct turns *turns,
                        struct err *err)
{
    int64_t turn = store->tenant_turn;
    int rc = scan_tenants(store, reach, turn, INT64_MAX, turns, err);
    if (rc == 0 && turn > 0 && turns->count < CLAIM_TENANTS_MAX)
        rc = scan_tenants(store, reach, 0, turn, turns, err);
    store->tenant_turn = turns->count == CLAIM_TENANTS_MAX ? turns->tenants[turns->count - 1].id : 0;
    return rc;
}

/* A reach that names its tenants asks for those alone, whoever else has jobs. */
static int add_named_tenant(struct store *store, const char *name, struct turns *turns, struct err *err)
{
    static const struct store_reach all;
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select t.id, t.name, s.served_seq, s.served_channel_id from tenant t"
                      " join turn s on s.tenant_id = t.id and s.channel_id = 0 where t.name = $1",
                      DB_ARGS(DB_T(name)), &stmt, err);
    return rc < 0 ? rc : add_tenants(stmt, &all, turns, err);
}

static int name_tenants(struct store *store, const struct store_reach *reach, struct turns *turns,
                        struct err *err)
{
    int rc = 0;
    for (const char *at = reach->tenants; *at && rc == 0;) {
        size_t part = strcspn(at, ",");
        AUTO_FREE char *name = mem_dup_n(at, part);
        rc = add_named_tenant(store, name, turns, err);
        at += part + (at[part] == ',');
    }
    return rc;
}

static int find_tenants(struct store *store, const struct store_reach *reach, struct turns *turns,
                        struct err *err)
{
    if (reach->tenants && reach->tenants[0])
        return name_tenants(store, reach, turns, err);
    return walk_tenants(store, reach, turns, err);
}

/* Leases that have run out do not count: their jobs wait for whoever takes them over. */
static int count_tenant_leases(struct store *store, struct turns *turns, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select tenant_id, count(*) from job where lease_owner <> '' and claim_at_ms > now_ms()"
                      " group by tenant_id",
                      DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        for (uint32_t i = 0; i < turns->count; i++)
            if (turns->tenants[i].id == db_int(stmt, 0))
                turns->tenants[i].leased = db_int(stmt, 1);
        rc = 0;
    }
    return rc;
}

int turns_init(struct store *store, const struct store_reach *reach, struct turns *ret, struct err *err)
{
    int rc = find_tenants(store, reach, ret, err);
    if (rc == 0 && ret->count > 0)
        rc = count_tenant_leases(store, ret, err);
    return rc;
}

void turns_release(struct turns *turns)
{
    for (uint32_t i = 0; i < turns->count; i++)
        mem_free(turns->tenants[i].channels);
    mem_free(turns->tenants);
    *turns = (struct turns){.count = 0};
}

/* ---- regions ---- */

static void add_region(struct regions *regions, const char *name)
{
    if (regions->count < CLAIM_REGIONS_MAX)
        copy_text(regions->names[regions->count++], name);
}

/* Every region in which the tenant has claimable jobs. */
static int scan_regions(struct store *store, struct tenant_turn *tenant, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "with recursive walk (region, n) as ("
                      " select min(region), 1 from job where claim_at_ms <= passed_ms and tenant_id = $1"
                      " union all"
                      " select (select min(j.region) from job j where j.claim_at_ms <= j.passed_ms"
                      "  and j.tenant_id = $1 and j.region > walk.region), n + 1"
                      " from walk where walk.region is not null and n < $2)"
                      " select region from walk where region is not null",
                      DB_ARGS(DB_I(tenant->id), DB_I(CLAIM_REGIONS_MAX)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        add_region(&tenant->regions, db_text(stmt, 0));
        rc = 0;
    }
    return rc;
}

static int find_regions(struct store *store, const struct store_reach *reach, struct tenant_turn *tenant,
                        struct err *err)
{
    if (reach->any_region)
        return scan_regions(store, tenant, err);
    add_region(&tenant->regions, "");
    if (reach->region && reach->region[0])
        add_region(&tenant->regions, reach->region);
    return 0;
}

/* ---- channels ---- */

static bool has_channel(const struct tenant_turn *tenant, int64_t id)
{
    for (uint32_t i = 0; i < tenant->channel_count; i++)
        if (tenant->channels[i].id == id)
            return true;
    return false;
}

static void add_channel(struct tenant_turn *tenant, const struct db_stmt *stmt)
{
    if (tenant->channel_count == CLAIM_CHANNELS_MAX || has_channel(tenant, db_int(stmt, 0)))
        return;
    if (!tenant->channels)
        tenant->channels = mem_alloc_array(CLAIM_CHANNELS_MAX, sizeof(*tenant->channels));
    tenant->channels[tenant->channel_count++] =
        (struct channel_turn){.id = db_int(stmt, 0),
                              .served_seq = db_int(stmt, 1),
                              .is_open = db_int(stmt, 2) != 0,
                              .places = window_places((struct window){.milliplaces = (int32_t)db_int(stmt, 3),
                                                                      .rest_until_ms = db_int(stmt, 4)},
                                                      db_int(stmt, 5))};
}

/* Channels with claimable jobs of the tenant in one region, $3 < id <= $4, the first $5 of them. */
static int scan_channels(struct store *store, struct tenant_turn *tenant, const char *region, int64_t after,
                         int64_t until, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db,
                 "with recursive walk (channel_id, n) as ("
                 " select min(channel_id), 1 from job where claim_at_ms <= passed_ms and tenant_id = $1"
                 "  and region = $2 and channel_id > $3"
                 " union all"
                 " select (select min(j.channel_id) from job j where j.claim_at_ms <= j.passed_ms"
                 "  and j.tenant_id = $1 and j.region = $2 and j.channel_id > walk.channel_id), n + 1"
                 " from walk where walk.channel_id is not null and n < $5)"
                 " select h.id, s.served_seq, case when h.state = 'active' then 1 else 0 end,"
                 " s.milliplaces, s.rest_until_ms, now_ms()"
                 " from walk join channel h on h.id = walk.channel_id"
                 " join turn s on s.tenant_id = $1 and s.channel_id = h.id where h.id <= $4",
                 DB_ARGS(DB_I(tenant->id), DB_T(region), DB_I(after), DB_I(until), DB_I(CLAIM_CHANNELS_MAX)),
                 &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        add_channel(tenant, stmt);
        rc = 0;
    }
    return rc;
}

static int walk_channels(struct store *store, struct tenant_turn *tenant, struct err *err)
{
    int64_t turn = tenant->served_channel_id;
    int rc = 0;
    for (uint32_t i = 0; i < tenant->regions.count && rc == 0; i++)
        rc = scan_channels(store, tenant, tenant->regions.names[i], turn, INT64_MAX, err);
    for (uint32_t i = 0; i < tenant->regions.count && rc == 0 && turn > 0; i++)
        rc = scan_channels(store, tenant, tenant->regions.names[i], 0, turn, err);
    return rc;
}

static int count_channel_leases(struct store *store, struct tenant_turn *tenant, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db,
                 "select channel_id, count(*) from job where lease_owner <> '' and claim_at_ms > now_ms()"
                 " and tenant_id = $1 group by channel_id",
                 DB_ARGS(DB_I(tenant->id)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        for (uint32_t i = 0; i < tenant->channel_count; i++)
            if (tenant->channels[i].id == db_int(stmt, 0))
                tenant->channels[i].leased = db_int(stmt, 1);
        rc = 0;
    }
    return rc;
}

static int close_shut_channels(struct store *store, const char *worker, const struct tenant_turn *tenant,
                               struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < tenant->channel_count && rc == 0; i++) {
        if (!tenant->channels[i].is_open)
            rc = do_hold_stray_jobs(store, tenant->channels[i].id, worker, err);
    }
    return rc;
}

int tenant_load(struct store *store, const struct store_reach *reach, const char *worker,
                struct tenant_turn *tenant, struct err *err)
{
    tenant->is_loaded = true;
    int rc = find_regions(store, reach, tenant, err);
    if (rc == 0)
        rc = walk_channels(store, tenant, err);
    if (rc == 0)
        rc = count_channel_leases(store, tenant, err);
    return rc < 0 ? rc : close_shut_channels(store, worker, tenant, err);
}
