/* A server that ends, hangs, is full or cannot be written to, and connections that are cut. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "cutter.h"
#include "fixture.h"
#include "postgres.h"

static void assert_contains(const struct fixture *fix, const char *text)
{
    if (!strstr(fix->err.message, text))
        fail_msg("\"%s\" is not in \"%s\"", text, fix->err.message);
}

/* The server process of the store's own connection. */
static pid_t backend_of(struct store *store)
{
    int64_t pid = 0;
    struct err err;
    assert_int_equal(db_number(store->db, "select pg_backend_pid()", DB_NO_ARGS, &pid, &err), 1);
    return (pid_t)pid;
}

static void terminate(struct fixture *fix, pid_t backend)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 5000)", (int)backend);
    assert_int_equal(number(fix, sql), 1);
}

static int try_add(struct fixture *fix, int64_t channel, const char *id)
{
    struct job_id ret;
    bool existed;
    struct store_job_new job = new_job(channel, id);
    return store_job_add(fix->store, &job, &ret, &existed, &fix->err);
}

/* A worker's write that counts: an attempt, a charge and an audit line. */
static int try_write(struct fixture *fix, const struct job_claim *claim, enum write_result *ret_result)
{
    struct job_write write = write_of(claim);
    write.charge = BUCKET_UPLOADS;
    write.charge_amount = 1;
    write.charge_limit = 100;
    write.count_attempt = write.set_session = true;
    snprintf(write.note.what, sizeof(write.note.what), "counted");
    struct blob sealed = {.data = "sealed", .len = 6};
    return store_write(fix->store, "w1", &write, sealed, ret_result, &fix->err);
}

static void assert_counted(struct fixture *fix, int64_t times)
{
    assert_int_equal(number(fix, "select coalesce(sum(used), 0) from quota"), times);
    assert_int_equal(number(fix, "select count(*) from event where what = 'counted'"), times);
    assert_int_equal(number(fix, "select sum(upload_attempts) from upload"), times);
}

/* ---- D11, D01: connections that end ---- */

static void d11_d01_a_connection_that_ended_is_made_anew(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), now;
    terminate(fix, backend_of(fix->store));
    assert_ok(try_add(fix, channel, "JOB1"), fix);
    terminate(fix, backend_of(fix->store));
    assert_ok(store_now(fix->store, &now, &fix->err), fix);
}

static void d11_d01_a_connection_that_ends_inside_takes_its_transaction_with_it(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), now;
    assert_ok(store_begin(fix->store, &fix->err), fix);
    assert_ok(try_add(fix, channel, "JOB1"), fix);
    terminate(fix, backend_of(fix->store));
    assert_code(try_add(fix, channel, "JOB2"), ERR_STORE);
    assert_code(try_add(fix, channel, "JOB3"), ERR_STORE); /* never on another connection */
    assert_code(store_now(fix->store, &now, &fix->err), ERR_STORE);
    assert_code(store_commit(fix->store, &fix->err), ERR_STORE);
    assert_int_equal(number(fix, "select count(*) from job"), 0);
    assert_ok(try_add(fix, channel, "JOB4"), fix);
}

/* Statements that the session kept: it is another one behind a pooler that shows itself as the server. */
static void d11_statements_that_the_server_has_forgotten_are_repeated(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    for (int i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof(id), "WARM%d", i);
        assert_ok(try_add(fix, channel, id), fix);
    }
    assert_ok(db_script(fix->store->db, "deallocate all", &fix->err), fix);
    assert_ok(try_add(fix, channel, "JOB1"), fix);
    fixture_reopen(fix);
    for (int i = 4; i < 8; i++) {
        char id[8];
        snprintf(id, sizeof(id), "WARM%d", i);
        assert_ok(try_add(fix, channel, id), fix);
    }
    assert_ok(db_script(fix->store->db, "deallocate all", &fix->err), fix);
    assert_ok(store_begin(fix->store, &fix->err), fix);
    assert_code(try_add(fix, channel, "JOB2"), ERR_BUSY);
    assert_true(store_was_conflict(fix->store)); /* the group is repeated as a whole */
    store_rollback(fix->store);
    assert_ok(try_add(fix, channel, "JOB2"), fix);
    assert_int_equal(number(fix, "select count(*) from job"), 10);
}

