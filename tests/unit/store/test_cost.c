/* What a claim costs in SQLite: which indexes it reads, and how much work it is. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "fixture.h"
#include "store/db_sqlite.h"

struct plan {
    sqlite3 *handle;
    int count;
    char *texts[256];
};

static int keep_sql(unsigned type, void *ctx, void *stmt, void *text)
{
    struct plan *plan = ctx;
    (void)text;
    if (type == SQLITE_TRACE_STMT && plan->count < 256)
        plan->texts[plan->count++] = sqlite3_expanded_sql(stmt);
    return 0;
}

/* The only whole walks are those of the jobs that are leased, which are as many as the workers have slots. */
static bool is_whole_walk(const char *line)
{
    bool is_scan = text_starts_with(line, "SCAN job") || text_starts_with(line, "SCAN j ");
    return is_scan && !strstr(line, "INDEX job_leased");
}

static void check_plan(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    char *explain = mem_printf("explain query plan %s", sql);
    if (sqlite3_prepare_v2(handle, explain, -1, &stmt, NULL) == SQLITE_OK)
        while (sqlite3_step(stmt) == SQLITE_ROW)
            if (is_whole_walk((const char *)sqlite3_column_text(stmt, 3)))
                fail_msg("%s: %s", sqlite3_column_text(stmt, 3), sql);
    sqlite3_finalize(stmt);
    mem_free(explain);
}

static void l01_no_statement_of_a_claim_walks_all_jobs(void **state)
{
    struct fixture *fix = *state;
    struct job_claim claims[4];
    int64_t limited = make_channel(fix, "t", "limited");
    add_many(fix, make_channel(fix, "t", "c"), "a", 4);
    add_many(fix, limited, "b", 4);
    struct job_claim stray = claim_one(fix, "dead");
    set_channel(fix, stray.channel_id, CHANNEL_PAUSED, 0);
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    struct plan plan = {.handle = ((struct db_sqlite *)fix->store->db)->handle};
    sqlite3_trace_v2(plan.handle, SQLITE_TRACE_STMT, keep_sql, &plan);
    assert_int_equal(claim_many(fix, "w1", 2, claims), 2);
    struct store_reach named = {.region = "eu", .tenants = "t", .per_channel_max = 3};
    claim_reach(fix, "w1", &named, 1, claims);
    struct job_id named_job = job_id("b000000");
    struct store_reach only = {.only_jobs = &named_job, .only_job_count = 1};
    claim_reach(fix, "w1", &only, 1, claims);
    sqlite3_trace_v2(plan.handle, 0, NULL, NULL);
    assert_true(plan.count > 20);
    for (int i = 0; i < plan.count; i++) {
        check_plan(plan.handle, plan.texts[i]);
        sqlite3_free(plan.texts[i]);
    }
}

static int ignore_queue(void *ctx, const struct store_queue *queue)
{
    (void)ctx;
    (void)queue;
    return 0;
}

static void l01_counting_the_queue_walks_no_finished_jobs(void **state)
{
    struct fixture *fix = *state;
    add_many(fix, make_channel(fix, "t", "c"), "a", 4);
    struct plan plan = {.handle = ((struct db_sqlite *)fix->store->db)->handle};
    sqlite3_trace_v2(plan.handle, SQLITE_TRACE_STMT, keep_sql, &plan);
    assert_ok(store_queue_list(fix->store, ignore_queue, NULL, &fix->err), fix);
    sqlite3_trace_v2(plan.handle, 0, NULL, NULL);
    assert_int_equal(plan.count, 1);
    check_plan(plan.handle, plan.texts[0]);
    sqlite3_free(plan.texts[0]);
}

static int count_step(void *ctx)
{
    ++*(long *)ctx;
    return 0;
}

/* Instructions of SQLite's machine for one claim: a measure of work that no other load on the machine
 * changes. */
static long cost_of_claim(struct fixture *fix)
{
    long steps = 0;
    sqlite3 *handle = ((struct db_sqlite *)fix->store->db)->handle;
    sqlite3_progress_handler(handle, 1, count_step, &steps);
    struct job_claim claim = claim_one(fix, "w1");
    sqlite3_progress_handler(handle, 0, NULL, NULL);
    struct job_write write = move_of(&claim, JOB_QUEUED, CAUSE_NONE);
    must_write(fix, &write);
    return steps;
}

static void l01_l02_a_claim_costs_the_same_however_many_jobs_wait(void **state)
{
    struct fixture *fix = *state;
    int64_t busy = make_channel(fix, "noisy", "busy"), dead = make_channel(fix, "t", "dead");
    int64_t quiet = make_channel(fix, "t", "quiet");
    add_many(fix, busy, "b1", 100);
    add_many(fix, dead, "d1", 100);
    add_many(fix, quiet, "q1", 100);
    set_channel(fix, dead, CHANNEL_AUTH, 0);
    cost_of_claim(fix); /* statements are prepared */
    cost_of_claim(fix);
    long before = cost_of_claim(fix);
    add_many(fix, busy, "b2", 5000);
    add_many(fix, dead, "d2", 5000); /* held from the beginning */
    long after = cost_of_claim(fix);
    if (after > before + before / 10)
        fail_msg("a claim took %ld steps with 300 jobs and %ld with 10300", before, after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(l01_no_statement_of_a_claim_walks_all_jobs),
        TEST(l01_counting_the_queue_walks_no_finished_jobs),
        TEST(l01_l02_a_claim_costs_the_same_however_many_jobs_wait),
    };
    return RUN_UNIT_TESTS(tests);
}
