/*
 * What the control plane can do: whole job lives against a store, with a YouTube that is a few lines in
 * memory.
 *
 *     control --store URL [--jobs N] [--channels N] [--workers N] [--slots N]
 *
 * The very engine and the very store; each worker is a process with an engine of N slots that puts everything
 * its slots want stored into one transaction (as the worker's store thread does) and answers all else at
 * once. The store is made if it is not there; the jobs are added first, timed apart. A life: claim,
 * quota, session, finalizing, video, completed; each a durable change with its audit line.
 *
 * Prints one JSON object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "core/engine.h"
#include "store/store.h"

enum { LEASE_MS = 45000, ADD_BATCH = 200, SIZE_BYTES = 65536, GROUP_MAX = 2048, TENANTS = 10 };

struct options {
    const char *store;
    uint64_t jobs, channels, workers, slots;
};

static void fail(const char *what, const struct err *err)
{
    fprintf(stderr, "control: %s: %s\n", what, err->message);
    exit(1);
}

#define MUST(what, call)                                                                                     \
    do {                                                                                                     \
        if ((call) != 0)                                                                                     \
            fail(what, &err);                                                                                \
    } while (0)

/* ---- jobs ---- */

static int seal(void *ctx, int64_t tenant, int64_t channel, struct blob *ret, struct err *err)
{
    (void)ctx, (void)tenant, (void)channel, (void)err;
    static const char sealed[100] = "sealed";
    *ret = (struct blob){sealed, sizeof(sealed)};
    return 0;
}

static int64_t make_channel(struct store *store, uint64_t number)
{
    struct err err = {0};
    struct store_client client = {.uploads_per_day = 1000000000, .units_per_day = 1000000000};
    snprintf(client.tenant, sizeof(client.tenant), "tenant%" PRIu64, number % TENANTS);
    snprintf(client.name, sizeof(client.name), "client%" PRIu64, number);
    snprintf(client.client_id, sizeof(client.client_id), "%" PRIu64 ".apps", number);
    snprintf(client.auth_uri, sizeof(client.auth_uri), "https://localhost/auth");
    snprintf(client.token_uri, sizeof(client.token_uri), "https://localhost/token");
    snprintf(client.kind, sizeof(client.kind), "installed");
    MUST("client", store_client_put(store, &client, "bench", &err));
    struct store_login login = {.scopes = "upload", .seal = seal, .key_id = "1"};
    login.channel.tenant_id = client.tenant_id;
    login.channel.client_id = client.id;
    snprintf(login.channel.name, sizeof(login.channel.name), "channel%" PRIu64, number);
    snprintf(login.channel.yt_channel_id, sizeof(login.channel.yt_channel_id), "UC%" PRIu64, number);
    MUST("channel", store_channel_login(store, &login, &err));
    return login.channel.id;
}

/* A job with its own texts. */
struct film {
    char key[64], title[64];
    struct store_job_new job;
};

static void make_film(struct film *film, uint64_t number, int64_t channel)
{
    film->job = (struct store_job_new){
        .channel_id = channel,
        .region = "",
        .storage_path = "/videos/film.mp4",
        .size_bytes = SIZE_BYTES,
        .fingerprint = "1:65536:0:0:0:0",
        .title = film->title,
        .metadata = "{\"snippet\":{\"title\":\"film\"},\"status\":{\"privacyStatus\":\"private\"}}",
        .idempotency_key = film->key,
        .params_digest = "0123456789abcdef",
        .cdn_url = "",
        .who = "bench"};
    snprintf(film->job.id.text, sizeof(film->job.id.text), "01BENCH%019" PRIu64, number);
    snprintf(film->key, sizeof(film->key), "key%" PRIu64, number);
    snprintf(film->title, sizeof(film->title), "film %" PRIu64, number);
}

/* As `sluice add` of so many files does it: in one transaction. */
static void add_batch(struct store *store, uint64_t first, uint64_t count, const struct options *options,
                      const int64_t *channels)
{
    static struct film films[ADD_BATCH];
    static struct store_add_item items[ADD_BATCH];
    struct err err = {0};
    for (uint64_t i = 0; i < count; i++) {
        make_film(&films[i], first + i, channels[(first + i) % options->channels]);
        items[i].job = &films[i].job;
    }
    MUST("add", store_job_add_many(store, items, (uint32_t)count, &err));
}

