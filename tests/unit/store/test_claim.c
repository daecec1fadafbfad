/* Who gets which job: order, turns, reach, and what it costs. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "fixture.h"

/* "ab c": the first letters of the ids that are claimed one after another. */
static void assert_order(struct fixture *fix, const char *expected)
{
    char order[64] = "";
    for (size_t i = 0; i < strlen(expected); i++)
        order[i] = claim_one(fix, "w1").id.text[0];
    assert_string_equal(order, expected);
    assert_string_equal(claim_one(fix, "w1").id.text, "");
}

/* ---- order ---- */

static void higher_priority_first_then_older_first(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    const int priorities[] = {0, 5, -3, 5, 0};
    for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
        char id[8];
        snprintf(id, sizeof(id), "%c1", (char)('a' + i));
        struct store_job_new job = new_job(channel, id);
        job.priority = priorities[i];
        add(fix, &job);
    }
    assert_order(fix, "bdaec");
}

static void channels_and_tenants_take_turns(void **state)
{
    struct fixture *fix = *state;
    /* Tenant A has two channels, B one: each tenant gets every second lease, each channel its share of it. */
    add_many(fix, make_channel(fix, "A", "a1"), "a", 4);
    add_many(fix, make_channel(fix, "A", "b1"), "b", 4);
    add_many(fix, make_channel(fix, "B", "c1"), "c", 4);
    assert_order(fix, "acbcacbcabab");
}

static void a_batch_is_as_fair_as_single_claims(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[6];
    add_many(fix, make_channel(fix, "A", "a1"), "a", 50);
    add_many(fix, make_channel(fix, "B", "b1"), "b", 50);
    add_many(fix, make_channel(fix, "C", "c1"), "c", 1);
    assert_int_equal(claim_many(fix, "w1", 6, claims), 6);
    char order[7] = "";
    for (int i = 0; i < 6; i++)
        order[i] = claims[i].id.text[0];
    assert_string_equal(order, "abcaba");
}

static void whoever_holds_less_goes_first(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[3], next;
    add_many(fix, make_channel(fix, "A", "a1"), "a", 10);
    assert_int_equal(claim_many(fix, "w1", 3, claims), 3);
    add_many(fix, make_channel(fix, "B", "b1"), "b", 10);
    for (int i = 0; i < 3; i++) {
        next = claim_one(fix, "w1");
        assert_int_equal(next.id.text[0], 'b'); /* until B holds as many */
    }
    next = claim_one(fix, "w1");
    assert_int_equal(next.id.text[0], 'a'); /* served least recently */
    fixture_reopen(fix);                    /* turns are remembered */
    next = claim_one(fix, "w1");
    assert_int_equal(next.id.text[0], 'b');
}

/* More channels than one claim looks at: the window moves on, so each one gets its turn. */
static void every_one_of_many_channels_is_served(void **state)
{
    struct fixture *fix = *state;
    enum { CHANNELS = 300, BATCH = 20 };
    struct job_claim claims[BATCH];
    assert_ok(store_begin(fix->store, &fix->err), fix);
    for (int i = 0; i < CHANNELS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        int64_t channel = make_channel(fix, "t", name);
        for (int n = 0; n < 2; n++) {
            snprintf(name, sizeof(name), "J%04d%d", i, n);
            add_job(fix, channel, name);
        }
    }
    assert_ok(store_commit(fix->store, &fix->err), fix);
    for (int i = 0; i < CHANNELS / BATCH; i++)
        assert_int_equal(claim_many(fix, "w1", BATCH, claims), BATCH);
    assert_int_equal(number(fix, "select count(distinct channel_id) from job where state = 'uploading'"),
                     CHANNELS);
}

