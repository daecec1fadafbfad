/* Stops: a client and all its channels, and the one alarm that tells of what was stopped. */
#include <string.h>

#include "base/text.h"
#include "fixture.h"

static void set_client(struct fixture *fix, int64_t client, enum client_state state, const char *reason)
{
    assert_ok(store_client_set_state(fix->store, client, state, reason, "tester", &fix->err), fix);
}

static int64_t client_of(struct fixture *fix, int64_t channel)
{
    return get_channel(fix, channel).client_id;
}

static struct store_client get_client(struct fixture *fix, int64_t client)
{
    struct store_client found;
    assert_ok(store_client_get(fix->store, client, &found, &fix->err), fix);
    return found;
}

static void assert_alarms(struct fixture *fix, uint32_t open, uint32_t all)
{
    assert_int_equal(alarms_of(fix, false).count, open);
    assert_int_equal(alarms_of(fix, true).count, all);
}

/* What a worker writes that was refused. */
static void write_refusal(struct fixture *fix, const struct job_claim *claim, const char *reason,
                          enum channel_state channel)
{
    struct job_write write = move_of(claim, JOB_HELD, channel_state_cause(channel));
    write.set_channel = true;
    write.channel = channel;
    copy_text(write.note.what, "token refused");
    copy_text(write.note.reason, reason);
    copy_text(write.note.message, "said Google");
    must_write(fix, &write);
}

static void write_client_refusal(struct fixture *fix, const struct job_claim *claim)
{
    struct job_write write = move_of(claim, JOB_HELD, CAUSE_CHANNEL_FROZEN);
    write.client_is_refused = true;
    copy_text(write.note.what, "token refused");
    copy_text(write.note.reason, "client refused");
    copy_text(write.note.message, "invalid_client \xff");
    must_write(fix, &write);
}

/* ---- a client that is frozen ---- */

static void a_frozen_client_stops_its_channels_and_no_others(void **state)
{
    struct fixture *fix = *state;
    int64_t one = make_channel(fix, "t", "one"), two = make_channel(fix, "t", "two");
    int64_t other = make_channel(fix, "u", "other");
    struct job_id jobs[] = {add_job(fix, one, "ONE"), add_job(fix, two, "TWO"), add_job(fix, other, "OTHER")};
    set_client(fix, client_of(fix, one), CLIENT_FROZEN, "stolen laptop");
    assert_int_equal(get_client(fix, client_of(fix, one)).state, CLIENT_FROZEN);
    assert_string_equal(get_client(fix, client_of(fix, one)).state_reason, "stolen laptop");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_of(fix, jobs[i]), JOB_HELD);
        assert_int_equal(cause_of(fix, jobs[i]), CAUSE_CHANNEL_FROZEN);
        assert_non_null(strstr(get_job(fix, jobs[i]).channel_reason, "sluice client unfreeze"));
        assert_non_null(strstr(get_job(fix, jobs[i]).channel_reason, "stolen laptop"));
    }
    assert_int_equal(state_of(fix, jobs[2]), JOB_QUEUED);
    assert_int_equal(cause_of(fix, add_job(fix, one, "LATER")), CAUSE_CHANNEL_FROZEN);
    assert_string_equal(claim_one(fix, "w").id.text, jobs[2].text);
    assert_string_equal(claim_one(fix, "w").id.text, "");
    set_client(fix, client_of(fix, one), CLIENT_ACTIVE, "mended");
    assert_int_equal(get_channel(fix, one).state, CHANNEL_ACTIVE);
    assert_string_equal(get_channel(fix, one).state_reason, "");
    struct job_claim claims[4];
    assert_int_equal(claim_many(fix, "w", 4, claims), 3);
    assert_int_equal(count_events(fix, NULL, "client state set"), 2);
    assert_alarms(fix, 0, 0); /* whoever froze it knows */
}

