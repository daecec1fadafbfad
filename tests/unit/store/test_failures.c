/*
 * The n-th write or sync fails, for every n over a whole job's life (with sanitizers, which take longer, for
 * one in STRIDE), until a life passes without a failure.
 * After each failure the store is opened anew: nothing that was acknowledged is lost, nothing is there by
 * half, and the life goes on to its end.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/sanitizer.h"
#include "base/text.h"
#include "failing_vfs.h"
#include "fixture.h"

enum { STRIDE = HAS_SANITIZER ? 5 : 1 };

enum stage { NONE, ADDED, CLAIMED, SESSION, CONFIRMED, FINALIZING, FINISHING, COMPLETED };

struct life {
    struct fixture *fix;
    int64_t channel;
    struct job_claim claim;
    enum stage reached; /* what the store has acknowledged */
};

/* ---- steps ---- */

static int step_add(struct life *life)
{
    struct job_id id;
    bool existed;
    struct store_job_new job = new_job(life->channel, "LIFE");
    return store_job_add(life->fix->store, &job, &id, &existed, &life->fix->err);
}

/* Also after a claim whose outcome was not known: its lease runs out. */
static int step_claim(struct life *life)
{
    struct fixture *fix = life->fix;
    struct store_reach reach = {.any_region = true};
    struct store_work work;
    uint32_t count = 0;
    for (int tries = 0; tries < 2 && count == 0; tries++) {
        int rc = store_claim(fix->store, "w1", &reach, 1, LEASE_MS, &work, &count, &fix->err);
        if (rc < 0)
            return rc;
        if (count == 0)
            fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    }
    assert_int_equal(count, 1);
    life->claim = work.claim;
    store_work_release(&work);
    return 0;
}

static struct job_write write_for(const struct life *life, enum stage stage)
{
    struct job_write write = write_of(&life->claim);
    write.set_session = stage == SESSION;
    write.set_confirmed = stage == CONFIRMED || stage == FINISHING;
    write.confirmed_bytes = stage == CONFIRMED ? 500 : 1000;
    if (stage == CONFIRMED)
        write.chunks = (struct chunk_digests){.count = 1, .items = {{.size_bytes = 500}}};
    write.set_finalizing = stage == FINALIZING;
    write.set_state = write.set_video = stage >= FINISHING;
    write.state = stage == FINISHING ? JOB_FINISHING : JOB_COMPLETED;
    snprintf(write.video_id, sizeof(write.video_id), "thevideo");
    if (stage == SESSION) {
        write.charge = BUCKET_UPLOADS;
        write.charge_amount = 1;
    }
    snprintf(write.note.what, sizeof(write.note.what), "stage %d", stage);
    return write;
}

static int step_write(struct life *life, enum stage stage)
{
    enum write_result result;
    struct blob sealed = {.data = "sealed", .len = 6};
    struct job_write write = write_for(life, stage);
    int rc = store_write(life->fix->store, "w1", &write, sealed, &result, &life->fix->err);
    if (rc == 0)
        assert_int_equal(result, WRITE_OK);
    else
        assert_int_equal(result, WRITE_FAILED);
    return rc;
}

static int step(struct life *life, enum stage stage)
{
    return stage == ADDED ? step_add(life) : stage == CLAIMED ? step_claim(life) : step_write(life, stage);
}

/* ---- what is there ---- */

static enum stage stage_of_open_job(const struct store_job *job)
{
    if (job->finalizing)
        return FINALIZING;
    if (job->confirmed_bytes == 500)
        return CONFIRMED;
    return job->has_session ? SESSION : job->state == JOB_UPLOADING ? CLAIMED : ADDED;
}

static enum stage stored_stage(struct fixture *fix)
{
    struct store_job job;
    int rc = store_job_find(fix->store, job_id("LIFE").text, &job, &fix->err);
    if (rc == ERR_NOT_FOUND)
        return NONE;
    assert_ok(rc, fix);
    store_job_release(&job);
    if (job.state == JOB_COMPLETED || job.state == JOB_FINISHING) {
        assert_string_equal(job.video_id, "thevideo");
        assert_int_equal(job.confirmed_bytes, 1000);
        return job.state == JOB_COMPLETED ? COMPLETED : FINISHING;
    }
    return stage_of_open_job(&job);
}

/* Every line of the trail begins where the one before ended, and the last ends where the job is. */
static void check_trail(struct fixture *fix)
{
    assert_int_equal(
        number(fix,
               "select (select count(*) from (select from_state, lag(to_state) over (order by id) as before"
               " from event where job_id <> '' and to_state <> '') as line where before <> from_state)"
               " + (select count(*) from job where state <> (select to_state from event where job_id = job.id"
               " and to_state <> '' order by event.id desc limit 1))"
               " + ((select coalesce(sum(used), 0) from quota) <>"
               " (select count(*) from event where what = 'stage 3'))"),
        0);
}

/* ---- lives ---- */

static void recover(struct life *life)
{
    failing_vfs_arm(0, false);
    fixture_reopen(life->fix);
    assert_ok(store_verify(life->fix->store, &life->fix->err), life->fix);
    check_trail(life->fix);
    enum stage stage = stored_stage(life->fix);
    /* The step that failed may have got there: its commit's outcome was not known. */
    if (stage != life->reached && stage != life->reached + 1)
        fail_msg("stage %d was acknowledged, stage %d is there", life->reached, stage);
    life->reached = stage;
}

