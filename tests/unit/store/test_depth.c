/* How much there is to do, and how much of it could be done: what people, metrics and scalers are told. */
#include <string.h>

#include "fixture.h"

static int keep_depth(void *ctx, const struct store_depth *depth)
{
    struct store_depth *kept = ctx;
    if (depth->state == kept->state && depth->cause == kept->cause)
        *kept = *depth;
    return 0;
}

static void depth_is_counted_by_state_and_cause(void **state)
{
    struct fixture *fix = *state;
    int64_t c1 = make_channel(fix, "t", "c1"), c2 = make_channel(fix, "t", "c2");
    add_job(fix, c1, "A1");
    add_job(fix, c1, "A2");
    add_job(fix, c2, "A3");
    set_channel(fix, c2, CHANNEL_PAUSED, 0);
    struct store_depth queued = {.state = JOB_QUEUED},
                       paused = {.state = JOB_HELD, .cause = CAUSE_CHANNEL_PAUSED};
    assert_ok(store_depth_list(fix->store, keep_depth, &queued, &fix->err), fix);
    assert_ok(store_depth_list(fix->store, keep_depth, &paused, &fix->err), fix);
    assert_int_equal(queued.count, 2);
    assert_int_equal(queued.bytes, 2000);
    assert_string_equal(queued.channel, "c1");
    assert_int_equal(paused.count, 1);
    assert_string_equal(paused.channel, "c2");
}

struct kept_queues {
    struct store_queue items[8];
    int count;
};

static int keep_queue(void *ctx, const struct store_queue *queue)
{
    struct kept_queues *kept = ctx;
    assert_true(kept->count < 8);
    kept->items[kept->count++] = *queue;
    return 0;
}

static void assert_queue(const struct store_queue *queue, const char *tenant, const char *region,
                         enum job_state state, enum job_cause cause, uint64_t count)
{
    assert_string_equal(queue->tenant, tenant);
    assert_string_equal(queue->region, region);
    assert_int_equal(queue->state, state);
    assert_int_equal(queue->cause, cause);
    assert_int_equal(queue->count, count);
    assert_int_equal(queue->bytes, 1000 * count);
}

static void the_queue_is_counted_over_channels_without_what_is_done(void **state)
{
    struct fixture *fix = *state;
    struct kept_queues kept = {.count = 0};
    int64_t c1 = make_channel(fix, "a", "c1"), c2 = make_channel(fix, "a", "c2");
    struct store_job_new regional = new_job(c1, "A3");
    regional.region = "eu";
    add_job(fix, c1, "A1");
    struct job_claim done = claim_one(fix, "w1");
    move_to(fix, &done, JOB_COMPLETED, CAUSE_NONE);
    add_job(fix, c1, "A2");
    add(fix, &regional);
    add_job(fix, c2, "A4");
    add_job(fix, make_channel(fix, "b", "c"), "B1");
    set_channel(fix, c2, CHANNEL_PAUSED, 0);
    assert_ok(store_queue_list(fix->store, keep_queue, &kept, &fix->err), fix);
    assert_int_equal(kept.count, 4);
    assert_queue(&kept.items[0], "a", "", JOB_HELD, CAUSE_CHANNEL_PAUSED, 1);
    assert_queue(&kept.items[1], "a", "", JOB_QUEUED, CAUSE_NONE, 1);
    assert_queue(&kept.items[2], "a", "eu", JOB_QUEUED, CAUSE_NONE, 1);
    assert_queue(&kept.items[3], "b", "", JOB_QUEUED, CAUSE_NONE, 1);
}

static void the_backlog_tells_what_can_be_worked_off(void **state)
{
    struct fixture *fix = *state;
    int64_t c1 = make_channel(fix, "t", "c1"), c2 = make_channel(fix, "t", "c2");
    add_many(fix, c1, "A", 3);
    add_many(fix, c2, "B", 4);
    struct store_job_new new = new_job(c1, "EU");
    new.region = "eu";
    add(fix, &new);
    set_channel(fix, c2, CHANNEL_PAUSED, 0);
    struct job_claim claim = claim_one(fix, "w1");
    move_to(fix, &claim, JOB_FAILED, CAUSE_NONE);
    claim_one(fix, "w1");
    assert_int_equal(number(fix, "select runnable from sluice_backlog where region = ''"), 1);
    assert_int_equal(number(fix, "select runnable_bytes from sluice_backlog where region = ''"), 1000);
    assert_int_equal(number(fix, "select blocked from sluice_backlog where region = ''"), 4);
    assert_int_equal(number(fix, "select under_way from sluice_backlog where region = ''"), 1);
    assert_int_equal(number(fix, "select runnable from sluice_backlog where region = 'eu'"), 1);
    assert_int_equal(number(fix, "select under_way from sluice_backlog where region = 'eu'"), 0);
}

static void assert_backlog(struct fixture *fix, int64_t runnable, int64_t blocked, int64_t under_way)
{
    assert_int_equal(number(fix, "select runnable from sluice_backlog"), runnable);
    assert_int_equal(number(fix, "select blocked from sluice_backlog"), blocked);
    assert_int_equal(number(fix, "select under_way from sluice_backlog"), under_way);
}

/* More workers would not help a channel that takes nothing for a while. */
static void l02_jobs_of_a_channel_that_rests_are_no_work_for_more_workers(void **state)
{
    struct fixture *fix = *state;
    struct kept_queues kept = {.count = 0};
    int64_t good = make_channel(fix, "t", "good"), dead = make_channel(fix, "t", "dead");
    add_many(fix, good, "A", 2);
    add_many(fix, dead, "B", 5);
    assert_backlog(fix, 7, 0, 0);
    set_window(fix, dead, (struct window){.milliplaces = 0, .rest_until_ms = INT64_MAX});
    assert_backlog(fix, 2, 5, 0);
    assert_int_equal(number(fix, "select runnable_bytes from sluice_backlog"), 2000);
    assert_ok(store_queue_list(fix->store, keep_queue, &kept, &fix->err), fix);
    assert_int_equal(kept.count, 2);
    assert_queue(&kept.items[0], "t", "", JOB_QUEUED, CAUSE_NONE, 2);
    assert_queue(&kept.items[1], "t", "", JOB_QUEUED, CAUSE_NONE, 5);
    assert_true(!kept.items[0].rests && kept.items[1].rests);
    set_window(fix, dead, (struct window){.milliplaces = 0, .rest_until_ms = 1}); /* one may try */
    assert_backlog(fix, 3, 4, 0);
    assert_int_equal(claim_many(fix, "w1", 7, (struct job_claim[7]){{.tenant_id = 0}}), 3);
    assert_backlog(fix, 0, 4, 3);
    set_window(fix, dead, window_new());
    assert_backlog(fix, 4, 0, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(depth_is_counted_by_state_and_cause),
        TEST(the_backlog_tells_what_can_be_worked_off),
        TEST(l02_jobs_of_a_channel_that_rests_are_no_work_for_more_workers),
        TEST(the_queue_is_counted_over_channels_without_what_is_done),
    };
    return RUN_UNIT_TESTS(tests);
}
