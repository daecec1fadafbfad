/* Looks at a channel's uploads: one at a time, no video of ours is taken for another's, none is told twice.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fixture.h"
#include "store/videos.h"

enum { EVERY_MS = 3600000, MINUTE_MS = 60000 };

static struct store_video_look must_begin(struct fixture *fix, int64_t channel)
{
    struct store_video_look look;
    bool is_due = false;
    assert_ok(store_video_look_begin(fix->store, channel, EVERY_MS, &look, &is_due, &fix->err), fix);
    assert_true(is_due);
    return look;
}

static bool is_due(struct fixture *fix, int64_t channel)
{
    struct store_video_look look;
    bool ret;
    assert_ok(store_video_look_begin(fix->store, channel, EVERY_MS, &look, &ret, &fix->err), fix);
    return ret;
}

static struct store_video video(const char *id, int64_t published_at_ms)
{
    struct store_video ret = {.published_at_ms = published_at_ms};
    copy_text(ret.id, id);
    return ret;
}

static uint32_t end_look(struct fixture *fix, const struct store_video_look *look,
                         const struct store_video_list *list)
{
    uint32_t found = 99;
    assert_ok(store_video_look_end(fix->store, look, list, &found, &fix->err), fix);
    return found;
}

static uint32_t end_with(struct fixture *fix, const struct store_video_look *look, struct store_video one)
{
    const struct store_video_list list = {.items = &one, .count = 1};
    return end_look(fix, look, &list);
}

/* A whole look that finds one video on the list, an interval after the last; returns how many are foreign. */
static uint32_t look_at(struct fixture *fix, int64_t channel, struct store_video one)
{
    fix->now_ms += EVERY_MS;
    struct store_video_look look = must_begin(fix, channel);
    return end_with(fix, &look, one);
}

/* The job's last byte may be out. */
static struct job_claim finalizing_job(struct fixture *fix, int64_t channel, const char *id)
{
    add_job(fix, channel, id);
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = write_of(&claim);
    write.set_session = true;
    must_write(fix, &write);
    write = write_of(&claim);
    write.set_finalizing = true;
    must_write(fix, &write);
    return claim;
}

static void complete(struct fixture *fix, const struct job_claim *claim, const char *video_id)
{
    struct job_write write = move_of(claim, JOB_COMPLETED, CAUSE_NONE);
    write.clear_session = true;
    write.set_video = true;
    copy_text(write.video_id, video_id);
    must_write(fix, &write);
}

/* ---- whose turn it is ---- */

static void one_look_in_an_interval(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), other = make_channel(fix, "t", "other");
    struct store *another = fixture_open_another(fix);
    struct store_video_look look;
    bool is_mine = true;
    must_begin(fix, channel);
    assert_ok(store_video_look_begin(another, channel, EVERY_MS, &look, &is_mine, &fix->err), fix);
    assert_false(is_mine);
    store_close(another);
    must_begin(fix, other);
    fix->now_ms += EVERY_MS - 1;
    assert_false(is_due(fix, channel));
    fix->now_ms++;
    assert_true(is_due(fix, channel));
    fix->now_ms -= 10 * (int64_t)EVERY_MS; /* the clock was wrong */
    assert_true(is_due(fix, channel));
}

static void a_channel_that_is_gone_has_no_turn(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    assert_ok(store_channel_remove(fix->store, channel, "tester", &fix->err), fix);
    assert_false(is_due(fix, channel));
    assert_false(is_due(fix, 4711));
}

/* ---- whose video it is ---- */

static void a_video_that_no_job_made_is_told_once(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct store_video theirs = video("theirs", fix->now_ms + MINUTE_MS);
    assert_int_equal(look_at(fix, channel, theirs), 1);
    struct store_event line = last_event(fix, NULL);
    assert_string_equal(line.what, "foreign video");
    assert_string_equal(line.reason, "theirs");
    assert_string_equal(line.channel, "c");
    assert_string_equal(line.who, "broker");
    assert_int_equal(look_at(fix, channel, theirs), 0);
    assert_int_equal(look_at(fix, channel, video("more", fix->now_ms)), 1);
    assert_int_equal(count_events(fix, NULL, "foreign video"), 2);
}

static void what_was_there_before_the_channel_was_bound_is_nobodys_business(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    int64_t bound_at_ms = get_channel(fix, channel).added_at_ms;
    assert_int_equal(look_at(fix, channel, video("before", bound_at_ms - 1)), 0);
    assert_int_equal(look_at(fix, channel, video("after", bound_at_ms)), 1);
}

static void a_video_without_a_time_counts_as_new(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    assert_int_equal(look_at(fix, channel, video("timeless", 0)), 1);
    assert_int_equal(look_at(fix, channel, video("timeless", 0)), 0);
}

