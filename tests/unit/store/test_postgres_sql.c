/* What people and other programs find in the database: views with times, and the function that adds a job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "postgres.h"

#define META "{\"snippet\": {\"title\": \" Harbour \"}}"

/* A connection of another service: with tables and a search path of its own. */
static PGconn *another_service(struct fixture *fix)
{
    PGconn *conn = postgres_connection(fix->postgres->database);
    postgres_must(conn,
                  "create schema theirs; set search_path = theirs; create table clip (id text, job text)");
    fix->postgres->is_spoilt = true;
    return conn;
}

static struct job_id add_by_sql(PGconn *conn, const char *arguments)
{
    char sql[1024];
    struct job_id ret = {""};
    snprintf(sql, sizeof(sql), "select public.sluice_add(%s)", arguments);
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQerrorMessage(conn));
    assert_int_equal(PQgetlength(result, 0, 0), JOB_ID_SIZE - 1);
    memcpy(ret.text, PQgetvalue(result, 0, 0), JOB_ID_SIZE - 1);
    PQclear(result);
    return ret;
}

static void must_refuse(PGconn *conn, const char *arguments, const char *state, const char *words)
{
    char sql[1024];
    snprintf(sql, sizeof(sql), "select public.sluice_add(%s)", arguments);
    PGresult *result = PQexec(conn, sql);
    assert_int_equal(PQresultStatus(result), PGRES_FATAL_ERROR);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), state);
    if (!strstr(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), words))
        fail_msg("%s", PQerrorMessage(conn));
    PQclear(result);
}

static void a_service_adds_a_job_with_its_own_rows(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "default", "main");
    PGconn *conn = another_service(fix);
    postgres_must(conn, "begin");
    add_by_sql(conn, "'main', 'gone.mp4', 10, '" META "'");
    postgres_must(conn, "rollback");
    assert_int_equal(number(fix, "select count(*) from job"), 0);
    postgres_must(conn, "begin; insert into clip values ('1', public.sluice_add('main', 'a/b.mp4', 1000,"
                        " '" META "', fingerprint => 'v1:x', region => 'eu', priority => 3)); commit");
    assert_int_equal(number(fix, "select count(*) from theirs.clip c join job j on j.id = c.job"), 1);
    struct store_reach reach = {.region = "eu"};
    struct store_work work;
    uint32_t count;
    assert_ok(store_claim(fix->store, "w1", &reach, 1, LEASE_MS, &work, &count, &fix->err), fix);
    assert_int_equal(count, 1);
    assert_int_equal(work.claim.channel_id, channel);
    assert_int_equal(work.claim.size_bytes, 1000);
    assert_string_equal(work.storage_path, "a/b.mp4");
    assert_string_equal(work.fingerprint, "v1:x");
    assert_string_equal(work.metadata, "{\"status\": {\"privacyStatus\": \"private\"}, \"snippet\": "
                                       "{\"title\": \"Harbour\", \"categoryId\": \"22\"}}");
    struct store_job job = get_job(fix, work.claim.id);
    assert_int_equal(job.priority, 3);
    assert_int_equal(job.added_at_ms, fix->now_ms);
    assert_int_equal(count_events(fix, work.claim.id.text, "job added"), 1);
    assert_ok(store_verify(fix->store, &fix->err), fix);
    store_work_release(&work);
    PQfinish(conn);
}

static void the_same_key_gives_the_same_job(void **state)
{
    struct fixture *fix = *state;
    make_channel(fix, "t", "main");
    PGconn *conn = another_service(fix);
    struct job_id first = add_by_sql(conn, "'main', 'a.mp4', 10, '" META "', 't', 'clip 1'");
    struct job_id again = add_by_sql(conn, "'main', 'a.mp4', 10, '" META "', 't', 'clip 1'");
    assert_string_equal(first.text, again.text);
    must_refuse(conn, "'main', 'b.mp4', 10, '" META "', 't', 'clip 1'", "23505", first.text);
    struct job_id other = add_by_sql(conn, "'main', 'a.mp4', 10, '" META "', 't'");
    assert_string_not_equal(first.text, other.text);
    assert_int_equal(number(fix, "select count(*) from upload"), 2);
    PQfinish(conn);
}