static void each_channel_is_then_as_it_was(void **state)
{
    struct fixture *fix = *state;
    static const enum channel_state states[] = {CHANNEL_PAUSED, CHANNEL_AUTH, CHANNEL_FROZEN,
                                                CHANNEL_LIMITED};
    int64_t until_ms = fix->now_ms + 3600000, channel = make_channel(fix, "t", "c");
    int64_t client = client_of(fix, channel);
    struct job_id job = add_job(fix, channel, "JOB");
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        set_channel(fix, channel, states[i], until_ms);
        set_client(fix, client, CLIENT_FROZEN, "why");
        set_client(fix, client, CLIENT_FROZEN, "why else"); /* twice is once */
        assert_int_equal(get_channel(fix, channel).state, CHANNEL_FROZEN);
        assert_int_equal(get_channel(fix, channel).own_state, states[i]);
        assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_FROZEN);
        set_client(fix, client, CLIENT_ACTIVE, "mended");
        assert_int_equal(get_channel(fix, channel).state, states[i]);
        assert_int_equal(cause_of(fix, job), channel_state_cause(states[i]));
        assert_int_equal(get_job(fix, job).next_at_ms, states[i] == CHANNEL_LIMITED ? until_ms : 0);
    }
}

static void what_happens_to_the_channel_meanwhile_is_kept_for_then(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), client = client_of(fix, channel);
    struct job_id job = add_job(fix, channel, "JOB");
    set_client(fix, client, CLIENT_FROZEN, "why");
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_FROZEN);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_FROZEN);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0); /* does not lift it */
    assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_FROZEN);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    set_client(fix, client, CLIENT_ACTIVE, "mended");
    assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_PAUSED);
}

static void a_job_that_is_leased_follows_and_keeps_its_session(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), client = client_of(fix, channel);
    struct job_id job = add_job(fix, channel, "JOB");
    struct job_claim claim = claim_one(fix, "w");
    struct store_renewal renewal;
    struct job_write write = write_of(&claim);
    write.set_session = true;
    must_write(fix, &write);
    set_client(fix, client, CLIENT_FROZEN, "why");
    assert_ok(store_renew(fix->store, "w", job, claim.lease_epoch, LEASE_MS, &renewal, &fix->err), fix);
    assert_int_equal(renewal.channel, CHANNEL_FROZEN);
    assert_int_equal(get_job(fix, job).channel_state, CHANNEL_FROZEN);
    write = move_of(&claim, JOB_QUEUED, CAUSE_NONE);
    must_write(fix, &write);
    assert_int_equal(cause_of(fix, job), CAUSE_CHANNEL_FROZEN);
    set_client(fix, client, CLIENT_ACTIVE, "mended");
    assert_int_equal(state_of(fix, job), JOB_QUEUED);
    assert_true(get_job(fix, job).has_session);
}

static void nobody_logs_in_with_a_client_that_is_stopped(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c"), client = client_of(fix, channel);
    set_client(fix, client, CLIENT_FROZEN, "why");
    assert_code(login(fix, "t", "c", get_channel(fix, channel).yt_channel_id), ERR_INVALID);
    assert_non_null(strstr(fix->err.message, "sluice client unfreeze main"));
    assert_code(login(fix, "t", "new", "UC-new"), ERR_INVALID);
    set_client(fix, client, CLIENT_ACTIVE, "");
    assert_ok(login(fix, "t", "new", "UC-new"), fix);
}

/* ---- a client that Google refuses ---- */

static void k04_a_refused_client_stops_all_channels_and_is_told_once(void **state)
{
    struct fixture *fix = *state;
    int64_t channels[3] = {make_channel(fix, "t", "a"), make_channel(fix, "t", "b"),
                           make_channel(fix, "t", "c")};
    struct job_id last = add_job(fix, channels[2], "C");
    struct job_claim one, two;
    add_job(fix, channels[0], "A");
    add_job(fix, channels[1], "B");
    set_channel(fix, channels[2], CHANNEL_PAUSED, 0);
    one = claim_one(fix, "w1");
    two = claim_one(fix, "w2");
    write_client_refusal(fix, &one);
    assert_int_equal(get_client(fix, client_of(fix, channels[0])).state, CLIENT_REFUSED);
    assert_int_equal(cause_of(fix, last), CAUSE_CHANNEL_FROZEN);
    write_client_refusal(fix, &two);
    assert_alarms(fix, 1, 1);
    struct store_alarm alarm = alarms_of(fix, false).last;
    assert_int_equal(alarm.signal, MISUSE_CLIENT_STOPPED);
    assert_string_equal(alarm.client, "main");
    assert_string_equal(alarm.channel, "");
    assert_string_equal(alarm.reaction, "jobs held");
    assert_non_null(strstr(alarm.message, "invalid_client"));
    assert_int_equal(count_events(fix, NULL, "client state set"), 1);
    /* Imported anew, with another secret. */
    struct store_client client = get_client(fix, client_of(fix, channels[0]));
    assert_ok(store_client_put(fix->store, &client, "tester", &fix->err), fix);
    assert_int_equal(get_client(fix, client.id).state, CLIENT_ACTIVE);
    assert_int_equal(state_of(fix, one.id), JOB_QUEUED);
    assert_int_equal(state_of(fix, two.id), JOB_QUEUED);
    assert_int_equal(cause_of(fix, last), CAUSE_CHANNEL_PAUSED);
    assert_alarms(fix, 0, 1);
}