static void a_jobs_video_is_ours_on_its_channel_alone(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), other = make_channel(fix, "t", "other");
    struct job_claim claim = finalizing_job(fix, channel, "JOB1");
    complete(fix, &claim, "ours");
    assert_int_equal(look_at(fix, channel, video("ours", fix->now_ms)), 0);
    assert_int_equal(look_at(fix, other, video("ours", fix->now_ms)), 1);
}

/* It is on the list, and its id is not stored yet: in whatever state the job is meanwhile. */
static void a_video_whose_job_does_not_know_it_yet_waits(void **state)
{
    static const struct {
        enum job_state state;
        enum job_cause cause;
    } moves[] = {{JOB_UPLOADING, CAUSE_NONE},
                 {JOB_WAITING, CAUSE_NONE},
                 {JOB_HELD, CAUSE_AMBIGUOUS},
                 {JOB_HELD, CAUSE_CHANNEL_PAUSED}};
    struct fixture *fix = *state;
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        char name[16], id[16];
        snprintf(name, sizeof(name), "c%zu", i);
        snprintf(id, sizeof(id), "JOB%zu", i);
        int64_t channel = make_channel(fix, "t", name);
        struct job_claim claim = finalizing_job(fix, channel, id);
        int64_t published_at_ms = fix->now_ms;
        if (moves[i].state != JOB_UPLOADING)
            move_to(fix, &claim, moves[i].state, moves[i].cause);
        assert_int_equal(look_at(fix, channel, video("late", published_at_ms)), 0);
        /* what is older than the session cannot be its */
        assert_int_equal(look_at(fix, channel, video("old", published_at_ms - RECONCILE_SKEW_MS - 1)),
                         published_at_ms - RECONCILE_SKEW_MS - 1 >= get_channel(fix, channel).added_at_ms);
    }
    assert_int_equal(count_events(fix, NULL, "foreign video"), 0);
}

static void what_waited_is_judged_however_long_it_took(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    fix->now_ms += EVERY_MS;
    struct job_claim claim = finalizing_job(fix, channel, "JOB1");
    struct store_video ours = video("ours", fix->now_ms), theirs = video("theirs", fix->now_ms + 1);
    assert_int_equal(look_at(fix, channel, theirs), 0);
    fix->now_ms += 3 * (int64_t)VIDEO_LATE_MS;
    assert_int_equal(look_at(fix, channel, ours), 0);
    assert_int_equal(look_at(fix, channel, theirs), 0);
    complete(fix, &claim, "ours");
    const struct store_video both[] = {theirs, ours};
    const struct store_video_list list = {.items = both, .count = 2};
    fix->now_ms += EVERY_MS;
    struct store_video_look look = must_begin(fix, channel);
    assert_int_equal(end_look(fix, &look, &list), 1);
    assert_string_equal(last_event(fix, NULL).reason, "theirs");
}

static void a_job_that_failed_keeps_nothing_waiting(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_claim claim = finalizing_job(fix, channel, "JOB1");
    move_to(fix, &claim, JOB_FAILED, CAUSE_NONE);
    assert_int_equal(look_at(fix, channel, video("theirs", fix->now_ms)), 1);
}

/* ---- how far was looked ---- */

static void a_look_goes_back_a_day_beyond_the_last(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    int64_t bound_at_ms = get_channel(fix, channel).added_at_ms;
    assert_int_equal(must_begin(fix, channel).since_ms, bound_at_ms);
    fix->now_ms += 5 * (int64_t)VIDEO_LATE_MS;
    struct store_video_look look = must_begin(fix, channel);
    assert_int_equal(look.since_ms, bound_at_ms); /* the first one did not end */
    const struct store_video_list cut = {.is_cut = true}, whole = {.count = 0};
    assert_int_equal(end_look(fix, &look, &cut), 0);
    fix->now_ms += EVERY_MS;
    look = must_begin(fix, channel);
    assert_int_equal(look.since_ms, bound_at_ms);
    assert_int_equal(end_look(fix, &look, &whole), 0);
    int64_t ended_at_ms = fix->now_ms;
    fix->now_ms += EVERY_MS;
    assert_int_equal(must_begin(fix, channel).since_ms, ended_at_ms - VIDEO_LATE_MS);
}

/* ---- what cannot be looked at ---- */

struct troubles {
    int count;
    char channel[NAME_SIZE], last[MESSAGE_SIZE];
};

static int on_trouble(void *ctx, const struct store_channel *channel, const char *trouble)
{
    struct troubles *troubles = ctx;
    troubles->count++;
    copy_text(troubles->channel, channel->name);
    copy_text(troubles->last, trouble);
    return 0;
}

