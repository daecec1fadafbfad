/* Looks at a channel's uploads: when the broker asks for them, what it costs, and what comes of the answers.
 */
#include "world.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "store/videos.h"

enum { HOUR_MS = 3600000 };

static void watch(struct world *world, int64_t every_ms)
{
    struct broker_config config = world_config(world);
    config.watch_videos_ms = every_ms;
    world_close_broker(world);
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
}

/* The broker does by itself what it does; what comes of it shows in the store and its log. */
#define wait_until(expression)                                                                               \
    do {                                                                                                     \
        while (!(expression))                                                                                \
            usleep(10000);                                                                                   \
    } while (0)

static struct job_claim logged_in_job(struct world *world)
{
    struct store_channel channel = must_login(world, "main");
    return leased_job(world, &channel);
}

/* Ends once everything is done that was begun before: the endpoint answers one after another. */
static void go_round(struct world *world, const struct job_claim *job)
{
    assert_int_equal(ask_fresh(world, job).result, TOKEN_OK);
}

static int keep_trouble(void *ctx, const struct store_channel *channel, const char *trouble)
{
    assert_string_equal(channel->name, "main");
    text_copy(ctx, MESSAGE_SIZE, trouble);
    return 0;
}

static bool has_trouble(struct world *world, char ret[MESSAGE_SIZE])
{
    ret[0] = '\0';
    assert_ok(store_video_trouble_list(world->store, keep_trouble, ret, &world->err), world);
    return ret[0] != '\0';
}

/* ---- when ---- */

static void nobody_asks_for_videos_unless_that_is_wanted(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    atomic_store(&endpoint->video_pages, 1);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    go_round(world, &job);
    assert_int_equal(atomic_load(&endpoint->videos_requests), 0);
    assert_int_equal(count_events(world, "foreign video"), 0);
}

static void a_video_of_nobody_is_found_once_and_paid_for(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    watch(world, HOUR_MS);
    atomic_store(&endpoint->video_pages, 1);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    wait_until(count_events(world, "foreign video") == 1);
    assert_int_equal(atomic_load(&endpoint->videos_requests), 1);
    assert_int_equal(units_used(world), 1 + atomic_load(&endpoint->channels_requests));
    wait_until(world_log_has(world, "there are videos that no job has made"));
    assert_int_equal(ask(world, &job).result, TOKEN_OK); /* not due again */
    /* by another broker neither */
    watch(world, HOUR_MS);
    go_round(world, &job);
    go_round(world, &job);
    assert_int_equal(atomic_load(&endpoint->videos_requests), 1);
    assert_int_equal(count_events(world, "foreign video"), 1);
}

static void without_a_lease_nothing_is_looked_at(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world), stolen = job;
    stolen.lease_epoch++;
    watch(world, HOUR_MS);
    assert_int_equal(ask(world, &stolen).result, TOKEN_TRANSIENT);
    assert_int_equal(atomic_load(&endpoint->videos_requests), 0);
    struct store_video_look look;
    bool is_due = false;
    assert_ok(store_video_look_begin(world->store, job.channel_id, HOUR_MS, &look, &is_due, &world->err),
              world);
    assert_true(is_due); /* nobody has taken the turn */
}

static void each_page_is_paid_for(void **state)
{
    enum { PAGES = 3 };
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    uint32_t before = units_used(world), whose = (uint32_t)atomic_load(&endpoint->channels_requests);
    watch(world, HOUR_MS);
    atomic_store(&endpoint->video_pages, PAGES);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    wait_until(count_events(world, "foreign video") == PAGES);
    assert_int_equal(atomic_load(&endpoint->videos_requests), PAGES);
    whose = (uint32_t)atomic_load(&endpoint->channels_requests) - whose;
    assert_int_equal(units_used(world) - before, PAGES + whose);
}

static void a_walk_has_an_end(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    watch(world, HOUR_MS);
    atomic_store(&endpoint->video_pages, VIDEO_LOOK_PAGES_MAX + 5);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    wait_until(count_events(world, "foreign video") == VIDEO_LOOK_PAGES_MAX);
    assert_int_equal(atomic_load(&endpoint->videos_requests), VIDEO_LOOK_PAGES_MAX);
    assert_true(world_log_has(world, "too many for one look"));
}

static void units_that_jobs_may_need_are_not_spent(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    watch(world, HOUR_MS);
    atomic_store(&endpoint->video_pages, 1);
    /* two for whose channel it is, and no more is left below the soft limit */
    assert_ok(store_client_limits(world->store, world->client.id, 100, 2, "tester", &world->err), world);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    wait_until(world_log_has(world, "units of the day are nearly spent"));
    go_round(world, &job);
    assert_int_equal(atomic_load(&endpoint->videos_requests), 0);
}

/* ---- answers ---- */

static void a_login_that_may_not_read_is_told_once_and_is_no_alarm(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    char trouble[MESSAGE_SIZE];
    watch(world, 1);
    atomic_store(&endpoint->videos_mode, VIDEOS_NARROW);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    wait_until(has_trouble(world, trouble));
    assert_non_null(strstr(trouble, "403 insufficientPermissions"));
    for (int before = atomic_load(&endpoint->videos_requests);
         atomic_load(&endpoint->videos_requests) < before + 3;)
        assert_int_equal(ask(world, &job).result, TOKEN_OK);
    assert_int_equal(world_log_count(world, "were not looked at"), 1);
    assert_int_equal(count_events(world, "token refused") + count_events(world, "foreign video"), 0);
    atomic_store(&endpoint->videos_mode, VIDEOS_OK);
    while (has_trouble(world, trouble))
        assert_int_equal(ask(world, &job).result, TOKEN_OK);
}

static void an_answer_that_says_nothing_is_no_trouble(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    char trouble[MESSAGE_SIZE];
    watch(world, HOUR_MS);
    atomic_store(&endpoint->videos_mode, VIDEOS_503);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    wait_until(world_log_has(world, "playlistItems.list: HTTP 503"));
    assert_false(has_trouble(world, trouble));
    assert_int_equal(count_events(world, "foreign video"), 0);
}

static void a_broker_ends_in_the_middle_of_a_look(void **state)
{
    struct world *world = *state;
    struct job_claim job = logged_in_job(world);
    watch(world, HOUR_MS);
    atomic_store(&endpoint->delay_ms, 300);
    assert_int_equal(ask(world, &job).result, TOKEN_OK);
    world_close_broker(world);
    assert_false(world_log_has(world, "Sanitizer"));
    assert_int_equal(count_events(world, "foreign video"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

static int run(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_asks_for_videos_unless_that_is_wanted),
        TEST(a_video_of_nobody_is_found_once_and_paid_for),
        TEST(without_a_lease_nothing_is_looked_at),
        TEST(each_page_is_paid_for),
        TEST(a_walk_has_an_end),
        TEST(units_that_jobs_may_need_are_not_spent),
        TEST(a_login_that_may_not_read_is_told_once_and_is_no_alarm),
        TEST(an_answer_that_says_nothing_is_no_trouble),
        TEST(a_broker_ends_in_the_middle_of_a_look),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
