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
 * the channel served last, at most CLAIM_CHANNELS_MAX: with more, the window moves on with every job served,
 * so every channel gets its turn.
 * 4. The lease: epoch + 1, state, owner and end, an audit line whose id is also the served_seq of channel and
 *    tenant.
 *
 * A channel that may not be sent is only walked for cancels and for jobs whose video exists; jobs there whose
 * worker died before it saw the channel's state are moved to its hold.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/claim.h"

struct claim {
    struct store *store;
    const char *worker;
    const struct store_reach *reach;
    int64_t lease_ms;
};

/* ---- time passes ---- */

/* What waits for a moment that a wrong clock has set, years ahead, would never be claimed (X05). A wait is
 * over, and a lease ends as if it had just been renewed: its worker may well be there, and renew it. */
static int pass_errors(struct store *store, int64_t lease_ms, struct err *err)
{
    int rc =
        db_run(store->db,
               "with ahead (id) as materialized (select id from job where claim_at_ms > passed_ms"
               " and claim_at_ms > now_ms() + $2 order by claim_at_ms desc limit $1 {take})"
               " update job set passed_ms = case when lease_owner = '' then claim_at_ms else passed_ms end,"
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

/* ---- the job at the head of a channel ---- */

struct head {
    char id[JOB_ID_SIZE];
    int64_t priority;
    int64_t tenant_id, channel_id;
    enum job_state state;
    bool has_video;
    char lease_owner[NAME_SIZE]; /* of the worker that the job is taken over from */
};

#define SELECT_HEAD                                                                                          \
    "select id, priority, state, video_id is not null, lease_owner from job"                                 \
    " where claim_at_ms <= passed_ms and tenant_id = $1 and region = $2 and channel_id = $3"
#define HEAD_FIRST " order by priority desc, id limit 1 {take}"

static int query_head(struct store *store, bool is_open, const struct db_value *args, size_t count,
                      struct db_stmt **ret, struct err *err)
{
    if (is_open)
        return db_query(store->db, SELECT_HEAD HEAD_FIRST, args, count, ret, err);
    return db_query(store->db, SELECT_HEAD " and (cancel_wanted <> 0 or video_id is not null)" HEAD_FIRST,
                    args, count, ret, err);
}

static int read_head(const struct db_stmt *stmt, struct head *ret, struct err *err)
{
    copy_text(ret->id, db_text(stmt, 0));
    ret->priority = db_int(stmt, 1);
    ret->has_video = db_int(stmt, 3) != 0;
    copy_text(ret->lease_owner, db_text(stmt, 4));
    if (!job_state_parse(db_text(stmt, 2), &ret->state))
        return err_set(err, ERR_STORE, "job %s has the unknown state %s", ret->id, db_text(stmt, 2));
    return 1;
}

static int find_region_head(struct store *store, const struct tenant_turn *tenant,
                            const struct channel_turn *channel, const char *region, struct head *ret,
                            struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret = (struct head){.tenant_id = tenant->id, .channel_id = channel->id};
    bool is_open = channel->is_open && channel->leased < channel->places;
    int rc =
        query_head(store, is_open, DB_ARGS(DB_I(tenant->id), DB_T(region), DB_I(channel->id)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    return rc > 0 ? read_head(stmt, ret, err) : rc;
}

static bool comes_before(const struct head *a, const struct head *b)
{
    return a->priority != b->priority ? a->priority > b->priority : strcmp(a->id, b->id) < 0;
}

/* 1: *ret is the first of all regions; 0: none. */
static int find_head(struct store *store, const struct tenant_turn *tenant,
                     const struct channel_turn *channel, struct head *ret, struct err *err)
{
    bool has_one = false;
    for (uint32_t i = 0; i < tenant->regions.count; i++) {
        struct head head;
        int rc = find_region_head(store, tenant, channel, tenant->regions.names[i], &head, err);
        if (rc < 0)
            return rc;
        if (rc > 0 && (!has_one || comes_before(&head, ret))) {
            *ret = head;
            has_one = true;
        }
    }
    return has_one;
}

/* ---- the lease ---- */

/* A hold is left for the steps if the video exists; only `uploading` and `finishing` are leased. */
static enum job_state leased_state(const struct head *head)
{
    return head->has_video && head->state != JOB_QUEUED && head->state != JOB_WAITING ? JOB_FINISHING
                                                                                      : JOB_UPLOADING;
}

static int take_lease(const struct claim *claim, const struct head *head, int64_t *ret_epoch, struct err *err)
{
    int rc =
        db_number(claim->store->db,
                  "update job set state = $2, cause = '', next_at_ms = 0, lease_owner = $3,"
                  " lease_epoch = lease_epoch + 1, lease_until_ms = now_ms() + $4, changed_at_ms = now_ms(),"
                  " cancel_wanted = case when cancel_wanted = 0 then 0 else 2 end"
                  " where id = $1 returning lease_epoch",
                  DB_ARGS(DB_T(head->id), DB_T(job_state_text(leased_state(head))), DB_T(claim->worker),
                          DB_I(claim->lease_ms)),
                  ret_epoch, err);
    return rc < 0 ? rc : 0;
}

static int trail_lease(const struct claim *claim, const struct head *head, int64_t epoch, int64_t *ret_id,
                       struct err *err)
{
    struct audit_note note = {.http_status = 0};
    bool is_taken_over = head->lease_owner[0] != '\0';
    if (is_taken_over)
        snprintf(note.message, sizeof(note.message), "the lease of %s ran out", head->lease_owner);
    struct trail trail = {.job = head->id,
                          .tenant_id = head->tenant_id,
                          .channel_id = head->channel_id,
                          .who = claim->worker,
                          .what = is_taken_over ? "taken over" : "claimed",
                          .from = job_state_text(head->state),
                          .to = job_state_text(leased_state(head)),
                          .lease_epoch = epoch,
                          .note = &note};
    return do_trail(claim->store, &trail, ret_id, err);
}

/* Whose turn it was is advice: where another claim writes it just now, its word stands. */
static int count_turn(struct store *store, struct tenant_turn *tenant, struct channel_turn *channel,
                      int64_t seq, struct err *err)
{
    int rc = db_run(store->db,
                    "with mine (channel_id) as materialized (select channel_id from turn where tenant_id = $1"
                    "  and channel_id in (0, $2) {take})"
                    " update turn set served_seq = $3, served_channel_id = $2 where tenant_id = $1"
                    " and channel_id in (select channel_id from mine)",
                    DB_ARGS(DB_I(tenant->id), DB_I(channel->id), DB_I(seq)), err);
    tenant->served_seq = channel->served_seq = seq;
    tenant->leased++;
    channel->leased++;
    return rc < 0 ? rc : 0;
}

static int lease_head(const struct claim *claim, struct tenant_turn *tenant, struct channel_turn *channel,
                      const struct head *head, struct store_work *ret, struct err *err)
{
    int64_t epoch = 0, seq = 0;
    int rc = take_lease(claim, head, &epoch, err);
    if (rc == 0)
        rc = trail_lease(claim, head, epoch, &seq, err);
    if (rc == 0)
        rc = count_turn(claim->store, tenant, channel, seq, err);
    return rc < 0 ? rc : do_read_work(claim->store, head->id, ret, err);
}

/* ---- turns ---- */

static struct tenant_turn *next_tenant(const struct store_reach *reach, struct turns *turns)
{
    struct tenant_turn *best = NULL;
    for (uint32_t i = 0; i < turns->count; i++) {
        struct tenant_turn *one = &turns->tenants[i];
        if (one->is_done || (reach->per_tenant_max > 0 && one->leased >= reach->per_tenant_max))
            continue;
        if (!best || one->leased < best->leased ||
            (one->leased == best->leased && one->served_seq < best->served_seq))
            best = one;
    }
    return best;
}

static struct channel_turn *next_channel(const struct store_reach *reach, struct tenant_turn *tenant)
{
    struct channel_turn *best = NULL;
    for (uint32_t i = 0; i < tenant->channel_count; i++) {
        struct channel_turn *one = &tenant->channels[i];
        if (one->is_done || (reach->per_channel_max > 0 && one->leased >= reach->per_channel_max))
            continue;
        if (!best || one->leased < best->leased ||
            (one->leased == best->leased && one->served_seq < best->served_seq))
            best = one;
    }
    return best;
}

/* Where a channel may only have so many leases, they are counted while no other claim takes from it; a
 * channel that another is just taking from is left to that one. */
static int take_turn(const struct claim *claim, const struct tenant_turn *tenant,
                     struct channel_turn *channel, struct err *err)
{
    int64_t ignored;
    channel->is_mine = true;
    if (claim->reach->per_channel_max == 0 || !claim->store->db->driver->has_many_writers)
        return 0;
    int rc = db_number(claim->store->db,
                       "select served_seq from turn where tenant_id = $1 and channel_id = $2 {take}",
                       DB_ARGS(DB_I(tenant->id), DB_I(channel->id)), &ignored, err);
    channel->is_done = rc == 0;
    if (rc > 0)
        rc = db_number(claim->store->db,
                       "select count(*) from job where lease_owner <> '' and claim_at_ms > now_ms()"
                       " and tenant_id = $1 and channel_id = $2",
                       DB_ARGS(DB_I(tenant->id), DB_I(channel->id)), &channel->leased, err);
    return rc < 0 ? rc : 0;
}

/* 1: a job of the tenant was leased; 0: it has none left. */
static int serve_tenant(const struct claim *claim, struct tenant_turn *tenant, struct store_work *ret,
                        struct err *err)
{
    struct channel_turn *channel;
    int rc = 0;
    if (!tenant->is_loaded)
        rc = tenant_load(claim->store, claim->reach, claim->worker, tenant, err);
    while (rc == 0 && (channel = next_channel(claim->reach, tenant))) {
        struct head head;
        if (!channel->is_mine) {
            rc = take_turn(claim, tenant, channel, err);
            continue;
        }
        rc = find_head(claim->store, tenant, channel, &head, err);
        if (rc > 0) {
            rc = lease_head(claim, tenant, channel, &head, ret, err);
            return rc < 0 ? rc : 1;
        }
        channel->is_done = true;
    }
    return rc;
}

static int serve(const struct claim *claim, struct turns *turns, uint32_t max, struct store_work *ret_works,
                 uint32_t *ret_count, struct err *err)
{
    struct tenant_turn *tenant;
    while (*ret_count < max && (tenant = next_tenant(claim->reach, turns))) {
        int rc = serve_tenant(claim, tenant, &ret_works[*ret_count], err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            tenant->is_done = true;
        else
            ++*ret_count;
    }
    return 0;
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
    return read_head(stmt, ret, err);
}

/* 1: it was leased; 0: it is not claimable, or its channel may not be sent. */
static int serve_one_named(const struct claim *claim, const struct job_id *job, struct store_work *ret,
                           struct err *err)
{
    struct head head = {.priority = 0};
    bool is_open = false;
    int rc = find_named(claim->store, job, &head, &is_open, err);
    if (rc <= 0)
        return rc;
    if (!is_open)
        return do_hold_stray_jobs(claim->store, head.channel_id, claim->worker, err);
    struct tenant_turn tenant = {.id = head.tenant_id};
    struct channel_turn channel = {.id = head.channel_id};
    rc = lease_head(claim, &tenant, &channel, &head, ret, err);
    return rc < 0 ? rc : 1;
}

static int serve_named(const struct claim *claim, uint32_t max, struct store_work *ret_works,
                       uint32_t *ret_count, struct err *err)
{
    for (uint32_t i = 0; i < claim->reach->only_job_count && *ret_count < max; i++) {
        int rc = serve_one_named(claim, &claim->reach->only_jobs[i], &ret_works[*ret_count], err);
        if (rc < 0)
            return rc;
        *ret_count += (uint32_t)rc;
    }
    return 0;
}

static int fill(const struct claim *claim, uint32_t max, struct store_work *ret_works, uint32_t *ret_count,
                struct err *err)
{
    struct turns turns = {.count = 0};
    int rc = pass_time(claim, err);
    if (claim->reach->only_job_count > 0)
        return rc < 0 ? rc : serve_named(claim, max, ret_works, ret_count, err);
    if (rc == 0)
        rc = turns_init(claim->store, claim->reach, &turns, err);
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
    struct claim claim = {.store = store, .worker = worker, .reach = reach, .lease_ms = lease_ms};
    *ret_count = 0;
    if (!worker[0])
        return err_set(err, ERR_INVALID, "a worker needs a name");
    int rc = STEP(store, err, do_claim(&claim, max, ret_works, ret_count, err));
    if (rc < 0)
        release_works(ret_works, ret_count);
    return rc;
}
