/* Clients and logins: what is stored, and what is refused with nothing stored. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- clients ---- */

static void a_client_is_imported_under_its_name(void **state)
{
    struct world *world = *state;
    assert_string_equal(world->client.name, "default");
    assert_string_equal(world->client.tenant, "acme");
    assert_string_equal(world->client.client_id, "id.apps.example");
    assert_string_equal(world->client.kind, "installed");
    assert_int_equal(world->client.uploads_per_day, 100);
    struct store_client named;
    assert_ok(import_client(world, "second", &named), world);
    assert_string_equal(named.name, "second");
    assert_int_not_equal(named.id, world->client.id);
}

static void a_bad_client_file_is_refused(void **state)
{
    struct world *world = *state;
    static const char *const files[] = {"", "{", "{}", "{\"installed\":{\"client_id\":\"x\"}}",
                                        "{\"refresh_token\":\"x\"}"};
    struct store_client client;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_int_equal(broker_client_import(world->broker, "acme", "bad", files[i], strlen(files[i]),
                                              &client, &world->err),
                         ERR_INVALID);
    assert_int_equal(store_client_find(world->store, "acme", "bad", &client, NULL), ERR_NOT_FOUND);
    char *large = mem_alloc(40000);
    assert_int_equal(broker_client_import(world->broker, "acme", "bad", large, 40000, &client, &world->err),
                     ERR_INVALID);
    mem_free(large);
}

static void another_client_does_not_take_the_name(void **state)
{
    struct world *world = *state;
    static const char file[] =
        "{\"installed\":{\"client_id\":\"another\",\"client_secret\":\"s\","
        "\"auth_uri\":\"https://a.example/auth\",\"token_uri\":\"https://a.example/t\"}}";
    struct store_client client;
    assert_int_equal(
        broker_client_import(world->broker, "acme", NULL, file, strlen(file), &client, &world->err),
        ERR_EXISTS);
    assert_ok(store_client_get(world->store, world->client.id, &client, &world->err), world);
    assert_string_equal(client.client_id, "id.apps.example");
}

/* ---- logins ---- */

static void a_login_binds_the_channel(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    assert_string_equal(channel.name, "main");
    assert_string_equal(channel.tenant, "acme");
    assert_string_equal(channel.yt_channel_id, "UCone");
    assert_string_equal(channel.title, "Title of UCone");
    assert_string_equal(channel.uploads_playlist, "UUone");
    assert_int_equal(channel.state, CHANNEL_ACTIVE);
    assert_true(channel.has_token);
    assert_int_equal(count_events(world, "login"), 1);
}

static void a_second_login_replaces_the_token(void **state)
{
    struct world *world = *state;
    struct store_channel first = must_login(world, "main");
    struct job_claim job = leased_job(world, &first);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    atomic_store(&endpoint->next_refresh, 1);
    struct store_channel second = must_login(world, "main");
    assert_int_equal(second.id, first.id);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 1);
}

static bool file_has(const struct world *world, const char *name, int plant)
{
    char *path AUTO_FREE = mem_printf("%s/%s", world->dir, name);
    struct buf bytes AUTO_BUF;
    buf_init(&bytes, 16777216);
    return file_read(path, &bytes, NULL) == 0 && plant_is_in(plant, bytes.data, bytes.len);
}

static void secrets_are_in_no_file(void **state)
{
    struct world *world = *state;
    must_login(world, "main");
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "log"};
    static const int plants[] = {0, PLANT_CLIENT_SECRET, PLANT_CODE};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (size_t k = 0; k < ARRAY_LEN(plants); k++)
            assert_false(file_has(world, names[i], plants[k]));
    assert_true(world_log_has(world, "login stored"));
}

static void secrets_are_not_in_the_parents_memory(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 0);
    assert_false(plant_is_in_memory(0));
    /* What went through this process on its way to the child is wiped. */
    assert_false(plant_is_in_memory(PLANT_CLIENT_SECRET));
    assert_false(plant_is_in_memory(PLANT_CODE));
    /* The search can find. */
    static char held[PLANT_SIZE];
    plant_text(0, held);
    assert_true(plant_is_in_memory(0));
    secret_wipe(held, sizeof(held));
}

static void k07_a_login_without_the_scopes_is_refused(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    atomic_store(&endpoint->mode, ENDPOINT_SMALL_SCOPE);
    assert_int_equal(login_as(world, "main", NULL, &channel), ERR_AUTH);
    assert_says(world, "youtube.upload");
    assert_int_equal(store_channel_find(world->store, "acme", "main", &channel, NULL), ERR_NOT_FOUND);
    assert_int_equal(atomic_load(&endpoint->channels_requests), 0);
}

static void k09_the_expected_channel_is_the_only_one(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    assert_int_equal(login_as(world, "main", "UCwanted", &channel), ERR_AUTH);
    assert_says(world, "UCwanted");
    assert_says(world, "UCone (Title of UCone)");
    assert_int_equal(store_channel_find(world->store, "acme", "main", &channel, NULL), ERR_NOT_FOUND);
    assert_ok(login_as(world, "main", "UCone", &channel), world);
}

