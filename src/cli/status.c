/* `status`: how much there is to do, what holds it up, what quota is left, who works. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "cli/alarm.h"
#include "cli/families.h"
#include "cli/output.h"
#include "core/pacific.h"

enum { WORKER_ALIVE_MS = 60000, STATUS_SLOTS = JOB_STATE_COUNT * CAUSE_COUNT };

/* The sum over channels and regions of one state and cause. */
struct total {
    uint64_t count;
    uint64_t bytes;
};

struct status {
    struct cli *cli;
    int64_t now_ms;
    struct total totals[JOB_STATE_COUNT][CAUSE_COUNT];
    struct table totals_table, depth, quota, workers, channels, alarms;
    json_t *json_depth, *json_quota, *json_workers, *json_channels, *json_alarms; /* with --json, else NULL */
    bool any_queued;
    bool any_worker;
};

static bool is_wanted(const struct status *status, const char *tenant)
{
    const char *filter = cli_tenant_filter(status->cli);
    return !filter || strcmp(filter, tenant) == 0;
}

/* ---- depth ---- */

static int on_depth(void *ctx, const struct store_depth *depth)
{
    struct status *status = ctx;
    char bytes[32];
    if (!is_wanted(status, depth->tenant))
        return 0;
    struct total *total = &status->totals[depth->state][depth->cause];
    total->count += depth->count;
    total->bytes += depth->bytes;
    status->any_queued = status->any_queued || depth->state == JOB_QUEUED;
    if (status->json_depth)
        json_array_append_new(status->json_depth,
                              json_pack("{s:s, s:s, s:o, s:s, s:o, s:I, s:I}", "tenant", depth->tenant,
                                        "channel", depth->channel, "region", json_text(depth->region),
                                        "state", job_state_text(depth->state), "cause",
                                        json_text(job_cause_text(depth->cause)), "count",
                                        (json_int_t)depth->count, "bytes", (json_int_t)depth->bytes));
    table_cell(&status->depth, depth->tenant);
    table_cell(&status->depth, depth->channel);
    table_cell(&status->depth, *depth->region ? depth->region : "any");
    table_cell(&status->depth, job_state_text(depth->state));
    table_cell(&status->depth, job_cause_text(depth->cause));
    table_cell_f(&status->depth, "%" PRIu64, depth->count);
    table_cell(&status->depth, format_bytes(bytes, depth->bytes));
    return 0;
}

static void sum_up(struct status *status)
{
    for (int i = 0; i < STATUS_SLOTS; i++) {
        enum job_state state = (enum job_state)(i / CAUSE_COUNT);
        enum job_cause cause = (enum job_cause)(i % CAUSE_COUNT);
        const struct total *total = &status->totals[state][cause];
        char bytes[32];
        if (total->count == 0)
            continue;
        table_cell(&status->totals_table, job_state_text(state));
        table_cell(&status->totals_table, job_cause_text(cause));
        table_cell_f(&status->totals_table, "%" PRIu64, total->count);
        table_cell(&status->totals_table, format_bytes(bytes, total->bytes));
    }
}

static json_t *totals_json(const struct status *status)
{
    json_t *array = json_array();
    for (int i = 0; i < STATUS_SLOTS; i++) {
        enum job_state state = (enum job_state)(i / CAUSE_COUNT);
        enum job_cause cause = (enum job_cause)(i % CAUSE_COUNT);
        const struct total *total = &status->totals[state][cause];
        if (total->count > 0)
            json_array_append_new(array,
                                  json_pack("{s:s, s:o, s:I, s:I}", "state", job_state_text(state), "cause",
                                            json_text(job_cause_text(cause)), "count",
                                            (json_int_t)total->count, "bytes", (json_int_t)total->bytes));
    }
    return array;
}

/* ---- quota, workers, channels ---- */

static void number_cell(struct table *table, bool is_known, uint32_t number)
{
    if (is_known)
        table_cell_f(table, "%" PRIu32, number);
    else
        table_cell(table, "");
}

static int on_quota(void *ctx, const struct store_quota *quota)
{
    struct status *status = ctx;
    char time[32];
    int64_t reset_at_ms = pacific_next_midnight_ms(status->now_ms);
    bool has_limit = quota->limit > 0 || !quota->channel[0];
    uint32_t left = quota->limit > quota->used ? quota->limit - quota->used : 0;
    if (!is_wanted(status, quota->tenant))
        return 0;
    if (status->json_quota)
        json_array_append_new(status->json_quota,
                              json_pack("{s:s, s:s, s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "tenant",
                                        quota->tenant, "client", quota->client, "channel",
                                        json_text(quota->channel), "bucket", quota_bucket_text(quota->bucket),
                                        "used", (json_int_t)quota->used, "drift", (json_int_t)quota->drift,
                                        "limit", has_limit ? json_integer(quota->limit) : json_null(), "left",
                                        has_limit ? json_integer(left) : json_null(), "resets_at",
                                        json_time(reset_at_ms)));
    table_cell(&status->quota, quota->tenant);
    table_cell(&status->quota, quota->client);
    table_cell(&status->quota, quota->channel);
    table_cell(&status->quota, quota_bucket_text(quota->bucket));
    table_cell_f(&status->quota, "%" PRIu32, quota->used);
    number_cell(&status->quota, has_limit, left);
    number_cell(&status->quota, quota->drift != 0, quota->drift);
    table_cell(&status->quota, time_text(time, reset_at_ms));
    return 0;
}