static void what_an_operator_froze_no_import_and_no_worker_changes(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "JOB");
    struct job_claim claim = claim_one(fix, "w");
    set_client(fix, client_of(fix, channel), CLIENT_FROZEN, "why");
    write_client_refusal(fix, &claim);
    struct store_client client = get_client(fix, client_of(fix, channel));
    assert_int_equal(client.state, CLIENT_FROZEN);
    assert_ok(store_client_put(fix->store, &client, "tester", &fix->err), fix);
    assert_int_equal(get_client(fix, client.id).state, CLIENT_FROZEN);
    assert_int_equal(cause_of(fix, claim.id), CAUSE_CHANNEL_FROZEN);
    assert_alarms(fix, 0, 0);
}

/* ---- a channel whose login is refused ---- */

static void k03_a_refused_login_is_told_once_until_there_is_a_new_one(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_claim claims[3];
    add_many(fix, channel, "J", 3);
    assert_int_equal(claim_many(fix, "w", 3, claims), 3);
    for (int i = 0; i < 3; i++)
        write_refusal(fix, &claims[i], "login expired or revoked", CHANNEL_AUTH);
    assert_alarms(fix, 1, 1);
    struct store_alarm alarm = alarms_of(fix, false).last;
    assert_int_equal(alarm.signal, MISUSE_CHANNEL_STOPPED);
    assert_string_equal(alarm.channel, "c");
    assert_string_equal(alarm.message, "channel_auth: said Google");
    assert_int_equal(alarm.count, 1);
    assert_ok(login(fix, "t", "c", get_channel(fix, channel).yt_channel_id), fix);
    assert_alarms(fix, 0, 1);
    assert_int_equal(state_of(fix, claims[0].id), JOB_QUEUED);
    /* The next time is another event. */
    struct job_claim again = claim_one(fix, "w");
    write_refusal(fix, &again, "login expired or revoked", CHANNEL_AUTH);
    assert_alarms(fix, 1, 2);
}

static void h08_a_suspended_channel_is_told_once(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_claim claims[2];
    add_many(fix, channel, "J", 2);
    assert_int_equal(claim_many(fix, "w", 2, claims), 2);
    write_refusal(fix, &claims[0], "channelSuspended", CHANNEL_FROZEN);
    write_refusal(fix, &claims[1], "channelSuspended", CHANNEL_FROZEN);
    assert_alarms(fix, 1, 1);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_alarms(fix, 0, 1);
}

static void what_has_an_alarm_of_its_own_is_not_told_twice(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "JOB");
    struct job_claim claim = claim_one(fix, "w");
    write_refusal(fix, &claim, "scope missing", CHANNEL_AUTH);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_AUTH);
    assert_alarms(fix, 0, 0);
}

static void what_an_operator_does_is_not_told(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    set_channel(fix, channel, CHANNEL_FROZEN, 0);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_alarms(fix, 0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_frozen_client_stops_its_channels_and_no_others),
        TEST(each_channel_is_then_as_it_was),
        TEST(what_happens_to_the_channel_meanwhile_is_kept_for_then),
        TEST(a_job_that_is_leased_follows_and_keeps_its_session),
        TEST(nobody_logs_in_with_a_client_that_is_stopped),
        TEST(k04_a_refused_client_stops_all_channels_and_is_told_once),
        TEST(what_an_operator_froze_no_import_and_no_worker_changes),
        TEST(k03_a_refused_login_is_told_once_until_there_is_a_new_one),
        TEST(h08_a_suspended_channel_is_told_once),
        TEST(what_has_an_alarm_of_its_own_is_not_told_twice),
        TEST(what_an_operator_does_is_not_told),
    };
    return RUN_UNIT_TESTS(tests);
}