static void what_cannot_be_a_job_is_refused(void **state)
{
    struct fixture *fix = *state;
    make_channel(fix, "t", "main");
    PGconn *conn = another_service(fix);
    must_refuse(conn, "'main', 'a.mp4', 10, '" META "'", "P0002", "tenant default has no channel main");
    must_refuse(conn, "'none', 'a.mp4', 10, '" META "', 't'", "P0002", "no channel none");
    must_refuse(conn, "'main', 'a.mp4', 0, '" META "', 't'", "23514", "0 bytes");
    must_refuse(conn, "'main', 'a.mp4', 274877906945, '" META "', 't'", "23514", "can be uploaded");
    must_refuse(conn, "'main', 'a.mp4', 1, '{}', 't'", "23514", "snippet.title");
    must_refuse(conn, "'main', 'a.mp4', 1, '[]', 't'", "23514", "snippet.title");
    must_refuse(conn, "'main', 'a.mp4', 1, '{\"snippet\": {\"title\": \"a<b\"}}', 't'", "23514", "snippet");
    assert_int_equal(number(fix, "select count(*) from job"), 0);
    PQfinish(conn);
}

static void a_job_of_a_channel_that_may_not_be_sent_begins_held(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "default", "main");
    PGconn *conn = another_service(fix);
    set_channel(fix, channel, CHANNEL_LIMITED, fix->now_ms + 5000);
    struct job_id limited = add_by_sql(conn, "'main', 'a.mp4', 10, '" META "'");
    assert_int_equal(cause_of(fix, limited), CAUSE_UPLOAD_LIMIT);
    assert_int_equal(get_job(fix, limited).next_at_ms, fix->now_ms + 5000);
    set_channel(fix, channel, CHANNEL_AUTH, 0);
    struct job_id held = add_by_sql(conn, "'main', 'a.mp4', 10, '" META "'");
    assert_int_equal(cause_of(fix, held), CAUSE_CHANNEL_AUTH);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_int_equal(state_of(fix, held), JOB_QUEUED);
    PQfinish(conn);
}

static void ids_are_in_the_order_of_time(void **state)
{
    struct fixture *fix = *state;
    make_channel(fix, "default", "main");
    PGconn *conn = another_service(fix);
    struct job_id last = {""};
    for (int i = 0; i < 20; i++) {
        int64_t now;
        fix->now_ms += 1 + i * i;
        assert_ok(store_now(fix->store, &now, &fix->err), fix); /* the database's clock follows */
        struct job_id next = add_by_sql(conn, "'main', 'a.mp4', 10, '" META "'");
        assert_true(strcmp(last.text, next.text) < 0);
        assert_int_equal(strspn(next.text, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), JOB_ID_SIZE - 1);
        last = next;
    }
    PQfinish(conn);
}

static void people_read_times(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "main"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    assert_int_equal(claim.lease_epoch, 1);
    assert_int_equal(number(fix, "select count(*) from job_view where added_at = timestamptz"
                                 " '2027-01-15 08:00:00+00' and lease_until = timestamptz"
                                 " '2027-01-15 08:00:45+00' and finished_at is null and tenant = 't'"
                                 " and channel = 'main'"),
                     1);
    assert_int_equal(number(fix, "select count(*) from event_view where what = 'claimed' and channel = 'main'"
                                 " and at = timestamptz '2027-01-15 08:00:00+00'"),
                     1);
    assert_int_equal(number(fix, "select count(*) from channel_view where until is null and client = 'main'"),
                     1);
    struct job_write write = write_of(&claim);
    write.charge = BUCKET_UPLOADS;
    write.charge_amount = 1;
    write.pacific_day = 20834;
    must_write(fix, &write);
    assert_int_equal(number(fix, "select used + drift from quota_view where pacific_day = date '2027-01-16'"),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_adds_a_job_with_its_own_rows),
        TEST(the_same_key_gives_the_same_job),
        TEST(what_cannot_be_a_job_is_refused),
        TEST(a_job_of_a_channel_that_may_not_be_sent_begins_held),
        TEST(ids_are_in_the_order_of_time),
        TEST(people_read_times),
    };
    return RUN_UNIT_TESTS(tests);
}
