/* Workers are told that a job became claimable (D12); they are told nothing where that cannot be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "postgres.h"
#include "store/watch.h"

enum { SOON_MS = 5000, NEVER_MS = 50 };

static const struct store_reach everywhere = {.any_region = true};

static struct store_watch *watch_from(struct fixture *fix, const struct store_reach *reach)
{
    struct store_watch *watch = NULL;
    assert_ok(store_watch_open(fix->url, reach, &watch, &fix->err), fix);
    return watch;
}

static int wait_for_news(struct fixture *fix, struct store_watch *watch, int timeout_ms)
{
    return store_watch_wait(watch, -1, timeout_ms, &fix->err);
}

static bool tells_nothing(struct fixture *fix)
{
    return !fix->postgres || getenv("STORE_TEST_BOUNCER");
}

static void a_store_that_tells_nothing_says_so(void **state)
{
    struct fixture *fix = *state;
    struct store_watch *watch = watch_from(fix, &everywhere);
    assert_int_equal(watch == NULL, tells_nothing(fix));
    store_watch_close(watch);
}

static void what_becomes_claimable_is_told(void **state)
{
    struct fixture *fix = *state;
    bool done;
    if (tells_nothing(fix))
        skip();
    int64_t channel = make_channel(fix, "t", "c");
    struct store_watch *watch = watch_from(fix, &everywhere);
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    add_job(fix, channel, "JOB1");
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    add_job(fix, channel, "JOB2"); /* held */
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    struct job_claim claim = claim_one(fix, "w1");
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    struct job_write write = write_of(&claim);
    write.set_session = true;
    must_write(fix, &write);
    write = move_of(&claim, JOB_WAITING, CAUSE_NONE);
    write.next_at_ms = fix->now_ms + 1000;
    must_write(fix, &write);
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    assert_ok(store_job_cancel(fix->store, claim.id, "tester", &done, &fix->err), fix);
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    store_watch_close(watch);
}

static void a_transaction_tells_once_and_only_if_it_is_committed(void **state)
{
    struct fixture *fix = *state;
    if (tells_nothing(fix))
        skip();
    int64_t channel = make_channel(fix, "t", "c");
    struct store_watch *watch = watch_from(fix, &everywhere);
    assert_ok(store_begin(fix->store, &fix->err), fix);
    add_job(fix, channel, "JOB1");
    store_rollback(fix->store);
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    add_many(fix, channel, "JOB", 100);
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    store_watch_close(watch);
}

static void news_of_another_region_or_store_is_none(void **state)
{
    struct fixture *fix = *state;
    if (tells_nothing(fix))
        skip();
    struct store_reach eu = {.region = "eu"};
    int64_t channel = make_channel(fix, "t", "c");
    struct store_watch *watch = watch_from(fix, &eu);
    struct store_job_new new = new_job(channel, "US");
    new.region = "us";
    add(fix, &new);
    postgres_must(fix->postgres->side, "select pg_notify('sluice', 'another '), pg_notify('sluice', '')");
    assert_int_equal(wait_for_news(fix, watch, NEVER_MS), 0);
    new = new_job(channel, "EU");
    new.region = "eu";
    add(fix, &new);
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    add_job(fix, channel, "ANYWHERE");
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    store_watch_close(watch);
}

static void d12_a_lost_watch_says_so_and_can_be_told_to_stop(void **state)
{
    struct fixture *fix = *state;
    int stop[2];
    if (tells_nothing(fix))
        skip();
    struct store_watch *watch = watch_from(fix, &everywhere);
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "x", 1), 1);
    assert_int_equal(store_watch_wait(watch, stop[0], SOON_MS, &fix->err), 0);
    assert_true(number(fix, "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
                            " where datname = current_database() and query = 'listen sluice'") > 0);
    assert_code(wait_for_news(fix, watch, SOON_MS), ERR_STORE);
    store_watch_close(watch);
    watch = watch_from(fix, &everywhere);
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    assert_int_equal(wait_for_news(fix, watch, SOON_MS), 1);
    store_watch_close(watch);
    close(stop[0]);
    close(stop[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_that_tells_nothing_says_so),
        TEST(what_becomes_claimable_is_told),
        TEST(a_transaction_tells_once_and_only_if_it_is_committed),
        TEST(news_of_another_region_or_store_is_none),
        TEST(d12_a_lost_watch_says_so_and_can_be_told_to_stop),
    };
    return RUN_UNIT_TESTS(tests);
}
