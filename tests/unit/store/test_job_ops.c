/* An operator's verbs: cancel, retry, resolve. */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static void cancel(struct fixture *fix, struct job_id id, bool expect_done)
{
    bool done;
    assert_ok(store_job_cancel(fix->store, id, "tester", &done, &fix->err), fix);
    assert_int_equal(done, expect_done);
}

static void give_session(struct fixture *fix, const struct job_claim *claim)
{
    struct job_write write = write_of(claim);
    write.set_session = true;
    must_write(fix, &write);
}

static void a_job_without_a_session_is_cancelled_at_once(void **state)
{
    struct fixture *fix = *state;
    bool done;
    struct job_id id = add_job(fix, make_channel(fix, "t", "c"), "A1");
    cancel(fix, id, true);
    struct store_job job = get_job(fix, id);
    assert_int_equal(job.state, JOB_CANCELLED);
    assert_int_equal(job.finished_at_ms, fix->now_ms);
    assert_string_equal(last_event(fix, id.text).what, "cancelled");
    assert_code(store_job_cancel(fix->store, id, "tester", &done, &fix->err), ERR_INVALID);
    assert_code(store_job_cancel(fix->store, job_id("NONE"), "tester", &done, &fix->err), ERR_NOT_FOUND);
    assert_string_equal(claim_one(fix, "w1").id.text, "");
}

static void a_job_with_a_session_is_cancelled_by_a_worker(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "w1");
    give_session(fix, &claim);
    struct job_write write = move_of(&claim, JOB_WAITING, CAUSE_NONE);
    write.next_at_ms = fix->now_ms + 100000;
    must_write(fix, &write);
    cancel(fix, claim.id, false);
    set_channel(fix, channel, CHANNEL_PAUSED, 0); /* no matter */
    claim = claim_one(fix, "w1");
    assert_true(claim.cancel_wanted && claim.has_session);
    /* The worker could not end it yet: its next time counts. */
    write = move_of(&claim, JOB_WAITING, CAUSE_NONE);
    write.next_at_ms = fix->now_ms + 1000;
    must_write(fix, &write);
    assert_string_equal(claim_one(fix, "w1").id.text, "");
    fix->now_ms += 1000;
    claim = claim_one(fix, "w1");
    assert_true(claim.cancel_wanted);
    move_to(fix, &claim, JOB_CANCELLED, CAUSE_NONE);
    assert_false(get_job(fix, claim.id).cancel_wanted);
}

static void a_cancel_reaches_the_worker_once_and_is_not_lost(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "A1");
    struct job_claim claim = claim_one(fix, "w1");
    struct store_renewal renewal;
    cancel(fix, claim.id, false);
    /* Before it heard of it the worker gives up: the cancel is still to be done. */
    move_to(fix, &claim, JOB_HELD, CAUSE_SOURCE_MISSING);
    claim = claim_one(fix, "w1");
    assert_true(claim.cancel_wanted);
    assert_ok(store_renew(fix->store, "w1", claim.id, claim.lease_epoch, LEASE_MS, &renewal, &fix->err), fix);
    assert_true(renewal.cancel_wanted);
    /* Now it knew: its hold is the answer, and a person's turn. */
    move_to(fix, &claim, JOB_HELD, CAUSE_AMBIGUOUS);
    assert_false(get_job(fix, claim.id).cancel_wanted);
    assert_string_equal(claim_one(fix, "w1").id.text, "");
    bool done;
    assert_code(store_job_cancel(fix->store, claim.id, "tester", &done, &fix->err), ERR_INVALID);
}

static void a_job_whose_video_exists_is_not_cancelled(void **state)
{
    struct fixture *fix = *state;
    bool done;
    add_job(fix, make_channel(fix, "t", "c"), "A1");
    struct job_claim claim = claim_one(fix, "w1");
    move_to(fix, &claim, JOB_FINISHING, CAUSE_NONE);
    assert_code(store_job_cancel(fix->store, claim.id, "tester", &done, &fix->err), ERR_INVALID);
}

