/*
 * The daemon: one loop thread, the store's threads, the broker process. Wired once by open_all(); taken down
 * by close_all() in the opposite order, but for HTTP, whose exchanges end first.
 */
#include "worker/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "store/isolation.h"
#include "worker/shell.h"

enum {
    HOUSEKEEPING_MS = 250,
    SEEN_EVERY_MS = 10000,
    /* A stalled disk keeps pool threads busy, and other jobs must not wait for them (F08): two for each job.
     */
    POOL_THREADS_MAX = 64,
    CONNECT_BURST = 8,
    DESCRIPTORS_A_SLOT = 4,
    DESCRIPTORS_BESIDE = 112, /* loop, store, broker, logs, web endpoint, and room */
    REQUESTS_A_SLOT =
        6, /* to the store, under way at once: one main write, progress, renewal, digests, and room */
};

/* ---- the loop's end ---- */

static void stop_timers(struct worker *worker)
{
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_close((uv_handle_t *)&worker->housekeeping, NULL);
    for (size_t i = 0; i < ARRAY_LEN(worker->signals); i++)
        uv_close((uv_handle_t *)&worker->signals[i], NULL);
}

static void drain(struct worker *worker)
{
    if (worker->draining)
        return;
    worker->draining = true;
    tell(worker); /* at once: nobody should send work to a worker that leaves */
    struct event event = event_make(EVENT_DRAIN, 0, 0);
    answer(worker, &event);
}

static void on_tick(uv_timer_t *timer)
{
    struct event event = event_make(EVENT_TICK, 0, 0);
    answer(timer->data, &event);
}

static void leave_if_drained(struct worker *worker);

void worker_after_step(struct worker *worker)
{
    if (worker->closed)
        return;
    if (engine_is_idle(worker->engine)) {
        uv_stop(&worker->loop);
        return;
    }
    bool had_work = worker->has_work;
    worker->has_work = engine_active_count(worker->engine) > 0;
    if (had_work && !worker->has_work)
        leave_if_drained(worker); /* at once: somebody may wait for the end of `upload` */
    int64_t next = engine_next_tick_mono_ms(worker->engine);
    if (next == INT64_MAX) {
        uv_timer_stop(&worker->tick);
        return;
    }
    int64_t pause = next - clock_mono_ms();
    uv_update_time(&worker->loop);
    uv_timer_start(&worker->tick, on_tick, pause > 0 ? (uint64_t)pause : 0, 0);
}

/* The second signal does not wait any longer: leases run out by themselves, and whoever takes over asks the
 * sessions first. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct worker *worker = handle->data;
    if (worker->interrupted) {
        LOG(LOG_WARN, "stopped at once; leases run out by themselves");
        uv_stop(&worker->loop);
        return;
    }
    LOG(LOG_INFO, "stopping: offsets are stored, leases given back",
        F_STR("signal", number == SIGINT ? "INT" : "TERM"));
    worker->interrupted = true;
    drain(worker);
}

/* What is not right as a whole changes nothing (X09). */
static void on_reload(uv_signal_t *handle, int number)
{
    (void)number;
    struct worker *worker = handle->data;
    const struct settings *settings = worker->settings;
    struct err err = {0};
    if (worker->options->reload(worker->options->reload_ctx, &err) != 0) {
        LOG(LOG_ERROR, "the configuration cannot be read: the old one stays", F_STR("message", err.message));
        return;
    }
    log_setup(settings->log_level, settings->log_format);
    http_set_rates(worker->http, settings->limit_rate, settings->limit_rate_tenant);
    store_thread_set_limits(worker->store, settings->per_channel, settings->per_tenant);
    LOG(LOG_INFO, "configuration reloaded");
}

/* ---- housekeeping: drain, being seen ---- */

static bool is_drained(const struct worker *worker, const struct store_backlog *backlog)
{
    bool waits_short =
        backlog->next_at_ms != 0 && backlog->next_at_ms - clock_wall_ms() <= worker->options->drain_wait_ms;
    return backlog->runnable == 0 && backlog->leased == 0 && !waits_short;
}

static void on_backlog(void *ctx, bool ok, const struct store_backlog *backlog)
{
    struct worker *worker = ctx;
    worker->backlog_asked = false;
    if (ok && !worker->closed && engine_active_count(worker->engine) == 0 && is_drained(worker, backlog))
        drain(worker);
}

static void leave_if_drained(struct worker *worker)
{
    bool ask = worker->options->drain && !worker->draining && !worker->backlog_asked &&
               engine_active_count(worker->engine) == 0;
    if (ask) {
        worker->backlog_asked = true;
        store_thread_backlog(worker->store, on_backlog, worker);
    }
}

