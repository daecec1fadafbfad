/* Looking: depth and backlog. */
#include <string.h>

#include "base/text.h"
#include "store/claim.h"

/* ---- depth ---- */

static int read_depth(const struct db_stmt *stmt, struct store_depth *ret, struct err *err)
{
    *ret = (struct store_depth){.count = (uint64_t)db_int(stmt, 5), .bytes = (uint64_t)db_int(stmt, 6)};
    copy_text(ret->tenant, db_text(stmt, 0));
    copy_text(ret->channel, db_text(stmt, 1));
    copy_text(ret->region, db_text(stmt, 4));
    if (!job_state_parse(db_text(stmt, 2), &ret->state) || !job_cause_parse(db_text(stmt, 3), &ret->cause))
        return err_set(err, ERR_STORE, "jobs with the unknown state %s %s", db_text(stmt, 2),
                       db_text(stmt, 3));
    return 0;
}

int store_depth_list(struct store *store, int (*row)(void *ctx, const struct store_depth *depth), void *ctx,
                     struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(
        store->db,
        "select t.name, h.name, d.state, d.cause, d.region, d.count, d.bytes from"
        " (select channel_id, state, cause, region, count(*) as count,"
        "  cast(sum(size_bytes) as bigint) as bytes from job group by channel_id, state, cause, region)"
        " as d join channel h on h.id = d.channel_id join tenant t on t.id = h.tenant_id"
        " order by t.name, h.name, d.channel_id, d.state, d.cause, d.region",
        DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_depth depth;
        rc = read_depth(stmt, &depth, err);
        if (rc == 0)
            rc = row(ctx, &depth);
        if (rc != 0)
            return rc;
    }
    return rc;
}

/* Jobs are looked up by channel and state, so that those at their end are not walked, and counted in the
 * order of the index. */
static const char queue_sql[] =
    "select t.name, g.region, g.state, g.cause, cast(sum(g.n) as bigint), cast(sum(g.bytes) as bigint),"
    " case when g.state = 'queued' and s.milliplaces < 1000 then 1 else 0 end as rests from"
    " (select channel_id, state, cause, region, count(*) as n, sum(size_bytes) as bytes from job"
    "  where channel_id in (select id from channel)"
    "  and state in ('queued', 'uploading', 'waiting', 'held', 'finishing')"
    "  group by channel_id, state, cause, region) as g"
    " join channel h on h.id = g.channel_id join tenant t on t.id = h.tenant_id"
    " join turn s on s.tenant_id = h.tenant_id and s.channel_id = h.id"
    " group by t.name, g.region, g.state, g.cause, rests order by t.name, g.region, g.state, g.cause, rests";

static int read_queue(const struct db_stmt *stmt, struct store_queue *ret, struct err *err)
{
    *ret = (struct store_queue){.count = (uint64_t)db_int(stmt, 4),
                                .bytes = (uint64_t)db_int(stmt, 5),
                                .rests = db_int(stmt, 6) != 0};
    copy_text(ret->tenant, db_text(stmt, 0));
    copy_text(ret->region, db_text(stmt, 1));
    if (!job_state_parse(db_text(stmt, 2), &ret->state) || !job_cause_parse(db_text(stmt, 3), &ret->cause))
        return err_set(err, ERR_STORE, "jobs with the unknown state %s %s", db_text(stmt, 2),
                       db_text(stmt, 3));
    return 0;
}

int store_queue_list(struct store *store, int (*row)(void *ctx, const struct store_queue *queue), void *ctx,
                     struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, queue_sql, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_queue queue;
        rc = read_queue(stmt, &queue, err);
        if (rc == 0)
            rc = row(ctx, &queue);
        if (rc != 0)
            return rc;
    }
    return rc;
}

/* ---- backlog ---- */

static bool is_in_reach(const struct store_reach *reach, const struct db_stmt *stmt)
{
    const char *region = db_text(stmt, 1);
    bool has_region =
        reach->any_region || !region[0] || (reach->region && strcmp(region, reach->region) == 0);
    return has_region && reach_has_tenant(reach, db_text(stmt, 0));
}

/* Groups of jobs by tenant and region: what they are, how many, the earliest time; each part reads an index
 * only. It is one statement, and its parts are in the order in which a job goes through them as time passes:
 * whatever others do meanwhile, a job is counted once at least. */