static void a_failed_job_is_retried_from_byte_0(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "w1");
    give_session(fix, &claim);
    struct job_write write = move_of(&claim, JOB_FAILED, CAUSE_NONE);
    write.set_confirmed = write.set_error = write.set_waits = true;
    write.confirmed_bytes = 700;
    write.waits = 9;
    snprintf(write.note.reason, sizeof(write.note.reason), "why");
    must_write(fix, &write);
    fix->now_ms += JOB_LIFE_MS;
    assert_ok(store_job_retry(fix->store, claim.id, "tester", &fix->err), fix);
    struct store_job job = get_job(fix, claim.id);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_int_equal(job.confirmed_bytes + job.waits + job.finished_at_ms, 0);
    assert_string_equal(job.error_reason, "");
    claim = claim_one(fix, "w1");
    assert_false(claim.has_session);
    assert_code(store_job_retry(fix->store, claim.id, "tester", &fix->err), ERR_INVALID);
    assert_code(store_job_retry(fix->store, job_id("NONE"), "tester", &fix->err), ERR_NOT_FOUND);
}

static void a_held_job_is_retried_with_its_session(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "w1");
    give_session(fix, &claim);
    struct job_write write = move_of(&claim, JOB_HELD, CAUSE_SOURCE_MISSING);
    write.set_confirmed = true;
    write.confirmed_bytes = 300;
    must_write(fix, &write);
    assert_ok(store_job_retry(fix->store, claim.id, "tester", &fix->err), fix);
    claim = claim_one(fix, "w1");
    assert_true(claim.has_session);
    assert_int_equal(claim.confirmed_bytes, 300);
    /* A URL that does not open may open with the right key. If that is lost, a person says so. */
    move_to(fix, &claim, JOB_HELD, CAUSE_CORRUPT);
    assert_ok(store_job_retry(fix->store, claim.id, "tester", &fix->err), fix);
    claim = claim_one(fix, "w1");
    assert_true(claim.has_session);
    move_to(fix, &claim, JOB_HELD, CAUSE_CORRUPT);
    assert_ok(store_job_resolve(fix->store, claim.id, NULL, "tester", &fix->err), fix);
    claim = claim_one(fix, "w1");
    assert_false(claim.has_session);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    move_to(fix, &claim, JOB_FAILED, CAUSE_NONE);
    assert_ok(store_job_retry(fix->store, claim.id, "tester", &fix->err), fix);
    assert_int_equal(cause_of(fix, claim.id), CAUSE_CHANNEL_PAUSED);
}

static struct job_claim make_ambiguous(struct fixture *fix, int64_t channel, const char *id)
{
    add_job(fix, channel, id);
    struct job_claim claim = claim_one(fix, "w1");
    give_session(fix, &claim);
    struct job_write write = move_of(&claim, JOB_HELD, CAUSE_AMBIGUOUS);
    write.set_finalizing = write.set_session_dead = true;
    must_write(fix, &write);
    return claim;
}

static void an_ambiguous_job_is_resolved_by_a_person(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_claim a = make_ambiguous(fix, channel, "A1");
    struct job_claim b = make_ambiguous(fix, channel, "A2");
    struct job_claim c = make_ambiguous(fix, channel, "A3");
    assert_code(store_job_retry(fix->store, a.id, "tester", &fix->err), ERR_INVALID);
    assert_ok(store_job_resolve(fix->store, a.id, "video1", "tester", &fix->err), fix);
    struct store_job job = get_job(fix, a.id);
    assert_int_equal(job.state, JOB_COMPLETED);
    assert_string_equal(job.video_id, "video1");
    assert_int_equal(job.confirmed_bytes, job.size_bytes);
    assert_false(job.has_session);
    assert_code(store_job_resolve(fix->store, b.id, "video1", "tester", &fix->err), ERR_EXISTS);
    assert_int_equal(cause_of(fix, b.id), CAUSE_AMBIGUOUS);
    assert_ok(store_job_resolve(fix->store, c.id, NULL, "tester", &fix->err), fix);
    struct job_claim again = claim_one(fix, "w1");
    assert_string_equal(again.id.text, c.id.text);
    assert_false(again.has_session || again.finalizing || again.session_dead);
    assert_code(store_job_resolve(fix->store, c.id, "v", "tester", &fix->err), ERR_INVALID);
    assert_code(store_job_resolve(fix->store, b.id, "", "tester", &fix->err), ERR_INVALID);
    assert_string_equal(last_event(fix, a.id.text).who, "tester");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_without_a_session_is_cancelled_at_once),
        TEST(a_job_with_a_session_is_cancelled_by_a_worker),
        TEST(a_cancel_reaches_the_worker_once_and_is_not_lost),
        TEST(a_job_whose_video_exists_is_not_cancelled),
        TEST(a_failed_job_is_retried_from_byte_0),
        TEST(a_held_job_is_retried_with_its_session),
        TEST(an_ambiguous_job_is_resolved_by_a_person),
    };
    return RUN_UNIT_TESTS(tests);
}
