/* What keeps a channel, a tenant or a client from taking more: windows, limits, and what YouTube calls spent.
 */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

#define DAY 20000

static struct job_write charge_of(const struct job_claim *claim, uint32_t limit, uint32_t channel_limit)
{
    struct job_write write = write_of(claim);
    write.charge = BUCKET_UPLOADS;
    write.charge_amount = 1;
    write.charge_limit = limit;
    write.charge_channel_limit = channel_limit;
    write.pacific_day = DAY;
    return write;
}

/* ---- windows ---- */

static void a_new_channel_begins_with_some_places(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[32];
    assert_ok(login(fix, "t", "new", "UC-new"), fix);
    struct store_channel channel;
    assert_ok(store_channel_find(fix->store, "t", "new", &channel, &fix->err), fix);
    assert_int_equal(channel.places, WINDOW_START);
    add_many(fix, channel.id, "J", 30);
    assert_int_equal(claim_many(fix, "w1", 32, claims), WINDOW_START);
    assert_int_equal(claim_many(fix, "w2", 32, claims), 0); /* over all workers */
}

static void a_window_grows_with_success_and_never_counts_holds(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    set_window(fix, channel, (struct window){.milliplaces = 1000});
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof(id), "JOB%d", i);
        add_job(fix, channel, id);
    }
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = move_of(&claim, JOB_HELD, CAUSE_AMBIGUOUS);
    must_write(fix, &write);
    assert_int_equal(get_channel(fix, channel).places, 1);
    claim = claim_one(fix, "w1");
    move_to(fix, &claim, JOB_FINISHING, CAUSE_NONE);
    write = move_of(&claim, JOB_COMPLETED, CAUSE_NONE);
    write.feedback = FEEDBACK_GOOD;
    must_write(fix, &write);
    assert_int_equal(get_channel(fix, channel).places, 2);
}

static void l02_a_dead_channel_rests_is_probed_and_holds_up_nobody(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[8];
    int64_t dead = make_channel(fix, "t", "dead"), other = make_channel(fix, "t", "other");
    set_window(fix, dead, (struct window){.milliplaces = 1000});
    add_many(fix, dead, "D", 100);
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = move_of(&claim, JOB_WAITING, CAUSE_NONE);
    write.next_at_ms = fix->now_ms + 60000;
    write.feedback = FEEDBACK_TROUBLE;
    must_write(fix, &write);
    assert_int_equal(get_channel(fix, dead).places, 0);
    assert_int_equal(get_channel(fix, dead).rest_until_ms, fix->now_ms + WINDOW_REST_MS);
    add_many(fix, other, "O", 3);
    assert_int_equal(claim_many(fix, "w1", 8, claims), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(claims[i].channel_id, other);
    fix->now_ms += WINDOW_REST_MS;
    uint32_t count = claim_many(fix, "w1", 8, claims),
             probes = 0; /* beside it: leases that ran out meanwhile */
    for (uint32_t i = 0; i < count; i++)
        probes += claims[i].channel_id == dead;
    assert_int_equal(probes, 1);
}

static void a_closed_window_lets_cancels_and_videos_through(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[8];
    bool done;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_id cancelled = add_job(fix, channel, "CANCELLED"), video = add_job(fix, channel, "VIDEO");
    add_many(fix, channel, "X", 20);
    assert_int_equal(claim_many(fix, "w1", 2, claims), 2);
    struct job_write write = write_of(&claims[0]);
    write.set_session = true;
    must_write(fix, &write);
    move_to(fix, &claims[0], JOB_QUEUED, CAUSE_NONE);
    assert_ok(store_job_cancel(fix->store, cancelled, "tester", &done, &fix->err), fix);
    assert_false(done);
    move_to(fix, &claims[1], JOB_FINISHING, CAUSE_NONE);
    write = write_of(&claims[1]);
    write.release_lease = true;
    must_write(fix, &write);
    set_window(fix, channel, (struct window){.rest_until_ms = fix->now_ms + 1000});
    assert_int_equal(claim_many(fix, "w1", 8, claims), 2);
    for (int i = 0; i < 2; i++)
        assert_true(strcmp(claims[i].id.text, cancelled.text) == 0 ||
                    strcmp(claims[i].id.text, video.text) == 0);
}

static void a_resting_channel_is_no_work_for_a_drain(void **state)
{
    struct fixture *fix = *state;
    struct store_reach reach = {.region = "", .any_region = true};
    struct store_backlog backlog;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "X", 20);
    set_window(fix, channel, (struct window){.rest_until_ms = fix->now_ms + 1000});
    assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
    assert_int_equal(backlog.runnable, 0);
    assert_int_equal(backlog.next_at_ms, fix->now_ms + 1000);
    fix->now_ms += 1000;
    assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
    assert_int_equal(backlog.runnable, 20);
}