static void x02_d11_a_transaction_that_is_left_alone_frees_its_locks(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct store *other = fixture_open_another(fix), *first = fix->store;
    store_set_busy_wait(first, 100); /* so is how long the server lets it be idle */
    assert_ok(store_begin(first, &fix->err), fix);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    fix->store = other; /* waits for the channel until the server has ended the first */
    assert_ok(try_add(fix, channel, "JOB1"), fix);
    fix->store = first;
    assert_code(try_add(fix, channel, "JOB2"), ERR_STORE);
    store_rollback(first);
    assert_ok(try_add(fix, channel, "JOB2"), fix);
    assert_int_equal(number(fix, "select count(*) from job where state = 'queued'"), 2);
    store_close(other);
}

static void d07_a_server_that_hangs_is_waited_for_and_left(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    pid_t backend = backend_of(fix->store);
    store_set_busy_wait(fix->store, 100);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    assert_code(try_add(fix, channel, "JOB1"), ERR_STORE);
    assert_contains(fix, "has not answered");
    store_set_busy_wait(fix->store, 5000);
    assert_ok(try_add(fix, channel, "JOB1"), fix); /* another connection */
    assert_int_equal(kill(backend, SIGCONT), 0);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
}

/* ---- D01: commits whose answer is lost ---- */

struct doubt {
    struct fixture *fix;
    struct cutter cutter;
    struct job_claim claim;
};

static void begin_doubt(struct doubt *doubt, struct fixture *fix)
{
    char server[100], url[512];
    *doubt = (struct doubt){.fix = fix};
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    doubt->claim = claim_one(fix, "w1");
    store_close(fix->store);
    PGresult *result = PQexec(fix->postgres->side, "show unix_socket_directories");
    snprintf(server, sizeof(server), "%s/.s.PGSQL.5432", PQgetvalue(result, 0, 0));
    PQclear(result);
    pid_t postmaster =
        (pid_t)number(fix, "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::bigint");
    doubt->cutter = cutter_start(fix->dir, server, postmaster);
    snprintf(url, sizeof(url), "postgresql:///%s?host=%s&user=postgres", fix->postgres->database, fix->dir);
    assert_ok(store_open(url, STORE_USE, &fix->store, &fix->err), fix);
    fixture_set_clock(fix, fix->store);
}

static void end_doubt(struct doubt *doubt)
{
    cutter_stop(&doubt->cutter);
}

/* The store's connection is back when the server is; the test's own is not. */
static void reconnect_side(struct fixture *fix)
{
    for (int tries = 0; tries < 100; tries++) {
        PQreset(fix->postgres->side);
        PQreset(fix->postgres->admin);
        if (PQstatus(fix->postgres->side) == CONNECTION_OK && PQstatus(fix->postgres->admin) == CONNECTION_OK)
            return;
        usleep(50000);
    }
    fail_msg("the server does not come back");
}

static void d01_a_commit_that_was_made_is_found_to_be(void **state)
{
    struct doubt doubt;
    enum write_result result;
    begin_doubt(&doubt, *state);
    *doubt.cutter.order = CUT_ANSWER;
    assert_ok(try_write(doubt.fix, &doubt.claim, &result), doubt.fix);
    assert_int_equal(result, WRITE_OK);
    assert_int_equal(*doubt.cutter.order, CUT_NOTHING);
    assert_counted(doubt.fix, 1);
    /* The same for a group. */
    assert_ok(store_begin(doubt.fix->store, &doubt.fix->err), doubt.fix);
    assert_ok(try_write(doubt.fix, &doubt.claim, &result), doubt.fix);
    *doubt.cutter.order = CUT_ANSWER;
    assert_ok(store_commit(doubt.fix->store, &doubt.fix->err), doubt.fix);
    assert_counted(doubt.fix, 2);
    end_doubt(&doubt);
}

