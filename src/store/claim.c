/*
 * Claiming: which jobs a worker gets.
 *
 * A million jobs of one tenant, or a hundred thousand that cannot be sent, must not slow down nor delay the
 * others. So nothing here looks at jobs one by one, and what cannot be claimed is in no index that is read:
 *
 * - job.claim_at_ms is computed by the database from state, cause, lease and cancel_wanted: when the job may
 * be claimed; 0 at once; NULL never (terminal, or held until somebody does something).
 * - job.passed_ms is a moment that the clock is known to have passed. `claim_at_ms <= passed_ms` is what
 *   "claimable" means, and stays true to fact without upkeep: whoever changes the job changes claim_at_ms. At
 *   first passed_ms is 0, so a job that may be claimed at once is claimable at once.
 * - The index job_ready has the claimable jobs by (tenant, region, channel, priority desc, id), the index
 *   job_timed the others by claim_at_ms.
 * - A job that is given back while its channel may not be sent is held with the channel (write.c), and so are
 * a channel's jobs when it is paused (channel_state.c): job_ready has none of them.
 *
 * A claim, in one transaction:
 * 1. Limited channels whose time is past become active. Jobs whose time has come (waits, quota holds, leases
 *    that ran out TAKEOVER_DELAY_MS ago) get passed_ms = now: a range of job_timed, at most CLAIM_PASS_MAX a
 *    claim, which is more than a claim takes. So do those whose time is further ahead than any may be.
 * 2. The tenants with claimable jobs: a skip scan, one seek in job_ready a tenant. Live leases by tenant and
 *    channel are counted from an index that has leased jobs only.
 * 3. Until `max` jobs are leased: the tenant with the fewest leases, among equals the one served least
 *    recently; in it the channel with the fewest leases, among equals the one served least recently; in it
 * the first job by priority and id: one seek. A tenant's channels are found by a skip scan that begins after
 * the channel served last, in a window wide enough for the jobs that are wanted, which is made wider, up to
 * CLAIM_CHANNELS_MAX, where its channels give too few. It moves on with every job served, so every channel
 * gets its turn.
 *    Several jobs are chosen in rounds of few statements, in the same order (claim_round.c).
 * 4. The lease: epoch + 1, state, owner and end, an audit line whose id is also the served_seq of channel and
 *    tenant.
 *
 * A channel that may not be sent is only walked for cancels and for jobs whose video exists; jobs there whose
 * worker died before it saw the channel's state are moved to its hold.
 */
#include <string.h>

#include "base/mem.h"
#include "store/claim.h"

/* ---- time passes ---- */

/* What waits for a moment that a wrong clock has set, years ahead, would never be claimed (X05, D10). A wait
 * is over, and a lease ends as if it had just been renewed: its worker may well be there, and renew it. */
static int pass_errors(struct store *store, int64_t lease_ms, struct err *err)
{
    int rc = db_run(store->db,
                    "with ahead (id) as materialized (select id from job where claim_at_ms > passed_ms"
                    " and claim_at_ms > now_ms() + $2 order by claim_at_ms desc limit $1 {take})"
                    " update job set passed_ms = case when lease_owner = '' then claim_at_ms else " PASSED_MS
                    " end,"
                    " lease_until_ms = case when lease_owner = '' then lease_until_ms else now_ms() + $3 end"
                    " where id in (select id from ahead)",
                    DB_ARGS(DB_I(CLAIM_PASS_MAX), DB_I(AHEAD_MAX_MS), DB_I(lease_ms)), err);
    return rc < 0 ? rc : 0;
}

static int pass_time(const struct claim *claim, struct err *err)
{
    struct store *store = claim->store;
    int rc = do_open_limited_channels(store, claim->worker, err);
    if (rc == 0)
        rc = pass_errors(store, claim->lease_ms, err);
    if (rc == 0)
        rc = db_run(store->db,
                    "with due (id) as materialized (select id from job where claim_at_ms > passed_ms"
                    " and claim_at_ms <= now_ms() order by claim_at_ms limit $1 {take})"
                    " update job set passed_ms = now_ms() where id in (select id from due)",
                    DB_ARGS(DB_I(CLAIM_PASS_MAX)), err);
    return rc < 0 ? rc : 0;
}

/* ---- turns ---- */

static int lease(const struct claim *claim, const struct head *heads, uint32_t count,
                 struct store_work *ret_works, uint32_t *ret_count, struct err *err)
{
    int rc = heads_lease(claim, heads, count, err);
    if (rc == 0)
        rc = do_read_works(claim->store, heads, count, ret_works + *ret_count, err);
    if (rc == 0)
        *ret_count += count;
    return rc;
}

