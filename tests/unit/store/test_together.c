/*
 * Several processes at once on one store: each does what workers and operators do, at random, and afterwards
 * what must always be true is looked for. SLUICE_SEED replays one seed as far as the order of processes can
 * be repeated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/random.h"
#include "base/text.h"
#include "fixture.h"

enum { PROCESSES = 4, CHANNELS = 3, JOBS = 60, STEPS = 250, DAY_LIMIT = 40, CLAIMS_MAX = 3, PER_CHANNEL = 2 };

struct run {
    struct fixture *fix;
    uint64_t dice;
    int64_t channels[CHANNELS];
    char worker[8];
    int added;
    struct job_claim claims[CLAIMS_MAX];
    uint32_t claim_count;
};

static uint32_t draw(struct run *run, uint32_t below)
{
    run->dice ^= run->dice << 13;
    run->dice ^= run->dice >> 7;
    run->dice ^= run->dice << 17;
    return (uint32_t)((run->dice >> 16) % below);
}

/* In a child a failed assertion must end the process, not return into the parent's list of tests. */
static void expect(struct run *run, const char *what, int rc)
{
    if (rc == 0 || rc == ERR_INVALID || rc == ERR_NOT_FOUND)
        return;
    fprintf(stderr, "# %s: %s: %s: %s\n", run->worker, what, err_name(rc), run->fix->err.message);
    _exit(1);
}

/* ---- steps ---- */

static struct job_id some_job(struct run *run)
{
    char id[16];
    snprintf(id, sizeof(id), "J%04u", draw(run, JOBS));
    return job_id(id);
}

/* Others may only have given back meanwhile. */
static void check_share(struct run *run, int64_t channel)
{
    int64_t leased = 0;
    if (db_number(run->fix->store->db, "select count(*) from job where channel_id = $1 and lease_owner <> ''",
                  DB_ARGS(DB_I(channel)), &leased, &run->fix->err) < 0 ||
        leased <= PER_CHANNEL)
        return;
    fprintf(stderr, "# %s: a channel has %lld leases\n", run->worker, (long long)leased);
    _exit(1);
}

static void claim(struct run *run)
{
    struct store_reach reach = {.any_region = true, .per_channel_max = PER_CHANNEL};
    struct store_work works[CLAIMS_MAX];
    uint32_t count;
    if (run->claim_count == CLAIMS_MAX)
        return;
    expect(run, "claim",
           store_claim(run->fix->store, run->worker, &reach, CLAIMS_MAX - run->claim_count, LEASE_MS, works,
                       &count, &run->fix->err));
    for (uint32_t i = 0; i < count; i++) {
        check_share(run, works[i].claim.channel_id);
        run->claims[run->claim_count++] = works[i].claim;
        store_work_release(&works[i]);
    }
}

static void forget(struct run *run, uint32_t at)
{
    run->claims[at] = run->claims[--run->claim_count];
}

/* A lease is never lost here: no time passes. */
static void write_to(struct run *run, uint32_t at, const struct job_write *write)
{
    enum write_result result;
    struct blob sealed = {.data = "sealed", .len = 6};
    int rc = store_write(run->fix->store, run->worker, write, sealed, &result, &run->fix->err);
    expect(run, "write", rc);
    if (rc == 0 && result == WRITE_LEASE_LOST) {
        fprintf(stderr, "# %s: the lease of %s was lost\n", run->worker, write->id.text);
        _exit(1);
    }
    if (rc == 0 && result == WRITE_OK && write->release_lease)
        forget(run, at);
}

static void charge(struct run *run)
{
    if (run->claim_count == 0)
        return;
    uint32_t at = draw(run, run->claim_count);
    struct job_write write = write_of(&run->claims[at]);
    write.charge = BUCKET_UPLOADS;
    write.charge_amount = 1;
    write.charge_limit = DAY_LIMIT;
    write.count_attempt = write.set_session = true;
    snprintf(write.note.what, sizeof(write.note.what), "charged");
    write_to(run, at, &write);
}

static void give_back(struct run *run)
{
    static const enum job_state states[] = {JOB_QUEUED, JOB_WAITING,   JOB_HELD,
                                            JOB_HELD,   JOB_UPLOADING, JOB_FAILED};
    if (run->claim_count == 0)
        return;
    uint32_t at = draw(run, run->claim_count), kind = draw(run, ARRAY_LEN(states));
    struct job_write write = write_of(&run->claims[at]);
    write.set_state = write.release_lease = true;
    write.state = states[kind];
    write.cause = kind == 2 ? CAUSE_QUOTA : kind == 3 ? CAUSE_CHANNEL_PAUSED : CAUSE_NONE;
    write.set_channel = draw(run, 10) == 0;
    write.channel = draw(run, 2) ? CHANNEL_LIMITED : CHANNEL_AUTH;
    write.channel_until_ms = run->fix->now_ms + (draw(run, 2) ? 0 : 1000);
    snprintf(write.note.what, sizeof(write.note.what), "given back");
    write_to(run, at, &write);
}

static void set_some_channel(struct run *run)
{
    enum channel_state state = draw(run, 2) ? CHANNEL_ACTIVE : CHANNEL_PAUSED;
    expect(run, "channel",
           store_channel_set_state(run->fix->store, run->channels[draw(run, CHANNELS)], state, 0, "chance",
                                   run->worker, &run->fix->err));
}

static void retry(struct run *run)
{
    expect(run, "retry", store_job_retry(run->fix->store, some_job(run), run->worker, &run->fix->err));
}

static void cancel(struct run *run)
{
    bool done;
    expect(run, "cancel",
           store_job_cancel(run->fix->store, some_job(run), run->worker, &done, &run->fix->err));
}