static struct troubles troubles_of(struct fixture *fix)
{
    struct troubles troubles = {0};
    assert_ok(store_video_trouble_list(fix->store, on_trouble, &troubles, &fix->err), fix);
    return troubles;
}

static void a_trouble_is_news_once_and_gone_with_a_good_look(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    bool is_news = false;
    struct store_video_look look = must_begin(fix, channel);
    assert_ok(store_video_look_refused(fix->store, channel, "HTTP 403", &is_news, &fix->err), fix);
    assert_true(is_news);
    assert_ok(store_video_look_refused(fix->store, channel, "HTTP 403", &is_news, &fix->err), fix);
    assert_false(is_news);
    struct troubles troubles = troubles_of(fix);
    assert_int_equal(troubles.count, 1);
    assert_string_equal(troubles.channel, "c");
    assert_string_equal(troubles.last, "HTTP 403");
    assert_int_equal(end_with(fix, &look, video("before", 1)), 0);
    assert_int_equal(troubles_of(fix).count, 0);
}

/* ---- units ---- */

static int on_quota(void *ctx, const struct store_quota *quota)
{
    if (quota->bucket == BUCKET_UNITS)
        *(uint32_t *)ctx += quota->used;
    return 0;
}

static bool fits(struct fixture *fix, int64_t client, int64_t channel, uint32_t amount, uint32_t *ret_used)
{
    const struct store_charge charge = {.client_id = client,
                                        .channel_id = channel,
                                        .pacific_day = 7,
                                        .units = amount,
                                        .who = "tester",
                                        .calls = "playlistItems.list"};
    bool ret;
    assert_ok(store_quota_charge_below(fix->store, &charge, 90, &ret, &fix->err), fix);
    *ret_used = 0;
    assert_ok(store_quota_list(fix->store, 7, on_quota, ret_used, &fix->err), fix);
    return ret;
}

static void units_are_charged_up_to_a_part_of_the_day(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), client = get_channel(fix, channel).client_id;
    uint32_t used;
    assert_ok(store_client_limits(fix->store, client, 100, 1000, "tester", &fix->err), fix);
    assert_true(fits(fix, client, channel, 899, &used));
    assert_true(fits(fix, client, channel, 1, &used));
    assert_int_equal(used, 900);
    assert_false(fits(fix, client, channel, 1, &used));
    assert_int_equal(used, 900);
    assert_int_equal(count_events(fix, NULL, "look started"), 2);
}

/* ---- the alarm ---- */

static int keep_alarm(void *ctx, const struct store_alarm *alarm)
{
    *(struct store_alarm *)ctx = *alarm;
    return 0;
}

static void the_alarm_names_the_videos(void **state)
{
    enum { MANY = 20 };
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct store_video videos[MANY];
    struct store_alarm alarm = {.id = 0};
    uint32_t raised;
    for (int i = 0; i < MANY; i++) {
        char id[VIDEO_ID_SIZE];
        snprintf(id, sizeof(id), "video-%05d", i);
        videos[i] = video(id, fix->now_ms + i);
    }
    struct store_video_look look = must_begin(fix, channel);
    const struct store_video_list list = {.items = videos, .count = MANY};
    assert_int_equal(end_look(fix, &look, &list), MANY);
    fix->now_ms += MINUTE_MS;
    assert_ok(store_alarm_look(fix->store, "w", 0, &raised, &fix->err), fix);
    assert_int_equal(raised, 1);
    assert_ok(store_alarm_list(fix->store, false, keep_alarm, &alarm, &fix->err), fix);
    assert_int_equal(alarm.signal, MISUSE_VIDEOS);
    assert_int_equal(alarm.count, MANY);
    assert_string_equal(alarm.channel, "c");
    assert_string_equal(alarm.reaction, "notified");
    assert_non_null(strstr(alarm.message, "20 in 60 minutes: video-0"));
    assert_non_null(strstr(alarm.message, ", …"));
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_ACTIVE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_look_in_an_interval),
        TEST(a_channel_that_is_gone_has_no_turn),
        TEST(a_video_that_no_job_made_is_told_once),
        TEST(what_was_there_before_the_channel_was_bound_is_nobodys_business),
        TEST(a_video_without_a_time_counts_as_new),
        TEST(a_jobs_video_is_ours_on_its_channel_alone),
        TEST(a_video_whose_job_does_not_know_it_yet_waits),
        TEST(what_waited_is_judged_however_long_it_took),
        TEST(a_job_that_failed_keeps_nothing_waiting),
        TEST(a_look_goes_back_a_day_beyond_the_last),
        TEST(a_trouble_is_news_once_and_gone_with_a_good_look),
        TEST(units_are_charged_up_to_a_part_of_the_day),
        TEST(the_alarm_names_the_videos),
    };
    return RUN_UNIT_TESTS(tests);
}
