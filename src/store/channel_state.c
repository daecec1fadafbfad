/*
 * A channel's state, and its jobs that follow it: in one transaction, so that no job of a channel that may
 * not be sent is ever claimable. A job that is leased follows when its worker renews the lease.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/db_rows.h"
#include "store/internal.h"

#define SELECT_GATE "select state, until_ms, until_ms <= now_ms() from channel where id = $1"

static int parse_gate(const struct db_stmt *stmt, int64_t channel, struct gate *ret, struct err *err)
{
    *ret = (struct gate){.until_ms = db_int(stmt, 1)};
    if (!channel_state_parse(db_text(stmt, 0), &ret->state))
        return err_set(err, ERR_STORE, "channel %" PRId64 " has the unknown state %s", channel,
                       db_text(stmt, 0));
    if (ret->state == CHANNEL_LIMITED && db_int(stmt, 2))
        *ret = (struct gate){.state = CHANNEL_ACTIVE};
    return 0;
}

/* 1: *ret is the gate; 0: there is none, or it is somebody else's. */
static int read_gate(struct store *store, const char *sql, int64_t channel, struct gate *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, sql, DB_ARGS(DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    rc = parse_gate(stmt, channel, ret, err);
    return rc < 0 ? rc : 1;
}

static int one_gate(int rc, int64_t channel, struct err *err)
{
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, channel);
    return rc < 0 ? rc : 0;
}

int do_keep_gate(struct store *store, int64_t channel, struct gate *ret, struct err *err)
{
    return one_gate(read_gate(store, SELECT_GATE " {share}", channel, ret, err), channel, err);
}

/* ---- several ---- */

/* The place of a channel in the list, or where it belongs. */
static uint32_t gates_seek(const struct channel_gate *gates, uint32_t count, int64_t channel)
{
    uint32_t from = 0, to = count;
    while (from < to) {
        uint32_t middle = (from + to) / 2;
        if (gates[middle].channel_id < channel)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

void gates_add(struct channel_gate *gates, uint32_t *count, int64_t channel)
{
    uint32_t at = gates_seek(gates, *count, channel);
    if (at < *count && gates[at].channel_id == channel)
        return;
    memmove(&gates[at + 1], &gates[at], (*count - at) * sizeof(*gates));
    gates[at] = (struct channel_gate){.channel_id = channel};
    ++*count;
}

const struct channel_gate *gates_find(const struct channel_gate *gates, uint32_t count, int64_t channel)
{
    uint32_t at = gates_seek(gates, count, channel);
    return at < count && gates[at].channel_id == channel ? &gates[at] : NULL;
}

#define SELECT_GATES                                                                                         \
    "select h.state, h.until_ms, h.until_ms <= now_ms(), h.id, h.tenant_id, h.removed_at_ms from channel h"  \
    " {join rows id:int} where h.id = {r.id} order by h.id"

static int read_gates(struct store *store, const char *sql, struct channel_gate *gates, uint32_t count,
                      struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < count; i++)
        db_rows_add(&rows, DB_ARGS(DB_I(gates[i].channel_id)));
    int rc = db_query_rows(store->db, sql, &rows, DB_NO_ARGS, &stmt, err);
    uint32_t found = 0;
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        int64_t channel = db_int(stmt, 3);
        struct channel_gate *gate = &gates[gates_seek(gates, count, channel)];
        gate->tenant_id = db_int(stmt, 4);
        gate->is_removed = db_int(stmt, 5) != 0;
        rc = parse_gate(stmt, channel, &gate->gate, err);
        found++;
    }
    if (rc == 0 && found < count)
        return err_set(err, ERR_NOT_FOUND, "of %u channels %u are there", count, found);
    return rc;
}

int do_keep_gates(struct store *store, struct channel_gate *gates, uint32_t count, struct err *err)
{
    return read_gates(store, SELECT_GATES " {share}", gates, count, err);
}

int do_look_at_gates(struct store *store, struct channel_gate *gates, uint32_t count, struct err *err)
{
    return read_gates(store, SELECT_GATES, gates, count, err);
}

int do_take_gate(struct store *store, int64_t channel, struct gate *ret, struct err *err)
{
    return read_gate(store, SELECT_GATE " {take}", channel, ret, err);
}

/* ---- the channel's jobs ---- */

/* Those that only wait for their turn, for time, or for the channel. A hold that a person must lift stays;
 * so do `finishing`, for which nothing more is sent, and jobs that are to be cancelled. */
