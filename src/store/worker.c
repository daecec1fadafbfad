/* Workers say that they live; the digests of what they sent. */
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

#define WORKER_SEEN_MS "60000" /* a worker that was silent for longer is not alive */

static int do_seen(struct store *store, const char *worker, const char *region, uint32_t active,
                   struct err *err)
{
    int rc = db_run(store->db,
                    "insert into worker (name, region, active, started_at_ms, seen_at_ms)"
                    " values ($1, $2, $3, now_ms(), now_ms()) on conflict (name) do update set"
                    " region = excluded.region, active = excluded.active,"
                    " started_at_ms = case when worker.seen_at_ms < excluded.seen_at_ms - " WORKER_SEEN_MS
                    " then excluded.started_at_ms else worker.started_at_ms end,"
                    " seen_at_ms = excluded.seen_at_ms",
                    DB_ARGS(DB_T(worker), DB_T(region ? region : ""), DB_I(active)), err);
    return rc < 0 ? rc : 0;
}

int store_worker_seen(struct store *store, const char *worker, const char *region, uint32_t active,
                      struct err *err)
{
    return STEP(store, err, do_seen(store, worker, region, active, err));
}

static int do_gone(struct store *store, const char *worker, struct err *err)
{
    int rc = db_run(store->db, "delete from worker where name = $1", DB_ARGS(DB_T(worker)), err);
    return rc < 0 ? rc : 0;
}

int store_worker_gone(struct store *store, const char *worker, struct err *err)
{
    return STEP(store, err, do_gone(store, worker, err));
}

int store_worker_list(struct store *store, int (*row)(void *ctx, const struct store_worker *worker),
                      void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select name, region, active, started_at_ms, seen_at_ms from worker"
                      " where seen_at_ms >= now_ms() - " WORKER_SEEN_MS
                      " and seen_at_ms <= now_ms() + " WORKER_SEEN_MS " order by name",
                      DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_worker worker = {.active = (uint32_t)db_int(stmt, 2),
                                      .started_at_ms = db_int(stmt, 3),
                                      .seen_at_ms = db_int(stmt, 4)};
        copy_text(worker.name, db_text(stmt, 0));
        copy_text(worker.region, db_text(stmt, 1));
        rc = row(ctx, &worker);
        if (rc != 0)
            return rc;
    }
    return rc;
}