/* A worker of single jobs is somebody's `upload`, and gone soon. */
static bool looks_for_misuse(const struct worker *worker)
{
    return worker->settings->watch_every_ms > 0 && worker->options->only_job_count == 0;
}

static void on_alarms(void *ctx, bool ok, uint32_t raised)
{
    struct worker *worker = ctx;
    worker->alarms_asked = false;
    if (ok && raised > 0)
        LOG(LOG_ERROR, "misuse is suspected: see `sluice alarm list`", F_U64("alarms", raised));
    if (ok && !worker->closed)
        notify_tell(worker);
}

static void look_for_misuse_if_due(struct worker *worker, int64_t now)
{
    int64_t every_ms = worker->settings->watch_every_ms;
    if (!looks_for_misuse(worker) || worker->alarms_asked || now < worker->alarms_due_mono_ms)
        return;
    worker->alarms_asked = true;
    worker->alarms_due_mono_ms = now + every_ms;
    store_thread_alarms(worker->looker, every_ms, on_alarms, worker);
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    int64_t now = clock_mono_ms();
    if (now >= worker->seen_at_mono_ms) {
        worker->seen_at_mono_ms = now + SEEN_EVERY_MS;
        store_thread_seen(worker->store, engine_active_count(worker->engine));
    }
    for (uint32_t slot = 0; slot < worker->slot_count; slot++)
        worker_tell_progress(worker, slot);
    look_for_misuse_if_due(worker, now);
    leave_if_drained(worker);
    tell(worker);
}

/* ---- wiring ---- */

