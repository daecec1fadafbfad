/* Alarms: what was counted of a signal, the alarm that comes of it, with what is done at once. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "core/backoff.h"
#include "core/limits.h"
#include "store/internal.h"

/* ---- tallies ---- */

#define OF_SIGN " tenant_id = $1 and signal = $2 and channel_id = $3 and client_id = $4"

static int read_tally(struct store *store, const struct sign *sign, struct misuse_tally *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret = (struct misuse_tally){0};
    int rc = db_query(store->db, "select since_ms, count, windows, mean_milli from tally where" OF_SIGN,
                      DB_ARGS(DB_I(sign->tenant_id), DB_T(misuse_rule(sign->signal)->name),
                              DB_I(sign->channel_id), DB_I(sign->client_id)),
                      &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        *ret = (struct misuse_tally){.since_ms = db_int(stmt, 0),
                                     .count = db_int(stmt, 1),
                                     .windows = db_int(stmt, 2),
                                     .mean_milli = db_int(stmt, 3)};
    return rc < 0 ? rc : 0;
}

static int write_tally(struct store *store, const struct sign *sign, const struct misuse_tally *tally,
                       struct err *err)
{
    int rc = db_run(
        store->db,
        "insert into tally (tenant_id, signal, channel_id, client_id, since_ms, count, windows, mean_milli)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)"
        " on conflict (tenant_id, signal, channel_id, client_id) do update set since_ms = excluded.since_ms,"
        " count = excluded.count, windows = excluded.windows, mean_milli = excluded.mean_milli",
        DB_ARGS(DB_I(sign->tenant_id), DB_T(misuse_rule(sign->signal)->name), DB_I(sign->channel_id),
                DB_I(sign->client_id), DB_I(tally->since_ms), DB_I(tally->count), DB_I(tally->windows),
                DB_I(tally->mean_milli)),
        err);
    return rc < 0 ? rc : 0;
}

/* ---- raising ---- */

/* How many rows: 1, or 0 where none is open. */
static int add_to_open(struct store *store, const struct sign *sign, struct err *err)
{
    return db_run(store->db,
                  "update alarm set count = count + $5, last_at_ms = now_ms() where" OF_SIGN
                  " and closed_at_ms = 0",
                  DB_ARGS(DB_I(sign->tenant_id), DB_T(misuse_rule(sign->signal)->name),
                          DB_I(sign->channel_id), DB_I(sign->client_id), DB_I(sign->count)),
                  err);
}

static int freeze(struct store *store, const struct sign *sign, const char *message, const char *who,
                  struct err *err)
{
    struct channel_change change = {
        .channel = sign->channel_id, .state = CHANNEL_FROZEN, .reason = message, .who = who};
    int rc = do_channel_finding(store, &change, err);
    return rc == ERR_NOT_FOUND ? 0 : rc; /* removed meanwhile: nothing can be sent to it */
}

static int insert_alarm(struct store *store, const struct sign *sign, const struct misuse_tally *tally,
                        const char *message, const char *reaction, struct err *err)
{
    const struct misuse_rule *rule = misuse_rule(sign->signal);
    int rc = db_run(
        store->db,
        "insert into alarm (tenant_id, signal, channel_id, client_id, severity, count, since_ms, last_at_ms,"
        " message, reaction) values ($1, $2, $3, $4, $5, $6, $7, now_ms(), $8, $9)",
        DB_ARGS(DB_I(sign->tenant_id), DB_T(rule->name), DB_I(sign->channel_id), DB_I(sign->client_id),
                DB_T(misuse_severity(rule)), DB_I(tally->count), DB_I(tally->since_ms), DB_T(message),
                DB_T(reaction)),
        err);
    return rc < 0 ? rc : 0;
}

/* With its line of the trail. */
static int announce(struct store *store, const struct sign *sign, const struct misuse_tally *tally,
                    const char *message, const char *reaction, const char *who, struct err *err)
{
    struct audit_note note = {.http_status = 0};
    copy_text(note.reason, misuse_rule(sign->signal)->name);
    copy_text(note.message, message);
    struct trail trail = {.tenant_id = sign->tenant_id,
                          .channel_id = sign->channel_id,
                          .who = who,
                          .what = "alarm raised",
                          .note = &note};
    int rc = insert_alarm(store, sign, tally, message, reaction, err);
    return rc < 0 ? rc : do_trail(store, &trail, NULL, err);
}

/* Its line of the trail stands before the lines of what is done. */
static int raise_alarm(struct store *store, const struct sign *sign, const struct misuse_tally *tally,
                       const char *who, struct err *err)
{
    const struct misuse_rule *rule = misuse_rule(sign->signal);
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof(message), "%s: %" PRId64 " in %" PRId64 " minutes%s%s", rule->what, tally->count,
             rule->window_ms / 60000, sign->reasons[0] ? ": " : "", sign->reasons);
    int rc = announce(store, sign, tally, message, rule->freezes ? "channel frozen" : "notified", who, err);
    return rc == 0 && rule->freezes ? freeze(store, sign, message, who, err) : rc;
}