/* Round after round, until there are enough or no more. */
static int serve(const struct claim *claim, struct turns *turns, uint32_t max, struct store_work *ret_works,
                 uint32_t *ret_count, struct err *err)
{
    AUTO_FREE struct head *heads = mem_alloc_array(max, sizeof(*heads));
    uint32_t count = 1;
    int rc = 0;
    while (rc == 0 && *ret_count < max && count > 0) {
        rc = turns_choose(claim, turns, heads, max - *ret_count, &count, err);
        if (rc == 0 && count > 0)
            rc = lease(claim, heads, count, ret_works, ret_count, err);
    }
    return rc;
}

/* ---- named jobs: no turns ---- */

#define SELECT_NAMED                                                                                         \
    "select j.id, j.priority, j.state, j.video_id is not null, j.lease_owner, j.tenant_id, j.channel_id,"    \
    " case when j.cancel_wanted <> 0 or j.video_id is not null"                                              \
    "  or (select h.state from channel h where h.id = j.channel_id) = 'active' then 1 else 0 end"            \
    " from job j where j.claim_at_ms <= now_ms() and j.id = $1 {take}"

/* 1: *ret is the job, its time has come; 0: it is not claimable. */
static int find_named(struct store *store, const struct job_id *job, struct head *ret, bool *ret_is_open,
                      struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_NAMED, DB_ARGS(DB_T(job->text)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    *ret = (struct head){.tenant_id = db_int(stmt, 5), .channel_id = db_int(stmt, 6)};
    *ret_is_open = db_int(stmt, 7) != 0;
    rc = head_read(stmt, 0, ret, err);
    return rc < 0 ? rc : 1;
}

/* 1: it may be leased; 0: it is not claimable, or its channel may not be sent. */
static int take_named(const struct claim *claim, const struct job_id *job, struct head *ret, struct err *err)
{
    bool is_open = false;
    int rc = find_named(claim->store, job, ret, &is_open, err);
    if (rc <= 0 || is_open)
        return rc;
    return do_hold_stray_jobs(claim->store, ret->channel_id, claim->worker, err);
}

static bool is_known(const struct head *heads, uint32_t count, const char *id)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(heads[i].id, id) == 0)
            return true;
    return false;
}

static int serve_named(const struct claim *claim, uint32_t max, struct store_work *ret_works,
                       uint32_t *ret_count, struct err *err)
{
    const struct store_reach *reach = claim->reach;
    AUTO_FREE struct head *heads = mem_alloc_array(max, sizeof(*heads));
    uint32_t count = 0;
    for (uint32_t i = 0; i < reach->only_job_count && count < max; i++) {
        if (is_known(heads, count, reach->only_jobs[i].text))
            continue;
        int rc = take_named(claim, &reach->only_jobs[i], &heads[count], err);
        if (rc < 0)
            return rc;
        count += (uint32_t)rc;
    }
    return count > 0 ? lease(claim, heads, count, ret_works, ret_count, err) : 0;
}

static int fill(const struct claim *claim, uint32_t max, struct store_work *ret_works, uint32_t *ret_count,
                struct err *err)
{
    struct turns turns = {.count = 0};
    int rc = pass_time(claim, err);
    if (claim->reach->only_job_count > 0)
        return rc < 0 ? rc : serve_named(claim, max, ret_works, ret_count, err);
    if (rc == 0)
        rc = turns_init(claim, &turns, err);
    if (rc == 0)
        rc = serve(claim, &turns, max, ret_works, ret_count, err);
    turns_release(&turns);
    return rc;
}

static void release_works(struct store_work *works, uint32_t *count)
{
    while (*count > 0)
        store_work_release(&works[--*count]);
}

static int do_claim(const struct claim *claim, uint32_t max, struct store_work *ret_works,
                    uint32_t *ret_count, struct err *err)
{
    release_works(ret_works, ret_count); /* of a claim that is repeated */
    int rc = fill(claim, max, ret_works, ret_count, err);
    if (rc < 0)
        release_works(ret_works, ret_count);
    return rc;
}

int store_claim(struct store *store, const char *worker, const struct store_reach *reach, uint32_t max,
                int64_t lease_ms, struct store_work *ret_works, uint32_t *ret_count, struct err *err)
{
    struct claim claim = {.store = store, .worker = worker, .reach = reach, .max = max, .lease_ms = lease_ms};
    *ret_count = 0;
    if (!worker[0])
        return err_set(err, ERR_INVALID, "a worker needs a name");
    int rc = STEP(store, err, do_claim(&claim, max, ret_works, ret_count, err));
    if (rc < 0)
        release_works(ret_works, ret_count);
    return rc;
}