static void add_jobs(const struct options *options)
{
    struct store *store;
    struct err err = {0};
    MUST("open", store_open(options->store, STORE_CREATE, &store, &err));
    int64_t *channels = mem_alloc_array(options->channels, sizeof(*channels));
    MUST("begin", store_begin(store, &err));
    for (uint64_t i = 0; i < options->channels; i++)
        channels[i] = make_channel(store, i);
    MUST("commit", store_commit(store, &err));
    for (uint64_t i = 0; i < options->jobs; i += ADD_BATCH)
        add_batch(store, i, options->jobs - i < ADD_BATCH ? options->jobs - i : ADD_BATCH, options, channels);
    mem_free(channels);
    store_close(store);
}

/* ---- a worker ---- */

struct worker {
    struct store *store;
    char name[32];
    struct engine *engine;
    uint32_t slots;
    uint64_t completed, changes, groups;
    /* answers to feed, and what is to be stored in the next transaction; both bounded by what slots can want
     */
    struct event *events;
    uint32_t event_first, event_count, event_max;
    struct action *group;
    struct write_result_of *results;
    uint32_t group_count;
    struct store_work *works;
    uint64_t videos;
};

struct write_result_of {
    enum write_result result;
    struct store_renewal renewal;
    uint32_t claimed;
};

static struct event *push(struct worker *worker, enum event_type type, const struct action *action)
{
    if (worker->event_count == worker->event_max)
        abort();
    struct event *event = &worker->events[(worker->event_first + worker->event_count++) % worker->event_max];
    *event = (struct event){.type = type};
    if (action) {
        event->op = action->op;
        event->slot = action->slot;
    }
    return event;
}

static void answer_upload(struct worker *worker, const struct action *action)
{
    struct reply *reply = &push(worker, EVENT_REPLY, action)->reply;
    *reply = (struct reply){.status = 200, .retry_after_ms = -1};
    if (action->type == ACTION_START)
        reply->has_location = true;
    if (action->type != ACTION_PUT)
        return;
    reply->status = 201;
    reply->sent_bytes = action->put.size_bytes;
    reply->chunk.size_bytes = action->put.size_bytes;
    snprintf(reply->video.id, sizeof(reply->video.id), "%.8s%" PRIu64, worker->name, worker->videos++);
    reply->video.title = reply->video.size = reply->video.privacy = MATCH_YES;
}

static void answer_token(struct worker *worker, const struct action *action)
{
    struct event *event = push(worker, EVENT_TOKEN, action);
    event->token.result = TOKEN_OK;
    snprintf(event->token.id, sizeof(event->token.id), "%032x", action->slot);
}

static void carry_out(struct worker *worker, const struct action *action)
{
    switch ((int)action->type) {
    case ACTION_CLAIM:
    case ACTION_STORE:
    case ACTION_RENEW:
        if (worker->group_count == GROUP_MAX)
            abort();
        worker->group[worker->group_count++] = *action;
        break;
    case ACTION_CHECK_SOURCE:
        push(worker, EVENT_SOURCE, action)->source.result = SOURCE_OK;
        break;
    case ACTION_TOKEN:
        answer_token(worker, action);
        break;
    case ACTION_OPEN_SESSION:
        push(worker, EVENT_OPENED, action)->opened.result = OPEN_OK;
        break;
    case ACTION_START:
    case ACTION_PUT:
        answer_upload(worker, action);
        break;
    case ACTION_ABORT:
    case ACTION_FORGET:
    case ACTION_TRACE:
        break;
    default:
        fprintf(stderr, "control: nothing should go wrong, yet the engine asks to %s\n",
                action_text(action->type));
        exit(1);
    }
}

static void feed(struct worker *worker, struct event *event)
{
    static struct actions actions;
    event->now.wall_ms = clock_wall_ms();
    event->now.mono_ms = clock_mono_ms();
    event->entropy = (uint64_t)event->now.mono_ms * 0x9E3779B97F4A7C15u + worker->changes;
    engine_step(worker->engine, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++)
        carry_out(worker, &actions.items[i]);
}

static void feed_all(struct worker *worker)
{
    while (worker->event_count > 0) {
        struct event event = worker->events[worker->event_first];
        worker->event_first = (worker->event_first + 1) % worker->event_max;
        worker->event_count--;
        feed(worker, &event);
    }
}

