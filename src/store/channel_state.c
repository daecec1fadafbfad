/*
 * A channel's state, and its jobs that follow it: in one transaction, so that no job of a channel that may
 * not be sent is ever claimable. A job that is leased follows when its worker renews the lease.
 */
#include <inttypes.h>

#include "base/text.h"
#include "store/internal.h"

int do_get_gate(struct store *store, int64_t channel, struct gate *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db, "select state, until_ms, until_ms <= now_ms() from channel where id = $1 {lock}",
                 DB_ARGS(DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, channel);
    if (rc < 0)
        return rc;
    *ret = (struct gate){.until_ms = db_int(stmt, 1)};
    if (!channel_state_parse(db_text(stmt, 0), &ret->state))
        return err_set(err, ERR_STORE, "channel %" PRId64 " has the unknown state %s", channel,
                       db_text(stmt, 0));
    if (ret->state == CHANNEL_LIMITED && db_int(stmt, 2))
        *ret = (struct gate){.state = CHANNEL_ACTIVE};
    return 0;
}

/* ---- the channel's jobs ---- */

/* Those that only wait for their turn, for time, or for the channel. A hold that a person must lift stays;
 * so do `finishing`, for which nothing more is sent, and jobs that are to be cancelled. */
#define JOBS_TO_HOLD                                                                                         \
    " where channel_id = $1 and state in ('queued', 'waiting', 'held')"                                      \
    " and cause in ('', 'quota', 'upload_limit', 'channel_paused', 'channel_auth', 'channel_frozen')"        \
    " and (cause <> $2 or next_at_ms <> $3) and cancel_wanted = 0"

static int hold_jobs(struct store *store, const struct channel_change *change, struct err *err)
{
    const char *cause = job_cause_text(channel_state_cause(change->state));
    struct db_value channel = DB_I(change->channel), cause_value = DB_T(cause), next = DB_I(change->until_ms);
    int rc =
        db_run(store->db,
               "insert into event (at_ms, tenant_id, channel_id, job_id, who, what, from_state, to_state,"
               " cause, lease_epoch, message)"
               " select now_ms(), tenant_id, channel_id, id, $4, 'held with its channel', state, 'held', $2,"
               " lease_epoch, $5 from job" JOBS_TO_HOLD,
               DB_ARGS(channel, cause_value, next, DB_T(change->who), DB_T(change->reason)), err);
    if (rc > 0)
        rc = db_run(store->db,
                    "update job set state = 'held', cause = $2, next_at_ms = $3, changed_at_ms = "
                    "now_ms()" JOBS_TO_HOLD,
                    DB_ARGS(channel, cause_value, next), err);
    return rc < 0 ? rc : 0;
}

#define JOBS_TO_FREE                                                                                         \
    " where channel_id = $1 and state = 'held'"                                                              \
    " and cause in ('upload_limit', 'channel_paused', 'channel_auth', 'channel_frozen')"
/* What a held job goes on with: its steps if the video exists, else the upload. */
#define FREED_STATE "case when video_id is null then 'queued' else 'finishing' end"

static int free_jobs(struct store *store, const struct channel_change *change, struct err *err)
{
    int rc = db_run(
        store->db,
        "insert into event (at_ms, tenant_id, channel_id, job_id, who, what, from_state, to_state,"
        " lease_epoch, message)"
        " select now_ms(), tenant_id, channel_id, id, $2, 'freed with its channel', state, " FREED_STATE
        ", lease_epoch, $3 from job" JOBS_TO_FREE,
        DB_ARGS(DB_I(change->channel), DB_T(change->who), DB_T(change->reason)), err);
    if (rc > 0)
        rc = db_run(store->db,
                    "update job set state = " FREED_STATE
                    ", cause = '', next_at_ms = 0, changed_at_ms = now_ms()" JOBS_TO_FREE,
                    DB_ARGS(DB_I(change->channel)), err);
    return rc < 0 ? rc : 0;
}

#define STRAY_JOBS                                                                                           \
    " where channel_id = $1 and state in ('queued', 'waiting', 'uploading') and claim_at_ms <= now_ms()"     \
    " and cancel_wanted = 0 and video_id is null"

