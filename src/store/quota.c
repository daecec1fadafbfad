/*
 * Quota: reserved in the transaction that lets the attempt begin, kept by channel, limited by client. What
 * was reserved is never given back: the ledger may say more than YouTube does, never less.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

struct account {
    int64_t client_id, channel_id, tenant_id;
    enum quota_bucket bucket;
    int32_t pacific_day;
};

/* The client's row is locked, so that two charges cannot both take what is left. */
static int lock_client(struct store *store, struct account *account, struct err *err)
{
    int rc = db_number(store->db, "select tenant_id from client where id = $1 {lock}",
                       DB_ARGS(DB_I(account->client_id)), &account->tenant_id, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no client with id %" PRId64, account->client_id);
    return rc < 0 ? rc : 0;
}

static int count_used(struct store *store, const struct account *account, int64_t *ret, struct err *err)
{
    *ret = 0;
    int rc = db_number(store->db,
                       "select cast(coalesce(sum(used), 0) as bigint) from quota"
                       " where client_id = $1 and bucket = $2 and pacific_day = $3",
                       DB_ARGS(DB_I(account->client_id), DB_T(quota_bucket_text(account->bucket)),
                               DB_I(account->pacific_day)),
                       ret, err);
    return rc < 0 ? rc : 0;
}

static int add_used(struct store *store, const struct account *account, uint32_t amount, struct err *err)
{
    int rc = db_run(store->db,
                    "insert into quota (client_id, channel_id, bucket, pacific_day, tenant_id, used)"
                    " values ($1, $2, $3, $4, $5, $6)"
                    " on conflict (client_id, bucket, pacific_day, channel_id)"
                    " do update set used = quota.used + excluded.used",
                    DB_ARGS(DB_I(account->client_id), DB_I(account->channel_id),
                            DB_T(quota_bucket_text(account->bucket)), DB_I(account->pacific_day),
                            DB_I(account->tenant_id), DB_I(amount)),
                    err);
    return rc < 0 ? rc : 0;
}

static int find_client_of(struct store *store, int64_t channel, int64_t *ret, struct err *err)
{
    int rc =
        db_number(store->db, "select client_id from channel where id = $1", DB_ARGS(DB_I(channel)), ret, err);
    return rc < 0 ? rc : 0;
}

/* YouTube's word is the truth (H05): the ledger is brought up to the limit, so that no other job of the
 * client asks in vain before midnight, and what it had not expected is kept as drift: somebody else spends of
 * this client's quota. */
int do_note_spent(struct store *store, const char *worker, int64_t channel, const struct job_write *write,
                  struct err *err)
{
    struct account account = {.bucket = write->spent, .pacific_day = write->pacific_day};
    int64_t used = 0;
    int rc = find_client_of(store, channel, &account.client_id, err);
    if (rc == 0)
        rc = lock_client(store, &account, err);
    if (rc == 0)
        rc = count_used(store, &account, &used, err);
    if (rc < 0 || used >= write->spent_limit)
        return rc;
    int64_t drift = write->spent_limit - used;
    rc = db_run(store->db,
                "insert into quota (client_id, channel_id, bucket, pacific_day, tenant_id, used, drift)"
                " values ($1, 0, $2, $3, $4, $5, $5)"
                " on conflict (client_id, bucket, pacific_day, channel_id)"
                " do update set used = quota.used + excluded.used, drift = quota.drift + excluded.drift",
                DB_ARGS(DB_I(account.client_id), DB_T(quota_bucket_text(account.bucket)),
                        DB_I(account.pacific_day), DB_I(account.tenant_id), DB_I(drift)),
                err);
    struct audit_note note = {.http_status = write->note.http_status};
    snprintf(note.message, sizeof(note.message),
             "YouTube counts %" PRId64 " %s more than this ledger: somebody else spends them", drift,
             quota_bucket_text(account.bucket));
    struct trail trail = {.tenant_id = account.tenant_id,
                          .channel_id = channel,
                          .who = worker,
                          .what = "quota drift",
                          .note = &note};
    return rc < 0 ? rc : do_trail(store, &trail, NULL, err);
}

/* They were held because there was nothing left of limits that have just changed. */
int do_recheck_quota_holds(struct store *store, int64_t client, struct err *err)
{
    int rc =
        db_run(store->db,
               "update job set next_at_ms = 0 where state = 'held' and cause = 'quota' and lease_owner = ''"
               " and channel_id in (select id from channel where client_id = $1)",
               DB_ARGS(DB_I(client)), err);
    return rc < 0 ? rc : 0;
}

static struct account account_of(const struct store_charge *charge)
{
    return (struct account){.client_id = charge->client_id,
                            .channel_id = charge->channel_id,
                            .bucket = BUCKET_UNITS,
                            .pacific_day = charge->pacific_day};
}

static int charge_account(struct store *store, const struct account *account,
                          const struct store_charge *charge, struct err *err)
{
    struct audit_note note = {.http_status = 0};
    int rc = add_used(store, account, charge->units, err);
    snprintf(note.message, sizeof(note.message), "%s, " CHARGED_FORMAT, charge->calls, charge->units,
             quota_bucket_text(account->bucket));
    struct trail trail = {.tenant_id = account->tenant_id,
                          .channel_id = account->channel_id,
                          .who = charge->who,
                          .what = "look started",
                          .note = &note};
    return rc < 0 ? rc : do_trail(store, &trail, NULL, err);
}

static int do_quota_charge(struct store *store, const struct store_charge *charge, struct err *err)
{
    struct account account = account_of(charge);
    int rc = lock_client(store, &account, err);
    return rc < 0 ? rc : charge_account(store, &account, charge, err);
}

int store_quota_charge(struct store *store, const struct store_charge *charge, struct err *err)
{
    return STEP(store, err, do_quota_charge(store, charge, err));
}

static int do_charge_below(struct store *store, const struct store_charge *charge, uint32_t percent,
                           bool *ret_fits, struct err *err)
{
    struct account account = account_of(charge);
    int64_t used = 0, limit = 0;
    *ret_fits = false;
    int rc = lock_client(store, &account, err);
    if (rc == 0)
        rc = count_used(store, &account, &used, err);
    if (rc == 0)
        rc = db_number(store->db, "select units_per_day from client where id = $1",
                       DB_ARGS(DB_I(charge->client_id)), &limit, err);
    if (rc < 0 || (used + charge->units) * 100 > limit * percent)
        return rc < 0 ? rc : 0;
    *ret_fits = true;
    return charge_account(store, &account, charge, err);
}

int store_quota_charge_below(struct store *store, const struct store_charge *charge, uint32_t percent,
                             bool *ret_fits, struct err *err)
{
    return STEP(store, err, do_charge_below(store, charge, percent, ret_fits, err));
}

/* ---- looking ---- */

#define QUOTA_OF(bucket)                                                                                     \
    "(select cast(coalesce(sum(q.used), 0) as bigint) from quota q where q.client_id = c.id"                 \
    " and q.bucket = '" bucket "' and q.pacific_day = $1),"                                                  \
    " (select cast(coalesce(sum(q.drift), 0) as bigint) from quota q where q.client_id = c.id"               \
    " and q.bucket = '" bucket "' and q.pacific_day = $1)"

/* The columns that every row has, then what is told of it. */
#define SELECT_QUOTA                                                                                         \
    "select t.name, c.name, '', 'uploads', " QUOTA_OF(                                                       \
        "uploads") ", c.uploads_per_day, c.id, 0, 0"                                                         \
                   " from client c join tenant t on t.id = c.tenant_id where c.removed_at_ms = 0"            \
                   " union all select t.name, c.name, '', 'units', " QUOTA_OF(                               \
                       "units") ", c.units_per_day, c.id, 0, 2"                                              \
                                " from client c join tenant t on t.id = c.tenant_id where c.removed_at_ms "  \
                                "= 0"                                                                        \
                                " union all select t.name, c.name, h.name, 'uploads', coalesce(q.used, 0), " \
                                "0, h.uploads_per_day,"                                                      \
                                " c.id, h.id, 1 from channel h join client c on c.id = h.client_id join "    \
                                "tenant t on t.id = h.tenant_id"                                             \
                                " left join quota q on q.client_id = c.id and q.channel_id = h.id and "      \
                                "q.bucket = 'uploads'"                                                       \
                                " and q.pacific_day = $1 where h.removed_at_ms = 0 and (h.uploads_per_day "  \
                                "> 0 or q.used > 0)"                                                         \
                                " order by 1, 2, 10, 3"

static void read_quota(const struct db_stmt *stmt, int32_t pacific_day, struct store_quota *ret)
{
    bool is_uploads = strcmp(db_text(stmt, 3), quota_bucket_text(BUCKET_UPLOADS)) == 0;
    *ret = (struct store_quota){.bucket = is_uploads ? BUCKET_UPLOADS : BUCKET_UNITS,
                                .pacific_day = pacific_day,
                                .used = (uint32_t)db_int(stmt, 4),
                                .drift = (uint32_t)db_int(stmt, 5),
                                .limit = (uint32_t)db_int(stmt, 6)};
    copy_text(ret->tenant, db_text(stmt, 0));
    copy_text(ret->client, db_text(stmt, 1));
    copy_text(ret->channel, db_text(stmt, 2));
}

int store_quota_list(struct store *store, int32_t pacific_day,
                     int (*row)(void *ctx, const struct store_quota *quota), void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_QUOTA, DB_ARGS(DB_I(pacific_day)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_quota quota;
        read_quota(stmt, pacific_day, &quota);
        rc = row(ctx, &quota);
        if (rc != 0)
            return rc;
    }
    return rc;
}