/* The window that a claim looks at first has only channels that give nothing. */
static void channels_that_give_nothing_do_not_hide_the_others(void **state)
{
    struct fixture *fix = *state;
    enum { BLOCKED = 40 };
    struct window shut = {.milliplaces = 0, .rest_until_ms = INT64_MAX / 2};
    struct job_claim claims[4];
    for (int i = 0; i < BLOCKED; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%02d", i);
        int64_t channel = make_channel(fix, "t", name);
        add_many(fix, channel, name, 1);
        set_window(fix, channel, shut);
    }
    add_many(fix, make_channel(fix, "t", "open"), "o", 3);
    assert_int_equal(claim_many(fix, "w1", 4, claims), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(claims[i].id.text[0], 'o');
}

/* ---- reach ---- */

static void a_worker_gets_its_own_region_and_jobs_without_one(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    const char *regions[] = {"", "eu", "us"};
    for (size_t i = 0; i < ARRAY_LEN(regions); i++)
        for (int n = 0; n < 2; n++) {
            char id[8];
            snprintf(id, sizeof(id), "%c%d", regions[i][0] ? regions[i][0] : 'n', n);
            struct store_job_new job = new_job(channel, id);
            job.region = regions[i];
            job.priority = n; /* across regions, priority counts */
            add(fix, &job);
        }
    struct job_claim claims[8];
    struct store_reach reach = {.region = "eu", .tenants = ""};
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 4);
    assert_string_equal(claims[0].id.text, job_id("e1").text);
    assert_string_equal(claims[1].id.text, job_id("n1").text);
    reach.region = "";
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 0);
    reach.any_region = true;
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 2);
    assert_int_equal(claims[0].id.text[0], 'u');
}

static void a_worker_gets_jobs_of_its_tenants_only(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[8];
    add_many(fix, make_channel(fix, "a", "c"), "a", 2);
    add_many(fix, make_channel(fix, "ab", "c"), "x", 2);
    add_many(fix, make_channel(fix, "b", "c"), "b", 2);
    struct store_reach reach = {.tenants = "b,nobody,a"};
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 4);
    for (int i = 0; i < 4; i++)
        assert_int_not_equal(claims[i].id.text[0], 'x');
    struct store_backlog backlog;
    assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
    assert_int_equal(backlog.runnable, 0);
    assert_int_equal(backlog.leased, 4);
}

static void named_jobs_are_claimed_and_no_others(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[8];
    int64_t a = make_channel(fix, "t", "a"), b = make_channel(fix, "t", "b"), c = make_channel(fix, "u", "c");
    add_many(fix, a, "a", 2);
    add_many(fix, b, "b", 2);
    add_many(fix, c, "c", 2);
    struct store_reach all = {.any_region = true};
    struct store_backlog backlog;
    struct err err = {0};
    struct job_id only[] = {job_id("b000001"), job_id("none"), job_id("c000000")};
    struct store_reach reach = {.only_jobs = only, .only_job_count = 3};
    assert_int_equal(store_backlog(fix->store, &reach, &backlog, &err), 0);
    assert_int_equal(backlog.runnable, 2);
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 2);
    assert_string_equal(claims[0].id.text, only[0].text);
    assert_string_equal(claims[1].id.text, only[2].text);
    assert_int_equal(claim_reach(fix, "w2", &reach, 8, claims), 0); /* leased: not twice */
    assert_int_equal(store_backlog(fix->store, &reach, &backlog, &err), 0);
    assert_int_equal(backlog.runnable, 0);
    assert_int_equal(backlog.leased, 2);
    set_channel(fix, a, CHANNEL_PAUSED, 0);
    struct job_id held = job_id("a000000");
    struct store_reach of_paused = {.only_jobs = &held, .only_job_count = 1};
    assert_int_equal(claim_reach(fix, "w1", &of_paused, 8, claims), 0);
    assert_int_equal(claim_reach(fix, "w1", &all, 8, claims), 2); /* the others wait for their turn */
}

static void a_named_job_of_a_dead_worker_follows_its_channel(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claim;
    struct store_backlog backlog;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_id only = add_job(fix, channel, "a");
    struct store_reach reach = {.only_jobs = &only, .only_job_count = 1};
    assert_int_equal(claim_reach(fix, "dead", &reach, 1, &claim), 1);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    assert_int_equal(claim_reach(fix, "w2", &reach, 1, &claim), 0);
    assert_int_equal(cause_of(fix, only), CAUSE_CHANNEL_PAUSED);
    assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
    assert_int_equal(backlog.runnable + backlog.leased, 0); /* whoever drains can leave */
}

static void a_channel_has_at_most_its_share_of_leases(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[8];
    add_many(fix, make_channel(fix, "t", "a"), "a", 5);
    add_many(fix, make_channel(fix, "t", "b"), "b", 1);
    struct store_reach reach = {.any_region = true, .per_channel_max = 2};
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 3);
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 0);
    /* A lease that ran out is no lease: its job is what is to be taken over. */
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    assert_int_equal(claim_reach(fix, "w2", &reach, 8, claims), 3);
}

/* ---- what is claimable ---- */

