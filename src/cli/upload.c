/* `upload`: add, work and show, in one command. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cli/bars.h"
#include "cli/families.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/pause.h"
#include "cli/progress.h"
#include "cli/submit.h"
#include "worker/worker.h"

enum { DRAIN_WAIT_MS = 120000, WATCH_MS = 1000, EXIT_NOT_YET = 75 };

/* What has become of the jobs, as the store knows it. */
struct upload {
    struct cli *cli;
    struct submit submit;
    struct bars *bars;
    struct store_job *jobs; /* one for each file; released and read anew */
    int64_t now_ms;         /* of the store */
    int64_t drain_wait_ms;
    uint64_t run_mark; /* the jobs' standing before the last run of the worker */
    bool has_run;
    bool is_interrupted;
};

/* ---- looking at the store ---- */

static void release_jobs(struct upload *upload)
{
    for (int i = 0; i < upload->submit.count; i++)
        store_job_release(&upload->jobs[i]);
}

static int read_jobs(struct upload *upload, struct err *err)
{
    int code = store_now(upload->cli->store, &upload->now_ms, err);
    for (int i = 0; i < upload->submit.count && code == 0; i++) {
        store_job_release(&upload->jobs[i]);
        code = store_job_find(upload->cli->store, upload->submit.items[i].id.text, &upload->jobs[i], err);
    }
    return code;
}

/* Nothing more will happen to it within the time that this command waits. */
static bool is_settled(const struct upload *upload, const struct store_job *job)
{
    bool waits_long = job->next_at_ms - upload->now_ms > upload->drain_wait_ms;
    return job_state_is_terminal(job->state) || job->state == JOB_HELD ||
           (job->state == JOB_WAITING && waits_long);
}

static bool is_leased(const struct upload *upload, const struct store_job *job)
{
    bool may_be = job->state == JOB_UPLOADING || job->state == JOB_FINISHING;
    return may_be && *job->lease_owner && job->lease_until_ms > upload->now_ms;
}

/* The ids that a worker may be started for; returns how many. */
static uint32_t list_ours(const struct upload *upload, struct job_id *ret)
{
    uint32_t count = 0;
    for (int i = 0; i < upload->submit.count; i++)
        if (!is_settled(upload, &upload->jobs[i]) && !is_leased(upload, &upload->jobs[i]))
            ret[count++] = upload->jobs[i].id;
    return count;
}

static bool are_all_settled(const struct upload *upload)
{
    for (int i = 0; i < upload->submit.count; i++)
        if (!is_settled(upload, &upload->jobs[i]))
            return false;
    return true;
}

/* Changes whenever a job has moved on. */
static uint64_t standing(const struct upload *upload)
{
    uint64_t mark = 0;
    for (int i = 0; i < upload->submit.count; i++)
        mark = mark * 31 + (uint64_t)upload->jobs[i].changed_at_ms + upload->jobs[i].confirmed_bytes +
               (uint64_t)upload->jobs[i].lease_epoch;
    return mark;
}

/* ---- working ---- */

