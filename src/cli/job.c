/* `job …`: the operator's verbs. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/families.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/pause.h"

enum { LIST_LIMIT = 100, WAIT_POLL_MS = 500 };

/* ---- list ---- */

struct job_walk {
    struct cli *cli;
    struct table table;
    uint64_t count;
};

static void add_row(struct table *table, const struct store_job *job)
{
    struct buf state AUTO_BUF = BUF_INIT(256);
    char size[32], time[32];
    job_state_line(job, &state);
    table_cell(table, job->id.text);
    table_cell(table, state.data);
    table_cell(table, job->channel);
    table_cell(table, format_bytes(size, job->size_bytes));
    table_cell_f(table, "%" PRIu64 " %%", job->size_bytes ? job->confirmed_bytes * 100 / job->size_bytes : 0);
    table_cell(table, time_text(time, job->next_at_ms));
    table_cell(table, job->video_id);
    table_cell(table, job->title);
}

static int on_job(void *ctx, const struct store_job *job)
{
    struct job_walk *walk = ctx;
    walk->count++;
    if (walk->cli->json)
        out_json(job_json(job));
    else
        add_row(&walk->table, job);
    return 0;
}

static int read_filter(struct cli *cli, struct store_job_filter *ret, struct err *err)
{
    const char *state = cli_value(cli, "state"), *name = cli_value(cli, "channel");
    struct store_channel channel = {.id = 0};
    enum job_state parsed;
    int64_t limit = 0;
    *ret = (struct store_job_filter){.state = -1, .tenant = cli_tenant_filter(cli)};
    if (state && !job_state_parse(state, &parsed))
        return err_set(err, ERR_USAGE,
                       "--state: \"%s\" is no state; those there are: queued, uploading, waiting, held, "
                       "finishing, completed, failed, cancelled",
                       state);
    if (state)
        ret->state = (int)parsed;
    int code = cli_number(cli, "limit", 0, UINT32_MAX, cli->json ? 0 : LIST_LIMIT, &limit, err);
    ret->limit = (uint32_t)limit;
    if (code == 0 && name) {
        code = cli_find_channel(cli, name, &channel, err);
        ret->channel_id = channel.id;
    }
    return code;
}

static int run_list(struct cli *cli, struct err *err)
{
    static const char *const headers[] = {"JOB",  "STATE",    "CHANNEL", "SIZE", "DONE",
                                          "NEXT", "VIDEO ID", "TITLE",   NULL};
    struct job_walk walk = {.cli = cli};
    struct store_job_filter filter;
    int code = read_filter(cli, &filter, err);
    if (code == 0)
        code = cli_open_store(cli, err);
    if (code < 0)
        return code;
    table_init(&walk.table, headers);
    code = store_job_list(cli->store, &filter, on_job, &walk, err);
    if (code == 0)
        table_print(&walk.table);
    if (code == 0 && filter.limit && walk.count == filter.limit)
        note(cli, "Only the newest %" PRIu32 " are shown; --limit 0 shows all.", filter.limit);
    table_release(&walk.table);
    return code;
}

/* ---- show ---- */

static void show_progress(const struct store_job *job)
{
    char done[32], size[32];
    format_bytes(size, job->size_bytes);
    format_bytes(done, job->confirmed_bytes);
    if (job->state != JOB_COMPLETED && (job->confirmed_bytes > 0 || job->has_session))
        out_field_f("confirmed", "%s of %s (%" PRIu64 " %%)%s", done, size,
                    job->confirmed_bytes * 100 / (job->size_bytes ? job->size_bytes : 1),
                    job->finalizing ? ", the last byte may have been sent" : "");
    if (job->upload_attempts > 0)
        out_field_f("sessions", "%" PRIu32, job->upload_attempts);
}

static void show_words(const struct store_job *job)
{
    struct buf state AUTO_BUF = BUF_INIT(256);
    struct buf why AUTO_BUF = BUF_INIT(2048);
    struct buf next AUTO_BUF = BUF_INIT(2048);
    struct buf url AUTO_BUF = BUF_INIT(128);
    job_state_line(job, &state);
    job_why(job, &why);
    job_next(job, &next);
    job_video_url(job, &url);
    out_field("job", job->id.text);
    out_field("state", state.data);
    out_field("why", why.data);
    out_field("what to do", next.data);
    out_field("video", url.data);
}