#define JOBS_TO_HOLD                                                                                         \
    " where channel_id = $1 and state in ('queued', 'waiting', 'held')"                                      \
    " and cause in ('', 'quota', 'upload_limit', 'channel_paused', 'channel_auth', 'channel_frozen')"        \
    " and (cause <> $2 or next_at_ms <> $3) and cancel_wanted = 0"

/* Where others write too, the jobs must not change between their audit lines and their move. No job comes to
 * those that are meant: whoever puts one there keeps the gate, and this transaction has it. */
static int lock_jobs(struct store *store, const char *sql, const struct db_value *args, size_t count,
                     struct err *err)
{
    int64_t ignored;
    int rc = store->db->driver->has_many_writers ? db_number(store->db, sql, args, count, &ignored, err) : 0;
    return rc < 0 ? rc : 0;
}

static int hold_jobs(struct store *store, const struct channel_change *change, struct err *err)
{
    const char *cause = job_cause_text(channel_state_cause(change->state));
    struct db_value channel = DB_I(change->channel), cause_value = DB_T(cause), next = DB_I(change->until_ms);
    int rc = lock_jobs(store, "select count(*) from (select 1 from job" JOBS_TO_HOLD " {lock}) as locked",
                       DB_ARGS(channel, cause_value, next), err);
    if (rc == 0)
        rc = db_run(
            store->db,
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
    int rc = lock_jobs(store, "select count(*) from (select 1 from job" JOBS_TO_FREE " {lock}) as locked",
                       DB_ARGS(DB_I(change->channel)), err);
    if (rc == 0)
        rc = db_run(
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

/* ---- strays ---- */

enum { STRAYS_MAX = 64 }; /* that one claim holds in a channel */

struct stray {
    char id[JOB_ID_SIZE];
    int64_t tenant_id, lease_epoch;
    enum job_state state;
};

/* Those that nobody else is at. */
static int find_strays(struct store *store, int64_t channel, struct stray *ret, int *ret_count,
                       struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_count = 0;
    int rc = db_query(store->db,
                      "select id, tenant_id, lease_epoch, state from job where channel_id = $1"
                      " and state in ('queued', 'waiting', 'uploading') and claim_at_ms <= now_ms()"
                      " and cancel_wanted = 0 and video_id is null order by id limit $2 {take}",
                      DB_ARGS(DB_I(channel), DB_I(STRAYS_MAX)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct stray *one = &ret[(*ret_count)++];
        *one = (struct stray){.tenant_id = db_int(stmt, 1), .lease_epoch = db_int(stmt, 2)};
        copy_text(one->id, db_text(stmt, 0));
        rc = job_state_parse(db_text(stmt, 3), &one->state) ? 0 : ERR_STORE;
    }
    return rc;
}

static int hold_stray(struct store *store, const struct stray *stray, int64_t channel,
                      const struct gate *gate, const char *who, struct err *err)
{
    const char *cause = job_cause_text(channel_state_cause(gate->state));
    struct trail trail = {.job = stray->id,
                          .tenant_id = stray->tenant_id,
                          .channel_id = channel,
                          .who = who,
                          .what = "held with its channel",
                          .from = job_state_text(stray->state),
                          .to = job_state_text(JOB_HELD),
                          .cause = cause,
                          .lease_epoch = stray->lease_epoch};
    int rc = db_run(store->db,
                    "update job set state = 'held', cause = $2, next_at_ms = $3, lease_owner = '',"
                    " lease_until_ms = 0, changed_at_ms = now_ms() where id = $1",
                    DB_ARGS(DB_T(stray->id), DB_T(cause), DB_I(gate->until_ms)), err);
    return rc < 0 ? rc : do_trail(store, &trail, NULL, err);
}

int do_hold_stray_jobs(struct store *store, int64_t channel, const char *who, struct err *err)
{
    struct stray strays[STRAYS_MAX];
    struct gate gate;
    int count = 0;
    int rc = do_take_gate(store, channel, &gate, err);
    if (rc <= 0 || gate.state == CHANNEL_ACTIVE)
        return rc < 0 ? rc : 0;
    rc = find_strays(store, channel, strays, &count, err);
    for (int i = 0; i < count && rc == 0; i++)
        rc = hold_stray(store, &strays[i], channel, &gate, who, err);
    return rc;
}

/* ---- the channel ---- */

/* A channel as its changes find it: locked. */
struct standing {
    int64_t tenant_id;
    enum channel_state own; /* its own state, also while its client is stopped */
    bool is_client_stopped;
};

static int read_standing(struct store *store, int64_t channel, struct standing *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select tenant_id, case when own_state = '' then state else own_state end, own_state "
                      "<> '' from channel"
                      " where id = $1 and removed_at_ms = 0 {lock}",
                      DB_ARGS(DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0 || (rc > 0 && !channel_state_parse(db_text(stmt, 1), &ret->own)))
        return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, channel);
    if (rc < 0)
        return rc;
    ret->tenant_id = db_int(stmt, 0);
    ret->is_client_stopped = db_int(stmt, 2) != 0;
    return 0;
}

static int trail_state(struct store *store, const struct channel_change *change,
                       const struct standing *standing, struct err *err)
{
    struct audit_note note = {.http_status = 0};
    copy_text(note.message, change->reason);
    struct trail trail = {.tenant_id = standing->tenant_id,
                          .channel_id = change->channel,
                          .who = change->who,
                          .what = "channel state set",
                          .from = channel_state_text(standing->own),
                          .to = channel_state_text(change->state),
                          .note = &note};
    return do_trail(store, &trail, NULL, err);
}

static int write_state(struct store *store, const struct channel_change *change,
                       const struct standing *standing, struct err *err)
{
    const char *sql =
        standing->is_client_stopped
            ? "update channel set own_state = $2, own_until_ms = $3, own_reason = $4 where id = $1"
            : "update channel set state = $2, until_ms = $3, state_reason = $4 where id = $1";
    int rc = db_run(store->db, sql,
                    DB_ARGS(DB_I(change->channel), DB_T(channel_state_text(change->state)),
                            DB_I(change->until_ms), DB_T(change->reason)),
                    err);
    return rc < 0 ? rc : trail_state(store, change, standing, err);
}

static bool is_stopped(enum channel_state state)
{
    return state == CHANNEL_AUTH || state == CHANNEL_FROZEN;
}

/* Only a person lets a stopped channel go on: so one is told, once, and it is over when it goes on. */
static int tell_stop(struct store *store, const struct channel_change *change,
                     const struct standing *standing, struct err *err)
{
    char message[MESSAGE_SIZE];
    struct stop stop = {.tenant_id = standing->tenant_id,
                        .channel_id = change->channel,
                        .message = message,
                        .who = change->who};
    snprintf(message, sizeof(message), "%s: %s", job_cause_text(channel_state_cause(change->state)),
             change->reason);
    text_mend(message);
    if (change->state == CHANNEL_ACTIVE)
        return do_close_stop(store, &stop, err);
    bool is_news = change->is_to_be_told && is_stopped(change->state) && !is_stopped(standing->own);
    return is_news ? do_raise_stop(store, &stop, err) : 0;
}

static int move_jobs(struct store *store, const struct channel_change *change, struct err *err)
{
    return change->state == CHANNEL_ACTIVE ? free_jobs(store, change, err) : hold_jobs(store, change, err);
}

static int change_from(struct store *store, const struct channel_change *change,
                       const struct standing *standing, struct err *err)
{
    struct channel_change full = *change;
    char reason[MESSAGE_SIZE];
    copy_text(reason, change->reason ? change->reason : "");
    text_mend(reason); /* others' words: Postgres would refuse bytes that are no UTF-8, and the change */
    full.reason = reason;
    full.who = change->who ? change->who : "";
    full.until_ms = change->state == CHANNEL_LIMITED ? change->until_ms : 0;
    int rc = write_state(store, &full, standing, err);
    if (rc == 0)
        rc = tell_stop(store, &full, standing, err);
    return rc < 0 || standing->is_client_stopped ? rc : move_jobs(store, &full, err);
}

int do_channel_state(struct store *store, const struct channel_change *change, struct err *err)
{
    struct standing standing;
    int rc = read_standing(store, change->channel, &standing, err);
    return rc < 0 ? rc : change_from(store, change, &standing, err);
}

/* The states stand in order of weight. What a worker found out a moment ago may replace `active` and
 * `limited`, and may weigh more than what is there; an operator's pause or freeze it does not lift. */
static bool finding_counts(enum channel_state from, enum channel_state to)
{
    return from == CHANNEL_ACTIVE || from == CHANNEL_LIMITED || to > from;
}

int do_channel_finding(struct store *store, const struct channel_change *change, struct err *err)
{
    struct standing standing;
    int rc = read_standing(store, change->channel, &standing, err);
    if (rc < 0 || !finding_counts(standing.own, change->state))
        return rc;
    return change_from(store, change, &standing, err);
}

/* ---- with its client ---- */

int do_channel_stop(struct store *store, const struct channel_change *change, struct err *err)
{
    struct standing standing;
    int rc = read_standing(store, change->channel, &standing, err);
    if (rc == 0 && standing.is_client_stopped)
        rc = db_run(store->db, "update channel set state_reason = $2 where id = $1",
                    DB_ARGS(DB_I(change->channel), DB_T(change->reason)), err);
    else if (rc == 0)
        rc =
            db_run(store->db,
                   "update channel set own_state = state, own_until_ms = until_ms, own_reason = state_reason,"
                   " state = 'frozen', until_ms = 0, state_reason = $2 where id = $1",
                   DB_ARGS(DB_I(change->channel), DB_T(change->reason)), err);
    if (rc < 0 || standing.is_client_stopped)
        return rc < 0 ? rc : 0;
    rc = trail_state(store, change, &standing, err);
    return rc < 0 ? rc : hold_jobs(store, change, err);
}

static int read_own(struct store *store, int64_t channel, struct channel_change *ret,
                    char ret_reason[MESSAGE_SIZE], struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, "select own_until_ms, own_reason from channel where id = $1",
                      DB_ARGS(DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0) {
        ret->until_ms = db_int(stmt, 0);
        text_copy(ret_reason, MESSAGE_SIZE, db_text(stmt, 1));
        ret->reason = ret_reason;
    }
    return rc < 0 ? rc : 0;
}

int do_channel_go_on(struct store *store, const struct channel_change *change, struct err *err)
{
    struct standing standing;
    struct channel_change own = *change;
    char reason[MESSAGE_SIZE] = "";
    int rc = read_standing(store, change->channel, &standing, err);
    if (rc < 0 || !standing.is_client_stopped)
        return rc;
    own.state = standing.own;
    rc = read_own(store, change->channel, &own, reason, err);
    if (rc == 0)
        rc =
            db_run(store->db,
                   "update channel set state = own_state, until_ms = own_until_ms, state_reason = own_reason,"
                   " own_state = '', own_until_ms = 0, own_reason = '' where id = $1",
                   DB_ARGS(DB_I(change->channel)), err);
    if (rc < 0)
        return rc;
    standing.own = CHANNEL_FROZEN; /* as it was seen */
    if (own.state == CHANNEL_ACTIVE)
        own.reason = change->reason;
    rc = trail_state(store, &own, &standing, err);
    return rc < 0 ? rc : move_jobs(store, &own, err);
}

/* ---- limits that are over ---- */

enum { OPENED_MAX = 64 }; /* channels that one claim opens */

/* Also those that a wrong clock has set years ahead (X05). Those that nobody else is at; the next claim comes
 * by again. */
static int find_past_limits(struct store *store, int64_t ret[OPENED_MAX][2], int *ret_count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_count = 0;
    int rc =
        db_query(store->db,
                 "select id, tenant_id from channel where state = 'limited'"
                 " and (until_ms <= now_ms() or until_ms > now_ms() + $2) order by until_ms limit $1 {take}",
                 DB_ARGS(DB_I(OPENED_MAX), DB_I(AHEAD_MAX_MS)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        ret[*ret_count][0] = db_int(stmt, 0);
        ret[(*ret_count)++][1] = db_int(stmt, 1);
        rc = 0;
    }
    return rc;
}

/* Its jobs need no move: they are held with the same time, which is past too. */
static int open_channel(struct store *store, int64_t channel, int64_t tenant, const char *who,
                        struct err *err)
{
    struct trail trail = {.tenant_id = tenant,
                          .channel_id = channel,
                          .who = who,
                          .what = "channel limit is over",
                          .from = channel_state_text(CHANNEL_LIMITED),
                          .to = channel_state_text(CHANNEL_ACTIVE)};
    int rc = db_run(store->db,
                    "update channel set state = 'active', state_reason = '', until_ms = 0 where id = $1",
                    DB_ARGS(DB_I(channel)), err);
    return rc < 0 ? rc : do_trail(store, &trail, NULL, err);
}

int do_open_limited_channels(struct store *store, const char *who, struct err *err)
{
    int64_t channels[OPENED_MAX][2];
    int count = 0;
    int rc = find_past_limits(store, channels, &count, err);
    for (int i = 0; i < count && rc == 0; i++)
        rc = open_channel(store, channels[i][0], channels[i][1], who, err);
    return rc;
}

int store_channel_set_state(struct store *store, int64_t channel, enum channel_state state, int64_t until_ms,
                            const char *reason, const char *who, struct err *err)
{
    struct channel_change change = {
        .channel = channel, .state = state, .until_ms = until_ms, .reason = reason, .who = who};
    return STEP(store, err, do_channel_state(store, &change, err));
}
