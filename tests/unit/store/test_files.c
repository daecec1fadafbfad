/* The store's file: made, found, refused, damaged, locked, full. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "fixture.h"
#include "store/db_sqlite.h"
#include "store/schema.h"

static int open_as(struct fixture *fix, enum store_mode mode)
{
    struct store *store = NULL;
    fix->err = (struct err){.code = 0};
    int rc = store_open(fix->url, mode, &store, &fix->err);
    store_close(store);
    return rc;
}

static void point_to(struct fixture *fix, const char *name)
{
    snprintf(fix->path, sizeof(fix->path), "%s/%s", fix->dir, name);
    snprintf(fix->url, sizeof(fix->url), "sqlite:%s", fix->path);
}

/* Closes the fixture's store, so that the file is whole and nobody's. */
static void leave(struct fixture *fix)
{
    store_close(fix->store);
    fix->store = NULL;
}

static void write_at(const char *path, long at, const char *data, size_t len)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *data = mem_alloc(1 << 20);
    *ret_len = fread(data, 1, 1 << 20, file);
    fclose(file);
    return data;
}

static void assert_contains(const struct fixture *fix, const char *text)
{
    if (!strstr(fix->err.message, text))
        fail_msg("\"%s\" is not in \"%s\"", text, fix->err.message);
}

/* ---- made and found ---- */

static void a_missing_store_is_not_made_by_use(void **state)
{
    struct fixture *fix = *state;
    point_to(fix, "none/store.db");
    assert_code(open_as(fix, STORE_USE), ERR_NOT_FOUND);
    assert_contains(fix, "sluice init");
    assert_int_not_equal(access(fix->path, F_OK), 0);
    point_to(fix, "empty.db");
    close(open(fix->path, O_CREAT | O_WRONLY, 0600));
    assert_code(open_as(fix, STORE_USE), ERR_NOT_FOUND);
    assert_ok(open_as(fix, STORE_CREATE), fix);
    assert_ok(open_as(fix, STORE_USE), fix);
}

static void a_store_is_made_for_its_owner_alone(void **state)
{
    struct fixture *fix = *state;
    struct stat status;
    char dir[128];
    mode_t before = umask(0);
    point_to(fix, "a/b/store.db");
    struct store *store;
    assert_ok(store_open(fix->url, STORE_CREATE, &store, &fix->err), fix);
    umask(before);
    assert_int_equal(stat(fix->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    snprintf(dir, sizeof(dir), "%s-wal", fix->path);
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    snprintf(dir, sizeof(dir), "%s/a/b", fix->dir);
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    store_close(store);
}

static void init_may_be_repeated(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    assert_ok(open_as(fix, STORE_CREATE), fix);
    assert_ok(open_as(fix, STORE_CREATE), fix);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
    assert_int_equal(number(fix, "select count(*) from schema_version"), schema_version);
}

static void it_is_wal_with_full_sync(void **state)
{
    struct fixture *fix = *state;
    sqlite3 *handle = ((struct db_sqlite *)fix->store->db)->handle;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "select (select journal_mode from pragma_journal_mode) = 'wal'"
                                        " and (select synchronous from pragma_synchronous) = 2"
                                        " and (select foreign_keys from pragma_foreign_keys) = 1",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 1);
    sqlite3_finalize(stmt);
}

static int wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void x07_init_raced_by_processes(void **state)
{
    struct fixture *fix = *state;
    enum { RACERS = 6 };
    pid_t children[RACERS];
    int go[2];
    point_to(fix, "raced/store.db");
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char byte;
            close(go[1]);
            if (read(go[0], &byte, 1) != 0) /* until the parent lets go of its end */
                _exit(2);
            int rc = open_as(fix, STORE_CREATE);
            if (rc != 0)
                fprintf(stderr, "# %s\n", fix->err.message);
            _exit(rc == 0 ? 0 : 1);
        }
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(wait_for(children[i]), 0);
    assert_ok(open_as(fix, STORE_USE), fix);
    assert_int_equal(number(fix, "select count(*) from schema_version"), schema_version);
}

/* ---- refused ---- */

static void another_kind_of_store_is_refused(void **state)
{
    struct fixture *fix = *state;
    const char *urls[] = {"mysql://u:secret@localhost/x", "", "sqlite:", "/path", "postgress://u:secret@h/d"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        snprintf(fix->url, sizeof(fix->url), "%s", urls[i]);
        assert_code(open_as(fix, STORE_CREATE), ERR_INVALID);
        assert_null(strstr(fix->err.message, "secret"));
    }
}

