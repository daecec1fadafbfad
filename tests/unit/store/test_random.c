/*
 * Random sequences of everything that the store does, against the model; after each step (on Postgres, where
 * it costs more than the step, after some) all rows are compared. SLUICE_SEED replays one seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/random.h"
#include "base/text.h"
#include "failing_vfs.h"
#include "fixture.h"
#include "model.h"

enum {
    STEPS = 1500,
    SEEDS = 6,
    POSTGRES_STEPS = 1000,
    POSTGRES_SEEDS = 2,
    POSTGRES_LOOKS = 5,
    DAY_LIMIT = 25
};

struct run {
    struct fixture *fix;
    struct model model;
    uint64_t dice;
    int step;
    int compared; /* jobs, by the present comparison */
    char did[256];
};

static uint32_t draw(struct run *run, uint32_t below)
{
    run->dice ^= run->dice << 13;
    run->dice ^= run->dice >> 7;
    run->dice ^= run->dice << 17;
    return (uint32_t)((run->dice >> 16) % below);
}

static bool strikes(struct run *run, uint32_t percent)
{
    return draw(run, 100) < percent;
}

#define broken(run, format, ...) fail_msg("step %d, after %s: " format, (run)->step, (run)->did, __VA_ARGS__)

/* ---- comparing ---- */

static struct model_job *find_job(struct run *run, const char *id)
{
    for (int i = 0; i < run->model.job_count; i++)
        if (strcmp(run->model.jobs[i].id.text, id) == 0)
            return &run->model.jobs[i];
    broken(run, "there is an unknown job %s", id);
    return NULL;
}

