/* What an operator does to a job: cancel, retry, resolve. */
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

/* A job as these verbs need to know it. */
struct target {
    struct job_id id;
    int64_t tenant_id, channel_id, lease_epoch;
    enum job_state state;
    enum job_cause cause;
    bool is_leased, has_session, finalizing, has_video;
};

static int read_target(const struct db_stmt *stmt, struct target *ret, struct err *err)
{
    ret->tenant_id = db_int(stmt, 0);
    ret->channel_id = db_int(stmt, 1);
    ret->lease_epoch = db_int(stmt, 2);
    ret->is_leased = db_text(stmt, 5)[0] != '\0';
    ret->has_session = db_int(stmt, 6) != 0;
    ret->finalizing = db_int(stmt, 7) != 0;
    ret->has_video = db_int(stmt, 8) != 0;
    if (!job_state_parse(db_text(stmt, 3), &ret->state) || !job_cause_parse(db_text(stmt, 4), &ret->cause))
        return err_set(err, ERR_STORE, "job %s has the unknown state %s %s", ret->id.text, db_text(stmt, 3),
                       db_text(stmt, 4));
    return 0;
}

static int find_target(struct store *store, struct job_id id, struct target *ret, struct err *err)
{
    *ret = (struct target){.id = id};
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select j.tenant_id, j.channel_id, j.lease_epoch, j.state, j.cause, j.lease_owner,"
                      " u.session_url is not null, u.finalizing, j.video_id is not null"
                      " from job j join upload u on u.job_id = j.id where j.id = $1 {lock}",
                      DB_ARGS(DB_T(id.text)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no job %s: see `sluice job list`", id.text);
    return rc < 0 ? rc : read_target(stmt, ret, err);
}

static int trail_target(struct store *store, const struct target *target, const char *who, const char *what,
                        enum job_state to, enum job_cause cause, struct err *err)
{
    struct trail trail = {.job = target->id.text,
                          .tenant_id = target->tenant_id,
                          .channel_id = target->channel_id,
                          .who = who,
                          .what = what,
                          .from = job_state_text(target->state),
                          .to = job_state_text(to),
                          .cause = job_cause_text(cause),
                          .lease_epoch = target->lease_epoch};
    return do_trail(store, &trail, NULL, err);
}

static int run_on(struct store *store, const char *sql, const struct target *target, struct err *err)
{
    int rc = db_run(store->db, sql, DB_ARGS(DB_T(target->id.text)), err);
    return rc < 0 ? rc : 0;
}

static int forget_session(struct store *store, const struct target *target, struct err *err)
{
    int rc = run_on(store, "delete from chunk where job_id = $1", target, err);
    if (rc < 0)
        return rc;
    return run_on(
        store,
        "update upload set session_url = null, session_at_ms = 0, last_byte_uploaded = -1, finalizing = 0,"
        " session_dead = 0, reconcile_looks = 0, reconcile_from_ms = 0 where job_id = $1",
        target, err);
}

/* ---- cancel ---- */

static int cancel_now(struct store *store, const struct target *target, const char *who, struct err *err)
{
    int rc = trail_target(store, target, who, "cancelled", JOB_CANCELLED, CAUSE_NONE, err);
    if (rc == 0)
        rc = forget_session(store, target, err);
    if (rc < 0)
        return rc;
    return run_on(store,
                  "update job set state = 'cancelled', cause = '', next_at_ms = 0, cancel_wanted = 0,"
                  " changed_at_ms = now_ms(), finished_at_ms = now_ms() where id = $1",
                  target, err);
}

/* Only the engine may end a session: YouTube could still make a video of it. */
static int mark_cancel(struct store *store, const struct target *target, const char *who, struct err *err)
{
    int rc = trail_target(store, target, who, "cancel wanted", target->state, target->cause, err);
    if (rc < 0)
        return rc;
    return run_on(store,
                  "update job set cancel_wanted = 1, next_at_ms = 0, changed_at_ms = now_ms() where id = $1",
                  target, err);
}

static int do_cancel(struct store *store, struct job_id id, const char *who, bool *ret_done, struct err *err)
{
    struct target target;
    int rc = find_target(store, id, &target, err);
    if (rc < 0)
        return rc;
    if (job_state_is_terminal(target.state))
        return err_set(err, ERR_INVALID, "job %s is %s already", id.text, job_state_text(target.state));
    if (target.has_video)
        return err_set(err, ERR_INVALID, "job %s has made its video: it can't be cancelled any more",
                       id.text);
    if (target.cause == CAUSE_AMBIGUOUS)
        return err_set(err, ERR_INVALID,
                       "job %s may have made a video: look at the channel, then `sluice job resolve %s`",
                       id.text, id.text);
    *ret_done = !target.is_leased && !target.has_session && !target.finalizing;
    return *ret_done ? cancel_now(store, &target, who, err) : mark_cancel(store, &target, who, err);
}

int store_job_cancel(struct store *store, struct job_id id, const char *who, bool *ret_done, struct err *err)
{
    *ret_done = false;
    return STEP(store, err, do_cancel(store, id, who, ret_done, err));
}

/* ---- queueing anew ---- */

static int hold_for_channel(struct store *store, const struct target *target, const struct gate *gate,
                            const char *who, struct err *err)
{
    enum job_cause cause = channel_state_cause(gate->state);
    int rc = db_run(store->db, "update job set state = 'held', cause = $2, next_at_ms = $3 where id = $1",
                    DB_ARGS(DB_T(target->id.text), DB_T(job_cause_text(cause)), DB_I(gate->until_ms)), err);
    return rc < 0 ? rc : trail_target(store, target, who, "held with its channel", JOB_HELD, cause, err);
}

/* Moves the job to `queued` (a video that exists: `finishing`), and on to its channel's hold if it has one.
 */
static int requeue(struct store *store, const struct target *target, const char *who, const char *what,
                   struct err *err)
{
    struct gate gate;
    struct target queued = *target;
    queued.state = target->has_video ? JOB_FINISHING : JOB_QUEUED;
    int rc = db_run(store->db,
                    "update job set state = $2, cause = '', next_at_ms = 0, waits = 0, cancel_wanted = 0,"
                    " error_reason = '', error_message = '', finished_at_ms = 0,"
                    " changed_at_ms = now_ms() where id = $1",
                    DB_ARGS(DB_T(target->id.text), DB_T(job_state_text(queued.state))), err);
    if (rc >= 0)
        rc = trail_target(store, target, who, what, queued.state, CAUSE_NONE, err);
    if (rc == 0)
        rc = do_keep_gate(store, target->channel_id, &gate, err);
    if (rc < 0 || gate.state == CHANNEL_ACTIVE || target->has_video)
        return rc;
    return hold_for_channel(store, &queued, &gate, who, err);
}

/* ---- retry ---- */

static int check_channel_is_there(struct store *store, const struct target *target, struct err *err)
{
    struct store_channel channel;
    struct gate gate;
    int rc = do_keep_gate(store, target->channel_id, &gate, err);
    if (rc == 0)
        rc = store_channel_get(store, target->channel_id, &channel, err);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_INVALID, "the channel of job %s was removed: add the file again",
                       target->id.text);
    return rc;
}