static void d08_another_programs_database_is_left_alone(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    size_t before, after;
    point_to(fix, "other.db");
    assert_int_equal(run_sql(fix, "create table theirs (x)", message), 0);
    char *old = read_file(fix->path, &before);
    assert_code(open_as(fix, STORE_CREATE), ERR_STORE);
    assert_contains(fix, "another program");
    char *new = read_file(fix->path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, new, before);
    mem_free(old);
    mem_free(new);
}

static void check_damaged(struct fixture *fix, const char *expected)
{
    size_t before, after;
    char *old = read_file(fix->path, &before);
    enum store_mode modes[] = {STORE_USE, STORE_CREATE};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_code(open_as(fix, modes[i]), ERR_STORE);
        assert_contains(fix, expected);
        assert_contains(fix, "not recreated");
        assert_int_equal(err_exit_code(fix->err.code), 8);
    }
    char *new = read_file(fix->path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, new, before);
    mem_free(old);
    mem_free(new);
}

static void d08_a_damaged_header_is_not_recreated(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    leave(fix);
    write_at(fix->path, 0, "garbage garbage garbage", 23);
    check_damaged(fix, "not a sluice store");
}

static void d08_a_text_file_is_not_recreated(void **state)
{
    struct fixture *fix = *state;
    point_to(fix, "notes.txt");
    FILE *file = fopen(fix->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        fprintf(file, "these are my notes, line %d\n", i);
    fclose(file);
    check_damaged(fix, "not a sluice store");
}

static void d08_a_damaged_schema_is_not_recreated(void **state)
{
    struct fixture *fix = *state;
    char garbage[3000];
    leave(fix);
    memset(garbage, 0xa5, sizeof(garbage));
    write_at(fix->path, 100, garbage, sizeof(garbage)); /* the header stays, the table of tables goes */
    check_damaged(fix, "damaged");
}

static void d08_verify_finds_a_damaged_page(void **state)
{
    struct fixture *fix = *state;
    char garbage[512];
    int64_t channel = make_channel(fix, "t", "c");
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof(id), "JOB%02d", i);
        add_job(fix, channel, id);
    }
    assert_ok(store_verify(fix->store, &fix->err), fix);
    long page = (long)number(fix, "select rootpage from sqlite_master where name = 'job_depth'");
    leave(fix);
    memset(garbage, 0x5a, sizeof(garbage));
    write_at(fix->path, page * 4096 - (long)sizeof(garbage), garbage, sizeof(garbage));
    assert_ok(store_open(fix->url, STORE_USE, &fix->store, &fix->err), fix);
    assert_code(store_verify(fix->store, &fix->err), ERR_STORE);
    assert_contains(fix, "damaged");
}

static void verify_finds_rows_that_contradict_each_other(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    assert_ok(store_verify(fix->store, &fix->err), fix);
    assert_int_equal(run_sql(fix, "update upload set last_byte_uploaded = 1000", message), 0);
    assert_code(store_verify(fix->store, &fix->err), ERR_STORE);
    assert_contains(fix, "beyond their size");
}

static void a_file_that_may_not_be_written_says_so(void **state)
{
    struct fixture *fix = *state;
    leave(fix);
    assert_int_equal(chmod(fix->dir, 0755), 0);
    assert_int_equal(chmod(fix->path, 0444), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(3);
        int rc = open_as(fix, STORE_USE);
        bool said = strstr(fix->err.message, "cannot be written") && strstr(fix->err.message, "permissions");
        _exit(rc == ERR_STORE && said ? 0 : 1);
    }
    assert_int_equal(wait_for(child), 0);
}

/* ---- versions ---- */

static void d09_a_newer_store_is_refused(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    assert_int_equal(run_sql(fix, "insert into schema_version values (99, 'the future', 99, 0)", message), 0);
    leave(fix);
    enum store_mode modes[] = {STORE_USE, STORE_CREATE};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_code(open_as(fix, modes[i]), ERR_SCHEMA);
        assert_contains(fix, "schema version 99");
        assert_contains(fix, "newer sluice");
    }
    assert_int_equal(number(fix, "select max(version) from schema_version"), 99);
}