static void a_tenant_has_no_more_leases_than_it_may(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[32];
    struct store_reach reach = {.region = "", .any_region = true, .per_tenant_max = 3};
    add_many(fix, make_channel(fix, "a", "a1"), "A", 10);
    add_many(fix, make_channel(fix, "a", "a2"), "B", 10);
    add_many(fix, make_channel(fix, "b", "b1"), "C", 10);
    assert_int_equal(claim_reach(fix, "w1", &reach, 32, claims), 6);
    assert_int_equal(claim_reach(fix, "w1", &reach, 32, claims), 0);
}

/* ---- quota ---- */

struct seen {
    struct store_quota client, channel;
    uint32_t channel_count;
};

static int see(void *ctx, const struct store_quota *quota)
{
    struct seen *seen = ctx;
    if (quota->channel[0]) {
        seen->channel = *quota;
        seen->channel_count++;
    } else if (quota->bucket == BUCKET_UPLOADS) {
        seen->client = *quota;
    }
    return 0;
}

static struct seen look(struct fixture *fix)
{
    struct seen seen = {.channel_count = 0};
    assert_ok(store_quota_list(fix->store, DAY, see, &seen, &fix->err), fix);
    return seen;
}

static void a_channel_may_have_a_limit_of_its_own(void **state)
{
    struct fixture *fix = *state;
    int64_t small = make_channel(fix, "t", "small"), large = make_channel(fix, "t", "large");
    assert_ok(store_channel_limits(fix->store, small, 1, "tester", &fix->err), fix);
    add_many(fix, small, "S", 2);
    add_many(fix, large, "L", 2);
    struct job_claim claims[4];
    assert_int_equal(claim_many(fix, "w1", 4, claims), 4);
    int full = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(claims[i].channel_uploads_per_day, claims[i].channel_id == small ? 1 : 0);
        struct job_write write = charge_of(&claims[i], 100, claims[i].channel_uploads_per_day);
        enum write_result result = do_store_write(fix, &write);
        assert_true(result == WRITE_OK || (result == WRITE_QUOTA_FULL && claims[i].channel_id == small));
        full += result == WRITE_QUOTA_FULL;
    }
    assert_int_equal(full, 1);
    struct seen seen = look(fix);
    assert_int_equal(seen.client.used, 3);
    assert_int_equal(seen.channel_count, 2); /* both have used some */
}

static void priority_goes_with_the_claim(void **state)
{
    struct fixture *fix = *state;
    struct store_job_new job = new_job(make_channel(fix, "t", "c"), "URGENT");
    job.priority = 7;
    add(fix, &job);
    assert_int_equal(claim_one(fix, "w1").priority, 7);
}

static void h05_what_youtube_calls_spent_fills_the_ledger_and_is_kept_as_drift(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "J", 2);
    struct job_claim claims[2];
    assert_int_equal(claim_many(fix, "w1", 2, claims), 2);
    struct job_write write = charge_of(&claims[0], 100, 0);
    must_write(fix, &write);
    write = move_of(&claims[0], JOB_HELD, CAUSE_QUOTA);
    write.next_at_ms = fix->now_ms + 1000;
    write.spent = BUCKET_UPLOADS;
    write.spent_limit = 100;
    write.pacific_day = DAY;
    must_write(fix, &write);
    struct seen seen = look(fix);
    assert_int_equal(seen.client.used, 100);
    assert_int_equal(seen.client.drift, 99);
    assert_int_equal(seen.channel.used, 1); /* what the channel itself has used */
    assert_int_equal(count_events(fix, NULL, "quota drift"), 1);
    write = charge_of(&claims[1], 100, 0);
    assert_int_equal(do_store_write(fix, &write), WRITE_QUOTA_FULL); /* without asking YouTube */
}

static void raised_limits_are_tried_at_once(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "JOB");
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = move_of(&claim, JOB_HELD, CAUSE_QUOTA);
    write.next_at_ms = fix->now_ms + 80000000;
    must_write(fix, &write);
    assert_string_equal(claim_one(fix, "w1").id.text, "");
    assert_ok(store_client_limits(fix->store, make_client(fix, "t"), 200, 20000, "tester", &fix->err), fix);
    assert_string_equal(claim_one(fix, "w1").id.text, claim.id.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_channel_begins_with_some_places),
        TEST(a_window_grows_with_success_and_never_counts_holds),
        TEST(l02_a_dead_channel_rests_is_probed_and_holds_up_nobody),
        TEST(a_closed_window_lets_cancels_and_videos_through),
        TEST(a_resting_channel_is_no_work_for_a_drain),
        TEST(a_tenant_has_no_more_leases_than_it_may),
        TEST(a_channel_may_have_a_limit_of_its_own),
        TEST(priority_goes_with_the_claim),
        TEST(h05_what_youtube_calls_spent_fills_the_ledger_and_is_kept_as_drift),
        TEST(raised_limits_are_tried_at_once),
    };
    return RUN_UNIT_TESTS(tests);
}
