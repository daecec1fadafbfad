/*
 * Accepting jobs: one row that is there once, whatever is repeated. Many at once cost little more than one:
 * each part is one statement for all of them.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/db_rows.h"
#include "store/internal.h"

enum { ADD_MAX = 500 }; /* jobs of one statement */

/* Where a new job begins: the hold that its channel's state makes. */
struct start {
    int64_t tenant_id;
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms;
    bool is_new; /* its row was made; false: its key is taken */
};

struct add_batch {
    struct store *store;
    struct store_add_item *items;
    struct start *starts;
    uint32_t count;
};

/* ---- where they begin ---- */

static struct start start_behind(const struct channel_gate *gate)
{
    struct start ret = {.tenant_id = gate->tenant_id, .state = JOB_QUEUED};
    if (gate->gate.state != CHANNEL_ACTIVE) {
        ret.state = JOB_HELD;
        ret.cause = channel_state_cause(gate->gate.state);
        ret.next_at_ms = gate->gate.until_ms;
    }
    return ret;
}

static int find_starts(const struct add_batch *batch, struct err *err)
{
    AUTO_FREE struct channel_gate *gates = mem_alloc_array(batch->count, sizeof(*gates));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        gates_add(gates, &count, batch->items[i].job->channel_id);
    int rc = do_keep_gates(batch->store, gates, count, err);
    for (uint32_t i = 0; i < batch->count && rc == 0; i++) {
        const struct channel_gate *gate = gates_find(gates, count, batch->items[i].job->channel_id);
        if (gate->is_removed)
            return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, gate->channel_id);
        batch->starts[i] = start_behind(gate);
    }
    return rc;
}

/* ---- rows ---- */

static void add_job_row(struct db_rows *rows, const struct store_job_new *job, const struct start *start)
{
    db_rows_add(rows, DB_ARGS(DB_T(job->id.text), DB_I(start->tenant_id), DB_I(job->channel_id),
                              DB_T(job->region ? job->region : ""), DB_I(job->priority),
                              DB_T(job_state_text(start->state)), DB_T(job_cause_text(start->cause)),
                              DB_I(start->next_at_ms), DB_I(job->size_bytes), DB_T(job->storage_path),
                              DB_T(job->fingerprint), DB_T(job->title), DB_T(job->idempotency_key),
                              DB_T(job->params_digest), DB_T(job->cdn_url ? job->cdn_url : ""),
                              DB_T(job->metadata)));
}

/* What was made comes in the order of the rows, and nobody promises it. */
static int note_made(const struct add_batch *batch, struct db_stmt *stmt, struct err *err)
{
    uint32_t at = 0;
    int rc;
    while ((rc = db_next(stmt, err)) > 0) {
        for (uint32_t n = 0; n < batch->count && strcmp(batch->items[at].job->id.text, db_text(stmt, 0)) != 0;
             n++)
            at = (at + 1) % batch->count;
        batch->starts[at].is_new = true;
        at = (at + 1) % batch->count;
    }
    return rc;
}

/* Not for the key alone: who adds the same job at the same moment brings the same id, too, and Postgres may
 * come upon that one first. */
static int insert_jobs(const struct add_batch *batch, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++)
        add_job_row(&rows, batch->items[i].job, &batch->starts[i]);
    int rc = db_query_rows(
        batch->store->db,
        "insert into job (id, tenant_id, channel_id, region, priority, state, cause, next_at_ms,"
        " size_bytes, added_at_ms, changed_at_ms, storage_path, fingerprint, title,"
        " idempotency_key, params_digest, cdn_url, metadata)"
        " select {r.id}, {r.tenant}, {r.channel}, {r.region}, {r.priority}, {r.state}, {r.cause},"
        " {r.next_at_ms}, {r.size}, now_ms(), now_ms(), {r.path}, {r.fingerprint}, {r.title}, {r.key},"
        " {r.digest}, {r.cdn_url}, {r.metadata}"
        " {from rows id:text tenant:int channel:int region:text priority:int state:text cause:text"
        " next_at_ms:int size:int path:text fingerprint:text title:text key:text digest:text cdn_url:text"
        " metadata:text} where true on conflict do nothing returning id",
        &rows, DB_NO_ARGS, &stmt, err);
    return rc < 0 ? rc : note_made(batch, stmt, err);
}

static int insert_uploads(const struct add_batch *batch, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->starts[i].is_new)
            db_rows_add(&rows, DB_ARGS(DB_T(batch->items[i].job->id.text), DB_I(batch->starts[i].tenant_id)));
    int rc = db_run_rows(
        batch->store->db,
        "insert into upload (job_id, tenant_id) select {r.id}, {r.tenant} {from rows id:text tenant:int}",
        &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

static int trail_adds(const struct add_batch *batch, struct err *err)
{
    AUTO_FREE struct trail *lines = mem_alloc_array(batch->count, sizeof(*lines));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct store_job_new *job = batch->items[i].job;
        if (batch->starts[i].is_new)
            lines[count++] = (struct trail){.job = job->id.text,
                                            .tenant_id = batch->starts[i].tenant_id,
                                            .channel_id = job->channel_id,
                                            .who = job->who,
                                            .what = "job added",
                                            .to = job_state_text(batch->starts[i].state),
                                            .cause = job_cause_text(batch->starts[i].cause)};
    }
    return do_trail_many(batch->store, lines, count, NULL, err);
}