static int renew_all(struct worker *worker, uint32_t count, struct err *err)
{
    static struct store_renew_item items[GROUP_MAX];
    struct write_result_of *results[GROUP_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *action = &worker->group[i];
        if (action->type != ACTION_RENEW)
            continue;
        results[n] = &worker->results[i];
        items[n++] = (struct store_renew_item){.id = action->job, .lease_epoch = action->lease_epoch};
    }
    int rc = store_renew_many(worker->store, worker->name, items, n, LEASE_MS, err);
    for (uint32_t i = 0; i < n; i++)
        results[i]->renewal = items[i].renewal;
    return rc;
}

static int write_all(struct worker *worker, uint32_t count, struct err *err)
{
    static const char sealed[300] = "sealed";
    static struct store_write_item items[GROUP_MAX];
    struct write_result_of *results[GROUP_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *action = &worker->group[i];
        if (action->type != ACTION_STORE)
            continue;
        results[n] = &worker->results[i];
        items[n].write = &action->write;
        items[n++].sealed_session =
            action->write.set_session ? (struct blob){sealed, sizeof(sealed)} : (struct blob){0};
    }
    int rc = store_write_many(worker->store, worker->name, items, n, err);
    for (uint32_t i = 0; i < n; i++)
        results[i]->result = items[i].result;
    return rc;
}

/* One claim at a time: the engine asks for the next one after the answer. */
static int claim_all(struct worker *worker, uint32_t count, struct err *err)
{
    static const struct store_reach reach = {.region = "", .any_region = true};
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        if (worker->group[i].type == ACTION_CLAIM)
            rc = store_claim(worker->store, worker->name, &reach, worker->group[i].claim.count, LEASE_MS,
                             worker->works, &worker->results[i].claimed, err);
    return rc;
}

static void answer_claim(struct worker *worker, const struct action *action, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct event event = {.type = EVENT_JOB, .op = action->op, .slot = engine_next_slot(worker->engine)};
        event.job = worker->works[i].claim;
        store_work_release(&worker->works[i]);
        feed(worker, &event);
    }
    struct event *event = push(worker, EVENT_CLAIMED, action);
    event->claimed.ok = true;
    event->claimed.claimed_count = count;
}

static void answer_stored(struct worker *worker, const struct action *action,
                          const struct write_result_of *result)
{
    if (action->type == ACTION_CLAIM) {
        answer_claim(worker, action, result->claimed);
        return;
    }
    worker->changes++;
    if (action->type == ACTION_RENEW) {
        struct event *event = push(worker, EVENT_RENEWED, action);
        event->renewed.result = result->renewal.result;
        event->renewed.channel = result->renewal.channel;
        return;
    }
    if (result->result != WRITE_OK) {
        fprintf(stderr, "control: a write was answered with %d\n", result->result);
        exit(1);
    }
    worker->completed += action->write.set_state && action->write.state == JOB_COMPLETED;
    push(worker, EVENT_STORED, action)->stored.result = WRITE_OK;
}

static int try_group(struct worker *worker, uint32_t count, struct err *err)
{
    int rc = store_begin(worker->store, err);
    memset(worker->results, 0, count * sizeof(*worker->results));
    if (rc == 0)
        rc = renew_all(worker, count, err);
    if (rc == 0)
        rc = write_all(worker, count, err);
    if (rc == 0)
        rc = claim_all(worker, count, err);
    if (rc == 0)
        rc = store_commit(worker->store, err);
    if (rc != 0)
        store_rollback(worker->store);
    return rc;
}

/* One transaction, then its answers: as the worker's store thread. */
static void store_group(struct worker *worker)
{
    static struct action done[GROUP_MAX];
    struct err err = {0};
    uint32_t count = worker->group_count;
    int rc = try_group(worker, count, &err);
    for (int tries = 1; rc == ERR_BUSY && tries < 10; tries++)
        rc = try_group(worker, count, &err);
    if (rc != 0)
        fail("transaction", &err);
    worker->groups++;
    memcpy(done, worker->group, count * sizeof(done[0]));
    worker->group_count = 0;
    for (uint32_t i = 0; i < count; i++)
        answer_stored(worker, &done[i], &worker->results[i]);
}