static void go_on(struct life *life)
{
    struct fixture *fix = life->fix;
    if (life->reached >= CLAIMED && life->reached < COMPLETED) {
        fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
        assert_ok(step_claim(life), fix);
    }
    while (life->reached < COMPLETED) {
        assert_ok(step(life, life->reached + 1), fix);
        life->reached++;
    }
    assert_int_equal(stored_stage(fix), COMPLETED);
    check_trail(fix);
}

/* True: a step failed, at the stage after `reached`. Half way the store is closed, which writes the log back.
 */
static bool live_until_failure(struct life *life, bool repeats)
{
    struct fixture *fix = life->fix;
    while (life->reached < COMPLETED) {
        int rc = step(life, life->reached + 1);
        if (rc != 0 && repeats)
            rc = step(life, life->reached + 1);
        if (rc != 0) {
            assert_int_equal(rc, ERR_STORE);
            return true;
        }
        life->reached++;
        if (life->reached == CONFIRMED) {
            store_close(fix->store);
            fix->store = NULL;
            if (store_open(fix->url, STORE_USE, &fix->store, &fix->err) != 0)
                return true;
        }
    }
    return false;
}

/* False: the n-th call was never made. */
static bool live_with_failure(struct fixture *fix, long nth, bool for_ever, bool repeats)
{
    struct life life = {.fix = fix, .channel = make_channel(fix, "t", "c")};
    failing_vfs_arm(nth, for_ever);
    bool failed = live_until_failure(&life, repeats);
    long failures = failing_vfs_failures();
    if (failed)
        recover(&life);
    failing_vfs_arm(0, false);
    go_on(&life);
    return failures > 0;
}

static long first_failure(void)
{
    long nth = 1 + (long)(random_u64() % STRIDE);
    print_message("# calls %ld, and %d on, and so forth\n", nth, STRIDE);
    return nth;
}

static void check_every_failure(bool for_ever, bool repeats)
{
    bool was_hit = true;
    long nth = first_failure();
    for (; was_hit; nth += STRIDE) {
        void *state;
        assert_int_equal(fixture_setup(&state), 0);
        was_hit = live_with_failure(state, nth, for_ever, repeats);
        fixture_teardown(&state);
    }
    assert_true(nth - STRIDE > 30); /* the last one was not reached any more */
}

static void d08_ioerr_at_every_write_once(void **state)
{
    (void)state;
    check_every_failure(false, false);
}

static void d08_ioerr_at_every_write_once_and_repeated(void **state)
{
    (void)state;
    check_every_failure(false, true);
}

static void d08_ioerr_from_every_write_on(void **state)
{
    (void)state;
    check_every_failure(true, false);
}

static void d08_ioerr_at_every_write_of_init(void **state)
{
    (void)state;
    bool was_hit = true;
    for (long nth = first_failure(); was_hit; nth += STRIDE) {
        void *any;
        assert_int_equal(fixture_setup(&any), 0);
        struct fixture *fix = any;
        struct store *store = NULL;
        snprintf(fix->path, sizeof(fix->path), "%s/new.db", fix->dir);
        snprintf(fix->url, sizeof(fix->url), "sqlite:%s", fix->path);
        failing_vfs_arm(nth, false);
        int rc = store_open(fix->url, STORE_CREATE, &store, &fix->err);
        store_close(store);
        was_hit = failing_vfs_failures() > 0;
        failing_vfs_arm(0, false);
        if (rc != 0)
            assert_int_equal(rc, ERR_STORE);
        assert_ok(store_open(fix->url, STORE_CREATE, &store, &fix->err), fix);
        assert_ok(store_verify(store, &fix->err), fix);
        store_close(store);
        fixture_teardown(&any);
    }
}

/* Adds a job while the n-th call fails, and tells whether the handle has given up. */
static bool gives_up_after(struct fixture *fix, int64_t channel, long nth)
{
    char id[16];
    bool existed;
    struct job_id ret;
    int64_t now;
    snprintf(id, sizeof(id), "JOB%03ld", nth);
    struct store_job_new job = new_job(channel, id);
    failing_vfs_arm(nth, false);
    int rc = store_job_add(fix->store, &job, &ret, &existed, &fix->err);
    assert_true(rc == ERR_STORE || failing_vfs_failures() == 0);
    failing_vfs_arm(0, false);
    return store_now(fix->store, &now, &fix->err) == ERR_STORE;
}

static void d08_after_a_failed_sync_the_handle_does_nothing_more(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    long nth = 1;
    while (!gives_up_after(fix, channel, nth++)) {
        assert_true(nth < 100);
        fixture_reopen(fix);
    }
    assert_code(store_begin(fix->store, &fix->err), ERR_STORE);
    assert_non_null(strstr(fix->err.message, "failed earlier"));
    fixture_reopen(fix);
    assert_ok(store_verify(fix->store, &fix->err), fix);
}

int main(void)
{
    failing_vfs_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(d08_ioerr_at_every_write_once),
        cmocka_unit_test(d08_ioerr_at_every_write_once_and_repeated),
        cmocka_unit_test(d08_ioerr_from_every_write_on),
        cmocka_unit_test(d08_ioerr_at_every_write_of_init),
        cmocka_unit_test_setup_teardown(d08_after_a_failed_sync_the_handle_does_nothing_more, fixture_setup,
                                        fixture_teardown),
    };
    return RUN_UNIT_TESTS(tests);
}
