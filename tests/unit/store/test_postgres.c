/* The database on a server: made, found, refused; versions; what is never told. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "postgres.h"
#include "store/schema.h"

static int open_as(struct fixture *fix, const char *url, enum store_mode mode)
{
    struct store *store = NULL;
    fix->err = (struct err){.code = 0};
    int rc = store_open(url, mode, &store, &fix->err);
    store_close(store);
    return rc;
}

static void assert_contains(const struct fixture *fix, const char *text)
{
    if (!strstr(fix->err.message, text))
        fail_msg("\"%s\" is not in \"%s\"", text, fix->err.message);
}

/* ---- made and found ---- */

/* An empty database of its own beside the fixture's. */
static void make_empty(struct fixture *fix, const char *options, char ret_url[512])
{
    char name[64], sql[192];
    snprintf(name, sizeof(name), "%s_empty", fix->postgres->database);
    snprintf(sql, sizeof(sql), "create database %s %s", name, options);
    postgres_must(fix->postgres->admin, sql);
    postgres_url(ret_url, "STORE_TEST_URL", name);
}

static void drop_empty(struct fixture *fix)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "drop database %s_empty with (force)", fix->postgres->database);
    postgres_must(fix->postgres->admin, sql);
}

static void a_missing_store_is_not_made_by_use(void **state)
{
    struct fixture *fix = *state;
    char url[512];
    make_empty(fix, "", url);
    assert_code(open_as(fix, url, STORE_USE), ERR_NOT_FOUND);
    assert_contains(fix, "sluice init");
    assert_ok(open_as(fix, url, STORE_CREATE), fix);
    assert_ok(open_as(fix, url, STORE_CREATE), fix);
    assert_ok(open_as(fix, url, STORE_USE), fix);
    drop_empty(fix);
}

static void x07_init_raced_by_processes(void **state)
{
    struct fixture *fix = *state;
    enum { RACERS = 5 };
    char url[512];
    int status;
    make_empty(fix, "", url);
    for (int i = 0; i < RACERS; i++)
        if (fork() == 0) {
            int rc = open_as(fix, url, STORE_CREATE);
            if (rc != 0)
                fprintf(stderr, "# %s\n", fix->err.message);
            _exit(rc == 0 ? 0 : 1);
        }
    for (int i = 0; i < RACERS; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_ok(open_as(fix, url, STORE_USE), fix);
    drop_empty(fix);
}

/* ---- refused ---- */

static void no_error_tells_the_password(void **state)
{
    struct fixture *fix = *state;
    const char *urls[] = {
        "postgres://u:hunter2@127.0.0.1:1/x",
        "postgresql://u:hunter2@[::1/x",
        "postgres://u:hunter%zz2@127.0.0.1:1",
        "postgres://u:hunter2@127.0.0.1:1/x?wrong=1",
        "postgres:/u:hunter2@127.0.0.1",
        "postgres//hunter2",
        "postgresql://127.0.0.1:1/?password=hunter2",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        int rc = open_as(fix, urls[i], STORE_USE);
        assert_true(rc == ERR_STORE || rc == ERR_INVALID);
        assert_true(fix->err.message[0]);
        assert_null(strstr(fix->err.message, "hunter"));
    }
}

static void d08_another_programs_schema_is_left_alone(void **state)
{
    struct fixture *fix = *state;
    char url[512], name[64];
    make_empty(fix, "", url);
    snprintf(name, sizeof(name), "%s_empty", fix->postgres->database);
    PGconn *conn = postgres_connection(name);
    postgres_must(conn, "create table theirs (x bigint)");
    assert_code(open_as(fix, url, STORE_CREATE), ERR_STORE);
    assert_contains(fix, "another program");
    assert_contains(fix, "search_path");
    postgres_must(conn, "insert into theirs values (1)");
    PQfinish(conn);
    drop_empty(fix);
}

static void a_database_that_is_not_utf8_is_refused(void **state)
{
    struct fixture *fix = *state;
    char url[512];
    make_empty(fix, "encoding 'LATIN1' locale 'C' template template0", url);
    assert_code(open_as(fix, url, STORE_CREATE), ERR_STORE);
    assert_contains(fix, "UTF8");
    drop_empty(fix);
}

static void a_missing_database_says_so(void **state)
{
    struct fixture *fix = *state;
    char url[512];
    postgres_url(url, "STORE_TEST_ADMIN_URL", "there_is_none");
    assert_code(open_as(fix, url, STORE_CREATE), ERR_STORE);
    assert_contains(fix, "createdb");
}

/* ---- versions ---- */

static void set_version(struct fixture *fix, int64_t version, int64_t compatible_from)
{
    char sql[128], message[256];
    snprintf(sql, sizeof(sql), "insert into schema_version values (%lld, 'the future', %lld, 0)",
             (long long)version, (long long)compatible_from);
    fix->postgres->is_spoilt = true;
    assert_int_equal(run_sql(fix, sql, message), 0);
}

static void d09_a_newer_store_is_refused(void **state)
{
    struct fixture *fix = *state;
    set_version(fix, 99, schema_version + 1);
    enum store_mode modes[] = {STORE_USE, STORE_CREATE};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_code(open_as(fix, fix->url, modes[i]), ERR_SCHEMA);
        assert_contains(fix, "schema version 99");
    }
}

