/* The audit trail: written beside every change, in its transaction; never changed afterwards. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/db_rows.h"
#include "store/internal.h"

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Others' words, perhaps cut: with bytes that are no UTF-8 Postgres would refuse the line and its write. */
static struct audit_note mended(const struct audit_note *note)
{
    struct audit_note ret = note ? *note : (struct audit_note){.http_status = 0};
    text_mend(ret.reason);
    text_mend(ret.message);
    text_mend(ret.request_id);
    return ret;
}

static void add_line(struct db_rows *rows, const struct trail *trail, const struct audit_note *note)
{
    db_rows_add(rows, DB_ARGS(DB_I(trail->tenant_id), DB_I(trail->channel_id), DB_T(or_empty(trail->job)),
                              DB_T(or_empty(trail->who)), DB_T(trail->what), DB_T(or_empty(trail->from)),
                              DB_T(or_empty(trail->to)), DB_T(or_empty(trail->cause)),
                              DB_I(trail->lease_epoch), DB_I(note->http_status), DB_T(note->reason),
                              DB_T(note->message), DB_T(note->request_id)));
}

/* They come in the order of the lines, and nobody promises it. */
static int read_ids(struct db_stmt *stmt, const struct trail *lines, uint32_t count, int64_t *ret_ids,
                    struct err *err)
{
    uint32_t at = 0;
    int rc;
    while ((rc = db_next(stmt, err)) > 0) {
        for (uint32_t n = 0; n < count && strcmp(or_empty(lines[at].job), db_text(stmt, 1)) != 0; n++)
            at = (at + 1) % count;
        if (ret_ids)
            ret_ids[at] = db_int(stmt, 0);
        at = (at + 1) % count;
    }
    return rc;
}

int do_trail_many(struct store *store, const struct trail *lines, uint32_t count, int64_t *ret_ids,
                  struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    AUTO_FREE struct audit_note *notes = mem_alloc_array(count, sizeof(*notes));
    for (uint32_t i = 0; i < count; i++) {
        notes[i] = mended(lines[i].note);
        add_line(&rows, &lines[i], &notes[i]);
    }
    int rc = db_query_rows(
        store->db,
        "insert into event (at_ms, tenant_id, channel_id, job_id, who, what, from_state, to_state,"
        " cause, lease_epoch, http_status, reason, message, request_id)"
        " select now_ms(), {r.tenant}, {r.channel}, {r.job}, {r.who}, {r.what}, {r.from_state}, "
        "{r.to_state}, {r.cause},"
        " {r.epoch}, {r.status}, {r.reason}, {r.message}, {r.request} {from rows tenant:int channel:int "
        "job:text"
        " who:text what:text from_state:text to_state:text cause:text epoch:int status:int reason:text"
        " message:text request:text} where true returning id, job_id",
        &rows, DB_NO_ARGS, &stmt, err);
    return rc < 0 ? rc : read_ids(stmt, lines, count, ret_ids, err);
}

int do_trail(struct store *store, const struct trail *trail, int64_t *ret_id, struct err *err)
{
    return do_trail_many(store, trail, 1, ret_id, err);
}

/* ---- lines that are not about a change of ours ---- */

static int number_or_zero(struct store *store, const char *sql, const struct db_value *args, size_t count,
                          int64_t *ret, struct err *err)
{
    *ret = 0;
    int rc = db_number(store->db, sql, args, count, ret, err);
    return rc < 0 ? rc : 0;
}

/* A line that names its job alone belongs to the job's tenant and channel. */
static int find_owner(struct store *store, const struct store_event *event, int64_t *ret_tenant,
                      int64_t *ret_channel, struct err *err)
{
    const char *job = event->job;
    int rc = number_or_zero(store,
                            "select coalesce((select id from tenant where name = $1),"
                            " (select tenant_id from job where id = $2), 0)",
                            DB_ARGS(DB_T(event->tenant), DB_T(job)), ret_tenant, err);
    if (rc == 0)
        rc =
            number_or_zero(store,
                           "select coalesce((select max(id) from channel where tenant_id = $1 and name = $2),"
                           " (select channel_id from job where id = $3), 0)",
                           DB_ARGS(DB_I(*ret_tenant), DB_T(event->channel), DB_T(job)), ret_channel, err);
    return rc;
}

static int do_event_add(struct store *store, const struct store_event *event, struct err *err)
{
    struct audit_note note = {.http_status = event->http_status};
    copy_text(note.reason, event->reason);
    copy_text(note.message, event->message);
    copy_text(note.request_id, event->request_id);
    struct trail trail = {.job = event->job,
                          .who = event->who,
                          .what = event->what,
                          .from = event->from_state,
                          .to = event->to_state,
                          .cause = event->cause,
                          .lease_epoch = event->lease_epoch,
                          .note = &note};
    int rc = find_owner(store, event, &trail.tenant_id, &trail.channel_id, err);
    return rc < 0 ? rc : do_trail(store, &trail, NULL, err);
}