/* The engine's name of what it does, in a person's words; NULL: not worth telling. */
static const char *doing_words(const char *doing)
{
    static const char *const words[][2] = {{"check source", "looking at the file"},
                                           {"token", "logging in"},
                                           {"open session", "resuming"},
                                           {"start", "starting"},
                                           {"put", PROGRESS_SENDING},
                                           {"query", "asking what YouTube has"},
                                           {"list uploads", "looking for the video"},
                                           {"check video", "checking the video"},
                                           {"probe token", "testing the login"},
                                           {"cancel session", "cancelling"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(doing, words[i][0]) == 0)
            return words[i][1];
    return NULL;
}

/* The worker is through with a job for now: what the store says of it is what counts. */
static void show_stored(struct upload *upload, struct job_id id)
{
    struct store_job job;
    struct buf state AUTO_BUF = BUF_INIT(512);
    if (store_job_find(upload->cli->store, id.text, &job, NULL) < 0)
        return;
    job_state_line(&job, &state);
    if (*job.video_id) {
        buf_puts(&state, ", ");
        job_video_url(&job, &state);
    }
    bars_update(upload->bars, id, job.confirmed_bytes, 0, state.data, true);
    store_job_release(&job);
}

static void on_progress(void *ctx, const struct worker_progress *progress)
{
    struct upload *upload = ctx;
    char wait[32], text[160];
    const char *doing = doing_words(progress->doing);
    if (progress->left) {
        show_stored(upload, progress->job);
        return;
    }
    if (progress->retry_in_ms > 0) {
        snprintf(text, sizeof(text), "again in %s%s%s", format_duration(wait, progress->retry_in_ms),
                 progress->reason && *progress->reason ? ": " : "", progress->reason ? progress->reason : "");
        doing = text;
    }
    bars_update(upload->bars, progress->job, progress->confirmed_bytes, progress->sent_bytes, doing, false);
}

/* In this process; other jobs of the store are left alone. */
static int work(struct upload *upload, const struct job_id *ids, uint32_t count, struct err *err)
{
    struct settings settings = upload->cli->settings; /* texts stay with the original */
    settings.region = (char *)upload->submit.region;
    settings.tenants = upload->submit.channel.tenant;
    struct worker_options options = {.drain = true,
                                     .drain_wait_ms = upload->drain_wait_ms,
                                     .only_jobs = ids,
                                     .only_job_count = count,
                                     .progress = on_progress,
                                     .progress_ctx = upload};
    upload->run_mark = standing(upload);
    upload->has_run = true;
    return worker_run(&settings, &options, &upload->is_interrupted, err);
}

/* Another worker is at all that is left: show how it goes. */
static void watch(struct upload *upload)
{
    for (int i = 0; i < upload->submit.count; i++) {
        const struct store_job *job = &upload->jobs[i];
        char doing[160], left[32];
        if (!is_leased(upload, job))
            continue;
        /* Should that worker be dead, this tells how long it will take until its lease has run out. */
        int64_t left_ms = job->lease_until_ms - clock_wall_ms();
        snprintf(doing, sizeof(doing), "sent by worker %s, whose lease has %s", job->lease_owner,
                 format_duration(left, left_ms > 0 ? left_ms : 0));
        bars_update(upload->bars, job->id, job->confirmed_bytes, 0, doing, false);
    }
    pause_catch();
    pause_ms(WATCH_MS);
    upload->is_interrupted = pause_was_interrupted();
    pause_uncatch();
}

/* One round; *ret_goes_on false: nothing is left to do, or nothing moves any more. */
static int advance(struct upload *upload, struct job_id *ids, bool *ret_goes_on, struct err *err)
{
    int code = read_jobs(upload, err);
    *ret_goes_on = false;
    if (code < 0 || are_all_settled(upload))
        return code;
    uint32_t count = list_ours(upload, ids);
    bool is_stuck = count > 0 && upload->has_run && upload->run_mark == standing(upload);
    if (is_stuck)
        return 0;
    if (count > 0)
        code = work(upload, ids, count, err);
    else
        watch(upload);
    *ret_goes_on = code == 0 && !upload->is_interrupted;
    return code;
}

static int run_until_settled(struct upload *upload, struct err *err)
{
    struct job_id *ids AUTO_FREE = mem_alloc_array((size_t)upload->submit.count, sizeof(*ids));
    bool goes_on = true;
    int code = 0;
    while (goes_on && code == 0)
        code = advance(upload, ids, &goes_on, err);
    return code == 0 ? read_jobs(upload, err) : code;
}

/* ---- telling ---- */

static void tell_failure(struct upload *upload, const struct store_job *job, const char *typed)
{
    struct buf text AUTO_BUF = BUF_INIT(4096);
    struct err err;
    job_state_line(job, &text);
    buf_puts(&text, ". ");
    job_why(job, &text);
    buf_printf(&text, " Job %s is kept. ", job->id.text);
    job_next(job, &text);
    int code = job_exit_code(job->state, job->cause);
    err_set(&err,
            code == 7   ? ERR_UPLOAD
            : code == 6 ? ERR_LIMIT
            : code == 5 ? ERR_AUTH
                        : ERR_NOT_YET,
            "%s", text.data);
    report_field(upload->cli, &err, typed, NULL, NULL);
}

static int tell_results(struct upload *upload)
{
    int worst = 0;
    for (int i = 0; i < upload->submit.count; i++) {
        const struct store_job *job = &upload->jobs[i];
        int code = job_exit_code(job->state, job->cause);
        if (upload->cli->json)
            out_json(job_json(job));
        else if (code == 0)
            out_line("https://youtu.be/%s", job->video_id);
        if (code != 0 && !upload->is_interrupted)
            tell_failure(upload, job, upload->submit.items[i].typed);
        worst = job_worse_exit_code(worst, code);
    }
    return worst;
}

static void tell_interrupted(struct upload *upload)
{
    if (!upload->is_interrupted)
        return;
    note(upload->cli, "Interrupted. Nothing is lost: the jobs are kept, with what YouTube has confirmed.");
    note(upload->cli,
         "To go on: give the same command again, or run `sluice worker --drain`. To give up: sluice "
         "job cancel ID");
}

static void begin_bars(struct upload *upload)
{
    upload->bars = bars_open(upload->cli->quiet);
    for (int i = 0; i < upload->submit.count; i++) {
        const struct submit_item *item = &upload->submit.items[i];
        char line[512];
        bars_add(upload->bars, item->id, file_name(item->path), item->size_bytes);
        snprintf(line, sizeof(line), "%s is job %s%s", item->typed, item->id.text,
                 item->existed ? " (added before)" : "");
        bars_say(upload->bars, line);
    }
}

static int run_upload(struct cli *cli, struct err *err)
{
    struct upload upload = {.cli = cli};
    int code = cli_duration_ms(cli, "drain-wait", DRAIN_WAIT_MS, &upload.drain_wait_ms, err);
    if (code == 0)
        code = submit_run(cli, &upload.submit, err);
    if (code < 0)
        return code;
    upload.jobs = mem_alloc_array((size_t)upload.submit.count, sizeof(*upload.jobs));
    begin_bars(&upload);
    code = run_until_settled(&upload, err);
    bars_close(upload.bars);
    if (code == 0) {
        code = tell_results(&upload);
        tell_interrupted(&upload);
    } else {
        note(cli, "The files are queued, and nothing is lost. Once the following is mended, give the same "
                  "command again.");
    }
    release_jobs(&upload);
    mem_free(upload.jobs);
    submit_release(&upload.submit);
    return code;
}

/* add's options, and those of the transfer. */
static const struct cli_option upload_options[] = {
    SUBMIT_OPTIONS,
    {"limit-rate", "BYTES", "limit_rate", "Upload at most this many bytes a second in all, as 2M."},
    {"drain-wait", "TIME", NULL, "Leave when all that is left waits for longer than this; default: 2m."},
    {NULL}};

const struct cli_command upload_commands[] = {
    {.name = "upload",
     .arguments = "FILE…",
     .args_min = 1,
     .args_max = INT_MAX,
     .summary = "Queue files, upload them at once, and show how it goes; prints the videos' URLs.",
     .details =
         "The same as `add` and then a worker for these files alone. Given again after a crash or an "
         "interruption it goes on where it was, and a file that is uploaded already is not sent again.\n\n"
         "Exit code: 0 all completed, 7 one failed, 5 a login is needed, 6 quota or limit, 75 held or "
         "waiting.",
     .options = upload_options,
     .run = run_upload},
    {NULL},
};