int do_count_sign(struct store *store, const struct sign *sign, const char *who, bool *ret_is_new,
                  struct err *err)
{
    struct misuse_tally tally;
    int64_t now_ms;
    *ret_is_new = false;
    int rc = store_now(store, &now_ms, err);
    if (rc == 0)
        rc = read_tally(store, sign, &tally, err);
    if (rc < 0)
        return rc;
    bool is_alarm = misuse_count(sign->signal, &tally, sign->count, now_ms);
    rc = write_tally(store, sign, &tally, err);
    if (rc < 0 || !is_alarm)
        return rc;
    rc = add_to_open(store, sign, err);
    *ret_is_new = rc == 0;
    return rc == 0 ? raise_alarm(store, sign, &tally, who, err) : rc < 0 ? rc : 0;
}

/* ---- closing ---- */

static int do_alarm_close(struct store *store, int64_t alarm, const char *who, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    struct audit_note note = {.http_status = 0};
    struct trail trail = {.who = who, .what = "alarm closed", .note = &note};
    int rc = db_query(store->db,
                      "update alarm set closed_at_ms = now_ms() where id = $1 and closed_at_ms = 0"
                      " returning tenant_id, channel_id, signal, message",
                      DB_ARGS(DB_I(alarm)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no open alarm %" PRId64, alarm);
    if (rc < 0)
        return rc;
    trail.tenant_id = db_int(stmt, 0);
    trail.channel_id = db_int(stmt, 1);
    copy_text(note.reason, db_text(stmt, 2));
    copy_text(note.message, db_text(stmt, 3));
    return do_trail(store, &trail, NULL, err);
}

int store_alarm_close(struct store *store, int64_t alarm, const char *who, struct err *err)
{
    return STEP(store, err, do_alarm_close(store, alarm, who, err));
}

/* ---- what was stopped ---- */

static struct sign sign_of(const struct stop *stop)
{
    return (struct sign){.signal = stop->client_id ? MISUSE_CLIENT_STOPPED : MISUSE_CHANNEL_STOPPED,
                         .tenant_id = stop->tenant_id,
                         .channel_id = stop->channel_id,
                         .client_id = stop->client_id,
                         .count = 1};
}

int do_raise_stop(struct store *store, const struct stop *stop, struct err *err)
{
    struct sign sign = sign_of(stop);
    struct misuse_tally tally = {.count = 1};
    int rc = add_to_open(store, &sign, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = store_now(store, &tally.since_ms, err);
    if (rc == 0)
        rc = announce(store, &sign, &tally, stop->message, "jobs held", stop->who, err);
    return rc;
}

int do_close_stop(struct store *store, const struct stop *stop, struct err *err)
{
    struct sign sign = sign_of(stop);
    int64_t alarm = 0;
    int rc = db_number(store->db, "select id from alarm where" OF_SIGN " and closed_at_ms = 0",
                       DB_ARGS(DB_I(sign.tenant_id), DB_T(misuse_rule(sign.signal)->name),
                               DB_I(sign.channel_id), DB_I(sign.client_id)),
                       &alarm, err);
    return rc > 0 ? do_alarm_close(store, alarm, stop->who, err) : rc;
}

/* ---- looking at them ---- */

static int read_alarm(const struct db_stmt *stmt, struct store_alarm *ret, struct err *err)
{
    *ret = (struct store_alarm){.id = db_int(stmt, 0),
                                .count = (uint64_t)db_int(stmt, 6),
                                .since_ms = db_int(stmt, 7),
                                .last_at_ms = db_int(stmt, 8),
                                .closed_at_ms = db_int(stmt, 9)};
    copy_text(ret->tenant, db_text(stmt, 1));
    copy_text(ret->channel, db_text(stmt, 2));
    copy_text(ret->yt_channel_id, db_text(stmt, 3));
    copy_text(ret->client, db_text(stmt, 4));
    copy_text(ret->message, db_text(stmt, 10));
    copy_text(ret->reaction, db_text(stmt, 11));
    if (!misuse_parse(db_text(stmt, 5), &ret->signal))
        return err_set(err, ERR_STORE, "alarm %" PRId64 " has the unknown signal %s", ret->id,
                       db_text(stmt, 5));
    return 0;
}

#define SELECT_ALARM                                                                                         \
    "select a.id, t.name, h.name, h.yt_channel_id, c.name, a.signal, a.count, a.since_ms, a.last_at_ms,"     \
    " a.closed_at_ms, a.message, a.reaction from alarm a join tenant t on t.id = a.tenant_id"                \
    " left join channel h on h.id = a.channel_id left join client c on c.id = a.client_id"

int store_alarm_list(struct store *store, bool all, int (*row)(void *ctx, const struct store_alarm *alarm),
                     void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_ALARM " where a.closed_at_ms = 0 or $1 <> 0 order by a.id",
                      DB_ARGS(DB_I(all)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_alarm alarm;
        rc = read_alarm(stmt, &alarm, err);
        if (rc == 0)
            rc = row(ctx, &alarm);
    }
    return rc;
}

/* ---- telling ---- */

/* 1: it is there; 0: none is due. */
static int take_untold(struct store *store, int64_t *ret_id, uint32_t *ret_tells, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db,
                 "select id, tells from alarm where told_at_ms = 0 and closed_at_ms = 0"
                 " and (tell_at_ms <= now_ms() or tell_at_ms > now_ms() + $1) order by id limit 1 {take}",
                 DB_ARGS(DB_I(AHEAD_MAX_MS)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0) {
        *ret_id = db_int(stmt, 0);
        *ret_tells = (uint32_t)db_int(stmt, 1);
    }
    return rc;
}

static int get_alarm(struct store *store, int64_t id, struct store_alarm *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_ALARM " where a.id = $1", DB_ARGS(DB_I(id)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    return rc > 0 ? read_alarm(stmt, ret, err) : rc;
}

static int do_alarm_untold(struct store *store, int64_t within_ms, uint64_t entropy, struct store_alarm *ret,
                           struct err *err)
{
    int64_t id;
    uint32_t tells;
    *ret = (struct store_alarm){.id = 0};
    int rc = take_untold(store, &id, &tells, err);
    if (rc <= 0)
        return rc;
    int64_t pause_ms = within_ms + backoff_full_ms(RETRY_BASE_MS, WAIT_CAP_MS, tells, entropy);
    rc = db_run(store->db, "update alarm set tells = tells + 1, tell_at_ms = now_ms() + $2 where id = $1",
                DB_ARGS(DB_I(id), DB_I(pause_ms)), err);
    return rc < 0 ? rc : get_alarm(store, id, ret, err);
}

int store_alarm_untold(struct store *store, int64_t within_ms, uint64_t entropy, struct store_alarm *ret,
                       struct err *err)
{
    return STEP(store, err, do_alarm_untold(store, within_ms, entropy, ret, err));
}

static int do_alarm_told(struct store *store, int64_t alarm, struct err *err)
{
    int rc =
        db_run(store->db, "update alarm set told_at_ms = now_ms() where id = $1", DB_ARGS(DB_I(alarm)), err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no alarm %" PRId64, alarm);
    return rc < 0 ? rc : 0;
}

int store_alarm_told(struct store *store, int64_t alarm, struct err *err)
{
    return STEP(store, err, do_alarm_told(store, alarm, err));
}