static void timed_jobs_come_when_their_time_comes(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "a", 4);
    struct job_claim claims[4];
    assert_int_equal(claim_many(fix, "w1", 4, claims), 4);
    struct job_write write = move_of(&claims[0], JOB_WAITING, CAUSE_NONE);
    write.next_at_ms = fix->now_ms + 1000;
    must_write(fix, &write);
    write = move_of(&claims[1], JOB_HELD, CAUSE_QUOTA);
    write.next_at_ms = fix->now_ms + 2000;
    must_write(fix, &write);
    move_to(fix, &claims[2], JOB_HELD, CAUSE_SOURCE_CHANGED);
    move_to(fix, &claims[3], JOB_FINISHING, CAUSE_NONE);
    write = write_of(&claims[3]);
    write.set_state = write.release_lease = true;
    write.state = JOB_FINISHING;
    write.next_at_ms = fix->now_ms + 3000;
    must_write(fix, &write);
    struct store_backlog backlog;
    struct store_reach reach = {.any_region = true};
    assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
    assert_int_equal(backlog.runnable + backlog.leased, 0);
    assert_int_equal(backlog.next_at_ms, fix->now_ms + 1000);
    for (int i = 0; i < 4; i++) {
        struct job_claim claim = claim_one(fix, "w2");
        static const int due[] = {-1, 0, 1, 3};
        assert_string_equal(claim.id.text, due[i] < 0 ? "" : claims[due[i]].id.text);
        if (due[i] >= 0)
            assert_int_equal(claim.state, due[i] == 3 ? JOB_FINISHING : JOB_UPLOADING);
        fix->now_ms += 1000;
    }
    assert_string_equal(claim_one(fix, "w2").id.text, "");
    assert_int_equal(cause_of(fix, claims[2].id), CAUSE_SOURCE_CHANGED);
}

static int64_t ticking_now(void *ctx)
{
    return ++((struct fixture *)ctx)->now_ms;
}

/* Each look at the clock is later than the one before: at no moment is a job neither leased nor runnable. */
static void a_lease_that_runs_out_meanwhile_is_in_the_backlog(void **state)
{
    struct fixture *fix = *state;
    struct store_backlog backlog;
    struct store_reach reach = {.any_region = true};
    if (fix->postgres)
        skip(); /* a statement has one time there */
    add_many(fix, make_channel(fix, "t", "c"), "a", 1);
    claim_one(fix, "dead");
    int64_t end_ms = fix->now_ms + LEASE_MS + TAKEOVER_DELAY_MS;
    store_set_clock(fix->store, ticking_now, fix);
    for (int before = 20; before >= -3; before--) {
        fix->now_ms = end_ms - before;
        assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
        assert_true(backlog.leased + backlog.runnable > 0);
    }
}

static void a_job_whose_video_exists_is_finished_whatever_its_channel(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "a", 2);
    struct job_claim claims[2];
    assert_int_equal(claim_many(fix, "w1", 2, claims), 2);
    move_to(fix, &claims[0], JOB_FINISHING, CAUSE_NONE);
    struct job_write write = write_of(&claims[0]);
    write.release_lease = true;
    must_write(fix, &write);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    struct job_claim claim = claim_one(fix, "w2");
    assert_string_equal(claim.id.text, claims[0].id.text);
    assert_int_equal(claim.state, JOB_FINISHING);
    assert_string_equal(claim.video_id, "va000000000");
    /* Held for its steps: freed to its steps. */
    move_to(fix, &claim, JOB_HELD, CAUSE_CHANNEL_AUTH);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_int_equal(state_of(fix, claim.id), JOB_FINISHING);
}

static void twins_are_counted(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), other = make_channel(fix, "t", "d");
    const char *titles[] = {"same", "same", "same", "else", "same"};
    for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
        char id[8];
        snprintf(id, sizeof(id), "%c1", (char)('a' + i));
        struct store_job_new job = new_job(i == 4 ? other : channel, id);
        job.title = titles[i];
        job.priority = -(int)i;
        add(fix, &job);
    }
    set_channel(fix, other, CHANNEL_PAUSED, 0);
    struct store_reach reach = {.any_region = true};
    struct job_claim claim;
    assert_int_equal(claim_reach(fix, "w1", &reach, 1, &claim), 1);
    assert_int_equal(claim.twin_count, 2);
    move_to(fix, &claim, JOB_FAILED, CAUSE_NONE);
    assert_int_equal(claim_reach(fix, "w1", &reach, 1, &claim), 1);
    assert_int_equal(claim.twin_count, 1);
    move_to(fix, &claim, JOB_COMPLETED, CAUSE_NONE);
    assert_int_equal(claim_reach(fix, "w1", &reach, 1, &claim), 1);
    assert_int_equal(claim.twin_count, 1); /* its video is there */
}

