/* Access tokens from a token service; against one over real sockets. */
#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "vault/broker.h"

static void open_with_service(struct world *world)
{
    static char url[64], bearer_file[96];
    struct broker_config config = world_config(world);
    world_close_broker(world);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/service", endpoint->port);
    snprintf(bearer_file, sizeof(bearer_file), "%s/bearer", world->dir);
    int fd = open(bearer_file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "word\n", 5), 5);
    close(fd);
    config.service = (struct service_config){.url = url, .bearer_file = bearer_file};
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
}

static int adopt(struct world *world, const char *name, const char *expect, struct store_channel *ret)
{
    return broker_channel_adopt(world->broker, "acme", world->client.id, name, expect, ret, &world->err);
}

static struct store_channel must_adopt(struct world *world, const char *name)
{
    struct store_channel channel;
    assert_ok(adopt(world, name, NULL, &channel), world);
    return channel;
}

static int asked(void)
{
    return atomic_load(&endpoint->service_requests);
}

/* ---- channels ---- */

static void a_channel_is_taken_over_without_a_token(void **state)
{
    struct world *world = *state;
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    assert_string_equal(channel.yt_channel_id, "UCone");
    assert_string_equal(channel.title, "Title of UCone");
    assert_false(channel.has_token);
    assert_int_equal(atomic_load(&endpoint->token_requests), 0);
    assert_int_equal(units_used(world), 1);
    assert_int_equal(count_events(world, "imported"), 1);
    assert_int_equal(adopt(world, "main", "UCtwo", &channel), ERR_AUTH);
    assert_int_equal(login_as(world, "main", NULL, &channel), ERR_USAGE);
}

static void without_a_service_nothing_is_taken_over(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    char message[MESSAGE_SIZE];
    int status;
    assert_int_equal(adopt(world, "main", NULL, &channel), ERR_USAGE);
    assert_int_equal(broker_service_probe(world->broker, &status, message, &world->err), ERR_USAGE);
}

static void k09_a_name_keeps_its_channel(void **state)
{
    struct world *world = *state;
    struct store_channel channel;
    open_with_service(world);
    must_adopt(world, "main");
    strcpy(endpoint->channel, "UCtwo");
    assert_int_equal(adopt(world, "main", NULL, &channel), ERR_AUTH);
    assert_says(world, "UCtwo");
}

static void the_service_is_probed(void **state)
{
    struct world *world = *state;
    char message[MESSAGE_SIZE];
    int status;
    open_with_service(world);
    assert_ok(broker_service_probe(world->broker, &status, message, &world->err), world);
    assert_int_equal(status, 200);
    atomic_store(&endpoint->mode, ENDPOINT_503);
    assert_ok(broker_service_probe(world->broker, &status, message, &world->err), world);
    assert_int_equal(status, 503);
}

/* ---- tokens ---- */

static void k09_each_new_token_is_looked_at(void **state)
{
    struct world *world = *state;
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    struct job_claim job = leased_job(world, &channel);
    int before = atomic_load(&endpoint->channels_requests);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(ask_fresh(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->channels_requests), before + 2);
    strcpy(endpoint->channel, "UCtwo");
    struct got_token got = ask_fresh(world, &job);
    assert_int_equal(got.result, TOKEN_WRONG_CHANNEL);
    assert_string_equal(got.access, "");
    assert_non_null(strstr(got.message, "UCtwo"));
    /* Mended there, it is good at once. */
    endpoint->channel[0] = '\0';
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(atomic_load(&endpoint->token_requests), 0);
}

static void k08_those_who_ask_together_share_a_question(void **state)
{
    struct world *world = *state;
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    struct job_claim jobs[4];
    struct got_token got[4];
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        jobs[i] = leased_job(world, &channel);
    int before = asked();
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        ask_later(world, &jobs[i], &got[i]);
    run_until_done(world, got, ARRAY_LEN(got));
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        assert_int_equal(got[i].result, TOKEN_OK);
    assert_int_equal(asked(), before + 1);
}

/* A flight that is under way may bring the very token that met the 401. */
static void a_fresh_one_is_not_what_an_older_question_brings(void **state)
{
    struct world *world = *state;
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    struct job_claim one = leased_job(world, &channel), two = leased_job(world, &channel);
    struct got_token first;
    int before = asked();
    atomic_store(&endpoint->delay_ms, 300);
    ask_later(world, &one, &first);
    struct got_token second = ask_fresh(world, &two);
    run_until_done(world, &first, 1);
    assert_int_equal(first.result, TOKEN_OK);
    assert_int_equal(second.result, TOKEN_OK);
    assert_string_not_equal(first.access, second.access);
    assert_int_equal(asked(), before + 2);
}

static void the_refused_token_is_not_handed_out_again(void **state)
{
    struct world *world = *state;
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    struct job_claim one = leased_job(world, &channel), two = leased_job(world, &channel);
    struct got_token first = ask(world, &one);
    atomic_store(&endpoint->mode, ENDPOINT_STUBBORN);
    struct got_token again = ask_fresh(world, &one);
    assert_int_equal(again.result, TOKEN_TRANSIENT);
    assert_true(again.retry_after_ms > 0);
    /* Who has not met the 401 goes on with it. */
    assert_string_equal(ask(world, &two).access, first.access);
}

static void k02_trouble_makes_jobs_wait(void **state)
{
    struct world *world = *state;
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    struct job_claim job = leased_job(world, &channel);
    atomic_store(&endpoint->mode, ENDPOINT_503_LATER);
    struct got_token got = ask(world, &job);
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    assert_in_range(got.retry_after_ms, 100000, 120000);
    int before = asked();
    assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
    assert_int_equal(asked(), before);
}

static void k11_a_bearer_that_is_gone_makes_jobs_wait(void **state)
{
    struct world *world = *state;
    char bearer_file[96];
    open_with_service(world);
    struct store_channel channel = must_adopt(world, "main");
    struct job_claim job = leased_job(world, &channel);
    snprintf(bearer_file, sizeof(bearer_file), "%s/bearer", world->dir);
    assert_int_equal(unlink(bearer_file), 0);
    assert_int_equal(ask(world, &job).result, TOKEN_TRANSIENT);
    assert_true(world_log_has(world, "bearer file"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

static int run(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_channel_is_taken_over_without_a_token),
        TEST(without_a_service_nothing_is_taken_over),
        TEST(k09_a_name_keeps_its_channel),
        TEST(the_service_is_probed),
        TEST(k09_each_new_token_is_looked_at),
        TEST(k08_those_who_ask_together_share_a_question),
        TEST(a_fresh_one_is_not_what_an_older_question_brings),
        TEST(the_refused_token_is_not_handed_out_again),
        TEST(k02_trouble_makes_jobs_wait),
        TEST(k11_a_bearer_that_is_gone_makes_jobs_wait),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
