/* A channel's window is kept beside its turn: written where nobody else does just now, for a lesson is
 * advice. */
#include "base/mem.h"
#include "store/db_rows.h"
#include "store/internal.h"

static bool is_first_of_channel(const struct lesson *lessons, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (lessons[i].channel_id == lessons[at].channel_id)
            return false;
    return true;
}

/* All lessons of the channel, in their order. */
static bool learn(struct window *window, int64_t channel, const struct lesson *lessons, uint32_t count,
                  int64_t now_ms)
{
    bool has_changed = false;
    for (uint32_t i = 0; i < count; i++)
        if (lessons[i].channel_id == channel)
            has_changed |= window_learn(window, lessons[i].feedback, now_ms);
    return has_changed;
}

static int learn_all(struct db_stmt *stmt, const struct lesson *lessons, uint32_t count,
                     struct db_rows *changed, struct err *err)
{
    int rc;
    while ((rc = db_next(stmt, err)) > 0) {
        struct window window = {.milliplaces = (int32_t)db_int(stmt, 2), .rest_until_ms = db_int(stmt, 3)};
        if (learn(&window, db_int(stmt, 1), lessons, count, db_int(stmt, 4)))
            db_rows_add(changed, DB_ARGS(DB_I(db_int(stmt, 0)), DB_I(db_int(stmt, 1)),
                                         DB_I(window.milliplaces), DB_I(window.rest_until_ms)));
    }
    return rc;
}

int do_learn_many(struct store *store, const struct lesson *lessons, uint32_t count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    AUTO_ROWS struct db_rows changed = {.count = 0};
    for (uint32_t i = 0; i < count; i++)
        if (is_first_of_channel(lessons, i))
            db_rows_add(&rows, DB_ARGS(DB_I(lessons[i].tenant_id), DB_I(lessons[i].channel_id)));
    int rc = db_query_rows(store->db,
                           "select t.tenant_id, t.channel_id, t.milliplaces, t.rest_until_ms, now_ms()"
                           " from turn t {join rows tenant:int channel:int} where t.tenant_id = {r.tenant}"
                           "  and t.channel_id = {r.channel} order by t.tenant_id, t.channel_id {take}",
                           &rows, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = learn_all(stmt, lessons, count, &changed, err);
    if (rc == 0)
        rc = db_run_rows(store->db,
                         "update turn set milliplaces = {r.milliplaces}, rest_until_ms = {r.rest}"
                         " {from rows tenant:int channel:int milliplaces:int rest:int}"
                         " where turn.tenant_id = {r.tenant} and turn.channel_id = {r.channel}",
                         &changed, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}
