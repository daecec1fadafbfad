/* What a worker gets with a lease. */
#include "base/mem.h"
#include "base/text.h"
#include "store/claim.h"
#include "store/db_rows.h"

/* Twins: jobs that could be taken for this one when YouTube lists the channel's videos. More than a few
 * change nothing. */
#define SELECT_WORK                                                                                          \
    "select j.tenant_id, h.client_id, j.channel_id, j.lease_epoch, j.size_bytes, j.waits,"                   \
    " j.state, j.cancel_wanted, u.session_url, u.finalizing, u.session_dead, u.last_byte_uploaded + 1,"      \
    " u.session_at_ms, u.reconcile_from_ms, u.reconcile_looks, j.video_id, u.check_looks,"                   \
    " c.uploads_per_day, c.units_per_day, t.name, h.name, h.uploads_playlist, h.yt_channel_id,"              \
    " j.storage_path, j.fingerprint, j.metadata, j.id, j.cdn_url, j.priority, h.uploads_per_day, {r.n},"     \
    " (select count(*) from (select 1 from job w where w.channel_id = j.channel_id"                          \
    "  and w.size_bytes = j.size_bytes and w.title = j.title and w.state <> 'failed'"                        \
    "  and w.state <> 'cancelled' and w.id <> j.id limit 100) as twins)"                                     \
    " from job j join upload u on u.job_id = j.id join channel h on h.id = j.channel_id"                     \
    " join client c on c.id = h.client_id join tenant t on t.id = j.tenant_id"                               \
    " {join rows n:int id:text} where j.id = {r.id}"

static void read_claim(const struct db_stmt *stmt, struct job_claim *ret)
{
    *ret = (struct job_claim){.tenant_id = db_int(stmt, 0),
                              .client_id = db_int(stmt, 1),
                              .channel_id = db_int(stmt, 2),
                              .lease_epoch = db_int(stmt, 3),
                              .size_bytes = (uint64_t)db_int(stmt, 4),
                              .waits = (uint32_t)db_int(stmt, 5),
                              .cancel_wanted = db_int(stmt, 7) != 0,
                              .finalizing = db_int(stmt, 9) != 0,
                              .session_dead = db_int(stmt, 10) != 0,
                              .confirmed_bytes = (uint64_t)db_int(stmt, 11),
                              .session_at_ms = db_int(stmt, 12),
                              .reconcile_from_ms = db_int(stmt, 13),
                              .reconcile_looks = (uint32_t)db_int(stmt, 14),
                              .check_looks = (uint32_t)db_int(stmt, 16),
                              .uploads_per_day = (uint32_t)db_int(stmt, 17),
                              .units_per_day = (uint32_t)db_int(stmt, 18),
                              .priority = (int)db_int(stmt, 28),
                              .channel_uploads_per_day = (uint32_t)db_int(stmt, 29),
                              .twin_count = (uint32_t)db_int(stmt, 31)};
    copy_text(ret->id.text, db_text(stmt, 26));
    copy_text(ret->video_id, db_text(stmt, 15));
}

static int read_work(const struct db_stmt *stmt, struct store_work *ret, struct err *err)
{
    *ret = (struct store_work){.tenant = ""};
    read_claim(stmt, &ret->claim);
    if (!job_state_parse(db_text(stmt, 6), &ret->claim.state))
        return err_set(err, ERR_STORE, "job %s has the unknown state %s", ret->claim.id.text,
                       db_text(stmt, 6));
    ret->claim.has_session = copy_blob(stmt, 8, &ret->sealed_session) > 0;
    copy_text(ret->tenant, db_text(stmt, 19));
    copy_text(ret->channel, db_text(stmt, 20));
    copy_text(ret->uploads_playlist, db_text(stmt, 21));
    copy_text(ret->yt_channel_id, db_text(stmt, 22));
    ret->storage_path = mem_dup(db_text(stmt, 23));
    ret->fingerprint = mem_dup(db_text(stmt, 24));
    ret->metadata = mem_dup(db_text(stmt, 25));
    ret->cdn_url = mem_dup(db_text(stmt, 27));
    ret->claim.has_cdn = *ret->cdn_url != '\0';
    return 0;
}

static int read_works(struct db_stmt *stmt, const struct head *heads, uint32_t count, struct store_work *ret,
                      struct err *err)
{
    uint32_t found = 0;
    int rc = 0;
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        rc = read_work(stmt, &ret[db_int(stmt, 30)], err);
        found++;
    }
    if (rc == 0 && found < count)
        return err_set(err, ERR_STORE, "of %u jobs, the first %s, only %u have an upload row", count,
                       heads[0].id, found);
    return rc;
}

int do_read_works(struct store *store, const struct head *heads, uint32_t count, struct store_work *ret,
                  struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = (struct store_work){.tenant = ""};
        db_rows_add(&rows, DB_ARGS(DB_I(i), DB_T(heads[i].id)));
    }
    int rc = db_query_rows(store->db, SELECT_WORK, &rows, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = read_works(stmt, heads, count, ret, err);
    for (uint32_t i = 0; i < count && rc < 0; i++)
        store_work_release(&ret[i]);
    return rc;
}

void store_work_release(struct store_work *work)
{
    mem_free(work->storage_path);
    mem_free(work->fingerprint);
    mem_free(work->metadata);
    mem_free(work->cdn_url);
    mem_free((void *)work->sealed_session.data);
    *work = (struct store_work){.tenant = ""};
}