static int check_retry(const struct target *target, struct err *err)
{
    const char *id = target->id.text;
    if (target->state == JOB_HELD && target->cause == CAUSE_AMBIGUOUS)
        return err_set(err, ERR_INVALID,
                       "job %s may have made a video: look at the channel, then `sluice job resolve %s`", id,
                       id);
    if (target->state == JOB_FAILED || target->state == JOB_CANCELLED || target->state == JOB_HELD ||
        target->state == JOB_WAITING)
        return 0;
    return err_set(err, ERR_INVALID,
                   "job %s is %s: only failed, cancelled, held and waiting jobs are retried", id,
                   job_state_text(target->state));
}

/* A job that had come to its end has no session any more, and what is left of the old one is forgotten; any
 * other goes on with its own. */
static bool begins_anew(const struct target *target)
{
    return job_state_is_terminal(target->state);
}

static int do_retry(struct store *store, struct job_id id, const char *who, struct err *err)
{
    struct target target;
    int rc = find_target(store, id, &target, err);
    if (rc == 0)
        rc = check_retry(&target, err);
    if (rc == 0)
        rc = check_channel_is_there(store, &target, err);
    if (rc == 0 && begins_anew(&target))
        rc = forget_session(store, &target, err);
    return rc < 0 ? rc : requeue(store, &target, who, "retry", err);
}

int store_job_retry(struct store *store, struct job_id id, const char *who, struct err *err)
{
    return STEP(store, err, do_retry(store, id, who, err));
}

/* ---- resolve ---- */

static int resolve_as_new(struct store *store, struct target *target, const char *who, struct err *err)
{
    int rc = run_on(store, "update job set video_id = null where id = $1", target, err);
    if (rc == 0)
        rc = forget_session(store, target, err);
    target->has_video = false;
    return rc < 0 ? rc : requeue(store, target, who, "resolved: no video, begins anew", err);
}

static int resolve_as_done(struct store *store, const struct target *target, const char *video_id,
                           const char *who, struct err *err)
{
    int rc = db_run(store->db,
                    "update job set state = 'completed', cause = '', next_at_ms = 0, video_id = $2,"
                    " cancel_wanted = 0, error_reason = '', error_message = '', changed_at_ms = now_ms(),"
                    " finished_at_ms = now_ms() where id = $1",
                    DB_ARGS(DB_T(target->id.text), DB_T(video_id)), err);
    if (rc == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "video %s belongs to another job of this channel", video_id);
    if (rc >= 0)
        rc = trail_target(store, target, who, "resolved: the video is there", JOB_COMPLETED, CAUSE_NONE, err);
    if (rc == 0)
        rc = run_on(store, "delete from chunk where job_id = $1", target, err);
    if (rc < 0)
        return rc;
    return run_on(store,
                  "update upload set session_url = null, session_dead = 0, last_byte_uploaded ="
                  " (select size_bytes - 1 from job where id = job_id) where job_id = $1",
                  target, err);
}

/* Also where the session's stored URL cannot be opened: only a person can tell that its key is lost for good.
 */
static bool may_be_resolved(const struct target *target)
{
    return target->state == JOB_HELD && (target->cause == CAUSE_AMBIGUOUS || target->cause == CAUSE_CORRUPT);
}

static int do_resolve(struct store *store, struct job_id id, const char *video_id, const char *who,
                      struct err *err)
{
    struct target target;
    int rc = find_target(store, id, &target, err);
    if (rc < 0)
        return rc;
    if (!may_be_resolved(&target))
        return err_set(err, ERR_INVALID, "job %s is %s %s: only jobs held ambiguous or corrupt are resolved",
                       id.text, job_state_text(target.state), job_cause_text(target.cause));
    if (!video_id)
        return resolve_as_new(store, &target, who, err);
    if (!video_id[0] || strlen(video_id) >= VIDEO_ID_SIZE)
        return err_set(err, ERR_INVALID, "\"%s\" is no video id", video_id);
    return resolve_as_done(store, &target, video_id, who, err);
}

int store_job_resolve(struct store *store, struct job_id id, const char *video_id, const char *who,
                      struct err *err)
{
    return STEP(store, err, do_resolve(store, id, video_id, who, err));
}
