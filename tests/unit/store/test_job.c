/* Jobs: adding, finding, listing, moves, channels' holds. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fixture.h"

/* ---- add ---- */

static void an_added_job_is_there_whole(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct store_job_new new = new_job(channel, "JOB1");
    new.region = "eu";
    new.priority = 5;
    new.cdn_url = "https://cdn.example/x";
    new.size_bytes = FILE_BYTES_MAX;
    struct job_id id = add(fix, &new);
    fixture_reopen(fix);
    struct store_job job;
    assert_ok(store_job_find(fix->store, id.text, &job, &fix->err), fix);
    assert_string_equal(job.tenant, "t");
    assert_string_equal(job.channel, "c");
    assert_string_equal(job.region, "eu");
    assert_int_equal(job.priority, 5);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_int_equal(job.size_bytes, FILE_BYTES_MAX);
    assert_int_equal(job.confirmed_bytes, 0);
    assert_int_equal(job.added_at_ms, fix->now_ms);
    assert_string_equal(job.storage_path, new.storage_path);
    assert_string_equal(job.fingerprint, new.fingerprint);
    assert_string_equal(job.title, new.title);
    assert_string_equal(job.metadata, new.metadata);
    assert_string_equal(job.idempotency_key, new.idempotency_key);
    assert_string_equal(job.params_digest, new.params_digest);
    assert_string_equal(job.cdn_url, new.cdn_url);
    store_job_release(&job);
    struct store_event event = last_event(fix, id.text);
    assert_string_equal(event.what, "job added");
    assert_string_equal(event.who, "tester");
    assert_string_equal(event.to_state, "queued");
}

static void the_same_key_gives_the_same_job(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    struct job_id first = add_job(fix, channel, "JOB1"), id;
    struct store_job_new again = new_job(channel, "JOB1");
    again.id = job_id("JOB2");
    bool existed;
    uint32_t events = count_events(fix, NULL, NULL);
    assert_ok(store_job_add(fix->store, &again, &id, &existed, &fix->err), fix);
    assert_true(existed);
    assert_string_equal(id.text, first.text);
    again.params_digest = "other";
    assert_code(store_job_add(fix->store, &again, &id, &existed, &fix->err), ERR_EXISTS);
    assert_true(existed);
    assert_string_equal(id.text, first.text);
    assert_non_null(strstr(fix->err.message, first.text));
    assert_int_equal(number(fix, "select count(*) from job"), 1);
    assert_int_equal(count_events(fix, NULL, NULL), events);
    /* Another tenant's keys are its own. */
    again.channel_id = make_channel(fix, "u", "c");
    assert_ok(store_job_add(fix->store, &again, &id, &existed, &fix->err), fix);
    assert_false(existed);
}

enum { MANY = 1100 }; /* more than one statement takes */

/* Each second one of them belongs to the second channel. */
static void make_many(struct store_job_new *jobs, struct store_add_item *items, const int64_t channels[2])
{
    static char names[MANY][16];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "M%05d", i);
        jobs[i] = new_job(channels[i % 2], names[i]);
        items[i].job = &jobs[i];
    }
}

static void many_jobs_are_added_at_once_or_none(void **state)
{
    static struct store_job_new jobs[MANY];
    static struct store_add_item items[MANY];
    struct fixture *fix = *state;
    int64_t channels[2] = {make_channel(fix, "t", "c"), make_channel(fix, "u", "c")};
    set_channel(fix, channels[1], CHANNEL_PAUSED, 0);
    make_many(jobs, items, channels);
    struct store_job_new taken = new_job(channels[0], "TAKEN");
    taken.idempotency_key = jobs[700].idempotency_key;
    struct job_id taken_id = add(fix, &taken);
    jobs[700].params_digest = "other";
    assert_code(store_job_add_many(fix->store, items, MANY, &fix->err), ERR_EXISTS);
    assert_true(items[700].is_refused);
    assert_string_equal(items[700].id.text, taken_id.text);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
    jobs[700].params_digest = taken.params_digest;
    jobs[900].idempotency_key = jobs[900].storage_path; /* the same in one statement */
    jobs[902].idempotency_key = jobs[900].storage_path;
    assert_ok(store_job_add_many(fix->store, items, MANY, &fix->err), fix);
    assert_true(items[700].existed);
    assert_false(items[700].is_refused);
    assert_string_equal(items[700].id.text, taken_id.text);
    assert_false(items[900].existed);
    assert_true(items[902].existed);
    assert_string_equal(items[902].id.text, jobs[900].id.text);
    assert_string_equal(items[699].id.text, jobs[699].id.text);
    assert_int_equal(number(fix, "select count(*) from job where state = 'queued'"), MANY / 2 - 1);
    assert_int_equal(number(fix, "select count(*) from job where cause = 'channel_paused'"), MANY / 2);
    assert_int_equal(number(fix, "select count(*) from upload"), MANY - 1);
    assert_int_equal(count_events(fix, NULL, "job added"), MANY - 1);
    jobs[MANY - 1].channel_id = 99;
    assert_code(store_job_add_many(fix->store, items, MANY, &fix->err), ERR_NOT_FOUND);
}

