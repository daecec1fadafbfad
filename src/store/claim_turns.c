/* Who has claimable jobs: skip scans over the index job_ready, one seek each. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/claim.h"
#include "store/db_rows.h"

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

/* What is sought is the first entry of job_ready behind a place. Its whole order is asked for, so that no
 * other index comes into question: one that begins with the same column would be walked through all the jobs
 * that cannot be claimed. */
#define READY_ORDER "region, channel_id, priority desc, id"

/* Tenants with claimable jobs and $1 < id <= $2, the first $3 of them. */
static int scan_tenants(struct store *store, const struct store_reach *reach, int64_t after, int64_t until,
                        struct turns *turns, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "with recursive walk (tenant_id, n) as ("
                      " select (select tenant_id from job where claim_at_ms <= passed_ms and tenant_id > $1"
                      "  order by tenant_id, " READY_ORDER " limit 1), 1"
                      " union all"
                      " select (select tenant_id from job where claim_at_ms <= passed_ms"
                      "  and tenant_id > walk.tenant_id order by tenant_id, " READY_ORDER " limit 1), n + 1"
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
static int query_named_tenants(struct store *store, const struct db_rows *names, struct turns *turns,
                               struct err *err)
{
    static const struct store_reach all;
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query_rows(store->db,
                           "select t.id, t.name, s.served_seq, s.served_channel_id from tenant t"
                           " join turn s on s.tenant_id = t.id and s.channel_id = 0"
                           " {join rows name:text} where t.name = {r.name}",
                           names, DB_NO_ARGS, &stmt, err);
    return rc < 0 ? rc : add_tenants(stmt, &all, turns, err);
}

static int name_tenants(struct store *store, const struct store_reach *reach, struct turns *turns,
                        struct err *err)
{
    AUTO_ROWS struct db_rows names = {.count = 0};
    AUTO_FREE char *list = mem_dup(reach->tenants);
    char *rest = list, *name;
    while ((name = strsep(&rest, ",")))
        db_rows_add(&names, DB_ARGS(DB_T(name)));
    return query_named_tenants(store, &names, turns, err);
}

static int find_tenants(struct store *store, const struct store_reach *reach, struct turns *turns,
                        struct err *err)
{
    if (reach->tenants && reach->tenants[0])
        return name_tenants(store, reach, turns, err);
    return walk_tenants(store, reach, turns, err);
}

/* Leases that have run out do not count: their jobs wait for whoever takes them over. */
static int count_leases(struct store *store, struct turns *turns, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    uint32_t size = 0;
    int rc = db_query(store->db,
                      "select tenant_id, channel_id, count(*) from job where lease_owner <> ''"
                      " and claim_at_ms > now_ms() group by tenant_id, channel_id",
                      DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        if (turns->lease_count == size) {
            size = size ? 2 * size : 64;
            turns->leases = mem_grow(turns->leases, size, sizeof(*turns->leases));
        }
        turns->leases[turns->lease_count++] =
            (struct lease_count){db_int(stmt, 0), db_int(stmt, 1), db_int(stmt, 2)};
        rc = 0;
    }
    return rc;
}

static void add_leases(struct turns *turns)
{
    for (uint32_t n = 0; n < turns->lease_count; n++)
        for (uint32_t i = 0; i < turns->count; i++)
            if (turns->tenants[i].id == turns->leases[n].tenant_id)
                turns->tenants[i].leased += turns->leases[n].count;
}

int turns_init(const struct claim *claim, struct turns *ret, struct err *err)
{
    ret->seq = INT64_MAX / 2;
    int rc = find_tenants(claim->store, claim->reach, ret, err);
    if (rc == 0 && ret->count > 0)
        rc = count_leases(claim->store, ret, err);
    if (rc == 0)
        add_leases(ret);
    return rc;
}

static void tenant_release(struct tenant_turn *tenant)
{
    for (uint32_t i = 0; i < tenant->channel_count; i++)
        mem_free(tenant->channels[i].heads);
    mem_free(tenant->channels);
}

void turns_release(struct turns *turns)
{
    for (uint32_t i = 0; i < turns->count; i++)
        tenant_release(&turns->tenants[i]);
    mem_free(turns->tenants);
    mem_free(turns->leases);
    *turns = (struct turns){.count = 0};
}

/* ---- regions ---- */

static void add_region(struct regions *regions, const char *name)
{
    if (regions->count < CLAIM_REGIONS_MAX)
        copy_text(regions->names[regions->count++], name);
}

/* Every region in which the tenants have claimable jobs. */
static int scan_regions(struct store *store, const struct db_rows *tenants, struct turns *turns,
                        struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query_rows(store->db,
                           "select {r.n}, w.region {over rows n:int tenant:int}"
                           " (with recursive walk (region, n) as ("
                           " select (select region from job where claim_at_ms <= passed_ms"
                           "  and tenant_id = {r.tenant} order by tenant_id, " READY_ORDER " limit 1), 1"
                           " union all"
                           " select (select region from job where claim_at_ms <= passed_ms"
                           "  and tenant_id = {r.tenant} and region > walk.region"
                           "  order by tenant_id, " READY_ORDER " limit 1), walk.n + 1"
                           " from walk where walk.region is not null and walk.n < $3)"
                           " select region from walk where region is not null) as w",
                           tenants, DB_ARGS(DB_I(CLAIM_REGIONS_MAX)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        add_region(&turns->tenants[db_int(stmt, 0)].regions, db_text(stmt, 1));
        rc = 0;
    }
    return rc;
}

static int find_regions(const struct claim *claim, struct turns *turns, struct err *err)
{
    const struct store_reach *reach = claim->reach;
    AUTO_ROWS struct db_rows tenants = {.count = 0};
    for (uint32_t i = 0; i < turns->count; i++) {
        struct tenant_turn *tenant = &turns->tenants[i];
        if (!tenant->is_wanted || tenant->is_loaded || tenant->regions.count > 0)
            continue;
        db_rows_add(&tenants, DB_ARGS(DB_I(i), DB_I(tenant->id)));
        if (reach->any_region)
            continue;
        add_region(&tenant->regions, "");
        if (reach->region && reach->region[0])
            add_region(&tenant->regions, reach->region);
    }
    return reach->any_region ? scan_regions(claim->store, &tenants, turns, err) : 0;
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
    if (tenant->channel_count == tenant->window || has_channel(tenant, db_int(stmt, 1)))
        return;
    tenant->channels[tenant->channel_count++] =
        (struct channel_turn){.id = db_int(stmt, 1),
                              .served_seq = db_int(stmt, 2),
                              .is_open = db_int(stmt, 3) != 0,
                              .places = window_places((struct window){.milliplaces = (int32_t)db_int(stmt, 4),
                                                                      .rest_until_ms = db_int(stmt, 5)},
                                                      db_int(stmt, 6))};
}

/* Channels with claimable jobs of the tenants in their regions, `after` < id <= `until`, the first `max`. */
static int scan_channels(struct store *store, const struct db_rows *parts, struct turns *turns,
                         struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query_rows(
        store->db,
        "select {r.n}, w.id, w.served_seq, w.is_open, w.milliplaces, w.rest_until_ms, now_ms()"
        " {over rows n:int tenant:int region:text after:int until:int max:int}"
        " (with recursive walk (channel_id, n) as ("
        " select (select channel_id from job where claim_at_ms <= passed_ms and tenant_id = {r.tenant}"
        "  and region = {r.region} and channel_id > {r.after} order by tenant_id, " READY_ORDER " limit 1), 1"
        " union all"
        " select (select channel_id from job where claim_at_ms <= passed_ms"
        "  and tenant_id = {r.tenant} and region = {r.region} and channel_id > walk.channel_id"
        "  order by tenant_id, " READY_ORDER " limit 1),"
        "  walk.n + 1 from walk where walk.channel_id <= {r.until} and walk.n < {r.max})"
        " select h.id, s.served_seq, case when h.state = 'active' then 1 else 0 end as is_open,"
        "  s.milliplaces, s.rest_until_ms from walk join channel h on h.id = walk.channel_id"
        "  join turn s on s.tenant_id = {r.tenant} and s.channel_id = h.id"
        "  where walk.channel_id <= {r.until}) as w",
        parts, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        add_channel(&turns->tenants[db_int(stmt, 0)], stmt);
        rc = 0;
    }
    return rc;
}

static void add_parts(struct db_rows *parts, const struct tenant_turn *tenant, uint32_t n, int64_t after,
                      int64_t until)
{
    for (uint32_t i = 0; i < tenant->regions.count; i++)
        db_rows_add(parts, DB_ARGS(DB_I(n), DB_I(tenant->id), DB_T(tenant->regions.names[i]), DB_I(after),
                                   DB_I(until), DB_I(tenant->window)));
}

static uint32_t count_unloaded(const struct turns *turns)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < turns->count; i++)
        count += turns->tenants[i].is_wanted && !turns->tenants[i].is_loaded;
    return count;
}

