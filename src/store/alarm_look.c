/*
 * Looking through the trail for what core/misuse.h counts. A cursor a tenant goes over the lines' ids; who
 * has locked the cursor is the only one who looks for that tenant.
 *
 * Lines get their ids before their transactions end. So those of the last moments are left for the next look:
 * a transaction that takes longer to end than LATE_MS may hide a line from it.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/db_rows.h"
#include "store/internal.h"

enum {
    TENANTS_MAX = 256,  /* of one look */
    LINES_MAX = 100000, /* of one look */
    SIGNS_MAX = 4096,   /* that one look tells apart; of more, the rest is not counted */
    LATE_MS = 5000,
};

struct cursor {
    int64_t tenant_id, event_id;
};

struct look {
    struct cursor cursors[TENANTS_MAX];
    uint32_t cursor_count;
    int64_t after_id, upto_id; /* ids of lines, for all of them */
    struct sign signs[SIGNS_MAX];
    uint32_t sign_count;
};

/* ---- cursors ---- */

/* A new tenant's trail is looked at from where the others' has been looked through; not from the first line,
 * where the login sees no other tenant and the trail is old. */
static int add_cursors(struct store *store, struct err *err)
{
    int64_t looked_id = 0, last_id = 0;
    int rc = db_number(store->db, "select max(event_id) from watch", DB_NO_ARGS, &looked_id, err);
    if (rc >= 0)
        rc = db_number(store->db, "select max(id) from event", DB_NO_ARGS, &last_id, err);
    int64_t from_id = looked_id > last_id - LINES_MAX ? looked_id : last_id - LINES_MAX;
    if (rc >= 0)
        rc = db_run(store->db,
                    "insert into watch (tenant_id, event_id, looked_at_ms) select t.id, $1, 0 from tenant t"
                    " where not exists (select 1 from watch w where w.tenant_id = t.id)"
                    " on conflict (tenant_id) do nothing",
                    DB_ARGS(DB_I(from_id)), err);
    return rc < 0 ? rc : 0;
}

/* Those that are due. A time ahead was set by a clock that was wrong. */
static int take_cursors(struct store *store, int64_t every_ms, struct look *look, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select tenant_id, event_id from watch where looked_at_ms <= now_ms() - $1"
                      " or looked_at_ms > now_ms() order by looked_at_ms, tenant_id limit $2 {take}",
                      DB_ARGS(DB_I(every_ms), DB_I(TENANTS_MAX)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct cursor *cursor = &look->cursors[look->cursor_count++];
        *cursor = (struct cursor){.tenant_id = db_int(stmt, 0), .event_id = db_int(stmt, 1)};
        if (look->cursor_count == 1 || cursor->event_id < look->after_id)
            look->after_id = cursor->event_id;
        rc = 0;
    }
    return rc;
}

static int find_end(struct store *store, struct look *look, struct err *err)
{
    int64_t late_ms = store->db->driver->has_many_writers ? LATE_MS : 0;
    int rc = db_number(store->db,
                       "select max(e.id) from (select id, at_ms from event where id > $1 order by id"
                       " limit $2) as e where e.at_ms <= now_ms() - $3",
                       DB_ARGS(DB_I(look->after_id), DB_I(LINES_MAX), DB_I(late_ms)), &look->upto_id, err);
    return rc < 0 ? rc : 0;
}

static void add_cursor_rows(const struct look *look, struct db_rows *rows)
{
    for (uint32_t i = 0; i < look->cursor_count; i++)
        db_rows_add(rows, DB_ARGS(DB_I(look->cursors[i].tenant_id), DB_I(look->cursors[i].event_id)));
}

static int move_cursors(struct store *store, const struct look *look, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    add_cursor_rows(look, &rows);
    int rc = db_run_rows(store->db,
                         "update watch set looked_at_ms = now_ms(),"
                         " event_id = case when {r.event} < $3 then $3 else {r.event} end"
                         " {from rows tenant:int event:int} where tenant_id = {r.tenant}",
                         &rows, DB_ARGS(DB_I(look->upto_id)), err);
    return rc < 0 ? rc : 0;
}

