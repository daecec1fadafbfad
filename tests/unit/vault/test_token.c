/* What the broker hands out, refuses and remembers; against an endpoint over real sockets. */
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "vault/key.h"
#include "vault/tokens.h"

/* ---- the usual way ---- */

static void a_leased_job_gets_its_channels_token(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_OK);
    assert_non_null(strstr(got.access, "ya29.access-"));
    assert_int_equal(got.retry_after_ms, -1);
    int64_t life_ms = got.expires_at_mono_ms - clock_mono_ms();
    assert_in_range(life_ms, 3500000, 3599000);
    assert_int_equal(atomic_load(&endpoint->presented), 0);
    assert_int_equal(count_refreshed(world, got.access), 1);
}

static void a_token_is_kept_until_near_its_end(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim one = leased_job(world, &channel), two = leased_job(world, &channel);
    int before = atomic_load(&endpoint->token_requests);
    struct got_token first = ask(world, &one), second = ask(world, &one), third = ask(world, &two);
    assert_string_equal(first.access, second.access);
    assert_string_equal(first.access, third.access);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
}

static void only_a_lease_gets_a_token(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    struct store_channel other = must_login(world, "other");
    struct job_claim job = leased_job(world, &channel);
    int before = atomic_load(&endpoint->token_requests);
    struct job_claim wrong[6] = {job, job, job, job, job, job};
    wrong[0].lease_epoch++;
    wrong[1].lease_epoch--;
    wrong[2].channel_id = other.id;
    wrong[3].tenant_id++;
    strcpy(wrong[4].id.text, "01JABCDEFGHJKMNPQRSTV99999");
    wrong[5].id.text[10] = '\0'; /* an unambiguous prefix is not an id */
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct got_token got = ask(world, &wrong[i]);
        assert_int_equal(got.result, TOKEN_TRANSIENT);
        assert_string_equal(got.access, "");
    }
    assert_int_equal(atomic_load(&endpoint->token_requests), before);
    assert_int_equal(count_events(world, "token refused"), ARRAY_LEN(wrong));
}

/* Enough of them for an alarm, whoever asks without end. */
static void asking_without_a_lease_does_not_fill_the_trail(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    job.lease_epoch++;
    int64_t begun_mono_ms = clock_mono_ms();
    for (int i = 0; i < 3 * LEASELESS_LINES_MAX; i++)
        assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
    int64_t spans = 1 + (clock_mono_ms() - begun_mono_ms) / LEASELESS_MS;
    uint32_t lines = count_events(world, "token refused");
    assert_true(lines >= misuse_rule(MISUSE_NO_LEASE)->threshold);
    assert_true(lines <= spans * LEASELESS_LINES_MAX);
}

static void a_lease_given_back_gets_no_token(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct job_write write = {.id = job.id,
                              .lease_epoch = job.lease_epoch,
                              .set_state = true,
                              .state = JOB_WAITING,
                              .next_at_ms = 1,
                              .release_lease = true};
    enum write_result result;
    assert_ok(store_write(world->store, "w1", &write, (struct blob){0}, &result, &world->err), world);
    assert_int_equal(result, WRITE_OK);
    assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
}

static void a_fresh_token_is_newer_than_the_jobs_own(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim one = leased_job(world, &channel), two = leased_job(world, &channel);
    struct got_token first = ask(world, &one);
    assert_string_equal(ask(world, &two).access, first.access);
    int before = atomic_load(&endpoint->token_requests);
    struct got_token second = ask_fresh(world, &one);
    assert_string_not_equal(second.access, first.access);
    /* The other job meets the same 401: the newer one is there already. */
    assert_string_equal(ask_fresh(world, &two).access, second.access);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    assert_string_not_equal(ask_fresh(world, &two).access, second.access);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 2);
}

/* ---- K02 ---- */

static void k02_an_unavailable_endpoint_is_asked_once_for_many_jobs(void **state)
{
    enum { COUNT = 200 };
    static struct got_token got[COUNT];
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_503_LATER);
    for (int i = 0; i < COUNT; i++)
        ask_later(world, &job, &got[i]);
    run_until_done(world, got, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(got[i].result, TOKEN_TRANSIENT);
        assert_in_range(got[i].retry_after_ms, 100000, 120000);
    }
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
}

static void k02_a_broken_connection_is_passing(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_HANG_UP);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    assert_true(got.retry_after_ms > 0);
}

static struct got_token ask_after_pause(struct world *world, const struct job_claim *job)
{
    struct got_token got = ask(world, job);
    for (int i = 0; i < 50 && got.result == TOKEN_TRANSIENT; i++) {
        uv_sleep(200);
        got = ask(world, job);
    }
    return got;
}