static int compare_job(void *ctx, const struct store_job *job)
{
    struct run *run = ctx;
    struct store_job have = *job;
    const struct model_job *want = find_job(run, job->id.text);
    run->compared++;
    const struct {
        const char *what;
        int64_t have, want;
    } numbers[] = {
        {"state", have.state, want->state},
        {"cause", have.cause, want->cause},
        {"next_at_ms", have.next_at_ms, want->next_at_ms},
        {"leased", have.lease_owner[0] != '\0', want->is_leased},
        {"epoch", have.lease_epoch, want->epoch},
        {"lease_until_ms", have.lease_until_ms, want->lease_until_ms},
        {"cancel", have.cancel_wanted, want->cancel != 0},
        {"session", have.has_session, want->has_session},
        {"finalizing", have.finalizing, want->finalizing},
        {"session_dead", have.session_dead, want->session_dead},
        {"confirmed", (int64_t)have.confirmed_bytes, (int64_t)want->confirmed_bytes},
        {"attempts", have.upload_attempts, want->attempts},
        {"waits", have.waits, want->waits},
        {"finished", have.finished_at_ms != 0, job_state_is_terminal(want->state)},
        {"video", strcmp(have.video_id, want->video_id), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (numbers[i].have != numbers[i].want)
            broken(run, "job %s: %s is %lld, not %lld", want->id.text, numbers[i].what,
                   (long long)numbers[i].have, (long long)numbers[i].want);
    return 0;
}

static int compare_channel(void *ctx, const struct store_channel *have)
{
    struct run *run = ctx;
    const struct model_channel *want = run->model.channels;
    while (want->id != have->id)
        want++;
    if (have->state != want->state || have->until_ms != want->until_ms)
        broken(run, "channel %s is %s until %lld, not %s until %lld", have->name,
               channel_state_text(have->state), (long long)have->until_ms, channel_state_text(want->state),
               (long long)want->until_ms);
    return 0;
}

static void compare(struct run *run)
{
    struct fixture *fix = run->fix;
    struct store_job_filter all = {.state = -1};
    run->compared = 0;
    assert_ok(store_job_list(fix->store, &all, compare_job, run, &fix->err), fix);
    if (run->compared != run->model.job_count)
        broken(run, "%d jobs instead of %d", run->compared, run->model.job_count);
    assert_ok(store_channel_list(fix->store, NULL, compare_channel, run, &fix->err), fix);
}

static void expect(struct run *run, int have, int want)
{
    if (have != want)
        broken(run, "%s (%s) instead of %s", err_name(have), run->fix->err.message, err_name(want));
}

/* ---- steps ---- */

static struct model_job *some_job(struct run *run)
{
    return &run->model.jobs[draw(run, (uint32_t)run->model.job_count)];
}

static void add_new(struct run *run)
{
    struct model *model = &run->model;
    struct model_job *job = &model->jobs[model->job_count];
    char id[16];
    snprintf(id, sizeof(id), "J%04d", model->job_count);
    *job = (struct model_job){.id = job_id(id),
                              .channel = (int)draw(run, MODEL_CHANNELS),
                              .priority = (int)draw(run, 3),
                              .size_bytes = 1 + draw(run, 1000)};
    int64_t until_ms;
    enum channel_state gate = model_gate(model, job->channel, &until_ms);
    job->state = gate == CHANNEL_ACTIVE ? JOB_QUEUED : JOB_HELD;
    job->cause = channel_state_cause(gate);
    job->next_at_ms = until_ms;
    struct store_job_new new = new_job(model->channels[job->channel].id, id);
    new.priority = job->priority;
    new.size_bytes = job->size_bytes;
    snprintf(run->did, sizeof(run->did), "add %s", id);
    add(run->fix, &new);
    model->job_count++;
}

static void add_known(struct run *run)
{
    struct model_job *job = some_job(run);
    struct job_id id;
    bool existed, is_same = strikes(run, 50);
    char key[16];
    snprintf(key, sizeof(key), "%.5s", job->id.text);
    struct store_job_new new = new_job(run->model.channels[job->channel].id, key);
    new.id = job_id("ANOTHER");
    new.params_digest = is_same ? "digest" : "others";
    snprintf(run->did, sizeof(run->did), "add %s again", key);
    expect(run, store_job_add(run->fix->store, &new, &id, &existed, &run->fix->err),
           is_same ? 0 : ERR_EXISTS);
    assert_string_equal(id.text, job->id.text);
    assert_true(existed);
}

static void pass_time(struct run *run)
{
    static const int64_t spans_ms[] = {1,     1000, TAKEOVER_DELAY_MS, LEASE_MS, LEASE_MS + TAKEOVER_DELAY_MS,
                                       100000};
    run->fix->now_ms += spans_ms[draw(run, ARRAY_LEN(spans_ms))];
    run->model.now_ms = run->fix->now_ms;
    snprintf(run->did, sizeof(run->did), "time");
}

/* Whether a claimable job should have come before this one. */
static void check_turn(struct run *run, const struct model_job *taken)
{
    struct model *model = &run->model;
    int tenant = model->channels[taken->channel].tenant;
    for (int i = 0; i < model->job_count; i++) {
        const struct model_job *other = &model->jobs[i];
        int other_tenant = model->channels[other->channel].tenant;
        if (!model_is_claimable(model, other))
            continue;
        if (model_leases(model, other_tenant, -1) < model_leases(model, tenant, -1))
            broken(run, "%s came before a tenant with fewer leases", taken->id.text);
        if (other_tenant == tenant &&
            model_leases(model, 0, other->channel) < model_leases(model, 0, taken->channel))
            broken(run, "%s came before a channel with fewer leases", taken->id.text);
        if (other->channel == taken->channel &&
            (other->priority > taken->priority ||
             (other->priority == taken->priority && strcmp(other->id.text, taken->id.text) < 0)))
            broken(run, "%s came before %s", taken->id.text, other->id.text);
    }
}

static void take_claimed(struct run *run, const struct job_claim *claim)
{
    struct model_job *job = find_job(run, claim->id.text);
    if (!model_is_claimable(&run->model, job))
        broken(run, "%s was not claimable", job->id.text);
    check_turn(run, job);
    model_lease(&run->model, job, LEASE_MS);
    bool is_right = claim->lease_epoch == job->epoch && claim->state == job->state &&
                    claim->cancel_wanted == (job->cancel != 0) && claim->has_session == job->has_session &&
                    claim->confirmed_bytes == job->confirmed_bytes &&
                    strcmp(claim->video_id, job->video_id) == 0;
    if (!is_right)
        broken(run, "the claim of %s says something else", job->id.text);
}

/* A claim holds the stray jobs of the channels that it came by; which those are is its own affair. */
static void adopt_held_strays(struct run *run)
{
    for (int i = 0; i < run->model.job_count; i++)
        if (model_is_stray(&run->model, &run->model.jobs[i]) &&
            state_of(run->fix, run->model.jobs[i].id) == JOB_HELD)
            model_hold_stray(&run->model, &run->model.jobs[i]);
}

static void claim_some(struct run *run)
{
    struct job_claim claims[4];
    uint32_t max = 1 + draw(run, 4);
    snprintf(run->did, sizeof(run->did), "claim %u", max);
    uint32_t count = claim_many(run->fix, "w1", max, claims);
    model_pass_time(&run->model);
    for (uint32_t i = 0; i < count; i++)
        take_claimed(run, &claims[i]);
    adopt_held_strays(run);
    for (int i = 0; i < run->model.job_count && count < max; i++)
        if (model_is_claimable(&run->model, &run->model.jobs[i]))
            broken(run, "%s was left although it is claimable", run->model.jobs[i].id.text);
}

static void choose_move(struct run *run, struct job_write *write)
{
    static const enum job_cause causes[] = {CAUSE_QUOTA,          CAUSE_UPLOAD_LIMIT,   CAUSE_CHANNEL_PAUSED,
                                            CAUSE_CHANNEL_AUTH,   CAUSE_CHANNEL_FROZEN, CAUSE_AMBIGUOUS,
                                            CAUSE_SOURCE_CHANGED, CAUSE_CORRUPT};
    write->set_state = true;
    write->state = (enum job_state)draw(run, JOB_STATE_COUNT);
    write->cause = write->state == JOB_HELD ? causes[draw(run, ARRAY_LEN(causes))] : CAUSE_NONE;
    write->next_at_ms = strikes(run, 70) ? run->fix->now_ms + draw(run, 100000) : 0;
    write->release_lease = strikes(run, 80);
}

static void choose_parts(struct run *run, const struct model_job *job, struct job_write *write)
{
    write->set_session = strikes(run, 20);
    write->clear_session = strikes(run, 5);
    write->set_finalizing = strikes(run, 10);
    write->set_session_dead = strikes(run, 5);
    write->set_confirmed = strikes(run, 30);
    write->confirmed_bytes = draw(run, (uint32_t)job->size_bytes + 2);
    write->chunks.count = write->set_confirmed && write->confirmed_bytes > 0;
    write->chunks.items[0].size_bytes = write->confirmed_bytes;
    write->count_attempt = strikes(run, 20);
    write->set_waits = strikes(run, 10);
    write->waits = draw(run, 5);
    write->set_video = strikes(run, 15);
    snprintf(write->video_id, sizeof(write->video_id), "v%u", 1 + draw(run, 40));
    write->charge = strikes(run, 20) ? BUCKET_UPLOADS : BUCKET_NONE;
    write->charge_amount = 1 + draw(run, 2);
    write->charge_limit = strikes(run, 80) ? DAY_LIMIT : 0;
    write->pacific_day = (int32_t)draw(run, MODEL_DAYS);
    write->set_channel = strikes(run, 5);
    write->channel = (enum channel_state)draw(run, CHANNEL_STATE_COUNT);
    write->channel_until_ms = run->fix->now_ms + draw(run, 200000);
    snprintf(write->note.what, sizeof(write->note.what), "%s", strikes(run, 50) ? "something" : "");
}

static void write_something(struct run *run)
{
    struct model_job *job = some_job(run);
    struct job_write write = {.id = job->id, .lease_epoch = job->epoch - strikes(run, 10)};
    choose_parts(run, job, &write);
    if (strikes(run, 60))
        choose_move(run, &write);
    snprintf(run->did, sizeof(run->did), "write of %s, %s -> %s %s", job->id.text, job_state_text(job->state),
             write.set_state ? job_state_text(write.state) : "(stays)", job_cause_text(write.cause));
    enum write_result want, have;
    int rc = model_write(&run->model, job, &write, &want);
    struct blob sealed = {.data = "sealed", .len = 6};
    expect(run, store_write(run->fix->store, "w1", &write, sealed, &have, &run->fix->err), rc);
    if (have != want)
        broken(run, "outcome %d instead of %d", have, want);
}

static void renew(struct run *run)
{
    struct model_job *job = some_job(run);
    int64_t epoch = job->epoch - strikes(run, 10), until_ms;
    struct store_renewal have;
    snprintf(run->did, sizeof(run->did), "renewal of %s", job->id.text);
    expect(run, store_renew(run->fix->store, "w1", job->id, epoch, LEASE_MS, &have, &run->fix->err), 0);
    bool is_ours = job->is_leased && job->epoch == epoch;
    if (have.result != (is_ours ? WRITE_OK : WRITE_LEASE_LOST))
        broken(run, "outcome %d", have.result);
    if (!is_ours)
        return;
    job->lease_until_ms = run->fix->now_ms + LEASE_MS;
    if (have.cancel_wanted != (job->cancel != 0) ||
        have.channel != model_gate(&run->model, job->channel, &until_ms))
        broken(run, "cancel %d, channel %d", have.cancel_wanted, have.channel);
    job->cancel = job->cancel ? 2 : 0;
}

static void set_some_channel(struct run *run)
{
    int channel = (int)draw(run, MODEL_CHANNELS);
    enum channel_state state =
        strikes(run, 50) ? CHANNEL_ACTIVE : (enum channel_state)draw(run, CHANNEL_STATE_COUNT);
    int64_t until_ms = run->fix->now_ms + draw(run, 200000);
    snprintf(run->did, sizeof(run->did), "channel %d %s", channel, channel_state_text(state));
    set_channel(run->fix, run->model.channels[channel].id, state, until_ms);
    model_set_channel(&run->model, channel, state, until_ms);
}

static void cancel(struct run *run)
{
    struct model_job *job = some_job(run);
    bool want = false, have = false;
    snprintf(run->did, sizeof(run->did), "cancel of %s, %s", job->id.text, job_state_text(job->state));
    int rc = model_cancel(&run->model, job, &want);
    expect(run, store_job_cancel(run->fix->store, job->id, "tester", &have, &run->fix->err), rc);
    assert_int_equal(have, want);
}

static void retry(struct run *run)
{
    struct model_job *job = some_job(run);
    snprintf(run->did, sizeof(run->did), "retry of %s, %s", job->id.text, job_state_text(job->state));
    int rc = model_retry(&run->model, job);
    expect(run, store_job_retry(run->fix->store, job->id, "tester", &run->fix->err), rc);
}

static void resolve(struct run *run)
{
    struct model_job *job = some_job(run);
    char video[16];
    snprintf(video, sizeof(video), "v%u", 1 + draw(run, 40));
    const char *video_id = strikes(run, 50) ? video : NULL;
    snprintf(run->did, sizeof(run->did), "resolve of %s", job->id.text);
    int rc = model_resolve(&run->model, job, video_id);
    expect(run, store_job_resolve(run->fix->store, job->id, video_id, "tester", &run->fix->err), rc);
}

/* ---- runs ---- */

static void step(struct run *run)
{
    static void (*const steps[])(struct run * run) = {
        claim_some,      claim_some,      claim_some, write_something, write_something, write_something,
        write_something, write_something, renew,      pass_time,       pass_time,       set_some_channel,
        cancel,          retry,           resolve,    add_known,
    };
    bool is_room = run->model.job_count < MODEL_JOBS;
    if (run->model.job_count < 3 || (is_room && strikes(run, 5)))
        add_new(run);
    else
        steps[draw(run, ARRAY_LEN(steps))](run);
}

/* Steps are also done in groups, of which some are rolled back: then nothing of them was. */
static void group(struct run *run)
{
    struct model before = run->model;
    int64_t now_ms = run->fix->now_ms;
    assert_ok(store_begin(run->fix->store, &run->fix->err), run->fix);
    for (uint32_t n = 1 + draw(run, 6); n > 0; n--)
        step(run);
    if (strikes(run, 70)) {
        assert_ok(store_commit(run->fix->store, &run->fix->err), run->fix);
        return;
    }
    store_rollback(run->fix->store);
    snprintf(run->did, sizeof(run->did), "rollback");
    run->model = before;
    run->fix->now_ms = now_ms;
}

static int sum_uploads(void *ctx, const struct store_quota *quota)
{
    if (quota->bucket == BUCKET_UPLOADS && !quota->channel[0])
        ((int64_t *)ctx)[quota->tenant[1] - '0'] = quota->used;
    return 0;
}

static void compare_ledgers(struct run *run)
{
    struct fixture *fix = run->fix;
    for (int day = 0; day < MODEL_DAYS; day++) {
        int64_t used[MODEL_TENANTS] = {0};
        assert_ok(store_quota_list(fix->store, day, sum_uploads, used, &fix->err), fix);
        for (int tenant = 0; tenant < MODEL_TENANTS; tenant++)
            assert_int_equal(used[tenant], run->model.used[tenant][day]);
    }
    assert_ok(store_verify(fix->store, &fix->err), fix);
    /* I11: each line of a job's trail begins where the one before ended, and no move is a forbidden one. */
    assert_int_equal(
        number(fix,
               "select count(*) from (select from_state, lag(to_state) over (partition by job_id order by id)"
               " as before from event where job_id <> '' and to_state <> '') as line where before <> "
               "from_state"),
        0);
    assert_int_equal(
        number(fix, "select count(*) from event e where job_id <> '' and from_state <> '' and not exists"
                    " (select 1 from job_move m where m.from_state = e.from_state"
                    " and m.to_state = e.to_state)"),
        0);
    assert_int_equal(number(fix, "select count(*) from job where state <> (select to_state from event"
                                 " where job_id = job.id and to_state <> '' order by event.id desc limit 1)"),
                     0);
}

static void run_seed(uint64_t seed)
{
    void *state;
    assert_int_equal(fixture_setup(&state), 0);
    struct run run = {.fix = state, .dice = seed | 1};
    run.model.now_ms = run.fix->now_ms;
    for (int i = 0; i < MODEL_CHANNELS; i++) {
        char tenant[8], name[8];
        snprintf(tenant, sizeof(tenant), "t%d", i % MODEL_TENANTS);
        snprintf(name, sizeof(name), "c%d", i);
        run.model.channels[i] =
            (struct model_channel){.id = make_channel(run.fix, tenant, name), .tenant = i % MODEL_TENANTS};
    }
    int steps = run.fix->postgres ? POSTGRES_STEPS : STEPS;
    for (run.step = 0; run.step < steps; run.step++) {
        if (strikes(&run, 10))
            group(&run);
        else
            step(&run);
        if (!run.fix->postgres || run.step % POSTGRES_LOOKS == 0)
            compare(&run);
    }
    compare(&run);
    compare_ledgers(&run);
    fixture_teardown(&state);
}

static void store_and_model_agree(void **state)
{
    (void)state;
    const char *given = getenv("SLUICE_SEED");
    uint64_t seed = 0;
    if (given && !parse_u64(given, &seed))
        fail_msg("SLUICE_SEED=%s is no number", given);
    int seeds = given ? 1 : getenv("STORE_TEST_URL") ? POSTGRES_SEEDS : SEEDS;
    for (int i = 0; i < seeds; i++) {
        if (!given)
            seed = random_u64() >> 1;
        print_message("# SLUICE_SEED=%llu\n", (unsigned long long)seed);
        run_seed(seed);
    }
}

int main(void)
{
    failing_vfs_install(); /* syncs cost nothing */
    const struct CMUnitTest tests[] = {cmocka_unit_test(store_and_model_agree)};
    return RUN_UNIT_TESTS(tests);
}
