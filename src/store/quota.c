/*
 * Quota: reserved in the transaction that lets the attempt begin, kept by channel, limited by client. What
 * was reserved is never given back: the ledger may say more than YouTube does, never less.
 */
#include <inttypes.h>

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

int do_charge(struct store *store, int64_t channel, const struct job_write *write, bool *ret_full,
              struct err *err)
{
    struct account account = {
        .channel_id = channel, .bucket = write->charge, .pacific_day = write->pacific_day};
    int64_t used = 0;
    int rc = db_number(store->db, "select client_id from channel where id = $1", DB_ARGS(DB_I(channel)),
                       &account.client_id, err);
    if (rc >= 0)
        rc = lock_client(store, &account, err);
    if (rc == 0)
        rc = count_used(store, &account, &used, err);
    if (rc < 0)
        return rc;
    *ret_full = write->charge_limit > 0 && used + write->charge_amount > write->charge_limit;
    return *ret_full ? 0 : add_used(store, &account, write->charge_amount, err);
}

static int do_quota_charge(struct store *store, struct account *account, uint32_t amount, struct err *err)
{
    int rc = lock_client(store, account, err);
    return rc < 0 ? rc : add_used(store, account, amount, err);
}

int store_quota_charge(struct store *store, int64_t client, int64_t channel, enum quota_bucket bucket,
                       int32_t pacific_day, uint32_t amount, struct err *err)
{
    struct account account = {
        .client_id = client, .channel_id = channel, .bucket = bucket, .pacific_day = pacific_day};
    return STEP(store, err, do_quota_charge(store, &account, amount, err));
}

/* ---- looking ---- */

static int walk_bucket(const struct db_stmt *stmt, enum quota_bucket bucket, int32_t pacific_day,
                       int (*row)(void *ctx, const struct store_quota *quota), void *ctx)
{
    bool is_uploads = bucket == BUCKET_UPLOADS;
    struct store_quota quota = {.bucket = bucket,
                                .pacific_day = pacific_day,
                                .used = (uint32_t)db_int(stmt, is_uploads ? 2 : 4),
                                .limit = (uint32_t)db_int(stmt, is_uploads ? 3 : 5)};
    copy_text(quota.tenant, db_text(stmt, 0));
    copy_text(quota.client, db_text(stmt, 1));
    return row(ctx, &quota);
}

#define USED_OF(bucket)                                                                                      \
    "(select cast(coalesce(sum(q.used), 0) as bigint) from quota q where q.client_id = c.id"                 \
    " and q.bucket = '" bucket "' and q.pacific_day = $1)"

int store_quota_list(struct store *store, int32_t pacific_day,
                     int (*row)(void *ctx, const struct store_quota *quota), void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db,
                 "select t.name, c.name, " USED_OF("uploads") ", c.uploads_per_day, " USED_OF(
                     "units") ", c.units_per_day"
                              " from client c join tenant t on t.id = c.tenant_id where c.removed_at_ms = 0"
                              " order by t.name, c.name",
                 DB_ARGS(DB_I(pacific_day)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        rc = walk_bucket(stmt, BUCKET_UPLOADS, pacific_day, row, ctx);
        if (rc == 0)
            rc = walk_bucket(stmt, BUCKET_UNITS, pacific_day, row, ctx);
        if (rc != 0)
            return rc;
    }
    return rc;
}
