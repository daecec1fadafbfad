/* What the broker does for clients that are stopped: nothing. Against an endpoint over real sockets. */
#include <string.h>

#include "vault/tokens.h"
#include "world.h"

static void set_client(struct world *world, enum client_state state)
{
    assert_ok(store_client_set_state(world->store, world->client.id, state, "test", "tester", &world->err),
              world);
}

/* Somebody has mended it in Google's console: the secret is the same, and nothing is imported. */
static void k04_a_client_that_was_let_go_on_is_asked_again(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_INVALID_CLIENT);
    assert_int_equal(ask(world, &job).result, TOKEN_CLIENT);
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    assert_int_equal(ask(world, &job).result, TOKEN_CLIENT); /* remembered */
    set_client(world, CLIENT_REFUSED);
    set_client(world, CLIENT_ACTIVE);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
}

static void under_a_frozen_client_no_token_is_got_nor_handed_out(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    struct store_channel other = must_login(world, "other");
    struct job_claim job = leased_job(world, &channel), other_job = leased_job(world, &other);
    endpoint->channel[0] = '\0';
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    int before = atomic_load(&endpoint->token_requests);
    set_client(world, CLIENT_FROZEN);
    struct got_token got = ask(world, &job); /* from the cache, it would be */
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    assert_non_null(strstr(got.message, "sluice client unfreeze"));
    assert_int_equal(ask(world, &other_job).result, TOKEN_TRANSIENT);
    assert_int_equal(atomic_load(&endpoint->token_requests), before);
    set_client(world, CLIENT_ACTIVE);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->token_requests), before);
}

static void nobody_logs_in_with_a_frozen_client(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    must_login(world, "main");
    int before = atomic_load(&endpoint->token_requests);
    set_client(world, CLIENT_FROZEN);
    assert_int_equal(login_as(world, "main", "", &channel), ERR_INVALID);
    assert_says(world, "sluice client unfreeze");
    assert_int_equal(atomic_load(&endpoint->token_requests), before); /* the code is not spent */
}

static int run(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(k04_a_client_that_was_let_go_on_is_asked_again),
        TEST(under_a_frozen_client_no_token_is_got_nor_handed_out),
        TEST(nobody_logs_in_with_a_frozen_client),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