/* Each process adds the same jobs: the first one counts. */
static void add_one(struct run *run)
{
    char id[16];
    struct job_id ret;
    bool existed;
    if (run->added == JOBS)
        return;
    snprintf(id, sizeof(id), "J%04d", run->added);
    struct store_job_new new = new_job(run->channels[run->added++ % CHANNELS], id);
    expect(run, "add", store_job_add(run->fix->store, &new, &ret, &existed, &run->fix->err));
}

static void renew(struct run *run)
{
    struct store_renewal renewal;
    if (run->claim_count == 0)
        return;
    const struct job_claim *one = &run->claims[draw(run, run->claim_count)];
    expect(run, "renewal",
           store_renew(run->fix->store, run->worker, one->id, one->lease_epoch, LEASE_MS, &renewal,
                       &run->fix->err));
}

/* A worker's thread does several things in one transaction, and repeats it as a whole. */
static void in_group(struct run *run, void (*const *steps)(struct run *), uint32_t count)
{
    struct run before = *run;
    int rc = 0;
    for (int tries = 0; tries < 6; tries++) {
        *run = before;
        rc = store_begin(run->fix->store, &run->fix->err);
        for (uint32_t i = 0; i < count && rc == 0; i++)
            steps[draw(run, 4)](run);
        if (rc == 0)
            rc = store_commit(run->fix->store, &run->fix->err);
        if (rc == 0)
            return;
        store_rollback(run->fix->store);
        if (rc != ERR_BUSY)
            break;
    }
    expect(run, "group", rc);
}

static void live(struct run *run)
{
    static void (*const steps[])(struct run *) = {claim,   charge, give_back,        renew,  claim,    charge,
                                                  add_one, retry,  set_some_channel, cancel, give_back};
    for (int i = 0; i < STEPS; i++) {
        if (draw(run, 20) == 0)
            set_some_channel(run);
        if (draw(run, 20) == 0)
            in_group(run, (void (*const[])(struct run *)){renew, renew, renew, claim}, 3);
        steps[draw(run, ARRAY_LEN(steps))](run);
    }
}

/* ---- processes ---- */

static pid_t start(struct run *run, int number)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    struct fixture *fix = run->fix;
    run->dice = (run->dice + 1) * (uint64_t)(2 * number + 3);
    snprintf(run->worker, sizeof(run->worker), "w%d", number);
    expect(run, "open", store_open(fix->url, STORE_USE, &fix->store, &fix->err));
    fixture_set_clock(fix, fix->store);
    live(run);
    store_close(fix->store);
    _exit(0);
}

static const struct {
    const char *what, *sql;
} truths[] = {
    {"each line of a job's trail begins where the one before ended",
     "select count(*) from (select from_state, lag(to_state) over (partition by job_id order by id) as before"
     " from event where job_id <> '' and to_state <> '') as line where before <> from_state"},
    {"the trail's end is the job's state",
     "select count(*) from job where state <> (select to_state from event where job_id = job.id"
     " and to_state <> '' order by event.id desc limit 1)"},
    {"each claim has its line and its epoch",
     "select count(*) from job where lease_epoch <> (select count(*) from event where job_id = job.id"
     " and what = 'claimed')"},
    {"nothing waits where its channel may not be sent",
     "select count(*) from job j join channel h on h.id = j.channel_id where j.state in ('queued', 'waiting')"
     " and h.state <> 'active' and j.cancel_wanted = 0"},
    {"nothing is held for a channel that is active",
     "select count(*) from job j join channel h on h.id = j.channel_id where h.state = 'active'"
     " and j.cause in ('channel_paused', 'channel_auth', 'channel_frozen')"},
    {"a charge is counted once",
     "select abs((select coalesce(sum(used), 0) from quota) - (select count(*) from event"
     " where what = 'charged'))"},
    {"an attempt is counted once",
     "select abs((select coalesce(sum(upload_attempts), 0) from upload) - (select count(*) from event"
     " where what = 'charged'))"},
    {"no more was charged than allowed",
     "select count(*) from (select sum(used) as used from quota group by client_id) as c where used > 40"},
    {"a job has one first line",
     "select count(*) - (select count(*) from job) from event where what = 'job added'"},
};

/* A channel whose limit is past counts as active, and jobs are queued in it, before a claim says so. */
static void open_past_limits(struct run *run)
{
    copy_text(run->worker, "last");
    claim(run);
}

static void run_together(uint64_t seed)
{
    void *state;
    pid_t children[PROCESSES];
    int status;
    assert_int_equal(fixture_setup(&state), 0);
    struct run run = {.fix = state, .dice = seed | 1};
    for (int i = 0; i < CHANNELS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "c%d", i);
        run.channels[i] = make_channel(run.fix, i ? "t" : "u", name);
    }
    store_close(run.fix->store);
    run.fix->store = NULL;
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(&run, i);
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    fixture_reopen(run.fix);
    open_past_limits(&run);
    for (size_t i = 0; i < ARRAY_LEN(truths); i++)
        if (number(run.fix, truths[i].sql) != 0)
            fail_msg("not true: %s", truths[i].what);
    assert_ok(store_verify(run.fix->store, &run.fix->err), run.fix);
    assert_true(number(run.fix, "select count(*) from event where what = 'charged'") > 10);
    fixture_teardown(&state);
}

static void x07_d02_processes_at_once_keep_what_must_be_true(void **state)
{
    (void)state;
    const char *given = getenv("SLUICE_SEED");
    uint64_t seed = random_u64() >> 1;
    if (given && !parse_u64(given, &seed))
        fail_msg("SLUICE_SEED=%s is no number", given);
    print_message("# SLUICE_SEED=%llu\n", (unsigned long long)seed);
    run_together(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(x07_d02_processes_at_once_keep_what_must_be_true)};
    return RUN_UNIT_TESTS(tests);
}