static void bad_jobs_are_refused(void **state)
{
    struct fixture *fix = *state;
    struct job_id id;
    bool existed;
    int64_t channel = make_channel(fix, "t", "c");
    struct store_job_new new = new_job(channel, "JOB1");
    new.size_bytes = 0;
    assert_code(store_job_add(fix->store, &new, &id, &existed, &fix->err), ERR_INVALID);
    new.size_bytes = FILE_BYTES_MAX + 1;
    assert_code(store_job_add(fix->store, &new, &id, &existed, &fix->err), ERR_INVALID);
    new = new_job(99, "JOB1");
    assert_code(store_job_add(fix->store, &new, &id, &existed, &fix->err), ERR_NOT_FOUND);
    add_job(fix, channel, "JOB1");
    new = new_job(channel, "JOB1");
    new.idempotency_key = "another key, the same id";
    assert_code(store_job_add(fix->store, &new, &id, &existed, &fix->err), ERR_EXISTS);
    assert_int_equal(number(fix, "select count(*) from upload"), 1);
}

static void a_job_of_a_channel_that_may_not_be_sent_begins_held(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    set_channel(fix, channel, CHANNEL_LIMITED, fix->now_ms + 5000);
    struct job_id limited = add_job(fix, channel, "LIMITED");
    assert_int_equal(cause_of(fix, limited), CAUSE_UPLOAD_LIMIT);
    assert_int_equal(get_job(fix, limited).next_at_ms, fix->now_ms + 5000);
    set_channel(fix, channel, CHANNEL_FROZEN, 0);
    struct job_id frozen = add_job(fix, channel, "FROZEN");
    assert_int_equal(state_of(fix, frozen), JOB_HELD);
    assert_int_equal(cause_of(fix, frozen), CAUSE_CHANNEL_FROZEN);
    assert_int_equal(cause_of(fix, limited), CAUSE_CHANNEL_FROZEN);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    assert_int_equal(state_of(fix, frozen), JOB_QUEUED);
    assert_int_equal(state_of(fix, limited), JOB_QUEUED);
}

/* ---- find and list ---- */

static void a_job_is_found_by_an_unambiguous_prefix(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "01AAAAA1");
    add_job(fix, channel, "01AAAAA2");
    struct store_job job;
    assert_code(store_job_find(fix->store, "01AAA", &job, &fix->err), ERR_USAGE);
    assert_code(store_job_find(fix->store, "01AAAAA", &job, &fix->err), ERR_USAGE);
    assert_code(store_job_find(fix->store, "01AAAAA3", &job, &fix->err), ERR_NOT_FOUND);
    assert_code(store_job_find(fix->store, "01AAAAA1000000000000000000000000000", &job, &fix->err),
                ERR_NOT_FOUND);
    assert_ok(store_job_find(fix->store, "01AAAAA2", &job, &fix->err), fix);
    assert_string_equal(job.id.text, job_id("01AAAAA2").text);
    store_job_release(&job);
}

struct listed {
    int count;
    char ids[8][JOB_ID_SIZE];
};

static int keep_id(void *ctx, const struct store_job *job)
{
    struct listed *listed = ctx;
    memcpy(listed->ids[listed->count++], job->id.text, JOB_ID_SIZE);
    return 0;
}

static struct listed list(struct fixture *fix, int state, int64_t channel, uint32_t limit)
{
    struct listed listed = {.count = 0};
    struct store_job_filter filter = {.state = state, .channel_id = channel, .limit = limit};
    assert_ok(store_job_list(fix->store, &filter, keep_id, &listed, &fix->err), fix);
    return listed;
}

