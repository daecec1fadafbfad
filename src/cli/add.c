/* `add`: queue files. */
#include <limits.h>

#include "cli/families.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/submit.h"

static void tell_existing(struct cli *cli, const struct submit_item *item, const struct store_job *job)
{
    struct buf line AUTO_BUF = BUF_INIT(512);
    struct buf url AUTO_BUF = BUF_INIT(128);
    job_state_line(job, &line);
    job_video_url(job, &url);
    note(cli, "%s was added before: job %s, %s%s%s", item->typed, job->id.text, line.data,
         url.len ? ", " : "", url.data);
    if (job->state == JOB_FAILED || job->state == JOB_CANCELLED)
        note(cli, "To try it again: sluice job retry %s", job->id.text);
}

static void tell_held(struct cli *cli, const struct submit_item *item, const struct store_job *job)
{
    struct buf why AUTO_BUF = BUF_INIT(2048);
    struct buf next AUTO_BUF = BUF_INIT(2048);
    job_why(job, &why);
    job_next(job, &next);
    note(cli, "%s is queued but held: %s", item->typed, why.data);
    note(cli, "What to do: %s", next.data);
}

static int tell_item(struct cli *cli, const struct submit_item *item, struct err *err)
{
    struct store_job job;
    int code = store_job_find(cli->store, item->id.text, &job, err);
    if (code < 0)
        return code;
    if (item->existed)
        tell_existing(cli, item, &job);
    else if (job.state == JOB_HELD)
        tell_held(cli, item, &job);
    if (cli->json) {
        json_t *object = job_json(&job);
        json_object_set_new(object, "existed", json_boolean(item->existed));
        out_json(object);
    } else {
        out_line("%s", item->id.text);
    }
    store_job_release(&job);
    return 0;
}

static int run_add(struct cli *cli, struct err *err)
{
    struct submit submit;
    int code = submit_run(cli, &submit, err);
    if (code < 0)
        return code;
    for (int i = 0; i < submit.count && code == 0; i++)
        code = tell_item(cli, &submit.items[i], err);
    submit_release(&submit);
    return code;
}

static const struct cli_option add_options[] = {SUBMIT_OPTIONS, {NULL}};

const struct cli_command add_commands[] = {
    {.name = "add",
     .arguments = "FILE…",
     .args_min = 1,
     .args_max = INT_MAX,
     .summary = "Queue files for a channel; prints one job id a line.",
     .details =
         "All files and all metadata are checked first: either every file is queued, or none. A worker "
         "uploads them: `sluice worker`.\n\nAdding the same file for the same channel again prints the "
         "id of the job that is there. With other parameters it is an error that shows that job.",
     .options = add_options,
     .run = run_add},
    {NULL},
};