static void k02_it_goes_on_when_the_endpoint_is_back(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_503);
    assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    assert_int_equal(ask_after_pause(world, &job).result, TOKEN_OK);
    assert_int_equal(count_events(world, "token refused"), 0);
}

static void k02_the_old_token_serves_while_renewing_fails(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim one = leased_job(world, &channel), two = leased_job(world, &channel);
    struct got_token first = ask(world, &one);
    atomic_store(&endpoint->mode, ENDPOINT_503);
    /* The one whose token was refused has to wait, the other one has not. */
    assert_int_equal(ask_fresh(world, &one).result, TOKEN_TRANSIENT);
    assert_string_equal(ask(world, &two).access, first.access);
}

static void k02_an_endpoint_in_trouble_pauses_the_whole_client(void **state)
{
    enum { COUNT = 6 };
    struct world *world = *state;
    struct job_claim jobs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(endpoint->channel, sizeof(endpoint->channel), "UCnumber%d", i);
        snprintf(name, sizeof(name), "number%d", i);
        struct store_channel channel = must_login(world, name);
        jobs[i] = leased_job(world, &channel);
    }
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_503_LATER);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(ask(world, &jobs[i]).result, TOKEN_TRANSIENT);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 3);
}

/* ---- K03, K04 ---- */

static void k03_invalid_grant_is_asked_about_once(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_INVALID_GRANT);
    for (int i = 0; i < 5; i++) {
        struct got_token got = ask(world, &job);
        assert_int_equal(got.result, TOKEN_REVOKED);
        assert_non_null(strstr(got.message, "invalid_grant"));
    }
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    assert_int_equal(count_events(world, "token refused"), 1);
}

static void k03_a_revoked_channel_leaves_the_others_alone(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    struct store_channel other = must_login(world, "other");
    struct job_claim job = leased_job(world, &channel), other_job = leased_job(world, &other);
    atomic_store(&endpoint->mode, ENDPOINT_INVALID_GRANT);
    assert_int_equal(ask(world, &job).result, TOKEN_REVOKED);
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    assert_int_equal(ask(world, &other_job).result, TOKEN_OK);
}

static void k03_a_new_login_of_another_process_lifts_it(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_INVALID_GRANT);
    assert_int_equal(ask(world, &job).result, TOKEN_REVOKED);

    struct broker *first = world->broker;
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    atomic_store(&endpoint->next_refresh, 1);
    world_open_broker(world);
    must_login(world, "main");
    broker_close(world->broker);
    world->broker = first;
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 1);
}

static void k04_invalid_client_stops_every_refresh_of_that_client(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    struct store_channel other = must_login(world, "other");
    struct job_claim job = leased_job(world, &channel), other_job = leased_job(world, &other);
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_INVALID_CLIENT);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_CLIENT);
    assert_non_null(strstr(got.message, "invalid_client"));
    assert_int_equal(ask(world, &job).result, TOKEN_CLIENT);
    assert_int_equal(ask(world, &other_job).result, TOKEN_CLIENT);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    /* The operator imports the client anew. */
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    assert_ok(import_client(world, NULL, &world->client), world);
    assert_int_equal(ask(world, &other_job).result, TOKEN_OK);
    endpoint->channel[0] = '\0';
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
}

/* ---- K05 ---- */

static void k05_a_strange_lifetime_is_clamped(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    static const struct {
        const char *expires_in;
        int64_t least_ms, most_ms;
    } cases[] = {{"0", 50000, 60000},
                 {"-5", 50000, 60000},
                 {"null", 50000, 60000},
                 {"9223372036854775807", 86000000, 86400000},
                 {"1e300", 86000000, 86400000}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        strcpy(endpoint->expires_in, cases[i].expires_in);
        struct got_token got = ask_fresh(world, &job);
        assert_int_equal(got.result, TOKEN_OK);
        assert_in_range(got.expires_at_mono_ms - clock_mono_ms(), cases[i].least_ms, cases[i].most_ms);
    }
}

static void k05_a_token_that_may_not_stand_in_a_header_is_refused(void **state)
{
    struct world *world = *state;
    static const enum endpoint_mode modes[] = {ENDPOINT_LINE_IN_TOKEN, ENDPOINT_HUGE_TOKEN};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        char name[16];
        snprintf(endpoint->channel, sizeof(endpoint->channel), "UCbad%zu", i);
        snprintf(name, sizeof(name), "bad%zu", i);
        atomic_store(&endpoint->mode, ENDPOINT_OK);
        struct store_channel channel = must_login(world, name);
        struct job_claim job = leased_job(world, &channel);
        int before = atomic_load(&endpoint->channels_requests);
        atomic_store(&endpoint->mode, modes[i]);
        struct got_token got = ask(world, &job);
        assert_int_equal(got.result, TOKEN_TRANSIENT);
        assert_string_equal(got.access, "");
        assert_int_equal(atomic_load(&endpoint->channels_requests), before);
    }
}