static void k09_a_name_stays_with_its_channel(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main"), again;
    strcpy(endpoint->channel, "UCstranger");
    atomic_store(&endpoint->next_refresh, 1);
    assert_int_equal(login_as(world, "main", NULL, &again), ERR_AUTH);
    assert_says(world, "UCone (Title of UCone)");
    assert_says(world, "UCstranger (Title of UCstranger)");
    assert_int_equal(count_events(world, "login refused"), 1);
    /* The old login is untouched. */
    endpoint->channel[0] = '\0';
    struct job_claim job = leased_job(world, &channel);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->presented), 0);
}

static void k09_one_youtube_channel_has_one_name(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    must_login(world, "main");
    assert_int_equal(login_as(world, "twin", NULL, &channel), ERR_EXISTS);
    assert_says(world, "main");
}

static void a_login_without_a_refresh_token_says_what_to_do(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    atomic_store(&endpoint->mode, ENDPOINT_NO_REFRESH);
    assert_int_equal(login_as(world, "main", NULL, &channel), ERR_AUTH);
    assert_says(world, "myaccount.google.com/permissions");
    assert_int_equal(store_channel_find(world->store, "acme", "main", &channel, NULL), ERR_NOT_FOUND);
}

static void an_account_without_a_channel_is_refused(void **state)
{
    struct world *world = *state;
    static const enum channels_mode modes[] = {CHANNELS_EMPTY, CHANNELS_SIGNUP};
    struct store_channel channel;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        atomic_store(&endpoint->channels_mode, modes[i]);
        assert_int_equal(login_as(world, "main", NULL, &channel), ERR_AUTH);
        assert_says(world, "no YouTube channel");
    }
}

static void a_refused_code_and_a_mute_endpoint_are_told_apart(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    static const struct {
        enum endpoint_mode mode;
        int code;
    } cases[] = {{ENDPOINT_INVALID_GRANT, ERR_AUTH},
                 {ENDPOINT_INVALID_CLIENT, ERR_AUTH},
                 {ENDPOINT_503, ERR_IO},
                 {ENDPOINT_HANG_UP, ERR_IO}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        atomic_store(&endpoint->mode, cases[i].mode);
        assert_int_equal(login_as(world, "main", NULL, &channel), cases[i].code);
    }
    /* A code that is refused says nothing about the client's refreshes. */
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
}

static void a_login_needs_its_tenants_client(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    struct broker_login login = {.tenant = "other",
                                 .client_id = world->client.id,
                                 .channel = "main",
                                 .code = "code",
                                 .verifier = "verifier",
                                 .redirect_uri = "http://127.0.0.1:1/"};
    assert_int_equal(broker_channel_login(world->broker, &login, &channel, &world->err), ERR_NOT_FOUND);
    login.tenant = "acme";
    login.client_id = 999;
    assert_int_equal(broker_channel_login(world->broker, &login, &channel, &world->err), ERR_NOT_FOUND);
    assert_int_equal(atomic_load(&endpoint->token_requests), 0);
}

/* ---- removals ---- */

static int note_remover(void *ctx, const struct store_event *event)
{
    if (strcmp(event->what, "channel removed") == 0)
        text_copy(ctx, sizeof(event->who), event->who);
    return 0;
}

static void a_removed_channels_token_is_revoked(void **state)
{
    char who[sizeof(((struct store_event *)NULL)->who)] = "";
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    bool revoked = false;
    assert_ok(broker_channel_remove(world->broker, channel.id, true, &revoked, &world->err), world);
    assert_true(revoked);
    assert_int_equal(atomic_load(&endpoint->revoke_requests), 1);
    assert_int_equal(atomic_load(&endpoint->presented), 0);
    assert_int_equal(store_channel_find(world->store, "acme", "main", &channel, NULL), ERR_NOT_FOUND);
    assert_ok(store_event_list(world->store, NULL, note_remover, who, &world->err), world);
    assert_string_equal(who, "tester");
}

static void a_removal_may_leave_the_token_alone(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    bool revoked = true;
    assert_ok(broker_channel_remove(world->broker, channel.id, false, &revoked, &world->err), world);
    assert_false(revoked);
    assert_int_equal(atomic_load(&endpoint->revoke_requests), 0);
}

static void a_channel_with_jobs_keeps_its_token(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    bool revoked;
    assert_int_equal(broker_channel_remove(world->broker, channel.id, true, &revoked, &world->err),
                     ERR_EXISTS);
    assert_int_equal(atomic_load(&endpoint->revoke_requests), 0);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
}

static int run(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_imported_under_its_name),
        TEST(a_bad_client_file_is_refused),
        TEST(another_client_does_not_take_the_name),
        TEST(a_login_binds_the_channel),
        TEST(a_second_login_replaces_the_token),
        TEST(secrets_are_in_no_file),
        TEST(secrets_are_not_in_the_parents_memory),
        TEST(k07_a_login_without_the_scopes_is_refused),
        TEST(k09_the_expected_channel_is_the_only_one),
        TEST(k09_a_name_stays_with_its_channel),
        TEST(k09_one_youtube_channel_has_one_name),
        TEST(a_login_without_a_refresh_token_says_what_to_do),
        TEST(an_account_without_a_channel_is_refused),
        TEST(a_refused_code_and_a_mute_endpoint_are_told_apart),
        TEST(a_login_needs_its_tenants_client),
        TEST(a_removed_channels_token_is_revoked),
        TEST(a_removal_may_leave_the_token_alone),
        TEST(a_channel_with_jobs_keeps_its_token),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