/* At first twice as many channels as jobs are wanted of a tenant, so that there is a choice. */
static void open_window(const struct claim *claim, struct tenant_turn *tenant, uint32_t tenant_count)
{
    uint32_t size = tenant->window > 0 ? 4 * tenant->window : 2 * claim->max / tenant_count;
    tenant->window = size < CLAIM_CHANNELS_MIN   ? CLAIM_CHANNELS_MIN
                     : size > CLAIM_CHANNELS_MAX ? CLAIM_CHANNELS_MAX
                                                 : size;
    tenant->channels = mem_grow(tenant->channels, tenant->window, sizeof(*tenant->channels));
}

bool turns_widen(struct tenant_turn *tenant)
{
    if (tenant->channel_count < tenant->window || tenant->window == CLAIM_CHANNELS_MAX)
        return false;
    tenant->is_loaded = false;
    return true;
}

static int scan_part(const struct claim *claim, struct turns *turns, bool is_beginning, struct err *err)
{
    AUTO_ROWS struct db_rows parts = {.count = 0};
    for (uint32_t i = 0; i < turns->count; i++) {
        const struct tenant_turn *tenant = &turns->tenants[i];
        bool has_room = tenant->channel_count < tenant->window;
        if (!tenant->is_wanted || tenant->is_loaded)
            continue;
        if (!is_beginning)
            add_parts(&parts, tenant, i, tenant->served_channel_id, INT64_MAX);
        else if (has_room && tenant->served_channel_id > 0)
            add_parts(&parts, tenant, i, 0, tenant->served_channel_id);
    }
    return scan_channels(claim->store, &parts, turns, err);
}