static const char backlog_sql[] =
    "select t.name, g.region, g.kind, g.n, g.first_ms from ("
    "select tenant_id, region, 'leased' as kind, count(*) as n, 0 as first_ms from job"
    " where lease_owner <> '' and claim_at_ms > now_ms() group by tenant_id, region"
    " union all select tenant_id, region, 'later', count(*), min(claim_at_ms) from job"
    " where claim_at_ms > passed_ms and claim_at_ms > now_ms() and lease_owner = ''"
    " group by tenant_id, region"
    " union all select tenant_id, region, 'due', count(*), 0 from job"
    " where claim_at_ms > passed_ms and claim_at_ms <= now_ms() group by tenant_id, region"
    " union all select tenant_id, region, 'ready', count(*), 0 from job"
    " where claim_at_ms <= passed_ms group by tenant_id, region"
    /* of these: those of channels whose window is closed */
    " union all select j.tenant_id, j.region, 'resting', count(*), min(s.rest_until_ms)"
    " from turn s join job j on j.tenant_id = s.tenant_id and j.channel_id = s.channel_id"
    " where s.rest_until_ms > now_ms() and j.claim_at_ms <= j.passed_ms"
    " and j.cancel_wanted = 0 and j.video_id is null group by j.tenant_id, j.region"
    ") as g join tenant t on t.id = g.tenant_id";

static void add_group(const struct db_stmt *stmt, struct store_backlog *ret, uint64_t *resting)
{
    const char *kind = db_text(stmt, 2);
    uint64_t count = (uint64_t)db_int(stmt, 3);
    int64_t first_ms = db_int(stmt, 4);
    if (strcmp(kind, "leased") == 0)
        ret->leased += count;
    else if (strcmp(kind, "ready") == 0 || strcmp(kind, "due") == 0)
        ret->runnable += count;
    else if (ret->next_at_ms == 0 || first_ms < ret->next_at_ms)
        ret->next_at_ms = first_ms;
    if (strcmp(kind, "resting") == 0)
        *resting += count;
}

static int sum_groups(struct store *store, const struct store_reach *reach, struct store_backlog *ret,
                      struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    uint64_t resting = 0;
    int rc = db_query(store->db, backlog_sql, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        rc = 0;
        if (is_in_reach(reach, stmt))
            add_group(stmt, ret, &resting);
    }
    ret->runnable -= resting < ret->runnable ? resting : ret->runnable; /* `ready` has counted them, too */
    return rc;
}

/* One named job's part of the backlog. */
static int add_named(struct store *store, const struct job_id *job, struct store_backlog *ret,
                     struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select claim_at_ms, case when claim_at_ms <= now_ms() then 1 else 0 end,"
                      " case when lease_owner <> '' then 1 else 0 end"
                      " from job where id = $1 and claim_at_ms is not null",
                      DB_ARGS(DB_T(job->text)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    int64_t at_ms = db_int(stmt, 0);
    bool is_due = db_int(stmt, 1) != 0, is_leased = db_int(stmt, 2) != 0;
    ret->runnable += is_due;
    ret->leased += !is_due && is_leased;
    if (!is_due && !is_leased && (ret->next_at_ms == 0 || at_ms < ret->next_at_ms))
        ret->next_at_ms = at_ms;
    return 0;
}

int store_backlog(struct store *store, const struct store_reach *reach, struct store_backlog *ret,
                  struct err *err)
{
    *ret = (struct store_backlog){.runnable = 0};
    for (uint32_t i = 0; i < reach->only_job_count; i++) {
        int rc = add_named(store, &reach->only_jobs[i], ret, err);
        if (rc < 0)
            return rc;
    }
    return reach->only_job_count > 0 ? 0 : sum_groups(store, reach, ret, err);
}

/* ---- is it sound? ---- */

static const struct {
    const char *sql;
    const char *what;
} rules[] = {
    {"select count(*) from job j where not exists (select 1 from upload u where u.job_id = j.id)",
     "jobs without their upload row"},
    {"select count(*) from job j left join channel h on h.id = j.channel_id and h.tenant_id = j.tenant_id"
     " where h.id is null",
     "jobs of a channel of another tenant"},
    {"select count(*) from upload u join job j on j.id = u.job_id where u.last_byte_uploaded >= j.size_bytes",
     "uploads confirmed beyond their size"},
    /* that of a job at its end may have been archived */
    {"select count(*) from job j left join event e on e.job_id = j.id and e.job_id <> '' where e.id is null"
     " and j.state not in ('completed', 'failed', 'cancelled')",
     "jobs without an audit trail"},
};

int store_verify(struct store *store, struct err *err)
{
    int rc = store->db->driver->verify(store->db, err);
    for (size_t i = 0; i < ARRAY_LEN(rules) && rc >= 0; i++) {
        int64_t count = 0;
        rc = db_number(store->db, rules[i].sql, DB_NO_ARGS, &count, err);
        if (rc >= 0 && count > 0)
            rc = err_set(err, ERR_STORE, "the store has %lld %s: stop the workers and restore a backup",
                         (long long)count, rules[i].what);
    }
    return rc < 0 ? rc : 0;
}