static void name_worker(struct worker *worker)
{
    char host[40] = "";
    if (worker->options->name) {
        text_copy(worker->name, sizeof(worker->name), worker->options->name);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    snprintf(worker->name, sizeof(worker->name), "%s-%d-%04x", host, (int)getpid(),
             (unsigned)(random_u64() & 0xffff));
}

static int open_http(struct worker *worker, struct err *err)
{
    const struct settings *settings = worker->settings;
    struct http_origin root;
    int rc = http_origin_parse(settings->api_root, &root, err);
    if (rc != 0)
        return rc;
    struct http_config config = {
        .ca_file = settings->ca_file,
        .proxy = settings->proxy,
        .user_agent = "sluice/" SLUICE_VERSION,
        .allow_plain_loopback = settings->allow_plain_loopback,
        /* Sessions are at api_root's own host: no other private address is ever asked for (C11). */
        .allow_private_hosts = http_host_is_private(root.host),
        .connect_timeout_ms = settings->connect_timeout_ms,
        .low_speed_ms = settings->stall_timeout_ms,
        .low_speed_bytes = (uint32_t)settings->stall_bytes,
        .connections_max = worker->slot_count + 4,
        .connects_per_turn_max = CONNECT_BURST,
        .rate_max = settings->limit_rate,
        .group_rate_max = settings->limit_rate_tenant,
    };
    return http_open(&worker->loop, &config, &worker->http, err);
}

struct broker_config worker_broker_config(const struct settings *settings)
{
    return (struct broker_config){
        .store = settings->broker_store,
        .key_source = settings->key_source,
        .api_root = settings->api_root,
        .ca_file = settings->ca_file,
        .proxy = settings->proxy,
        .allow_plain_loopback = settings->allow_plain_loopback,
        .service = {.url = settings->token_service,
                    .ca_file = settings->token_service_ca_file,
                    .cert_file = settings->token_service_cert_file,
                    .key_file = settings->token_service_key_file,
                    .bearer_file = settings->token_service_bearer_file},
        .executable = "/proc/self/exe", /* this very version, whatever took its place on disk meanwhile */
        .log_level = settings->log_level,
        .log_format = settings->log_format,
        .cdn_key_file = settings->cdn_key_file,
        .cdn_key_id = settings->cdn_key_id,
        .cdn_sign_hosts = settings->cdn_sign_hosts,
        .cdn_sign_hash = settings->cdn_sign_hash,
        .tenants = settings->tenants,
        .isolated_tenants = settings_isolated_tenants(settings),
        .watch_videos_ms = settings->watch_videos_ms,
    };
}

static int open_broker(struct worker *worker, struct err *err)
{
    struct broker_config config = worker_broker_config(worker->settings);
    config.keeper = worker->confinement.keeper;
    return broker_open(&worker->loop, &config, &worker->broker, err);
}

static struct store_reach reach_of(const struct worker *worker)
{
    return (struct store_reach){.region = worker->settings->region,
                                .tenants = worker->settings->tenants,
                                .per_channel_max = worker->settings->per_channel,
                                .per_tenant_max = worker->settings->per_tenant,
                                .only_jobs = worker->options->only_jobs,
                                .only_job_count = worker->options->only_job_count};
}

static int check_isolation(const struct settings *settings, struct err *err)
{
    const char *tenants = settings_isolated_tenants(settings);
    struct store *store;
    if (!tenants)
        return 0;
    int rc = store_open(settings->store, STORE_USE, &store, err);
    if (rc < 0)
        return rc;
    rc = store_require_isolation(store, STORE_AS_WORKER, tenants, err);
    store_close(store);
    return rc;
}

static int open_store(struct worker *worker, struct err *err)
{
    const struct settings *settings = worker->settings;
    struct store_thread_config config = {
        .store = settings->store,
        .worker = worker->name,
        .lease_ms = settings->lease_ms,
        .requests_max = worker->slot_count * REQUESTS_A_SLOT + 8,
        .counts = &worker->counts,
        .reach = reach_of(worker),
    };
    return store_thread_open(&worker->loop, &config, &worker->store, err);
}

/* SQLite has one writer at a time: a second handle would only wait for the first. */
static int open_leases(struct worker *worker, struct err *err)
{
    const struct settings *settings = worker->settings;
    struct store_thread_config config = {
        .store = settings->store,
        .worker = worker->name,
        .lease_ms = settings->lease_ms,
        .requests_max = worker->slot_count,
        .counts = &worker->counts,
        .use = STORE_FOR_LEASES,
    };
    worker->leases = worker->store;
    return text_starts_with(settings->store, "sqlite:")
               ? 0
               : store_thread_open(&worker->loop, &config, &worker->leases, err);
}

/* Counting a million jobs takes a while, for which no job is to wait. */
static int open_looker(struct worker *worker, struct err *err)
{
    struct store_thread_config config = {
        .store = worker->settings->store, .worker = worker->name, .requests_max = 3, .use = STORE_FOR_LOOKS};
    bool is_wanted = worker->options->board || looks_for_misuse(worker);
    return is_wanted ? store_thread_open(&worker->loop, &config, &worker->looker, err) : 0;
}

static void on_news(void *ctx)
{
    struct event event = event_make(EVENT_WAKE, 0, 0);
    answer(ctx, &event);
}

static int open_watch(struct worker *worker, struct err *err)
{
    struct store_reach reach = reach_of(worker);
    return watch_thread_open(&worker->loop, worker->settings->store, &reach, on_news, worker, &worker->watch,
                             err);
}

static void open_engine(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    struct engine_config config;
    engine_config_defaults(&config);
    config.chunk_bytes = settings->chunk_bytes;
    config.chunk_mode = settings->chunk_mode;
    config.lease_ms = settings->lease_ms;
    config.retry_base_ms = settings->retry_base_ms;
    config.retry_cap_ms = settings->retry_cap_ms;
    config.retry_tries_max = settings->retry_tries;
    config.job_life_ms = settings->retry_life_ms;
    config.quota_soft_percent = settings->quota_soft_percent;
    config.reconcile_restarts = settings->reconcile_restarts;
    config.check_video = settings->check_video;
    uint32_t slots = worker->slot_count;
    worker->engine = engine_init(mem_alloc(engine_size(slots)), &config, slots);
    worker->tasks = mem_alloc_array(slots, sizeof(*worker->tasks));
    for (uint32_t i = 0; i < slots; i++)
        worker->tasks[i] = (struct task){.worker = worker, .slot = i};
    worker->pending_size = 4 * slots + 8;
    worker->pending = mem_alloc_array(worker->pending_size, sizeof(*worker->pending));
}

static void start_timers(struct worker *worker)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uv_timer_init(&worker->loop, &worker->tick);
    uv_timer_init(&worker->loop, &worker->housekeeping);
    worker->tick.data = worker->housekeeping.data = worker;
    uv_timer_start(&worker->housekeeping, on_housekeeping, 0, HOUSEKEEPING_MS);
    for (size_t i = 0; i < ARRAY_LEN(worker->signals); i++) {
        uv_signal_init(&worker->loop, &worker->signals[i]);
        worker->signals[i].data = worker;
        if (numbers[i] != SIGHUP)
            uv_signal_start(&worker->signals[i], on_signal, numbers[i]);
        else if (worker->options->reload)
            uv_signal_start(&worker->signals[i], on_reload, numbers[i]);
    }
    on_news(worker);
}

static int open_all(struct worker *worker, struct err *err)
{
    int rc = media_root_open(worker->settings->media_root, &worker->media_root, err);
    if (rc == 0)
        rc = yt_check_api_root(worker->settings->api_root, worker->settings->allow_plain_loopback, err);
    if (rc == 0)
        rc = open_http(worker, err);
    if (rc == 0)
        rc = cdn_open(worker, err);
    if (rc == 0)
        rc = notify_open(worker, err);
    if (rc == 0)
        rc = check_isolation(worker->settings, err);
    if (rc == 0)
        rc = open_broker(worker, err);
    if (rc == 0)
        rc = open_store(worker, err);
    if (rc == 0)
        rc = open_leases(worker, err);
    if (rc == 0)
        rc = open_looker(worker, err);
    if (rc == 0)
        open_engine(worker);
    return rc < 0 ? rc : open_watch(worker, err);
}

