/* Tenants, clients, channels, logins, tokens, workers. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "fixture.h"

static struct store_client client_named(const char *tenant, const char *name, const char *google_id)
{
    struct store_client client = {
        .auth_uri = "https://a.example", .token_uri = "https://t.example", .kind = "web"};
    copy_text(client.tenant, tenant);
    copy_text(client.name, name);
    copy_text(client.client_id, google_id);
    return client;
}

static int count_rows(void *ctx, const struct store_client *client)
{
    (void)client;
    ++*(int *)ctx;
    return 0;
}

static void a_client_is_put_found_and_replaced(void **state)
{
    struct fixture *fix = *state;
    struct store_client client = client_named("t", "one", "g1"), found;
    admit(fix, client.tenant);
    assert_ok(store_client_put(fix->store, &client, "cli:test", &fix->err), fix);
    assert_true(client.id > 0 && client.tenant_id > 0);
    assert_ok(store_client_limits(fix->store, client.id, 7, 70, "tester", &fix->err), fix);
    int64_t id = client.id;
    client = client_named("t", "one", "g1");
    snprintf(client.token_uri, sizeof(client.token_uri), "https://t2.example");
    assert_ok(store_client_put(fix->store, &client, "cli:test", &fix->err), fix);
    assert_int_equal(client.id, id);
    assert_ok(store_client_get(fix->store, id, &found, &fix->err), fix);
    assert_string_equal(found.token_uri, "https://t2.example");
    assert_string_equal(found.kind, "web");
    assert_int_equal(found.uploads_per_day, 7); /* an operator's limits outlive a new import */
    assert_int_equal(found.units_per_day, 70);
    client = client_named("t", "one", "another");
    assert_code(store_client_put(fix->store, &client, "cli:test", &fix->err), ERR_EXISTS);
    assert_ok(store_client_find(fix->store, "t", NULL, &found, &fix->err), fix);
    assert_int_equal(found.id, id);
    client = client_named("t", "two", "another");
    assert_ok(store_client_put(fix->store, &client, "cli:test", &fix->err), fix);
    assert_code(store_client_find(fix->store, "t", "", &found, &fix->err), ERR_USAGE);
    assert_ok(store_client_find(fix->store, "t", "two", &found, &fix->err), fix);
    assert_code(store_client_find(fix->store, "t", "three", &found, &fix->err), ERR_NOT_FOUND);
    assert_code(store_client_find(fix->store, "u", NULL, &found, &fix->err), ERR_NOT_FOUND);
    assert_code(store_client_get(fix->store, 999, &found, &fix->err), ERR_NOT_FOUND);
    assert_code(store_client_limits(fix->store, 999, 1, 1, "tester", &fix->err), ERR_NOT_FOUND);
    int count = 0;
    assert_ok(store_client_list(fix->store, count_rows, &count, &fix->err), fix);
    assert_int_equal(count, 2);
}

static void a_clients_secret_comes_back_as_it_went(void **state)
{
    struct fixture *fix = *state;
    int64_t id = make_client(fix, "t");
    struct blob secret = {0};
    assert_code(store_client_get_secret(fix->store, id, &secret, &fix->err), ERR_NOT_FOUND);
    const char sealed[] = "\0with\0zeroes";
    struct blob put = {.data = sealed, .len = sizeof(sealed)};
    assert_ok(store_client_set_secret(fix->store, id, put, &fix->err), fix);
    make_client(fix, "t"); /* imported again: the old secret stays until the new one is set */
    assert_ok(store_client_get_secret(fix->store, id, &secret, &fix->err), fix);
    assert_int_equal(secret.len, sizeof(sealed));
    assert_memory_equal(secret.data, sealed, sizeof(sealed));
    mem_free((void *)secret.data);
    assert_code(store_client_set_secret(fix->store, 999, put, &fix->err), ERR_NOT_FOUND);
}