static void show_source(const struct store_job *job)
{
    char size[32];
    out_field("title", job->title);
    out_field_f("file", "%s (%s)", job->storage_path, format_bytes(size, job->size_bytes));
    out_field_f("channel", "%s (tenant %s)", job->channel, job->tenant);
    out_field("region", job->region);
    if (job->priority != 0)
        out_field_f("priority", "%d", job->priority);
    out_field("key", job->idempotency_key);
    out_field("cdn url", job->cdn_url);
}

static void show_job(const struct store_job *job)
{
    char time[32];
    show_words(job);
    show_source(job);
    show_progress(job);
    if (*job->lease_owner)
        out_field_f("worker", "%s, until %s", job->lease_owner, time_text(time, job->lease_until_ms));
    out_field("next try", time_text(time, job->next_at_ms));
    out_field("added", time_text(time, job->added_at_ms));
    out_field("changed", time_text(time, job->changed_at_ms));
    out_field("finished", time_text(time, job->finished_at_ms));
}

static int tell_job(struct cli *cli, const char *id, bool in_full, struct err *err)
{
    struct store_job job;
    struct buf state AUTO_BUF = BUF_INIT(256);
    int code = store_job_find(cli->store, id, &job, err);
    if (code < 0)
        return code;
    job_state_line(&job, &state);
    if (cli->json)
        out_json(job_json(&job));
    else if (in_full)
        show_job(&job);
    else
        out_line("%s %s", job.id.text, state.data);
    store_job_release(&job);
    return 0;
}

static int run_show(struct cli *cli, struct err *err)
{
    int code = cli_open_store(cli, err);
    return code < 0 ? code : tell_job(cli, cli->args[0], true, err);
}

/* ---- wait ---- */

/* A hold that time lifts is waited out; any other needs a person. */
static bool is_settled(const struct store_job *job)
{
    return job_state_is_terminal(job->state) || (job->state == JOB_HELD && !job_cause_is_timed(job->cause));
}

/* Waits for one job; its exit code in *ret_exit. */
static int wait_for(struct cli *cli, const char *id, int64_t until_mono_ms, int *ret_exit, struct err *err)
{
    for (;;) {
        struct store_job job;
        int code = store_job_find(cli->store, id, &job, err);
        if (code < 0)
            return code;
        bool is_over = is_settled(&job) || clock_mono_ms() >= until_mono_ms;
        *ret_exit = job_exit_code(job.state, job.cause);
        store_job_release(&job);
        if (is_over)
            return tell_job(cli, id, false, err);
        pause_ms(WAIT_POLL_MS);
    }
}

static int run_wait(struct cli *cli, struct err *err)
{
    int64_t timeout_ms = 0;
    int worst = 0, one = 0;
    int code = cli_duration_ms(cli, "timeout", INT64_MAX / 2, &timeout_ms, err);
    if (code == 0)
        code = cli_open_store(cli, err);
    int64_t until = clock_mono_ms() + timeout_ms;
    for (int i = 0; i < cli->arg_count && code == 0; i++) {
        code = wait_for(cli, cli->args[i], until, &one, err);
        worst = job_worse_exit_code(worst, one);
    }
    return code < 0 ? code : worst;
}

/* ---- cancel, retry, resolve ---- */

static int find_id(struct cli *cli, const char *text, struct job_id *ret, struct err *err)
{
    struct store_job job;
    int code = store_job_find(cli->store, text, &job, err);
    if (code < 0)
        return code;
    *ret = job.id;
    store_job_release(&job);
    return 0;
}

static int cancel_one(struct cli *cli, struct job_id id, struct err *err)
{
    bool is_done = false;
    int code = store_job_cancel(cli->store, id, cli_who(), &is_done, err);
    if (code == 0 && !is_done)
        note(cli, "%s has an upload session; a worker ends it first, then the job is cancelled.", id.text);
    return code;
}

static int retry_one(struct cli *cli, struct job_id id, struct err *err)
{
    return store_job_retry(cli->store, id, cli_who(), err);
}