/* ---- K06 ---- */

static void k06_a_new_refresh_token_is_stored_and_used(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_ROTATE);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 0);
    assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 1);
    /* Another process finds the newest one. */
    world_close_broker(world);
    world_open_broker(world);
    ask(world, &job);
    assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 2);
}

static void k06_none_in_the_reply_keeps_the_old_one(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
        assert_int_equal(atomic_load(&endpoint->presented), 0);
    }
    assert_int_equal(count_events(world, "token replaced"), 0);
}

static void wait_for_request(struct world *world, int before)
{
    while (atomic_load(&endpoint->token_requests) == before)
        uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void k06_nothing_is_handed_out_before_it_is_stored(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct job_claim lock_job = leased_job(world, &channel);
    struct store_renewal renewal;
    struct got_token got;
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_ROTATE);
    atomic_store(&endpoint->delay_ms, 500);
    ask_later(world, &job, &got);
    wait_for_request(world, before);
    /* A writer keeps the store to itself for longer than the broker waits. */
    assert_ok(store_begin(world->store, &world->err), world);
    assert_ok(
        store_renew(world->store, "w1", lock_job.id, lock_job.lease_epoch, 60000, &renewal, &world->err),
        world);
    run_until_done(world, &got, 1);
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    assert_string_equal(got.access, "");
    assert_ok(store_commit(world->store, &world->err), world);
    /* What was kept in memory is stored first, and is what is presented. */
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    assert_int_equal(ask_after_pause(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 1);
    assert_int_equal(count_events(world, "token replaced"), 1);
}

static void k06_a_crash_before_it_is_stored_leaves_the_old_one(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token got;
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_ROTATE);
    atomic_store(&endpoint->delay_ms, 1000);
    ask_later(world, &job, &got);
    wait_for_request(world, before);
    assert_int_equal(kill((pid_t)broker_pid(world->broker), SIGKILL), 0);
    run_until_done(world, &got, 1);
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    atomic_store(&endpoint->delay_ms, 0);
    /* The next child of the same parent takes the turn of the one that died: nothing is waited for. */
    assert_int_equal(ask_after_pause(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 0);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 2);
}

/* ---- K07, K08, K09, K10 ---- */

static void k07_a_missing_scope_is_named(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_SMALL_SCOPE);
    int before = atomic_load(&endpoint->token_requests);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_SCOPE);
    assert_non_null(strstr(got.message, "youtube.upload"));
    assert_string_equal(got.access, "");
    assert_int_equal(ask(world, &job).result, TOKEN_SCOPE);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
}

static void k08_many_jobs_make_one_refresh(void **state)
{
    enum { COUNT = 100 };
    static struct got_token got[COUNT];
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = leased_job(world, &channel);
    int before = atomic_load(&endpoint->token_requests);
    int looks_before = atomic_load(&endpoint->channels_requests);
    atomic_store(&endpoint->delay_ms, 100);
    for (int i = 0; i < COUNT; i++)
        ask_later(world, &jobs[i % 4], &got[i]);
    run_until_done(world, got, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(got[i].result, TOKEN_OK);
        assert_string_equal(got[i].access, got[0].access);
    }
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    assert_int_equal(atomic_load(&endpoint->channels_requests), looks_before + 1);
}

static void k09_a_token_of_another_channel_is_refused(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    strcpy(endpoint->channel, "UCstranger");
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_WRONG_CHANNEL);
    assert_string_equal(got.access, "");
    assert_non_null(strstr(got.message, "UCstranger"));
    assert_non_null(strstr(got.message, "UCone"));
    assert_int_equal(count_events(world, "token refused"), 1);
    int before = atomic_load(&endpoint->token_requests);
    assert_int_equal(ask_fresh(world, &job).result, TOKEN_WRONG_CHANNEL);
    assert_int_equal(atomic_load(&endpoint->token_requests), before);
}

static void k09_the_channel_is_asked_for_once_a_login_and_counted(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    assert_int_equal(units_used(world), 1); /* the login's */
    assert_int_equal(count_events(world, "look started"), 1);
    int before = atomic_load(&endpoint->channels_requests);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->channels_requests), before + 1);
    assert_int_equal(units_used(world), 2);
    /* Another process knows it from the store, also for an access token that it gets itself. */
    world_close_broker(world);
    world_open_broker(world);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->channels_requests), before + 1);
    assert_int_equal(units_used(world), 2);
    must_login(world, "main"); /* a unit of its own */
    assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->channels_requests), before + 3);
    assert_int_equal(units_used(world), 4);
    assert_int_equal(count_events(world, "look started"), 4); /* each unit has its line */
}