static void a_client_in_use_is_not_removed(void **state)
{
    struct fixture *fix = *state;
    struct store_client found;
    int64_t channel = make_channel(fix, "t", "c");
    int64_t client = get_channel(fix, channel).client_id;
    assert_code(store_client_remove(fix->store, client, "tester", &fix->err), ERR_EXISTS);
    assert_ok(store_channel_remove(fix->store, channel, "tester", &fix->err), fix);
    assert_ok(store_client_remove(fix->store, client, "tester", &fix->err), fix);
    assert_code(store_client_get(fix->store, client, &found, &fix->err), ERR_NOT_FOUND);
    assert_code(store_client_remove(fix->store, client, "tester", &fix->err), ERR_NOT_FOUND);
    assert_true(make_client(fix, "t") != client);
}

static void a_login_makes_a_channel_with_its_token(void **state)
{
    struct fixture *fix = *state;
    int64_t id = make_channel(fix, "t", "c");
    struct store_channel channel = get_channel(fix, id);
    assert_string_equal(channel.tenant, "t");
    assert_string_equal(channel.client, "main");
    assert_string_equal(channel.yt_channel_id, "UC-c");
    assert_int_equal(channel.state, CHANNEL_ACTIVE);
    assert_true(channel.has_token);
    assert_int_equal(channel.added_at_ms, fix->now_ms);
    struct store_token token;
    char expected[64];
    snprintf(expected, sizeof(expected), "token of %lld in %lld", (long long)id,
             (long long)channel.tenant_id);
    assert_ok(store_token_get(fix->store, id, &token, &fix->err), fix);
    assert_int_equal(token.sealed.len, strlen(expected));
    assert_memory_equal(token.sealed.data, expected, token.sealed.len);
    assert_string_equal(token.scopes, "youtube");
    assert_string_equal(token.key_id, "k1");
    mem_free((void *)token.sealed.data);
    assert_code(store_token_get(fix->store, 999, &token, &fix->err), ERR_NOT_FOUND);
}

static void k06_a_rotated_token_replaces_the_old_one(void **state)
{
    struct fixture *fix = *state;
    int64_t id = make_channel(fix, "t", "c");
    struct store_token token;
    struct blob rotated = {.data = "new", .len = 3};
    assert_ok(store_token_set(fix->store, id, rotated, "youtube.upload", "k2", &fix->err), fix);
    fixture_reopen(fix);
    assert_ok(store_token_get(fix->store, id, &token, &fix->err), fix);
    assert_int_equal(token.sealed.len, 3);
    assert_string_equal(token.key_id, "k2");
    mem_free((void *)token.sealed.data);
    assert_code(store_token_set(fix->store, id, (struct blob){0}, "", "k3", &fix->err), ERR_INVALID);
    assert_code(store_token_set(fix->store, 999, rotated, "", "k3", &fix->err), ERR_NOT_FOUND);
}

static void k09_a_channel_never_becomes_another_youtube_channel(void **state)
{
    struct fixture *fix = *state;
    make_channel(fix, "t", "c");
    assert_code(login(fix, "t", "c", "UC-other"), ERR_EXISTS);
    assert_code(login(fix, "t", "second", "UC-c"), ERR_EXISTS);
    assert_int_equal(login(fix, "t", "c", "UC-c"), 0);
    assert_int_equal(login(fix, "other tenant", "c", "UC-other"), 0);
    assert_int_equal(number(fix, "select count(*) from channel"), 2);
}

static int refuse_to_seal(void *ctx, int64_t tenant, int64_t channel, struct blob *ret, struct err *err)
{
    (void)ctx, (void)tenant, (void)channel, (void)ret;
    return err_set(err, ERR_CORRUPT, "no key");
}

static void a_login_that_fails_leaves_nothing(void **state)
{
    struct fixture *fix = *state;
    struct store_client client;
    struct store_login in = {.scopes = "s", .seal = refuse_to_seal, .key_id = "k"};
    assert_ok(store_client_get(fix->store, make_client(fix, "t"), &client, &fix->err), fix);
    in.channel = (struct store_channel){
        .tenant_id = client.tenant_id, .client_id = client.id, .name = "c", .yt_channel_id = "UC"};
    uint32_t events = count_events(fix, NULL, NULL);
    assert_code(store_channel_login(fix->store, &in, &fix->err), ERR_CORRUPT);
    assert_int_equal(number(fix, "select count(*) from channel"), 0);
    assert_int_equal(count_events(fix, NULL, NULL), events);
    in.channel.tenant_id++; /* a client of another tenant */
    assert_code(store_channel_login(fix->store, &in, &fix->err), ERR_NOT_FOUND);
}