static int resolve_one(struct cli *cli, struct job_id id, struct err *err)
{
    return store_job_resolve(cli->store, id, cli_value(cli, "video"), cli_who(), err);
}

/* Does it to every job named and reports each that it could not be done to; the first code is returned. */
static int for_each_job(struct cli *cli, int (*act)(struct cli *, struct job_id, struct err *),
                        struct err *err)
{
    int first = cli_open_store(cli, err);
    if (first < 0)
        return first;
    for (int i = 0; i < cli->arg_count; i++) {
        struct job_id id;
        struct err one = {0};
        int code = find_id(cli, cli->args[i], &id, &one);
        if (code == 0)
            code = act(cli, id, &one);
        if (code == 0)
            code = tell_job(cli, id.text, false, &one);
        if (code < 0)
            report(cli, &one);
        if (code < 0 && first == 0)
            first = code;
    }
    return first < 0 ? err_exit_code(first) : 0;
}

static int run_cancel(struct cli *cli, struct err *err)
{
    return for_each_job(cli, cancel_one, err);
}

static int run_retry(struct cli *cli, struct err *err)
{
    return for_each_job(cli, retry_one, err);
}

static bool is_video_id(const char *text)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(text);
    return len > 0 && len < VIDEO_ID_SIZE && strspn(text, letters) == len;
}

static int run_resolve(struct cli *cli, struct err *err)
{
    const char *video = cli_value(cli, "video");
    if (!video == !cli_has(cli, "restart"))
        return err_set(err, ERR_USAGE,
                       "give either --video ID (the video is there) or --restart (it is not)");
    if (video && !is_video_id(video))
        return err_set(err, ERR_INVALID,
                       "--video: \"%s\" is no video id; it is the part after watch?v=", video);
    return for_each_job(cli, resolve_one, err);
}

static const struct cli_option list_options[] = {
    {"state", "STATE", NULL, "Only jobs of this state."},
    {"channel", "NAME", NULL, "Only jobs of this channel."},
    {"limit", "N", NULL, "At most this many; 0: all. Default: 100, with --json all."},
    {NULL}};
static const struct cli_option wait_options[] = {
    {"timeout", "TIME", NULL, "Give up after this long, as 30s or 2h. Default: never."}, {NULL}};
static const struct cli_option resolve_options[] = {
    {"video", "ID", NULL, "The video exists: complete the job with it."},
    {"restart", NULL, NULL, "There is no video: upload again."},
    {NULL}};

const struct cli_command job_commands[] = {
    {.name = "job list",
     .arguments = "",
     .summary = "List jobs, newest first.",
     .options = list_options,
     .run = run_list},
    {.name = "job show",
     .arguments = "ID",
     .args_min = 1,
     .args_max = 1,
     .summary = "Show a job, why it stands where it stands, and what to do.",
     .details =
         "An id may be cut to its first letters, at least 6, as long as they fit one job only. This holds "
         "for every command that takes one.",
     .run = run_show},
    {.name = "job wait",
     .arguments = "ID…",
     .args_min = 1,
     .args_max = INT_MAX,
     .summary = "Wait until jobs are finished, or held for something that only a person can lift.",
     .details = "Exit code: 0 all completed, 7 one failed or was cancelled, 5 a login is needed, 6 quota or "
                "limit, 75 held or not finished in time.",
     .options = wait_options,
     .run = run_wait},
    {.name = "job cancel",
     .arguments = "ID…",
     .args_min = 1,
     .args_max = INT_MAX,
     .summary = "Cancel jobs that are not finished.",
     .run = run_cancel},
    {.name = "job retry",
     .arguments = "ID…",
     .args_min = 1,
     .args_max = INT_MAX,
     .summary = "Queue failed, cancelled, held or waiting jobs again at once.",
     .details =
         "A failed or cancelled job starts anew; the others go on where they were. Ambiguous jobs are for "
         "`job resolve`.",
     .run = run_retry},
    {.name = "job resolve",
     .arguments = "ID",
     .args_min = 1,
     .args_max = 1,
     .summary = "Decide on a job that is held as ambiguous.",
     .options = resolve_options,
     .run = run_resolve},
    {NULL},
};