static void k09_no_answer_about_the_channel_is_no_token(void **state)
{
    static const struct {
        enum channels_mode mode;
        enum token_result result;
    } cases[] = {{CHANNELS_503, TOKEN_TRANSIENT},
                 {CHANNELS_QUOTA, TOKEN_TRANSIENT},
                 {CHANNELS_401, TOKEN_REVOKED},
                 {CHANNELS_SIGNUP, TOKEN_WRONG_CHANNEL}};
    struct world *world = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[16];
        snprintf(endpoint->channel, sizeof(endpoint->channel), "UCmute%zu", i);
        snprintf(name, sizeof(name), "mute%zu", i);
        atomic_store(&endpoint->channels_mode, CHANNELS_OK);
        struct store_channel channel = must_login(world, name);
        struct job_claim job = leased_job(world, &channel);
        atomic_store(&endpoint->channels_mode, cases[i].mode);
        struct got_token got = ask(world, &job);
        assert_int_equal(got.result, cases[i].result);
        assert_string_equal(got.access, "");
    }
}

static void k10_a_token_moved_from_another_row_does_not_open(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    struct store_channel other = must_login(world, "other");
    struct job_claim job = leased_job(world, &channel);
    struct store_token stolen;
    assert_ok(store_token_get(world->store, other.id, &stolen, &world->err), world);
    assert_ok(
        store_token_set(world->store, channel.id, stolen.sealed, stolen.scopes, stolen.key_id, &world->err),
        world);
    mem_free((void *)stolen.sealed.data);
    int before = atomic_load(&endpoint->token_requests);
    assert_int_equal(ask(world, &job).result, TOKEN_CORRUPT);
    assert_int_equal(atomic_load(&endpoint->token_requests), before);
    assert_int_equal(count_events(world, "token refused"), 1);
    assert_int_equal(count_events(world, "decrypt failed"), 1);
    assert_true(world_log_has(world, "a sealed value does not open"));
}

static void k10_a_token_under_an_unknown_key_does_not_open(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    static const unsigned char root[KEY_ROOT_BYTES] = "a key that nobody has";
    struct vault_key *key = vault_key_new(root);
    char row[24];
    snprintf(row, sizeof(row), "%lld", (long long)channel.id);
    struct seal_place place = {
        .tenant_id = channel.tenant_id, .table = "token", .row = row, .field = "refresh_token"};
    struct buf sealed AUTO_BUF;
    buf_init(&sealed, 1024);
    vault_seal(key, &place, "1//0x", 5, &sealed);
    assert_ok(store_token_set(world->store, channel.id, (struct blob){.data = sealed.data, .len = sealed.len},
                              "", vault_key_id(key), &world->err),
              world);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_CORRUPT);
    assert_non_null(strstr(got.message, vault_key_id(key)));
    assert_int_equal(count_events(world, "decrypt failed"), 1);
    vault_key_free(key);
}

static int run(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_leased_job_gets_its_channels_token),
        TEST(a_token_is_kept_until_near_its_end),
        TEST(only_a_lease_gets_a_token),
        TEST(asking_without_a_lease_does_not_fill_the_trail),
        TEST(a_lease_given_back_gets_no_token),
        TEST(a_fresh_token_is_newer_than_the_jobs_own),
        TEST(k02_an_unavailable_endpoint_is_asked_once_for_many_jobs),
        TEST(k02_a_broken_connection_is_passing),
        TEST(k02_it_goes_on_when_the_endpoint_is_back),
        TEST(k02_the_old_token_serves_while_renewing_fails),
        TEST(k02_an_endpoint_in_trouble_pauses_the_whole_client),
        TEST(k03_invalid_grant_is_asked_about_once),
        TEST(k03_a_revoked_channel_leaves_the_others_alone),
        TEST(k03_a_new_login_of_another_process_lifts_it),
        TEST(k04_invalid_client_stops_every_refresh_of_that_client),
        TEST(k05_a_strange_lifetime_is_clamped),
        TEST(k05_a_token_that_may_not_stand_in_a_header_is_refused),
        TEST(k06_a_new_refresh_token_is_stored_and_used),
        TEST(k06_none_in_the_reply_keeps_the_old_one),
        TEST(k06_nothing_is_handed_out_before_it_is_stored),
        TEST(k06_a_crash_before_it_is_stored_leaves_the_old_one),
        TEST(k07_a_missing_scope_is_named),
        TEST(k08_many_jobs_make_one_refresh),
        TEST(k09_a_token_of_another_channel_is_refused),
        TEST(k09_the_channel_is_asked_for_once_a_login_and_counted),
        TEST(k09_no_answer_about_the_channel_is_no_token),
        TEST(k10_a_token_moved_from_another_row_does_not_open),
        TEST(k10_a_token_under_an_unknown_key_does_not_open),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