static void k03_a_login_frees_what_waited_for_it(void **state)
{
    struct fixture *fix = *state;
    int64_t id = make_channel(fix, "t", "c");
    struct job_id job = add_job(fix, id, "JOB1");
    set_channel(fix, id, CHANNEL_AUTH, 0);
    assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_AUTH);
    assert_string_equal(claim_one(fix, "w").id.text, "");
    assert_int_equal(login(fix, "t", "c", "UC-c"), 0);
    assert_int_equal(get_channel(fix, id).state, CHANNEL_ACTIVE);
    assert_int_equal(state_of(fix, job), JOB_QUEUED);
    set_channel(fix, id, CHANNEL_PAUSED, 0);
    assert_int_equal(login(fix, "t", "c", "UC-c"), 0);
    assert_int_equal(get_channel(fix, id).state, CHANNEL_PAUSED); /* an operator's pause is not lifted */
}

static int count_channels(void *ctx, const struct store_channel *channel)
{
    (void)channel;
    return ++*(int *)ctx == 3 ? 77 : 0;
}

static void channels_are_listed_by_tenant(void **state)
{
    struct fixture *fix = *state;
    make_channel(fix, "t", "a");
    make_channel(fix, "t", "b");
    make_channel(fix, "u", "a");
    int count = 0;
    assert_ok(store_channel_list(fix->store, "t", count_channels, &count, &fix->err), fix);
    assert_int_equal(count, 2);
    count = 0;
    assert_int_equal(store_channel_list(fix->store, NULL, count_channels, &count, &fix->err), 77);
    struct store_channel channel;
    assert_code(store_channel_find(fix->store, "u", "b", &channel, &fix->err), ERR_NOT_FOUND);
    assert_code(store_channel_get(fix->store, 99, &channel, &fix->err), ERR_NOT_FOUND);
}

static void a_channel_with_open_jobs_is_not_removed(void **state)
{
    struct fixture *fix = *state;
    bool done;
    struct store_channel channel;
    int64_t id = make_channel(fix, "t", "c");
    struct job_id job = add_job(fix, id, "JOB1");
    assert_code(store_channel_remove(fix->store, id, "tester", &fix->err), ERR_EXISTS);
    assert_ok(store_job_cancel(fix->store, job, "tester", &done, &fix->err), fix);
    assert_ok(store_channel_remove(fix->store, id, "tester", &fix->err), fix);
    assert_code(store_channel_get(fix->store, id, &channel, &fix->err), ERR_NOT_FOUND);
    assert_string_equal(get_job(fix, job).channel, "c"); /* its jobs and their trail stay readable */
    assert_string_equal(last_event(fix, job.text).channel, "c");
    assert_int_equal(number(fix, "select count(*) from token"), 0);
    assert_code(store_job_retry(fix->store, job, "tester", &fix->err), ERR_INVALID);
    assert_true(make_channel(fix, "t", "c") != id);
}

static int keep_worker(void *ctx, const struct store_worker *worker)
{
    *(struct store_worker *)ctx = *worker;
    return 0;
}

static struct store_worker last_worker(struct fixture *fix)
{
    struct store_worker worker = {.name = ""};
    assert_ok(store_worker_list(fix->store, keep_worker, &worker, &fix->err), fix);
    return worker;
}

static void a_worker_is_seen_and_gone(void **state)
{
    struct fixture *fix = *state;
    int64_t start = fix->now_ms;
    assert_ok(store_worker_seen(fix->store, "w", "eu", 2, &fix->err), fix);
    fix->now_ms += 50000;
    assert_ok(store_worker_seen(fix->store, "w", "eu", 5, &fix->err), fix);
    struct store_worker worker = last_worker(fix);
    assert_int_equal(worker.started_at_ms, start);
    assert_int_equal(worker.seen_at_ms, fix->now_ms);
    assert_int_equal(worker.active, 5);
    assert_string_equal(worker.region, "eu");
    fix->now_ms += 60001;
    assert_string_equal(last_worker(fix).name, "");
    assert_ok(store_worker_seen(fix->store, "w", "us", 0, &fix->err), fix);
    assert_int_equal(last_worker(fix).started_at_ms, fix->now_ms);
    assert_ok(store_worker_gone(fix->store, "w", &fix->err), fix);
    assert_string_equal(last_worker(fix).name, "");
}