/* A window begins after the channel that was served last and, where that leaves room, goes on at the
 * beginning: it moves on with every job served. */
static int find_channels(const struct claim *claim, struct turns *turns, struct err *err)
{
    uint32_t tenant_count = count_unloaded(turns);
    for (uint32_t i = 0; i < turns->count; i++)
        if (turns->tenants[i].is_wanted && !turns->tenants[i].is_loaded)
            open_window(claim, &turns->tenants[i], tenant_count);
    int rc = scan_part(claim, turns, false, err);
    return rc < 0 ? rc : scan_part(claim, turns, true, err);
}

static int64_t count_of(const struct turns *turns, int64_t tenant, int64_t channel)
{
    for (uint32_t i = 0; i < turns->lease_count; i++)
        if (turns->leases[i].tenant_id == tenant && turns->leases[i].channel_id == channel)
            return turns->leases[i].count;
    return 0;
}

/* What this claim itself leases is of other tenants' channels, or of these after they were loaded. */
static int finish_tenant(const struct claim *claim, const struct turns *turns, struct tenant_turn *tenant,
                         struct err *err)
{
    int rc = 0;
    tenant->is_loaded = true;
    for (; tenant->finished_count < tenant->channel_count && rc == 0; tenant->finished_count++) {
        struct channel_turn *channel = &tenant->channels[tenant->finished_count];
        channel->leased = count_of(turns, tenant->id, channel->id);
        if (!channel->is_open)
            rc = do_hold_stray_jobs(claim->store, channel->id, claim->worker, err);
    }
    return rc;
}

int turns_load(const struct claim *claim, struct turns *turns, struct err *err)
{
    int rc = find_regions(claim, turns, err);
    if (rc == 0)
        rc = find_channels(claim, turns, err);
    for (uint32_t i = 0; i < turns->count && rc == 0; i++)
        if (turns->tenants[i].is_wanted && !turns->tenants[i].is_loaded)
            rc = finish_tenant(claim, turns, &turns->tenants[i], err);
    return rc;
}