static void d01_a_commit_that_was_not_made_is_an_error_and_repeated(void **state)
{
    struct doubt doubt;
    enum write_result result;
    begin_doubt(&doubt, *state);
    *doubt.cutter.order = CUT_COMMIT;
    assert_code(try_write(doubt.fix, &doubt.claim, &result), ERR_STORE);
    assert_int_equal(result, WRITE_FAILED);
    assert_int_equal(*doubt.cutter.order, CUT_NOTHING);
    assert_counted(doubt.fix, 0);
    assert_ok(try_write(doubt.fix, &doubt.claim, &result), doubt.fix);
    assert_counted(doubt.fix, 1);
    end_doubt(&doubt);
}

static void d01_a_server_that_dies_at_a_commit_is_asked_when_it_is_back(void **state)
{
    struct doubt doubt;
    enum write_result result;
    begin_doubt(&doubt, *state);
    *doubt.cutter.order = CUT_ANSWER_AND_END;
    assert_ok(try_write(doubt.fix, &doubt.claim, &result), doubt.fix);
    reconnect_side(doubt.fix);
    assert_counted(doubt.fix, 1);
    end_doubt(&doubt);
}

/* Nobody can be asked: the worker repeats its write, which ends the same; what adds up may say more. */
static void d01_a_write_that_is_repeated_ends_the_same(void **state)
{
    struct doubt doubt;
    enum write_result result;
    struct fixture *fix = *state;
    begin_doubt(&doubt, fix);
    store_set_busy_wait(fix->store, 200);
    *doubt.cutter.order = CUT_ANSWER_AND_ALL;
    assert_code(try_write(fix, &doubt.claim, &result), ERR_STORE);
    assert_int_equal(result, WRITE_FAILED);
    assert_contains(fix, "not known");
    *doubt.cutter.order = CUT_NOTHING;
    assert_ok(try_write(fix, &doubt.claim, &result), fix);
    assert_int_equal(result, WRITE_OK);
    assert_true(number(fix, "select sum(used) from quota") >= 1);
    assert_true(get_job(fix, doubt.claim.id).has_session);
    /* One that gives the lease back: the second finds that it is gone, which is the truth. */
    struct job_write write = move_of(&doubt.claim, JOB_FAILED, CAUSE_NONE);
    must_write(fix, &write);
    assert_int_equal(do_store_write(fix, &write), WRITE_LEASE_LOST);
    assert_int_equal(state_of(fix, doubt.claim.id), JOB_FAILED);
    end_doubt(&doubt);
}

/* ---- D02 ---- */

static void d02_a_lock_that_is_held_too_long_is_busy(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    store_set_busy_wait(fix->store, 50);
    postgres_must(fix->postgres->side, "begin; select 1 from channel for update");
    assert_code(try_add(fix, channel, "JOB1"), ERR_BUSY);
    assert_true(store_was_conflict(fix->store));
    postgres_must(fix->postgres->side, "rollback");
    assert_ok(try_add(fix, channel, "JOB1"), fix);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
}

/* ---- D03: a database that has lost the last commits ---- */

static void d03_a_row_that_went_back_lets_no_old_lease_write(void **state)
{
    struct fixture *fix = *state;
    char sql[256], url[512], restored[64];
    enum write_result result;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    snprintf(restored, sizeof(restored), "%s_old", fix->postgres->database);
    store_close(fix->store);
    fix->store = NULL;
    PQfinish(fix->postgres->side);
    snprintf(sql, sizeof(sql), "create database %s template %s", restored, fix->postgres->database);
    postgres_must(fix->postgres->admin, sql);
    fix->postgres->side = postgres_connection(fix->postgres->database);
    fixture_reopen(fix);
    struct job_claim claim = claim_one(fix, "w1");
    store_close(fix->store);
    fix->store = NULL;
    postgres_url(url, "STORE_TEST_URL", restored);
    assert_ok(store_open(url, STORE_USE, &fix->store, &fix->err), fix);
    assert_ok(try_write(fix, &claim, &result), fix);
    assert_int_equal(result, WRITE_LEASE_LOST);
    assert_int_equal(state_of(fix, claim.id), JOB_QUEUED);
    store_close(fix->store);
    snprintf(sql, sizeof(sql), "drop database %s with (force)", restored);
    postgres_must(fix->postgres->admin, sql);
    fix->store = NULL;
}