/* ---- those whose key is taken ---- */

/* The same job asked for again, or another that is in the way: of these the first is told. */
static int note_existing(const struct add_batch *batch, struct db_stmt *stmt, uint32_t *first_refused,
                         struct err *err)
{
    uint32_t n = (uint32_t)db_int(stmt, 0);
    struct store_add_item *item = &batch->items[n];
    copy_text(item->id.text, db_text(stmt, 1));
    item->existed = true;
    if (strcmp(db_text(stmt, 2), item->job->params_digest) == 0)
        return 0;
    item->is_refused = true;
    if (n > *first_refused)
        return ERR_EXISTS;
    *first_refused = n;
    return err_set(
        err, ERR_EXISTS,
        "the key %s belongs to job %s with other parameters (file %s, title \"%s\"): give this one "
        "another --key",
        item->job->idempotency_key, item->id.text, db_text(stmt, 3), db_text(stmt, 4));
}

/* Neither made, nor is there one with its key. */
static int check_ids(const struct add_batch *batch, struct err *err)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (!batch->starts[i].is_new && !batch->items[i].existed)
            return err_set(err, ERR_EXISTS, "the id %s belongs to another job", batch->items[i].id.text);
    return 0;
}

static int read_existing(const struct add_batch *batch, struct db_stmt *stmt, struct err *err)
{
    uint32_t first_refused = UINT32_MAX;
    struct err read_err;
    int rc, refused = 0;
    while ((rc = db_next(stmt, &read_err)) > 0)
        if (note_existing(batch, stmt, &first_refused, err) < 0)
            refused = ERR_EXISTS;
    if (rc < 0)
        return err_set(err, rc, "%s", read_err.message);
    return refused < 0 ? refused : check_ids(batch, err);
}

static int find_existing(const struct add_batch *batch, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++)
        if (!batch->starts[i].is_new)
            db_rows_add(&rows, DB_ARGS(DB_I(i), DB_I(batch->starts[i].tenant_id),
                                       DB_T(batch->items[i].job->idempotency_key)));
    int rc = db_query_rows(batch->store->db,
                           "select {r.n}, j.id, j.params_digest, j.storage_path, j.title from job j"
                           " {join rows n:int tenant:int key:text}"
                           " where j.tenant_id = {r.tenant} and j.idempotency_key = {r.key}",
                           &rows, DB_NO_ARGS, &stmt, err);
    return rc < 0 || rows.count == 0 ? rc : read_existing(batch, stmt, err);
}

/* ---- all of it ---- */

static int add_batch(const struct add_batch *batch, struct err *err)
{
    int rc = find_starts(batch, err);
    if (rc == 0)
        rc = insert_jobs(batch, err);
    if (rc == 0)
        rc = find_existing(batch, err);
    if (rc == 0)
        rc = insert_uploads(batch, err);
    return rc < 0 ? rc : trail_adds(batch, err);
}

static int do_add_many(struct store *store, struct store_add_item *items, uint32_t count, struct err *err)
{
    AUTO_FREE struct start *starts = mem_alloc_array(count < ADD_MAX ? count : ADD_MAX, sizeof(*starts));
    int rc = 0;
    for (uint32_t i = 0; i < count; i++) {
        items[i].id = items[i].job->id;
        items[i].existed = items[i].is_refused = false;
    }
    for (uint32_t i = 0; i < count && rc == 0; i += ADD_MAX) {
        struct add_batch batch = {.store = store, .items = &items[i], .starts = starts};
        batch.count = count - i < ADD_MAX ? count - i : ADD_MAX;
        rc = add_batch(&batch, err);
    }
    return rc;
}

static int check_new(const struct store_job_new *job, struct err *err)
{
    if (!job->id.text[0] || !job->storage_path || !job->fingerprint || !job->title || !job->metadata ||
        !job->idempotency_key || !job->params_digest)
        return err_set(err, ERR_INVALID, "a job needs an id, a file, a title, its metadata and a key");
    if (job->size_bytes == 0 || job->size_bytes > FILE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "%s has %" PRIu64 " bytes: 1 to %" PRIu64 " can be uploaded",
                       job->storage_path, job->size_bytes, (uint64_t)FILE_BYTES_MAX);
    return 0;
}

int store_job_add_many(struct store *store, struct store_add_item *items, uint32_t count, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = check_new(items[i].job, err);
    return rc < 0 || count == 0 ? rc : STEP(store, err, do_add_many(store, items, count, err));
}

int store_job_add(struct store *store, const struct store_job_new *job, struct job_id *ret_id,
                  bool *ret_existed, struct err *err)
{
    struct store_add_item item = {.job = job, .id = job->id};
    int rc = store_job_add_many(store, &item, 1, err);
    *ret_id = item.id;
    *ret_existed = item.existed;
    return rc;
}