/* ---- lines ---- */

static bool is_same(const struct sign *a, const struct sign *b)
{
    return a->signal == b->signal && a->tenant_id == b->tenant_id && a->channel_id == b->channel_id &&
           a->client_id == b->client_id;
}

/* What has no place any more is left out as a whole. */
static void add_reason(struct sign *sign, const char *reason)
{
    size_t len = strlen(sign->reasons), size = sizeof(sign->reasons);
    if (!strstr(sign->reasons, " …") && len + strlen(reason) + sizeof(", , …") <= size)
        snprintf(sign->reasons + len, size - len, "%s%s", len ? ", " : "", reason);
    else if (!strstr(sign->reasons, " …"))
        snprintf(sign->reasons + len, size - len, ", …");
}

static void add_sign(struct look *look, const struct sign *sign, const char *reason)
{
    uint32_t at = 0;
    while (at < look->sign_count && !is_same(&look->signs[at], sign))
        at++;
    if (at == SIGNS_MAX)
        return;
    if (at == look->sign_count)
        look->signs[look->sign_count++] = *sign;
    else
        look->signs[at].count += sign->count;
    if (misuse_rule(sign->signal)->names_reasons)
        add_reason(&look->signs[at], reason);
}

/* Lines that are alike, and how many they are. */
static void read_lines(const struct db_stmt *stmt, struct look *look)
{
    struct misuse_line line = {
        .what = db_text(stmt, 3), .reason = db_text(stmt, 4), .is_of_job = db_int(stmt, 5) != 0};
    struct sign sign = {.tenant_id = db_int(stmt, 0), .count = (uint32_t)db_int(stmt, 6)};
    if (!misuse_signal_of(&line, &sign.signal))
        return;
    enum misuse_per per = misuse_rule(sign.signal)->per;
    sign.channel_id = per == MISUSE_PER_CHANNEL ? db_int(stmt, 1) : 0;
    sign.client_id = per == MISUSE_PER_CLIENT ? db_int(stmt, 2) : 0;
    add_sign(look, &sign, line.reason);
}

static int find_signs(struct store *store, struct look *look, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    add_cursor_rows(look, &rows);
    int rc = db_query_rows(store->db,
                           "select e.tenant_id, e.channel_id, coalesce(h.client_id, 0), e.what, e.reason,"
                           " case when e.job_id = '' then 0 else 1 end, count(*) from event e"
                           " left join channel h on h.id = e.channel_id {join rows tenant:int event:int}"
                           " where e.id > $3 and e.id <= $4 and e.tenant_id = {r.tenant} and e.id > {r.event}"
                           " group by 1, 2, 3, 4, 5, 6",
                           &rows, DB_ARGS(DB_I(look->after_id), DB_I(look->upto_id)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        read_lines(stmt, look);
        rc = 0;
    }
    return rc;
}

static int count_signs(struct store *store, const struct look *look, const char *who, uint32_t *ret_raised,
                       struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < look->sign_count && rc == 0; i++) {
        bool is_new;
        rc = do_count_sign(store, &look->signs[i], who, &is_new, err);
        *ret_raised += is_new;
    }
    return rc;
}

/* ---- all of it ---- */

static int do_alarm_look(struct store *store, const char *who, int64_t every_ms, uint32_t *ret_raised,
                         struct err *err)
{
    struct look *look AUTO_FREE = mem_alloc(sizeof(*look));
    *ret_raised = 0;
    int rc = add_cursors(store, err);
    if (rc == 0)
        rc = take_cursors(store, every_ms, look, err);
    if (rc < 0 || look->cursor_count == 0)
        return rc;
    rc = find_end(store, look, err);
    if (rc == 0 && look->upto_id > 0)
        rc = find_signs(store, look, err);
    if (rc == 0)
        rc = count_signs(store, look, who, ret_raised, err);
    return rc < 0 ? rc : move_cursors(store, look, err);
}

int store_alarm_look(struct store *store, const char *who, int64_t every_ms, uint32_t *ret_raised,
                     struct err *err)
{
    return STEP(store, err, do_alarm_look(store, who, every_ms, ret_raised, err));
}