int do_hold_stray_jobs(struct store *store, int64_t channel, const struct gate *gate, const char *who,
                       struct err *err)
{
    struct db_value cause = DB_T(job_cause_text(channel_state_cause(gate->state)));
    int rc =
        db_run(store->db,
               "insert into event (at_ms, tenant_id, channel_id, job_id, who, what, from_state, to_state,"
               " cause, lease_epoch)"
               " select now_ms(), tenant_id, channel_id, id, $3, 'held with its channel', state, 'held', $2,"
               " lease_epoch from job" STRAY_JOBS,
               DB_ARGS(DB_I(channel), cause, DB_T(who)), err);
    if (rc > 0)
        rc = db_run(store->db,
                    "update job set state = 'held', cause = $2, next_at_ms = $3, lease_owner = '',"
                    " lease_until_ms = 0, changed_at_ms = now_ms()" STRAY_JOBS,
                    DB_ARGS(DB_I(channel), cause, DB_I(gate->until_ms)), err);
    return rc < 0 ? rc : 0;
}

/* ---- the channel ---- */

static int read_state(struct store *store, int64_t channel, int64_t *ret_tenant, enum channel_state *ret,
                      struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db, "select tenant_id, state from channel where id = $1 and removed_at_ms = 0 {lock}",
                 DB_ARGS(DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0 || (rc > 0 && !channel_state_parse(db_text(stmt, 1), ret)))
        return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, channel);
    if (rc > 0)
        *ret_tenant = db_int(stmt, 0);
    return rc < 0 ? rc : 0;
}

static int write_state(struct store *store, const struct channel_change *change, int64_t tenant,
                       enum channel_state from, struct err *err)
{
    int rc =
        db_run(store->db, "update channel set state = $2, until_ms = $3, state_reason = $4 where id = $1",
               DB_ARGS(DB_I(change->channel), DB_T(channel_state_text(change->state)), DB_I(change->until_ms),
                       DB_T(change->reason)),
               err);
    if (rc < 0)
        return rc;
    struct audit_note note = {.http_status = 0};
    copy_text(note.message, change->reason);
    struct trail trail = {.tenant_id = tenant,
                          .channel_id = change->channel,
                          .who = change->who,
                          .what = "channel state set",
                          .from = channel_state_text(from),
                          .to = channel_state_text(change->state),
                          .note = &note};
    return do_trail(store, &trail, NULL, err);
}

static int change_from(struct store *store, const struct channel_change *change, int64_t tenant,
                       enum channel_state from, struct err *err)
{
    struct channel_change full = *change;
    full.reason = change->reason ? change->reason : "";
    full.who = change->who ? change->who : "";
    full.until_ms = change->state == CHANNEL_LIMITED ? change->until_ms : 0;
    int rc = write_state(store, &full, tenant, from, err);
    if (rc < 0)
        return rc;
    return full.state == CHANNEL_ACTIVE ? free_jobs(store, &full, err) : hold_jobs(store, &full, err);
}

int do_channel_state(struct store *store, const struct channel_change *change, struct err *err)
{
    int64_t tenant;
    enum channel_state from;
    int rc = read_state(store, change->channel, &tenant, &from, err);
    return rc < 0 ? rc : change_from(store, change, tenant, from, err);
}

/* The states stand in order of weight. What a worker found out a moment ago may replace `active` and
 * `limited`, and may weigh more than what is there; an operator's pause or freeze it does not lift. */
static bool finding_counts(enum channel_state from, enum channel_state to)
{
    return from == CHANNEL_ACTIVE || from == CHANNEL_LIMITED || to > from;
}

int do_channel_finding(struct store *store, const struct channel_change *change, struct err *err)
{
    int64_t tenant;
    enum channel_state from;
    int rc = read_state(store, change->channel, &tenant, &from, err);
    if (rc < 0 || !finding_counts(from, change->state))
        return rc;
    return change_from(store, change, tenant, from, err);
}

int store_channel_set_state(struct store *store, int64_t channel, enum channel_state state, int64_t until_ms,
                            const char *reason, const char *who, struct err *err)
{
    struct channel_change change = {
        .channel = channel, .state = state, .until_ms = until_ms, .reason = reason, .who = who};
    int rc = step_begin(store, err);
    return rc < 0 ? rc : step_end(store, do_channel_state(store, &change, err), err);
}