static void x07_two_handles_never_claim_the_same_job(void **state)
{
    struct fixture *fix = *state;
    add_many(fix, make_channel(fix, "t", "c"), "a", 40);
    struct store *first = fix->store, *second = fixture_open_another(fix);
    for (int i = 0; i < 40; i++) {
        fix->store = i % 2 ? second : first;
        struct job_claim claim = claim_one(fix, i % 2 ? "w2" : "w1");
        assert_int_equal(claim.lease_epoch, 1);
    }
    fix->store = first;
    store_close(second);
    assert_int_equal(number(fix, "select count(*) from job where lease_epoch = 1 and state = 'uploading'"),
                     40);
}

/* In a process of its own: claims until nothing is left, and exits with the number of jobs it got. */
static void claim_all_and_exit(struct fixture *fix, const char *worker)
{
    int total = 0;
    struct job_claim claim;
    if (store_open(fix->url, STORE_USE, &fix->store, &fix->err) != 0)
        _exit(255);
    while (claim = claim_one(fix, worker), claim.id.text[0]) {
        struct job_write write = write_of(&claim);
        write.set_session = true;
        must_write(fix, &write);
        total++;
    }
    _exit(total);
}

static void x07_processes_claim_at_once(void **state)
{
    struct fixture *fix = *state;
    enum { PROCESSES = 3, JOBS = 60 };
    pid_t children[PROCESSES];
    add_many(fix, make_channel(fix, "t", "c"), "a", JOBS);
    store_close(fix->store);
    fix->store = NULL;
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            claim_all_and_exit(fix, i == 0 ? "w0" : i == 1 ? "w1" : "w2");
    }
    int total = 0, status;
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        total += WEXITSTATUS(status);
    }
    assert_int_equal(total, JOBS);
    assert_int_equal(number(fix, "select count(*) from job where lease_epoch = 1 and state = 'uploading'"),
                     JOBS);
    assert_int_equal(number(fix, "select count(*) from event where what = 'claimed'"), JOBS);
}

/* ---- many ---- */

/* A whole quota day's holds end at once: a claim does a bounded part of them, and none is forgotten. */
static void l04_many_holds_that_end_at_once_are_worked_off(void **state)
{
    struct fixture *fix = *state;
    enum { JOBS = 800 };
    char message[256];
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "a", JOBS);
    char sql[128];
    snprintf(sql, sizeof(sql), "update job set state = 'held', cause = 'quota', next_at_ms = %lld",
             (long long)fix->now_ms + 1000);
    assert_int_equal(run_sql(fix, sql, message), 0);
    assert_string_equal(claim_one(fix, "w1").id.text, "");
    fix->now_ms += 1000;
    static struct job_claim claims[CLAIM_BATCH_MAX];
    uint32_t total = 0, count;
    while ((count = claim_many(fix, "w1", CLAIM_BATCH_MAX, claims)) > 0)
        total += count;
    assert_int_equal(total, JOBS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(higher_priority_first_then_older_first),
        TEST(channels_and_tenants_take_turns),
        TEST(a_batch_is_as_fair_as_single_claims),
        TEST(whoever_holds_less_goes_first),
        TEST(every_one_of_many_channels_is_served),
        TEST(channels_that_give_nothing_do_not_hide_the_others),
        TEST(a_worker_gets_its_own_region_and_jobs_without_one),
        TEST(a_worker_gets_jobs_of_its_tenants_only),
        TEST(named_jobs_are_claimed_and_no_others),
        TEST(a_named_job_of_a_dead_worker_follows_its_channel),
        TEST(a_channel_has_at_most_its_share_of_leases),
        TEST(timed_jobs_come_when_their_time_comes),
        TEST(a_lease_that_runs_out_meanwhile_is_in_the_backlog),
        TEST(a_job_whose_video_exists_is_finished_whatever_its_channel),
        TEST(twins_are_counted),
        TEST(x07_two_handles_never_claim_the_same_job),
        TEST(x07_processes_claim_at_once),
        TEST(l04_many_holds_that_end_at_once_are_worked_off),
    };
    return RUN_UNIT_TESTS(tests);
}