static void x08_a_newer_store_that_is_compatible_is_used(void **state)
{
    struct fixture *fix = *state;
    set_version(fix, 99, schema_version);
    assert_ok(open_as(fix, fix->url, STORE_USE), fix);
    assert_ok(open_as(fix, fix->url, STORE_CREATE), fix);
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
}

static int add_table(struct db *db, struct err *err)
{
    return db_script(db, "create table future (x bigint)", err);
}

static int add_half_a_table(struct db *db, struct err *err)
{
    int rc = add_table(db, err);
    return rc < 0 ? rc : err_set(err, ERR_STORE, "as the test says");
}

static int die_half_way(struct db *db, struct err *err)
{
    int rc = add_table(db, err);
    raise(SIGKILL);
    return rc;
}

static int migrate_with(struct fixture *fix, int (*step)(struct db *db, struct err *err))
{
    struct migration list[16];
    fix->postgres->is_spoilt = true;
    for (int64_t i = 0; i < schema_version; i++)
        list[i] = schema_migrations[i];
    list[schema_version] = (struct migration){"the next", step, schema_version};
    return migrate(fix->store->db, list, schema_version + 1, &fix->err);
}

static int64_t count_future(struct fixture *fix)
{
    return number(fix, "select count(*) from pg_class where relname = 'future'");
}

static void d09_a_migration_that_fails_leaves_the_old_version(void **state)
{
    struct fixture *fix = *state;
    assert_code(migrate_check(fix->store->db, schema_version + 1, &fix->err), ERR_SCHEMA);
    assert_contains(fix, "sluice init");
    assert_code(migrate_with(fix, add_half_a_table), ERR_STORE);
    assert_int_equal(count_future(fix), 0);
    assert_ok(open_as(fix, fix->url, STORE_USE), fix);
    assert_ok(migrate_with(fix, add_table), fix);
    assert_int_equal(count_future(fix), 1);
    assert_ok(open_as(fix, fix->url, STORE_USE), fix); /* it said that this version may go on */
}

static void x01_killed_in_mid_migration(void **state)
{
    struct fixture *fix = *state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (store_open(fix->url, STORE_USE, &fix->store, &fix->err) == 0)
            _exit(migrate_with(fix, die_half_way) == 0);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_future(fix), 0);
    assert_ok(migrate_with(fix, add_table), fix);
}

/* ---- time ---- */

/* The statement's time, not the transaction's: a lease in a long group is as long as its worker was told. */
static void d10_a_lease_begins_when_it_is_written(void **state)
{
    struct fixture *fix = *state;
    struct store *store;
    int64_t before, after, begun;
    assert_int_equal(number(fix, "select count(*) from pg_proc where proname = 'now_ms' and prosrc like "
                                 "'%statement_timestamp%'"),
                     0); /* the test's own */
    char message[256];
    fix->postgres->is_spoilt = true;
    assert_int_equal(run_sql(fix,
                             "create or replace function now_ms() returns bigint language sql stable as"
                             " 'select trunc(extract(epoch from statement_timestamp()) * 1000)::bigint'",
                             message),
                     0);
    assert_ok(store_open(fix->url, STORE_USE, &store, &fix->err), fix);
    assert_ok(store_begin(store, &fix->err), fix);
    assert_ok(store_now(store, &before, &fix->err), fix);
    usleep(30000);
    assert_ok(store_now(store, &after, &fix->err), fix);
    assert_int_equal(db_number(store->db, "select trunc(extract(epoch from now()) * 1000)::bigint",
                               DB_NO_ARGS, &begun, &fix->err),
                     1);
    assert_true(after >= before + 30);
    assert_true(begun <= before);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_store_is_not_made_by_use),
        TEST(x07_init_raced_by_processes),
        TEST(no_error_tells_the_password),
        TEST(d08_another_programs_schema_is_left_alone),
        TEST(a_database_that_is_not_utf8_is_refused),
        TEST(a_missing_database_says_so),
        TEST(d09_a_newer_store_is_refused),
        TEST(x08_a_newer_store_that_is_compatible_is_used),
        TEST(d09_a_migration_that_fails_leaves_the_old_version),
        TEST(x01_killed_in_mid_migration),
        TEST(d10_a_lease_begins_when_it_is_written),
    };
    return RUN_UNIT_TESTS(tests);
}
