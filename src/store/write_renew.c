/* What a worker says of its lease alone: that it goes on, and the fingerprint of a job without one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db_rows.h"
#include "store/internal.h"

/* ---- renewals ---- */

static int compare_items(const void *a, const void *b)
{
    const struct store_renew_item *one = *(struct store_renew_item *const *)a;
    const struct store_renew_item *other = *(struct store_renew_item *const *)b;
    return strcmp(one->id.text, other->id.text);
}

/* Until each one's channel is known, its id stands here. */
struct renewed {
    struct store_renewal *renewal;
    int64_t channel_id;
};

/* They come in about the order in which they were asked for. */
static uint32_t find_item(struct store_renew_item *const *items, uint32_t count, uint32_t at,
                          const struct db_stmt *stmt)
{
    for (uint32_t n = 0; n < count; n++, at = (at + 1) % count)
        if (strcmp(items[at]->id.text, db_text(stmt, 0)) == 0 && items[at]->lease_epoch == db_int(stmt, 1))
            break;
    return at;
}

/* By the ids of the jobs, so that they are come by in the order in which all lock them. */
static int renew_rows(struct store *store, const char *worker, struct store_renew_item **items,
                      uint32_t count, int64_t lease_ms, struct renewed *ret, uint32_t *ret_count,
                      struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        items[i]->renewal = (struct store_renewal){.result = WRITE_LEASE_LOST};
        db_rows_add(&rows, DB_ARGS(DB_T(items[i]->id.text), DB_I(items[i]->lease_epoch)));
    }
    int rc =
        db_query_rows(store->db,
                      "update job set passed_ms = " PASSED_MS ", lease_until_ms = now_ms() + $3,"
                      " cancel_wanted = case when job.cancel_wanted = 0 then 0 else 2 end"
                      " {from rows id:text epoch:int} where job.id = {r.id} and job.lease_epoch = {r.epoch}"
                      " and job.lease_owner = $4 returning job.id, job.lease_epoch, job.channel_id,"
                      " job.cancel_wanted",
                      &rows, DB_ARGS(DB_I(lease_ms), DB_T(worker)), &stmt, err);
    uint32_t at = 0;
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        at = find_item(items, count, at, stmt);
        items[at]->renewal =
            (struct store_renewal){.result = WRITE_OK, .cancel_wanted = db_int(stmt, 3) != 0};
        ret[(*ret_count)++] = (struct renewed){&items[at]->renewal, db_int(stmt, 2)};
        rc = 0;
    }
    return rc;
}

static int look_at_channels(struct store *store, const struct renewed *renewed, uint32_t count,
                            struct err *err)
{
    AUTO_FREE struct channel_gate *gates = mem_alloc_array(count + 1, sizeof(*gates));
    uint32_t gate_count = 0;
    for (uint32_t i = 0; i < count; i++)
        gates_add(gates, &gate_count, renewed[i].channel_id);
    int rc = do_look_at_gates(store, gates, gate_count, err);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        renewed[i].renewal->channel = gates_find(gates, gate_count, renewed[i].channel_id)->gate.state;
    return rc;
}

static int do_renew(struct store *store, const char *worker, struct store_renew_item *items, uint32_t count,
                    int64_t lease_ms, struct err *err)
{
    AUTO_FREE struct store_renew_item **sorted = mem_alloc_array(count, sizeof(struct store_renew_item *));
    AUTO_FREE struct renewed *renewed = mem_alloc_array(count, sizeof(*renewed));
    uint32_t renewed_count = 0;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &items[i];
    qsort(sorted, count, sizeof(struct store_renew_item *), compare_items);
    int rc = renew_rows(store, worker, sorted, count, lease_ms, renewed, &renewed_count, err);
    return rc < 0 ? rc : look_at_channels(store, renewed, renewed_count, err);
}

int store_renew_many(struct store *store, const char *worker, struct store_renew_item *items, uint32_t count,
                     int64_t lease_ms, struct err *err)
{
    return count > 0 ? STEP(store, err, do_renew(store, worker, items, count, lease_ms, err)) : 0;
}

int store_renew(struct store *store, const char *worker, struct job_id id, int64_t lease_epoch,
                int64_t lease_ms, struct store_renewal *ret, struct err *err)
{
    struct store_renew_item item = {.id = id, .lease_epoch = lease_epoch};
    int rc = store_renew_many(store, worker, &item, 1, lease_ms, err);
    *ret = item.renewal;
    return rc;
}

/* ---- the fingerprint of a job that was added without one ---- */

static int do_set_fingerprint(struct store *store, const char *worker, struct job_id id, int64_t lease_epoch,
                              const char *fingerprint, enum write_result *ret_result, struct err *err)
{
    int rc = db_run(store->db,
                    "update job set fingerprint = $3 where id = $1 and lease_epoch = $2 and lease_owner = $4"
                    " and fingerprint in ('', $3)",
                    DB_ARGS(DB_T(id.text), DB_I(lease_epoch), DB_T(fingerprint), DB_T(worker)), err);
    *ret_result = rc > 0 ? WRITE_OK : WRITE_LEASE_LOST;
    return rc < 0 ? rc : 0;
}

int store_job_set_fingerprint(struct store *store, const char *worker, struct job_id id, int64_t lease_epoch,
                              const char *fingerprint, enum write_result *ret_result, struct err *err)
{
    int rc =
        STEP(store, err, do_set_fingerprint(store, worker, id, lease_epoch, fingerprint, ret_result, err));
    if (rc < 0)
        *ret_result = WRITE_FAILED;
    return rc;
}