static void count_open(uv_handle_t *handle, void *count)
{
    (void)handle;
    ++*(int *)count;
}

/* Handles close in later turns; a read that hangs in the pool is not waited for. Returns whether nothing is
 * under way any more. */
static bool run_out(struct worker *worker)
{
    int64_t give_up = clock_mono_ms() + 2000;
    int open = 1;
    while (open > 0 && clock_mono_ms() < give_up) {
        uv_run(&worker->loop, UV_RUN_NOWAIT);
        open = 0;
        uv_walk(&worker->loop, count_open, &open);
        if (open > 0)
            usleep(1000);
    }
    return uv_loop_close(&worker->loop) == 0;
}

/* What a read that hangs may come back to stays until the process has ended: the loop, and the media root. */
static void close_all(struct worker *worker)
{
    worker->closed = true; /* what is answered from here on changes nothing any more */
    if (worker->http)
        http_close(worker->http);
    if (worker->cdn_http)
        http_close(worker->cdn_http);
    notify_hang_up(worker);
    watch_thread_close(worker->watch);
    store_thread_close(worker->looker);
    if (worker->leases != worker->store)
        store_thread_close(worker->leases);
    store_thread_close(worker->store);
    if (worker->broker)
        broker_close(worker->broker);
    for (uint32_t i = 0; worker->tasks && i < worker->slot_count; i++)
        if (worker->tasks[i].used)
            task_release(&worker->tasks[i]);
    bool has_ended = run_out(worker);
    confinement_release(&worker->confinement);
    queue_drop(worker->queue);
    notify_free(worker);
    mem_free(worker->tasks);
    mem_free(worker->pending);
    mem_free(worker->engine);
    if (!has_ended)
        return;
    media_root_close(worker->media_root);
    mem_free(worker);
}

/* As many slots as there can be work for, and pool threads to match. */
static void set_size(struct worker *worker)
{
    uint32_t named = worker->options->only_job_count, slots = worker->settings->concurrency;
    worker->slot_count = named > 0 && named < slots ? named : slots;
    uint32_t threads = 2 * worker->slot_count + 2;
    char text[16];
    snprintf(text, sizeof(text), "%u", threads < POOL_THREADS_MAX ? threads : POOL_THREADS_MAX);
    setenv("UV_THREADPOOL_SIZE", text, 0);
}

/* Each slot wants a source, a connection, one to a CDN, and for a moment a certificate file. With too few,
 * every job holds its source and none gets a connection (C13). */
static void allow_descriptors(const struct worker *worker)
{
    struct rlimit limit;
    rlim_t wanted = DESCRIPTORS_A_SLOT * worker->slot_count + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        LOG(LOG_WARN, "few descriptors for so many jobs at once: raise the limit or lower concurrency",
            F_U64("limit", limit.rlim_cur), F_U64("wanted", wanted),
            F_U64("concurrency", worker->slot_count));
}

static int open_loop(struct worker *worker, struct err *err)
{
    int rc = uv_loop_init(&worker->loop); /* takes descriptors, of which there may be none (X04) */
    if (rc != 0)
        return err_set(err, ERR_INTERNAL, "the event loop cannot be opened: %s", uv_strerror(rc));
    return 0;
}

int worker_run(const struct settings *settings, const struct worker_options *options, bool *ret_interrupted,
               struct err *err)
{
    struct worker *worker = mem_alloc(sizeof(*worker));
    worker->settings = settings;
    worker->options = options;
    name_worker(worker);
    set_size(worker);
    allow_descriptors(worker);
    signal(SIGPIPE, SIG_IGN);
    int rc = open_loop(worker, err);
    if (rc != 0) {
        mem_free(worker);
        return rc;
    }
    worker->started_at_mono_ms = clock_mono_ms();
    rc = confine(settings, &worker->confinement, err); /* while this is the only thread */
    if (rc == 0 && options->begin)
        rc = options->begin(options->begin_ctx, err);
    if (rc == 0)
        rc = open_all(worker, err);
    if (rc == 0) {
        LOG(LOG_INFO, "worker ready", F_STR("worker", worker->name), F_STR("region", settings->region),
            F_U64("concurrency", worker->slot_count), F_I64("broker_pid", broker_pid(worker->broker)));
        start_timers(worker);
        uv_run(&worker->loop, UV_RUN_DEFAULT);
        stop_timers(worker);
        LOG(LOG_INFO, "worker ends", F_STR("worker", worker->name));
    }
    *ret_interrupted = worker->interrupted;
    close_all(worker);
    return rc;
}