static void an_event_finds_its_owner(void **state)
{
    struct fixture *fix = *state;
    struct job_id job = add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct store_event event = {.who = "broker", .what = "token used", .http_status = 200};
    copy_text(event.job, job.text);
    assert_ok(store_event_add(fix->store, &event, &fix->err), fix);
    struct store_event found = last_event(fix, job.text);
    assert_string_equal(found.tenant, "t");
    assert_string_equal(found.channel, "c");
    assert_string_equal(found.what, "token used");
    assert_int_equal(found.http_status, 200);
    assert_int_equal(found.at_ms, fix->now_ms);
    event.job[0] = '\0';
    if (fix->is_bound) { /* a login that is bound to its tenants writes no lines of nobody */
        assert_code(store_event_add(fix->store, &event, &fix->err), ERR_STORE);
        return;
    }
    assert_ok(store_event_add(fix->store, &event, &fix->err), fix);
    assert_string_equal(last_event(fix, NULL).tenant, "");
}

static void the_trail_is_append_only(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    make_channel(fix, "t", "c");
    const char *attempts[] = {
        "update event set what = 'nothing'",
        "delete from event",
        fix->postgres ? "truncate event"
                      : "insert or replace into event (id, at_ms, who, what) select id, 0, '', '' from event",
    };
    uint32_t events = count_events(fix, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        assert_int_not_equal(run_sql(fix, attempts[i], message), 0);
        assert_string_equal(message, "the audit trail is append-only");
    }
    assert_int_equal(count_events(fix, NULL, NULL), events);
}

/* The database refuses what would mix tenants, whoever writes it. */
static void what_refers_to_a_channel_is_of_its_tenant(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    int64_t ours = make_channel(fix, "a", "ours"), theirs = make_channel(fix, "b", "theirs");
    char sql[512];
    (void)ours;
    const char *attempts[] = {
        "insert into job (id, tenant_id, channel_id, state, size_bytes, added_at_ms, changed_at_ms, "
        "storage_path,"
        " fingerprint, title, idempotency_key, params_digest, metadata)"
        " select 'X', t.id, %lld, 'queued', 1, 0, 0, '', '', '', '', '', '' from tenant t where t.name = 'a'",
        "update channel set client_id = (select client_id from channel where id = %lld) where name = 'ours'",
        "update token set tenant_id = (select id from tenant where name = 'a') where channel_id = %lld",
        "insert into quota (client_id, channel_id, bucket, pacific_day, tenant_id, used)"
        " select client_id, 0, 'units', 9, (select id from tenant where name = 'a'), 1 from channel where id "
        "= %lld",
    };
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        snprintf(sql, sizeof(sql), attempts[i], (long long)theirs);
        if (run_sql(fix, sql, message) == 0)
            fail_msg("done: %s", sql);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_put_found_and_replaced),
        TEST(a_clients_secret_comes_back_as_it_went),
        TEST(a_client_in_use_is_not_removed),
        TEST(a_login_makes_a_channel_with_its_token),
        TEST(k06_a_rotated_token_replaces_the_old_one),
        TEST(k09_a_channel_never_becomes_another_youtube_channel),
        TEST(a_login_that_fails_leaves_nothing),
        TEST(k03_a_login_frees_what_waited_for_it),
        TEST(channels_are_listed_by_tenant),
        TEST(a_channel_with_open_jobs_is_not_removed),
        TEST(a_worker_is_seen_and_gone),
        TEST(an_event_finds_its_owner),
        TEST(the_trail_is_append_only),
        TEST(what_refers_to_a_channel_is_of_its_tenant),
    };
    return RUN_UNIT_TESTS(tests);
}