static int on_worker(void *ctx, const struct store_worker *worker)
{
    struct status *status = ctx;
    char time[32];
    if (status->now_ms - worker->seen_at_ms > WORKER_ALIVE_MS)
        return 0;
    status->any_worker = true;
    if (status->json_workers)
        json_array_append_new(status->json_workers,
                              json_pack("{s:s, s:o, s:o, s:o, s:I}", "name", worker->name, "region",
                                        json_text(worker->region), "started_at",
                                        json_time(worker->started_at_ms), "seen_at",
                                        json_time(worker->seen_at_ms), "active", (json_int_t)worker->active));
    table_cell(&status->workers, worker->name);
    table_cell(&status->workers, *worker->region ? worker->region : "any");
    table_cell_f(&status->workers, "%" PRIu32, worker->active);
    table_cell(&status->workers, time_text(time, worker->started_at_ms));
    return 0;
}

static int on_channel(void *ctx, const struct store_channel *channel)
{
    struct status *status = ctx;
    char time[32];
    if (channel->state == CHANNEL_ACTIVE)
        return 0;
    if (status->json_channels)
        json_array_append_new(status->json_channels,
                              json_pack("{s:s, s:s, s:s, s:o, s:o}", "tenant", channel->tenant, "channel",
                                        channel->name, "state", channel_state_text(channel->state), "reason",
                                        json_text(channel->state_reason), "until",
                                        json_time(channel->until_ms)));
    table_cell(&status->channels, channel->tenant);
    table_cell(&status->channels, channel->name);
    table_cell(&status->channels, channel_state_text(channel->state));
    table_cell(&status->channels, time_text(time, channel->until_ms));
    table_cell(&status->channels, channel->state_reason);
    return 0;
}

static int on_alarm(void *ctx, const struct store_alarm *alarm)
{
    struct status *status = ctx;
    if (!is_wanted(status, alarm->tenant))
        return 0;
    if (status->json_alarms)
        json_array_append_new(status->json_alarms, alarm_json(alarm));
    alarm_row(&status->alarms, alarm);
    return 0;
}

/* ---- all of it ---- */

static int collect(struct status *status, struct err *err)
{
    struct cli *cli = status->cli;
    int code = store_now(cli->store, &status->now_ms, err);
    if (code == 0)
        code = store_depth_list(cli->store, on_depth, status, err);
    if (code == 0)
        code = store_quota_list(cli->store, pacific_day(status->now_ms), on_quota, status, err);
    if (code == 0)
        code = store_worker_list(cli->store, on_worker, status, err);
    if (code == 0)
        code = store_channel_list(cli->store, cli_tenant_filter(cli), on_channel, status, err);
    if (code == 0)
        code = store_alarm_list(cli->store, false, on_alarm, status, err);
    return code;
}

static void print_section(const char *title, const struct table *table)
{
    if (table->cell_count == 0)
        return;
    out_line("\n%s", title);
    table_print(table);
}

static void print_text(struct status *status)
{
    sum_up(status);
    out_line("Jobs%s", status->totals_table.cell_count ? "" : ": none");
    table_print(&status->totals_table);
    print_section("Alarms", &status->alarms);
    print_section("By channel and region", &status->depth);
    print_section("Channels that are not active", &status->channels);
    print_section("Quota of today (Pacific time)", &status->quota);
    print_section("Workers", &status->workers);
    if (!status->any_worker)
        out_line("\nWorkers: none%s", status->any_queued ? "; start one: sluice worker" : "");
}

static void print_json(struct status *status)
{
    out_json(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "now", json_time(status->now_ms), "jobs",
                       totals_json(status), "by_channel", json_incref(status->json_depth), "channels",
                       json_incref(status->json_channels), "quota", json_incref(status->json_quota),
                       "workers", json_incref(status->json_workers), "alarms",
                       json_incref(status->json_alarms)));
}

static void init_tables(struct status *status)
{
    static const char *const totals[] = {"STATE", "CAUSE", "JOBS", "SIZE", NULL};
    static const char *const depth[] = {"TENANT", "CHANNEL", "REGION", "STATE",
                                        "CAUSE",  "JOBS",    "SIZE",   NULL};
    static const char *const quota[] = {"TENANT", "CLIENT", "CHANNEL",   "BUCKET", "USED",
                                        "LEFT",   "DRIFT",  "RESETS AT", NULL};
    static const char *const workers[] = {"NAME", "REGION", "ACTIVE", "STARTED", NULL};
    static const char *const channels[] = {"TENANT", "CHANNEL", "STATE", "UNTIL", "REASON", NULL};
    table_init(&status->totals_table, totals);
    table_init(&status->depth, depth);
    table_init(&status->quota, quota);
    table_init(&status->workers, workers);
    table_init(&status->channels, channels);
    alarm_table_init(&status->alarms);
    if (!status->cli->json)
        return;
    status->json_depth = json_array();
    status->json_quota = json_array();
    status->json_workers = json_array();
    status->json_channels = json_array();
    status->json_alarms = json_array();
}

static void release(struct status *status)
{
    table_release(&status->totals_table);
    table_release(&status->depth);
    table_release(&status->quota);
    table_release(&status->workers);
    table_release(&status->channels);
    table_release(&status->alarms);
    json_decref(status->json_depth);
    json_decref(status->json_quota);
    json_decref(status->json_workers);
    json_decref(status->json_channels);
    json_decref(status->json_alarms);
}

static int run_status(struct cli *cli, struct err *err)
{
    int code = cli_open_store(cli, err);
    if (code < 0)
        return code;
    struct status *status AUTO_FREE = mem_alloc(sizeof(*status));
    status->cli = cli;
    init_tables(status);
    code = collect(status, err);
    if (code == 0 && cli->json)
        print_json(status);
    else if (code == 0)
        print_text(status);
    release(status);
    return code;
}

const struct cli_command status_commands[] = {
    {.name = "status",
     .arguments = "",
     .summary = "Show how much there is to do, what holds it up, the quota left and the workers alive.",
     .run = run_status},
    {NULL},
};