static void jobs_are_listed_newest_first(void **state)
{
    struct fixture *fix = *state;
    int64_t c1 = make_channel(fix, "t", "c1"), c2 = make_channel(fix, "t", "c2");
    add_job(fix, c1, "A");
    add_job(fix, c2, "B");
    add_job(fix, c1, "C");
    set_channel(fix, c2, CHANNEL_PAUSED, 0);
    struct listed all = list(fix, -1, 0, 0);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.ids[0][0], 'C');
    assert_int_equal(all.ids[2][0], 'A');
    assert_int_equal(list(fix, JOB_HELD, 0, 0).count, 1);
    assert_int_equal(list(fix, JOB_QUEUED, c1, 0).count, 2);
    assert_int_equal(list(fix, JOB_QUEUED, c2, 0).count, 0);
    assert_int_equal(list(fix, -1, c1, 1).ids[0][0], 'C');
}

static struct listed list_newest(struct fixture *fix, int state, const char *tenant)
{
    struct listed listed = {.count = 0};
    struct store_job_filter filter = {.state = state, .tenant = tenant, .limit = 1};
    assert_ok(store_job_list(fix->store, &filter, keep_id, &listed, &fix->err), fix);
    return listed;
}

static void the_newest_jobs_of_a_tenant_are_its_own(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "A");
    add_job(fix, make_channel(fix, "other", "c"), "B");
    assert_int_equal(list_newest(fix, -1, NULL).ids[0][0], 'B');
    assert_int_equal(list_newest(fix, -1, "t").ids[0][0], 'A');
    assert_int_equal(list_newest(fix, JOB_QUEUED, "t").ids[0][0], 'A');
    assert_int_equal(list_newest(fix, JOB_HELD, "t").count, 0);
    assert_int_equal(list_newest(fix, -1, "nobody").count, 0);
}

/* ---- moves ---- */

/* How each state is come to, past the store. */
static const char *const ways[JOB_STATE_COUNT] = {
    [JOB_QUEUED] = "",
    [JOB_UPLOADING] = "update job set state = 'uploading';",
    [JOB_WAITING] = "update job set state = 'uploading'; update job set state = 'waiting';",
    [JOB_HELD] = "update job set state = 'held', cause = 'quota';",
    [JOB_FINISHING] =
        "update job set state = 'uploading'; update job set state = 'finishing', video_id = 'v';",
    [JOB_COMPLETED] =
        "update job set state = 'uploading'; update job set state = 'completed', video_id = 'v';",
    [JOB_FAILED] = "update job set state = 'failed';",
    [JOB_CANCELLED] = "update job set state = 'cancelled';",
};

static void try_move(struct fixture *fix, enum job_state from, enum job_state to)
{
    char sql[512], message[256], expected[256];
    /* Undone by closing: each try begins with the same queued job. */
    snprintf(sql, sizeof(sql), "begin; %s update job set state = '%s', cause = '%s', video_id = %s",
             ways[from], job_state_text(to), to == JOB_HELD ? "quota" : "",
             to == JOB_FINISHING || to == JOB_COMPLETED ? "'v'" : "video_id");
    int rc = run_sql(fix, sql, message);
    snprintf(expected, sizeof(expected), "a job cannot go from %s to %s", job_state_text(from),
             job_state_text(to));
    if (job_move_is_allowed(from, to) && rc != 0)
        fail_msg("%s -> %s: %s", job_state_text(from), job_state_text(to), message);
    if (!job_move_is_allowed(from, to))
        assert_string_equal(message, expected);
}

static void the_database_itself_refuses_forbidden_moves(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            try_move(fix, (enum job_state)from, (enum job_state)to);
    assert_int_equal(number(fix, "select count(*) from job where state = 'queued'"), 1);
}

static void the_database_itself_guards_jobs(void **state)
{
    struct fixture *fix = *state;
    char message[256];
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    make_channel(fix, "t", "d");
    assert_int_not_equal(run_sql(fix, "update job set channel_id = channel_id + 1", message), 0);
    assert_string_equal(message, "a job never changes its channel");
    assert_int_not_equal(run_sql(fix, "update job set lease_epoch = -1", message), 0);
    assert_string_equal(message, "a lease epoch never goes back");
    assert_int_not_equal(run_sql(fix, "update job set lease_owner = 'w'", message), 0); /* queued: no lease */
    assert_int_not_equal(run_sql(fix, "update job set state = 'held'", message), 0);    /* no cause */
    assert_int_not_equal(run_sql(fix, "update job set state = 'nonsense'", message), 0);
    assert_int_not_equal(run_sql(fix, "delete from job", message), 0); /* its upload row */
    assert_int_not_equal(
        run_sql(fix,
                "insert into job (id, tenant_id, channel_id, state, size_bytes, added_at_ms,"
                " changed_at_ms, storage_path, fingerprint, title, idempotency_key, params_digest, metadata)"
                " values ('x', 1, 1, 'uploading', 1, 0, 0, '', '', '', 'k', '', '')",
                message),
        0);
    assert_string_equal(message, "a job begins queued or held");
}