/* ---- D04 ---- */

static void set_read_only(struct fixture *fix, bool is_read_only)
{
    postgres_must(fix->postgres->admin, is_read_only ? "alter system set default_transaction_read_only = on"
                                                     : "alter system reset default_transaction_read_only");
    postgres_must(fix->postgres->admin, "select pg_reload_conf()");
    const char *wanted = is_read_only ? "on" : "off";
    for (int tries = 0; tries < 200; tries++) {
        PGresult *result = PQexec(fix->postgres->side, "show default_transaction_read_only");
        bool is_there = strcmp(PQgetvalue(result, 0, 0), wanted) == 0;
        PQclear(result);
        if (is_there)
            return;
        usleep(10000);
    }
    fail_msg("the server does not take its configuration");
}

static void d04_a_database_that_can_only_be_read_is_left(void **state)
{
    struct fixture *fix = *state;
    struct store *store = NULL;
    int64_t channel = make_channel(fix, "t", "c");
    set_read_only(fix, true);
    usleep(100000);
    int rc = try_add(fix, channel, "JOB1");
    struct err first = fix->err;
    int again = try_add(fix, channel, "JOB1"); /* looks for another, which there is not */
    int opened = store_open(fix->url, STORE_USE, &store, &fix->err);
    postgres_must(fix->postgres->admin, "set transaction_read_only = off");
    set_read_only(fix, false);
    assert_int_equal(rc, ERR_STORE);
    assert_non_null(strstr(first.message, "can only be read"));
    assert_int_equal(again, ERR_STORE);
    assert_int_equal(opened, ERR_STORE);
    assert_ok(try_add(fix, channel, "JOB1"), fix);
}

static void d04_hosts_are_tried_one_after_another(void **state)
{
    struct fixture *fix = *state;
    struct store *store;
    char url[512];
    PGresult *result = PQexec(fix->postgres->side, "show unix_socket_directories");
    snprintf(url, sizeof(url), "postgresql:///%s?host=127.0.0.1,%s&port=1,5432&user=postgres",
             fix->postgres->database, PQgetvalue(result, 0, 0));
    PQclear(result);
    assert_ok(store_open(url, STORE_USE, &store, &fix->err), fix);
    store_close(store);
}

/* The server gives up the first `times` transactions that add a job: what a sequence counts outlives them. */
static void refuse_adds(struct fixture *fix, const char *code, int times)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "drop sequence if exists refusal cascade; create sequence refusal;"
             "create or replace function refuse_add() returns trigger language plpgsql as $$ begin"
             " if nextval('refusal') <= %d then raise exception using errcode = '%s', message = 'in the way';"
             " end if; return new; end $$;"
             "create or replace trigger refuse_add before insert on job for each row execute function "
             "refuse_add()",
             times, code);
    postgres_must(fix->postgres->side, sql);
}

static void d02_a_transaction_that_was_in_the_way_is_repeated_and_not_for_ever(void **state)
{
    struct fixture *fix = *state;
    static const char *const codes[] = {"40001", "40P01", "55P03"};
    int64_t channel = make_channel(fix, "t", "c");
    fix->postgres->is_spoilt = true;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char id[16];
        snprintf(id, sizeof(id), "JOB%zu", i);
        refuse_adds(fix, codes[i], 2);
        assert_ok(try_add(fix, channel, id), fix);
        assert_int_equal(number(fix, "select last_value from refusal"), 3);
        refuse_adds(fix, codes[i], 1000);
        assert_int_equal(try_add(fix, channel, "NEVER"), ERR_BUSY);
        assert_true(store_was_conflict(fix->store));
        assert_int_equal(number(fix, "select last_value from refusal"), 4);
    }
    refuse_adds(fix, "23514", 1000); /* no repetition makes that good */
    assert_true(try_add(fix, channel, "NEVER") < 0);
    assert_int_equal(number(fix, "select last_value from refusal"), 1);
    assert_int_equal(number(fix, "select count(*) from job"), ARRAY_LEN(codes));
    assert_int_equal(number(fix, "select count(*) from event where what = 'job added'"), ARRAY_LEN(codes));
}