static void open_worker(struct worker *worker, const struct options *options, uint64_t number)
{
    struct err err = {0};
    struct engine_config config;
    engine_config_defaults(&config);
    config.check_video =
        false; /* a model's answer would prove nothing, and the lookup is one more request, not a write */
    worker->slots = (uint32_t)options->slots;
    worker->event_max = 8 * worker->slots + 64;
    worker->events = mem_alloc_array(worker->event_max, sizeof(*worker->events));
    worker->group = mem_alloc_array(GROUP_MAX, sizeof(*worker->group));
    worker->results = mem_alloc_array(GROUP_MAX, sizeof(*worker->results));
    worker->works = mem_alloc_array(CLAIM_BATCH_MAX, sizeof(*worker->works));
    worker->engine = engine_init(mem_alloc(engine_size(worker->slots)), &config, worker->slots);
    snprintf(worker->name, sizeof(worker->name), "w%" PRIu64 "-%d", number, (int)getpid());
    MUST("open", store_open(options->store, STORE_USE, &worker->store, &err));
}

/* Until nothing is left to claim. */
static void run_worker(const struct options *options, uint64_t number, int report)
{
    struct worker worker = {.slots = 0};
    open_worker(&worker, options, number);
    bool is_empty = false;
    push(&worker, EVENT_WAKE, NULL);
    while (!is_empty) {
        feed_all(&worker);
        if (worker.group_count > 0) {
            store_group(&worker);
            continue;
        }
        is_empty = engine_active_count(worker.engine) == 0;
        if (!is_empty)
            push(&worker, EVENT_TICK, NULL);
    }
    uint64_t said[3] = {worker.completed, worker.changes, worker.groups};
    if (write(report, said, sizeof(said)) != sizeof(said))
        exit(1);
    store_close(worker.store);
}

/* ---- all of it ---- */

static void run_workers(const struct options *options, uint64_t ret[3])
{
    int pipes[2];
    if (pipe(pipes) != 0)
        exit(1);
    for (uint64_t i = 0; i < options->workers; i++) {
        if (fork() == 0) {
            run_worker(options, i, pipes[1]);
            _exit(0);
        }
    }
    int status;
    while (wait(&status) > 0)
        if (status != 0)
            exit(1);
    for (uint64_t i = 0; i < options->workers; i++) {
        uint64_t said[3];
        if (read(pipes[0], said, sizeof(said)) != sizeof(said))
            exit(1);
        for (int n = 0; n < 3; n++)
            ret[n] += said[n];
    }
}

static bool parse_options(int argc, char **argv, struct options *ret)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "--jobs") == 0       ? &ret->jobs
                           : strcmp(argv[i], "--channels") == 0 ? &ret->channels
                           : strcmp(argv[i], "--workers") == 0  ? &ret->workers
                           : strcmp(argv[i], "--slots") == 0    ? &ret->slots
                                                                : NULL;
        if (strcmp(argv[i], "--store") == 0)
            ret->store = argv[i + 1];
        else if (!number || !parse_u64(argv[i + 1], number))
            return false;
    }
    return argc % 2 == 1 && ret->store && ret->jobs && ret->channels && ret->workers && ret->slots &&
           ret->slots <= SLOTS_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {.jobs = 20000, .channels = 200, .workers = 2, .slots = 256};
    uint64_t said[3] = {0};
    if (!parse_options(argc, argv, &options)) {
        fprintf(stderr, "usage: control --store URL [--jobs N] [--channels N] [--workers N] [--slots N]\n");
        return 2;
    }
    int64_t begun = clock_mono_ms();
    add_jobs(&options);
    int64_t added = clock_mono_ms();
    fprintf(stderr, "control: the jobs are added\n");
    run_workers(&options, said);
    int64_t done = clock_mono_ms();
    if (said[0] != options.jobs) {
        fprintf(stderr, "control: %" PRIu64 " of %" PRIu64 " jobs completed\n", said[0], options.jobs);
        return 1;
    }
    double adding_s = (double)(added - begun) / 1000, working_s = (double)(done - added) / 1000;
    printf("{\"jobs\": %" PRIu64 ", \"channels\": %" PRIu64 ", \"workers\": %" PRIu64
           ", \"adds_per_second\": %.0f, "
           "\"lives_per_second\": %.0f, \"changes_per_second\": %.0f, \"changes_per_commit\": %.1f}\n",
           options.jobs, options.channels, options.workers, (double)options.jobs / adding_s,
           (double)options.jobs / working_s, (double)said[1] / working_s, (double)said[1] / (double)said[2]);
    return 0;
}