static void a_forbidden_write_keeps_the_job_as_it_was(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    move_to(fix, &claim, JOB_FINISHING, CAUSE_NONE);
    enum job_state forbidden[] = {JOB_QUEUED, JOB_UPLOADING, JOB_WAITING, JOB_FAILED, JOB_CANCELLED};
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        struct job_write write = move_of(&claim, forbidden[i], CAUSE_NONE);
        enum write_result result;
        assert_code(store_write(fix->store, "w1", &write, (struct blob){0}, &result, &fix->err), ERR_INVALID);
        assert_non_null(strstr(fix->err.message, "cannot go from finishing"));
        assert_int_equal(result, WRITE_FAILED);
    }
    assert_int_equal(state_of(fix, claim.id), JOB_FINISHING);
    move_to(fix, &claim, JOB_COMPLETED, CAUSE_NONE);
    assert_int_equal(state_of(fix, claim.id), JOB_COMPLETED);
}

/* ---- channels and their jobs ---- */

static void jobs_follow_their_channel_but_not_out_of_other_holds(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    const char *names[] = {"A1", "A2", "A3", "A4", "A5", "A6"};
    struct job_claim claims[6];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add_job(fix, channel, names[i]);
    assert_int_equal(claim_many(fix, "w1", 5, claims), 5); /* A6 stays queued */
    struct job_write write = move_of(&claims[0], JOB_WAITING, CAUSE_NONE);
    write.next_at_ms = fix->now_ms + 100000;
    must_write(fix, &write);
    write = move_of(&claims[1], JOB_HELD, CAUSE_QUOTA);
    write.next_at_ms = fix->now_ms + 100000;
    must_write(fix, &write);
    move_to(fix, &claims[2], JOB_HELD, CAUSE_AMBIGUOUS);
    move_to(fix, &claims[3], JOB_FINISHING, CAUSE_NONE);
    write = write_of(&claims[3]);
    write.release_lease = true;
    must_write(fix, &write);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    assert_int_equal(cause_of(fix, claims[0].id), CAUSE_CHANNEL_PAUSED);
    assert_int_equal(cause_of(fix, claims[1].id), CAUSE_CHANNEL_PAUSED);
    assert_int_equal(cause_of(fix, claims[2].id), CAUSE_AMBIGUOUS);
    assert_int_equal(state_of(fix, claims[3].id), JOB_FINISHING);
    assert_int_equal(state_of(fix, claims[4].id), JOB_UPLOADING); /* leased */
    assert_int_equal(cause_of(fix, job_id("A6")), CAUSE_CHANNEL_PAUSED);
    struct store_event event = last_event(fix, job_id("A6").text);
    assert_string_equal(event.from_state, "queued");
    assert_string_equal(event.to_state, "held");
    assert_string_equal(event.cause, "channel_paused");
    assert_string_equal(event.who, "tester");
    set_channel(fix, channel, CHANNEL_FROZEN, 0);
    assert_int_equal(cause_of(fix, claims[0].id), CAUSE_CHANNEL_FROZEN);
    struct store_renewal renewal;
    assert_ok(
        store_renew(fix->store, "w1", claims[4].id, claims[4].lease_epoch, LEASE_MS, &renewal, &fix->err),
        fix);
    assert_int_equal(renewal.channel, CHANNEL_FROZEN);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(state_of(fix, claims[i].id), JOB_QUEUED);
    assert_int_equal(cause_of(fix, claims[2].id), CAUSE_AMBIGUOUS);
    assert_int_equal(state_of(fix, claims[3].id), JOB_FINISHING);
}

static void a_write_may_stop_its_channel_and_the_others_follow(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    add_job(fix, channel, "A2");
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = move_of(&claim, JOB_HELD, CAUSE_UPLOAD_LIMIT);
    write.next_at_ms = write.channel_until_ms = fix->now_ms + CHANNEL_HOLD_MS;
    write.set_channel = true;
    write.channel = CHANNEL_LIMITED;
    snprintf(write.note.what, sizeof(write.note.what), "upload limit");
    snprintf(write.note.message, sizeof(write.note.message), "too many today");
    must_write(fix, &write);
    struct store_channel row = get_channel(fix, channel);
    assert_int_equal(row.state, CHANNEL_LIMITED);
    assert_string_equal(row.state_reason, "too many today");
    assert_int_equal(row.until_ms, fix->now_ms + CHANNEL_HOLD_MS);
    assert_int_equal(cause_of(fix, job_id("A2")), CAUSE_UPLOAD_LIMIT);
    fix->now_ms += CHANNEL_HOLD_MS - 1;
    assert_string_equal(claim_one(fix, "w1").id.text, "");
    fix->now_ms += 1;
    assert_string_equal(claim_one(fix, "w1").id.text, job_id("A1").text);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_ACTIVE);
    assert_string_equal(claim_one(fix, "w1").id.text, job_id("A2").text);
}