/* ---- D05 ---- */

static void d05_disk_full_keeps_nothing_half(void **state)
{
    struct fixture *fix = *state;
    if (number(fix, "select count(*) from pg_tablespace where spcname = 'small'") == 0)
        skip();
    char sql[128];
    int64_t channel = make_channel(fix, "t", "c");
    store_close(fix->store);
    fix->store = NULL;
    PQfinish(fix->postgres->side);
    snprintf(sql, sizeof(sql), "alter database %s set tablespace small", fix->postgres->database);
    postgres_must(fix->postgres->admin, sql);
    fix->postgres->is_spoilt = true;
    fix->postgres->side = postgres_connection(fix->postgres->database);
    fixture_reopen(fix);
    postgres_must(fix->postgres->side, "create table ballast (x text) with (autovacuum_enabled = off)");
    PGresult *result = NULL;
    do {
        PQclear(result);
        result = PQexec(fix->postgres->side,
                        "insert into ballast select repeat('x', 1000) from generate_series(1, 200)");
    } while (PQresultStatus(result) == PGRES_COMMAND_OK);
    PQclear(result);
    int n = 0, rc = 0;
    char id[16];
    for (; rc == 0 && n < 5000; n += rc == 0) {
        snprintf(id, sizeof(id), "FULL%04d", n);
        rc = try_add(fix, channel, id);
    }
    assert_int_equal(rc, ERR_STORE);
    assert_contains(fix, "disk is full");
    assert_int_equal(number(fix, "select count(*) from job"), n);
    assert_int_equal(number(fix, "select count(*) from upload"), n);
    assert_int_equal(number(fix, "select count(*) from event where what = 'job added'"), n);
    postgres_must(fix->postgres->side, "drop table ballast");
    assert_ok(try_add(fix, channel, id), fix);
    assert_ok(store_verify(fix->store, &fix->err), fix);
}

/* ---- D06 ---- */

static void d06_no_connection_left_says_so(void **state)
{
    struct fixture *fix = *state;
    enum { MANY = 120 };
    PGconn *conns[MANY];
    char url[512];
    struct store *store = NULL;
    int count = 0, rc = 0;
    postgres_url(url, "STORE_TEST_ADMIN_URL", "postgres");
    do
        conns[count] = PQconnectdb(url);
    while (PQstatus(conns[count++]) == CONNECTION_OK && count < MANY);
    rc = store_open(fix->url, STORE_USE, &store, &fix->err);
    while (count > 0)
        PQfinish(conns[--count]);
    assert_int_equal(rc, ERR_STORE);
    assert_contains(fix, "no connection left");
    assert_ok(store_open(fix->url, STORE_USE, &store, &fix->err), fix);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(d11_d01_a_connection_that_ended_is_made_anew),
        TEST(d11_d01_a_connection_that_ends_inside_takes_its_transaction_with_it),
        TEST(d11_statements_that_the_server_has_forgotten_are_repeated),
        TEST(x02_d11_a_transaction_that_is_left_alone_frees_its_locks),
        TEST(d07_a_server_that_hangs_is_waited_for_and_left),
        TEST(d01_a_commit_that_was_made_is_found_to_be),
        TEST(d01_a_commit_that_was_not_made_is_an_error_and_repeated),
        TEST(d01_a_server_that_dies_at_a_commit_is_asked_when_it_is_back),
        TEST(d01_a_write_that_is_repeated_ends_the_same),
        TEST(d02_a_transaction_that_was_in_the_way_is_repeated_and_not_for_ever),
        TEST(d02_a_lock_that_is_held_too_long_is_busy),
        TEST(d03_a_row_that_went_back_lets_no_old_lease_write),
        TEST(d04_a_database_that_can_only_be_read_is_left),
        TEST(d04_hosts_are_tried_one_after_another),
        TEST(d05_disk_full_keeps_nothing_half),
        TEST(d06_no_connection_left_says_so),
    };
    return RUN_UNIT_TESTS(tests);
}
