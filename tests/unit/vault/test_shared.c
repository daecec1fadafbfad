/* Several brokers on one store: they refresh once, and what died in between is taken over. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/token.h"
#include "vault/key.h"

/* ---- another broker ---- */

struct brokers {
    struct world *world;
    struct broker *first, *second;
};

/* Another child of this process would be taken for the same one, started again. */
static struct brokers two_brokers(struct world *world)
{
    struct brokers ret = {.world = world, .first = world->broker};
    world_open_broker_elsewhere(world);
    ret.second = world->broker;
    world->broker = ret.first;
    return ret;
}

static void to_second(struct brokers *brokers)
{
    brokers->world->broker = brokers->second;
}

static void to_first(struct brokers *brokers)
{
    brokers->world->broker = brokers->first;
}

static void end_second(struct brokers *brokers)
{
    broker_close(brokers->second);
    to_first(brokers);
}

/* ---- one refresh ---- */

static void k08_two_brokers_make_one_refresh(void **state)
{
    enum { COUNT = 20 };
    static struct got_token got[2 * COUNT];
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct brokers brokers = two_brokers(world);
    int before = atomic_load(&endpoint->token_requests), looks = atomic_load(&endpoint->channels_requests);
    atomic_store(&endpoint->delay_ms, 500);
    for (int i = 0; i < 2 * COUNT; i++) {
        i % 2 ? to_second(&brokers) : to_first(&brokers);
        ask_later(world, &job, &got[i]);
    }
    run_until_done(world, got, 2 * COUNT);
    for (int i = 0; i < 2 * COUNT; i++) {
        assert_int_equal(got[i].result, TOKEN_OK);
        assert_string_equal(got[i].access, got[0].access);
    }
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    assert_int_equal(atomic_load(&endpoint->channels_requests), looks + 1);
    end_second(&brokers);
}

static void k08_two_brokers_that_meet_the_same_401_make_one_refresh(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim one = leased_job(world, &channel), two = leased_job(world, &channel);
    struct brokers brokers = two_brokers(world);
    struct got_token old = ask(world, &one);
    to_second(&brokers);
    assert_string_equal(ask(world, &two).access, old.access);
    int before = atomic_load(&endpoint->token_requests);
    to_first(&brokers);
    struct got_token fresh = ask_fresh(world, &one);
    assert_string_not_equal(fresh.access, old.access);
    to_second(&brokers);
    assert_string_equal(ask_fresh(world, &two).access, fresh.access);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    end_second(&brokers);
}

static void k08_a_broker_that_starts_asks_nobody(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token first = ask(world, &job);
    int before = atomic_load(&endpoint->token_requests), looks = atomic_load(&endpoint->channels_requests);
    world_close_broker(world);
    world_open_broker(world);
    struct got_token second = ask(world, &job);
    assert_int_equal(second.result, TOKEN_OK);
    assert_string_equal(second.access, first.access);
    assert_in_range(second.expires_at_mono_ms, first.expires_at_mono_ms - 2000,
                    first.expires_at_mono_ms + 2000);
    assert_int_equal(atomic_load(&endpoint->token_requests), before);
    assert_int_equal(atomic_load(&endpoint->channels_requests), looks);
    /* It cannot know whether this is the one that was refused: it is not handed out as a fresh one. */
    world_close_broker(world);
    world_open_broker(world);
    assert_string_not_equal(ask_fresh(world, &job).access, first.access);
}

static void k08_a_turn_that_nobody_ends_is_taken_over(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct store_access found;
    bool is_mine = false;
    assert_ok(store_access_get(world->store, channel.id, "x", &found, &world->err), world);
    assert_ok(store_refresh_begin(world->store, channel.id, "a broker that died", found.serial, 1500,
                                  &is_mine, &world->err),
              world);
    assert_true(is_mine);
    int before = atomic_load(&endpoint->token_requests);
    int64_t asked_at_ms = clock_mono_ms();
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_true(clock_mono_ms() - asked_at_ms >= 1000);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    /* Who lost it stores nothing over what came meanwhile. */
    bool is_done = true;
    struct blob late = {.data = "late", .len = 4};
    assert_ok(
        store_refresh_end(world->store, channel.id, "a broker that died", late, 1000, &is_done, &world->err),
        world);
    assert_false(is_done);
}

static void k02_a_pause_is_everybodys(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct brokers brokers = two_brokers(world);
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->mode, ENDPOINT_503_LATER);
    assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
    to_second(&brokers);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    assert_in_range(got.retry_after_ms, 100000, 125000);
    assert_int_equal(atomic_load(&endpoint->token_requests), before + 1);
    end_second(&brokers);
}

static void k03_a_new_login_ends_what_was_shared(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token old = ask(world, &job);
    atomic_store(&endpoint->next_refresh, 1);
    must_login(world, "main");
    struct got_token fresh = ask(world, &job);
    assert_int_equal(fresh.result, TOKEN_OK);
    assert_string_not_equal(fresh.access, old.access);
    assert_int_equal(atomic_load(&endpoint->presented), 1);
}

/* ---- harmed ---- */

static void k10_a_shared_token_that_was_harmed_is_not_used(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token old = ask(world, &job);
    struct store_access found;
    bool is_mine, is_done;
    assert_ok(store_access_get(world->store, channel.id, "x", &found, &world->err), world);
    assert_true(found.sealed.len > 0);
    assert_ok(store_refresh_begin(world->store, channel.id, "x", found.serial, 1000, &is_mine, &world->err),
              world);
    ((char *)found.sealed.data)[found.sealed.len - 1] ^= 1;
    assert_ok(store_refresh_end(world->store, channel.id, "x", found.sealed, 3600000, &is_done, &world->err),
              world);
    assert_true(is_mine && is_done);
    mem_free((void *)found.sealed.data);
    world_close_broker(world);
    world_open_broker(world);
    struct got_token fresh = ask(world, &job);
    assert_int_equal(fresh.result, TOKEN_OK);
    assert_string_not_equal(fresh.access, old.access);
    assert_int_equal(count_events(world, "decrypt failed"), 1);
}

static void k10_a_shared_token_of_another_row_is_not_used(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    struct store_channel other = must_login(world, "other");
    struct job_claim job = leased_job(world, &channel), other_job = leased_job(world, &other);
    struct got_token others = ask(world, &other_job);
    struct store_access found, mine;
    bool is_mine, is_done;
    assert_ok(store_access_get(world->store, other.id, "x", &found, &world->err), world);
    assert_ok(store_access_get(world->store, channel.id, "x", &mine, &world->err), world);
    assert_ok(store_refresh_begin(world->store, channel.id, "x", mine.serial, 1000, &is_mine, &world->err),
              world);
    assert_ok(store_refresh_end(world->store, channel.id, "x", found.sealed, 3600000, &is_done, &world->err),
              world);
    assert_true(is_done);
    mem_free((void *)found.sealed.data);
    endpoint->channel[0] = '\0';
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_OK);
    assert_string_not_equal(got.access, others.access);
    assert_int_equal(count_events(world, "decrypt failed"), 1);
}

static int run(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(k08_two_brokers_make_one_refresh),
        TEST(k08_two_brokers_that_meet_the_same_401_make_one_refresh),
        TEST(k08_a_broker_that_starts_asks_nobody),
        TEST(k08_a_turn_that_nobody_ends_is_taken_over),
        TEST(k02_a_pause_is_everybodys),
        TEST(k03_a_new_login_ends_what_was_shared),
        TEST(k10_a_shared_token_that_was_harmed_is_not_used),
        TEST(k10_a_shared_token_of_another_row_is_not_used),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