static void a_worker_does_not_lift_an_operators_pause(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "w1");
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    struct job_write write = move_of(&claim, JOB_HELD, CAUSE_UPLOAD_LIMIT);
    write.next_at_ms = write.channel_until_ms = fix->now_ms + 1000;
    write.set_channel = true;
    write.channel = CHANNEL_LIMITED;
    must_write(fix, &write);
    assert_int_equal(get_channel(fix, channel).state, CHANNEL_PAUSED);
    assert_int_equal(cause_of(fix, claim.id), CAUSE_CHANNEL_PAUSED);
    fix->now_ms += 2000;
    assert_string_equal(claim_one(fix, "w1").id.text, "");
}

static void a_job_given_back_follows_the_channel_as_it_is_now(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "w1");
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    move_to(fix, &claim, JOB_QUEUED, CAUSE_NONE);
    assert_int_equal(cause_of(fix, claim.id), CAUSE_CHANNEL_PAUSED);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    /* The worker learnt of the pause, and wrote its hold after the channel was resumed. */
    claim = claim_one(fix, "w1");
    move_to(fix, &claim, JOB_HELD, CAUSE_CHANNEL_PAUSED);
    assert_int_equal(state_of(fix, claim.id), JOB_QUEUED);
    assert_int_equal(claim_one(fix, "w1").lease_epoch, 3);
}

static void a_dead_workers_job_follows_its_channel(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "dead");
    set_channel(fix, channel, CHANNEL_AUTH, 0);
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    assert_string_equal(claim_one(fix, "w2").id.text, "");
    assert_int_equal(cause_of(fix, claim.id), CAUSE_CHANNEL_AUTH);
    assert_int_equal(
        do_store_write(fix, &(struct job_write){.id = claim.id, .lease_epoch = claim.lease_epoch}),
        WRITE_LEASE_LOST);
}

static void every_move_has_its_audit_line(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "A1");
    struct job_claim claim = claim_one(fix, "w1");
    move_to(fix, &claim, JOB_WAITING, CAUSE_NONE);
    set_channel(fix, channel, CHANNEL_PAUSED, 0);
    set_channel(fix, channel, CHANNEL_ACTIVE, 0);
    claim = claim_one(fix, "w2");
    move_to(fix, &claim, JOB_FINISHING, CAUSE_NONE);
    move_to(fix, &claim, JOB_COMPLETED, CAUSE_NONE);
    /* Each line begins where the one before ended. */
    assert_int_equal(
        number(fix, "select count(*) from (select from_state, lag(to_state) over (order by id) as before"
                    " from event where job_id <> '' and to_state <> '') as line where before <> from_state"),
        0);
    assert_int_equal(number(fix, "select count(*) from event where job_id <> ''"), 8);
    struct store_event event = last_event(fix, claim.id.text);
    assert_string_equal(event.to_state, "completed");
    assert_int_equal(event.lease_epoch, 2);
    assert_string_equal(event.who, "w2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_added_job_is_there_whole),
        TEST(the_same_key_gives_the_same_job),
        TEST(many_jobs_are_added_at_once_or_none),
        TEST(bad_jobs_are_refused),
        TEST(a_job_of_a_channel_that_may_not_be_sent_begins_held),
        TEST(a_job_is_found_by_an_unambiguous_prefix),
        TEST(jobs_are_listed_newest_first),
        TEST(the_newest_jobs_of_a_tenant_are_its_own),
        TEST(the_database_itself_refuses_forbidden_moves),
        TEST(the_database_itself_guards_jobs),
        TEST(a_forbidden_write_keeps_the_job_as_it_was),
        TEST(jobs_follow_their_channel_but_not_out_of_other_holds),
        TEST(a_write_may_stop_its_channel_and_the_others_follow),
        TEST(a_worker_does_not_lift_an_operators_pause),
        TEST(a_job_given_back_follows_the_channel_as_it_is_now),
        TEST(a_dead_workers_job_follows_its_channel),
        TEST(every_move_has_its_audit_line),
    };
    return RUN_UNIT_TESTS(tests);
}
