/* A channel's window is kept beside its turn: written where nobody else does just now, for a lesson is
 * advice. */
#include "store/internal.h"

static int save(struct store *store, int64_t tenant, int64_t channel, struct window window, struct err *err)
{
    int rc = db_run(
        store->db,
        "update turn set milliplaces = $3, rest_until_ms = $4 where tenant_id = $1 and channel_id = $2",
        DB_ARGS(DB_I(tenant), DB_I(channel), DB_I(window.milliplaces), DB_I(window.rest_until_ms)), err);
    return rc < 0 ? rc : 0;
}

int do_learn(struct store *store, int64_t tenant, int64_t channel, enum feedback feedback, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    if (feedback == FEEDBACK_NONE)
        return 0;
    int rc = db_query(store->db,
                      "select milliplaces, rest_until_ms, now_ms() from turn"
                      " where tenant_id = $1 and channel_id = $2 {take}",
                      DB_ARGS(DB_I(tenant), DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    struct window window = {.milliplaces = (int32_t)db_int(stmt, 0), .rest_until_ms = db_int(stmt, 1)};
    bool has_changed = window_learn(&window, feedback, db_int(stmt, 2));
    rc = db_next(stmt, err);
    return rc < 0 || !has_changed ? rc : save(store, tenant, channel, window, err);
}
