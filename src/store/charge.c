/*
 * Quota reservations of several jobs at once. The clients' rows are locked, in the order of their ids; then,
 * in a statement of its own that sees what was committed until the locks were there, what is used; then the
 * charges are admitted one after another; and what was admitted is added.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/db_rows.h"
#include "store/internal.h"

/* A client's bucket on a day, or a channel's part of it. */
struct account {
    int64_t client_id, channel_id; /* 0: the client's */
    int64_t tenant_id;
    enum quota_bucket bucket;
    int32_t pacific_day;
    bool is_limited; /* what is used matters */
    int64_t used;
    int64_t added;
};

struct accounts {
    uint32_t count;
    struct account *items; /* owned; room for all charges */
};

static void accounts_release(struct accounts *accounts)
{
    mem_free(accounts->items);
}

static struct account *find_account(struct accounts *accounts, const struct charge *charge, int64_t channel)
{
    const struct job_write *write = charge->write;
    for (uint32_t i = 0; i < accounts->count; i++) {
        struct account *one = &accounts->items[i];
        if (one->client_id == charge->client_id && one->channel_id == channel &&
            one->bucket == write->charge && one->pacific_day == write->pacific_day)
            return one;
    }
    struct account *one = &accounts->items[accounts->count++];
    *one = (struct account){.client_id = charge->client_id,
                            .channel_id = channel,
                            .bucket = write->charge,
                            .pacific_day = write->pacific_day};
    return one;
}

static void find_accounts(struct accounts *clients, struct accounts *channels, const struct charge *charges,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct job_write *write = charges[i].write;
        struct account *client = find_account(clients, &charges[i], 0);
        struct account *channel = find_account(channels, &charges[i], charges[i].channel_id);
        client->is_limited = client->is_limited || write->charge_limit > 0;
        channel->is_limited = channel->is_limited || write->charge_channel_limit > 0;
    }
}

/* ---- locks ---- */

static int set_tenant(struct accounts *channels, int64_t client, int64_t tenant)
{
    int count = 0;
    for (uint32_t i = 0; i < channels->count; i++)
        if (channels->items[i].client_id == client) {
            channels->items[i].tenant_id = tenant;
            count++;
        }
    return count;
}

/* So that two charges cannot both take what is left. */
static int lock_clients(struct store *store, const struct accounts *clients, struct accounts *channels,
                        struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < clients->count; i++)
        db_rows_add(&rows, DB_ARGS(DB_I(clients->items[i].client_id)));
    int rc = db_query_rows(store->db,
                           "select c.id, c.tenant_id from client c {join rows id:int}"
                           " where c.id = {r.id} order by c.id {lock}",
                           &rows, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        set_tenant(channels, db_int(stmt, 0), db_int(stmt, 1));
        rc = 0;
    }
    for (uint32_t i = 0; i < channels->count && rc == 0; i++)
        if (channels->items[i].tenant_id == 0)
            rc = err_set(err, ERR_NOT_FOUND, "there is no client with id %" PRId64,
                         channels->items[i].client_id);
    return rc;
}

/* ---- what is used ---- */

static int read_used(struct store *store, const char *sql, struct accounts *accounts, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < accounts->count; i++) {
        const struct account *one = &accounts->items[i];
        if (one->is_limited)
            db_rows_add(&rows, DB_ARGS(DB_I(i), DB_I(one->client_id), DB_T(quota_bucket_text(one->bucket)),
                                       DB_I(one->pacific_day), DB_I(one->channel_id)));
    }
    int rc = db_query_rows(store->db, sql, &rows, DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        accounts->items[db_int(stmt, 0)].used = db_int(stmt, 1);
        rc = 0;
    }
    return rc;
}

static int read_all_used(struct store *store, struct accounts *clients, struct accounts *channels,
                         struct err *err)
{
    int rc =
        read_used(store,
                  "select {r.n}, (select cast(coalesce(sum(q.used), 0) as bigint) from quota q"
                  "  where q.client_id = {r.client} and q.bucket = {r.bucket} and q.pacific_day = {r.day})"
                  " {from rows n:int client:int bucket:text day:int channel:int} where {r.channel} = 0",
                  clients, err);
    if (rc == 0)
        rc = read_used(store,
                       "select {r.n}, q.used - q.drift from quota q"
                       " {join rows n:int client:int bucket:text day:int channel:int}"
                       " where q.client_id = {r.client} and q.bucket = {r.bucket}"
                       "  and q.pacific_day = {r.day} and q.channel_id = {r.channel}",
                       channels, err);
    return rc;
}

/* ---- admission ---- */

static bool is_over(const struct account *account, uint32_t amount, uint32_t limit)
{
    return limit > 0 && account->used + account->added + amount > limit;
}

static void admit(struct accounts *clients, struct accounts *channels, struct charge *charges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct job_write *write = charges[i].write;
        struct account *client = find_account(clients, &charges[i], 0);
        struct account *channel = find_account(channels, &charges[i], charges[i].channel_id);
        charges[i].is_full = is_over(client, write->charge_amount, write->charge_limit) ||
                             is_over(channel, write->charge_amount, write->charge_channel_limit);
        if (charges[i].is_full)
            continue;
        client->added += write->charge_amount;
        channel->added += write->charge_amount;
    }
}

static int add_used(struct store *store, const struct accounts *channels, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < channels->count; i++) {
        const struct account *one = &channels->items[i];
        if (one->added > 0)
            db_rows_add(&rows, DB_ARGS(DB_I(one->client_id), DB_I(one->channel_id),
                                       DB_T(quota_bucket_text(one->bucket)), DB_I(one->pacific_day),
                                       DB_I(one->tenant_id), DB_I(one->added)));
    }
    int rc = db_run_rows(store->db,
                         "insert into quota (client_id, channel_id, bucket, pacific_day, tenant_id, used)"
                         " select {r.client}, {r.channel}, {r.bucket}, {r.day}, {r.tenant}, {r.used}"
                         " {from rows client:int channel:int bucket:text day:int tenant:int used:int}"
                         " where true on conflict (client_id, bucket, pacific_day, channel_id)"
                         " do update set used = quota.used + excluded.used",
                         &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

int do_charge_many(struct store *store, struct charge *charges, uint32_t count, struct err *err)
{
    struct accounts clients CLEANUP(accounts_release) = {.count = 0};
    struct accounts channels CLEANUP(accounts_release) = {.count = 0};
    if (count == 0)
        return 0;
    clients.items = mem_alloc_array(count, sizeof(*clients.items));
    channels.items = mem_alloc_array(count, sizeof(*channels.items));
    find_accounts(&clients, &channels, charges, count);
    int rc = lock_clients(store, &clients, &channels, err);
    if (rc == 0)
        rc = read_all_used(store, &clients, &channels, err);
    if (rc < 0)
        return rc;
    admit(&clients, &channels, charges, count);
    return add_used(store, &channels, err);
}