int store_event_add(struct store *store, const struct store_event *event, struct err *err)
{
    return STEP(store, err, do_event_add(store, event, err));
}

/* ---- reading ---- */

static void read_event(const struct db_stmt *stmt, struct store_event *ret)
{
    *ret = (struct store_event){.id = db_int(stmt, 0),
                                .at_ms = db_int(stmt, 1),
                                .lease_epoch = db_int(stmt, 10),
                                .http_status = (int)db_int(stmt, 11)};
    copy_text(ret->tenant, db_text(stmt, 2));
    copy_text(ret->channel, db_text(stmt, 3));
    copy_text(ret->job, db_text(stmt, 4));
    copy_text(ret->who, db_text(stmt, 5));
    copy_text(ret->what, db_text(stmt, 6));
    copy_text(ret->from_state, db_text(stmt, 7));
    copy_text(ret->to_state, db_text(stmt, 8));
    copy_text(ret->cause, db_text(stmt, 9));
    copy_text(ret->reason, db_text(stmt, 12));
    copy_text(ret->message, db_text(stmt, 13));
    copy_text(ret->request_id, db_text(stmt, 14));
}

#define SELECT_EVENT                                                                                         \
    "select e.id, e.at_ms, t.name, c.name, e.job_id, e.who, e.what, e.from_state, e.to_state, e.cause,"      \
    " e.lease_epoch, e.http_status, e.reason, e.message, e.request_id"                                       \
    " from event e left join tenant t on t.id = e.tenant_id left join channel c on c.id = e.channel_id"

/* What may be archived: a job's lines go together, once it has come to its end. */
#define OLD_EVENTS                                                                                           \
    " where e.id > $1 and e.at_ms < $3 and (e.job_id = '' or exists (select 1 from job j"                    \
    " where j.id = e.job_id and j.state in ('completed', 'failed', 'cancelled') and j.finished_at_ms < $3))"
#define A_PAGE " order by e.id limit $2"

static int query_events(struct store *store, const struct store_event_query *query, uint32_t max,
                        struct db_stmt **ret, struct err *err)
{
    struct db_value after = DB_I(query->after_id), limit = DB_I(max);
    if (query->old_before_ms)
        return db_query(store->db, SELECT_EVENT OLD_EVENTS A_PAGE,
                        DB_ARGS(after, limit, DB_I(query->old_before_ms)), ret, err);
    if (query->job)
        return db_query(store->db,
                        SELECT_EVENT " where e.id > $1 and e.job_id = $3 and e.job_id <> ''" A_PAGE,
                        DB_ARGS(after, limit, DB_T(query->job)), ret, err);
    return db_query(store->db, SELECT_EVENT " where e.id > $1" A_PAGE, DB_ARGS(after, limit), ret, err);
}

int store_event_page(struct store *store, const struct store_event_query *query, struct store_event *ret,
                     uint32_t max, uint32_t *ret_count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_count = 0;
    int rc = query_events(store, query, max, &stmt, err);
    while (rc == 0 && *ret_count < max && (rc = db_next(stmt, err)) > 0) {
        read_event(stmt, &ret[(*ret_count)++]);
        rc = 0;
    }
    return rc < 0 ? rc : 0;
}

enum { EVENT_PAGE = 500 };

/* Page by page: an audit trail grows for years, and Postgres hands over whole what it is asked for. */
int store_event_list(struct store *store, const char *job,
                     int (*row)(void *ctx, const struct store_event *event), void *ctx, struct err *err)
{
    struct store_event_query query = {.job = job};
    struct store_event *page = mem_alloc_array(EVENT_PAGE, sizeof(*page));
    uint32_t count = EVENT_PAGE;
    int rc = 0;
    while (rc == 0 && count == EVENT_PAGE) {
        rc = store_event_page(store, &query, page, EVENT_PAGE, &count, err);
        for (uint32_t i = 0; i < count && rc == 0; i++)
            rc = row(ctx, &page[i]);
        if (count > 0)
            query.after_id = page[count - 1].id;
    }
    mem_free(page);
    return rc;
}

/* ---- archived lines ---- */

static void put_ids(struct buf *text, const int64_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        buf_printf(text, "%s%" PRId64, i ? "," : "", ids[i]);
}

/* A trigger does it, and looks again at what may go (guards_*.c): nobody has the right to delete lines. */
static int do_event_remove(struct store *store, const int64_t *ids, uint32_t count, struct err *err)
{
    struct buf text AUTO_BUF = BUF_INIT((size_t)count * 24 + 1);
    put_ids(&text, ids, count);
    int rc = count > 0 ? db_run(store->db, "insert into event_removal (ids) values ($1)",
                                DB_ARGS(DB_T(text.data)), err)
                       : 0;
    return rc < 0 ? rc : 0;
}

int store_event_remove(struct store *store, const int64_t *ids, uint32_t count, struct err *err)
{
    return STEP(store, err, do_event_remove(store, ids, count, err));
}