static void x08_a_newer_store_that_is_compatible_is_used(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    assert_int_equal(run_sql(fix, "insert into schema_version values (99, 'an index', 1, 0)", message), 0);
    assert_ok(open_as(fix, STORE_USE), fix);
    assert_ok(open_as(fix, STORE_CREATE), fix);
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    assert_int_equal(number(fix, "select max(version) from schema_version"), 99);
}

static int add_table(struct db *db, struct err *err)
{
    return db_script(db, "create table future (x bigint)", err);
}

static int add_half_a_table(struct db *db, struct err *err)
{
    int rc = db_script(db, "create table half (x bigint)", err);
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
    for (int64_t i = 0; i < schema_version; i++)
        list[i] = schema_migrations[i];
    list[schema_version] = (struct migration){"the next", step, schema_version + 1};
    return migrate(fix->store->db, list, schema_version + 1, &fix->err);
}

static void d09_an_older_store_is_refused_until_it_is_migrated(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    char has[32], needs[32];
    snprintf(has, sizeof(has), "schema version %d", (int)schema_version);
    snprintf(needs, sizeof(needs), "needs %d", (int)schema_version + 1);
    assert_code(migrate_check(fix->store->db, schema_version + 1, &fix->err), ERR_SCHEMA);
    assert_contains(fix, has);
    assert_contains(fix, needs);
    assert_contains(fix, "sluice init");
    assert_ok(migrate_with(fix, add_table), fix);
    assert_ok(migrate_check(fix->store->db, schema_version + 1, &fix->err), fix);
    assert_int_equal(number(fix, "select count(*) from future"), 0);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
}

static void d09_a_migration_that_fails_leaves_the_old_version(void **state)
{
    struct fixture *fix = *state;
    assert_code(migrate_with(fix, add_half_a_table), ERR_STORE);
    assert_int_equal(number(fix, "select count(*) from sqlite_master where name = 'half'"), 0);
    assert_int_equal(number(fix, "select max(version) from schema_version"), schema_version);
    assert_ok(open_as(fix, STORE_USE), fix);
}

static void x01_killed_in_mid_migration(void **state)
{
    struct fixture *fix = *state;
    leave(fix);
    pid_t child = fork();
    if (child == 0) {
        if (store_open(fix->url, STORE_USE, &fix->store, &fix->err) == 0)
            _exit(migrate_with(fix, die_half_way) == 0);
        _exit(3);
    }
    assert_true(WIFSIGNALED(wait_for(child)));
    assert_ok(store_open(fix->url, STORE_USE, &fix->store, &fix->err), fix);
    assert_int_equal(number(fix, "select count(*) from sqlite_master where name = 'future'"), 0);
    assert_ok(migrate_with(fix, add_table), fix);
}

/* ---- locked, killed, full ---- */

static void d08_busy_is_waited_for_and_then_said(void **state)
{
    struct fixture *fix = *state;
    sqlite3 *other;
    int64_t now;
    assert_int_equal(sqlite3_open(fix->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "begin exclusive", NULL, NULL, NULL), SQLITE_OK);
    store_set_busy_wait(fix->store, 50);
    assert_code(store_begin(fix->store, &fix->err), ERR_BUSY);
    assert_contains(fix, "locked by another process");
    assert_code(store_worker_seen(fix->store, "w", "", 0, &fix->err), ERR_BUSY);
    assert_ok(store_now(fix->store, &now, &fix->err), fix);
    assert_int_equal(sqlite3_exec(other, "commit", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_ok(store_begin(fix->store, &fix->err), fix);
    assert_ok(store_commit(fix->store, &fix->err), fix);
}

static void d08_busy_that_ends_in_time_is_not_noticed(void **state)
{
    struct fixture *fix = *state;
    int held[2];
    char byte;
    assert_int_equal(pipe(held), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *other;
        if (sqlite3_open(fix->path, &other) || sqlite3_exec(other, "begin exclusive", NULL, NULL, NULL))
            _exit(1);
        if (write(held[1], "x", 1) != 1)
            _exit(2);
        usleep(200000);
        _exit(0); /* its locks go with it */
    }
    assert_int_equal(read(held[0], &byte, 1), 1);
    assert_ok(store_worker_seen(fix->store, "w", "", 0, &fix->err), fix);
    wait_for(child);
    close(held[0]);
    close(held[1]);
}

static void x01_killed_in_mid_transaction(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    leave(fix);
    pid_t child = fork();
    if (child == 0) {
        if (store_open(fix->url, STORE_USE, &fix->store, &fix->err) != 0)
            _exit(3);
        add_job(fix, channel, "KEPT");
        if (store_begin(fix->store, &fix->err) != 0)
            _exit(4);
        add_job(fix, channel, "LOST");
        claim_one(fix, "w1");
        raise(SIGKILL);
    }
    assert_true(WIFSIGNALED(wait_for(child)));
    assert_ok(store_open(fix->url, STORE_USE, &fix->store, &fix->err), fix);
    assert_ok(store_verify(fix->store, &fix->err), fix);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
    assert_int_equal(state_of(fix, job_id("KEPT")), JOB_QUEUED);
    assert_int_equal(get_job(fix, job_id("KEPT")).lease_epoch, 0);
}

static void limit_pages(struct fixture *fix, int64_t pages)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "pragma max_page_count = %lld", (long long)pages);
    assert_int_equal(sqlite3_exec(((struct db_sqlite *)fix->store->db)->handle, sql, NULL, NULL, NULL),
                     SQLITE_OK);
}

static int try_add(struct fixture *fix, int64_t channel, int n)
{
    char id[16];
    bool existed;
    struct job_id ret;
    snprintf(id, sizeof(id), "FULL%04d", n);
    struct store_job_new job = new_job(channel, id);
    return store_job_add(fix->store, &job, &ret, &existed, &fix->err);
}

static void d05_disk_full_keeps_nothing_half(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_id first = add_job(fix, channel, "A0000000");
    limit_pages(fix, number(fix, "select page_count from pragma_page_count") + 3);
    int n = 0, rc;
    while ((rc = try_add(fix, channel, n)) == 0)
        n++;
    assert_int_equal(rc, ERR_STORE);
    assert_contains(fix, "disk space");
    assert_int_equal(number(fix, "select count(*) from job"), n + 1);
    assert_int_equal(number(fix, "select count(*) from upload"), n + 1);
    assert_int_equal(number(fix, "select count(*) from event where what = 'job added'"), n + 1);
    assert_int_equal(state_of(fix, first), JOB_QUEUED); /* reading goes on */
    limit_pages(fix, 1 << 20);
    assert_int_equal(try_add(fix, channel, n), 0);
    assert_ok(store_verify(fix->store, &fix->err), fix);
}

static void d05_disk_full_in_a_group_keeps_nothing_of_it(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    limit_pages(fix, number(fix, "select page_count from pragma_page_count") + 3);
    assert_ok(store_begin(fix->store, &fix->err), fix);
    int n = 0;
    while (try_add(fix, channel, n) == 0)
        n++;
    assert_true(n > 0);
    store_rollback(fix->store);
    assert_int_equal(number(fix, "select count(*) from job"), 0);
    limit_pages(fix, 1 << 20);
    assert_int_equal(try_add(fix, channel, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_store_is_not_made_by_use),
        TEST(a_store_is_made_for_its_owner_alone),
        TEST(init_may_be_repeated),
        TEST(it_is_wal_with_full_sync),
        TEST(x07_init_raced_by_processes),
        TEST(another_kind_of_store_is_refused),
        TEST(d08_another_programs_database_is_left_alone),
        TEST(d08_a_damaged_header_is_not_recreated),
        TEST(d08_a_text_file_is_not_recreated),
        TEST(d08_a_damaged_schema_is_not_recreated),
        TEST(d08_verify_finds_a_damaged_page),
        TEST(verify_finds_rows_that_contradict_each_other),
        TEST(a_file_that_may_not_be_written_says_so),
        TEST(d09_a_newer_store_is_refused),
        TEST(x08_a_newer_store_that_is_compatible_is_used),
        TEST(d09_an_older_store_is_refused_until_it_is_migrated),
        TEST(d09_a_migration_that_fails_leaves_the_old_version),
        TEST(x01_killed_in_mid_migration),
        TEST(d08_busy_is_waited_for_and_then_said),
        TEST(d08_busy_that_ends_in_time_is_not_noticed),
        TEST(x01_killed_in_mid_transaction),
        TEST(d05_disk_full_keeps_nothing_half),
        TEST(d05_disk_full_in_a_group_keeps_nothing_of_it),
    };
    return RUN_UNIT_TESTS(tests);
}
