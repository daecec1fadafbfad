/* `audit`: the trail of who did what, and why. */
#include <stdio.h>

#include "cli/audit.h"
#include "cli/families.h"
#include "cli/output.h"

struct audit_walk {
    struct cli *cli;
};

json_t *audit_json(const struct store_event *event)
{
    json_t *object =
        json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:s}", "id", (json_int_t)event->id, "at",
                  json_time(event->at_ms), "job", json_text(event->job), "tenant", json_text(event->tenant),
                  "channel", json_text(event->channel), "who", event->who, "what", event->what);
    json_object_set_new(object, "from", json_text(event->from_state));
    json_object_set_new(object, "to", json_text(event->to_state));
    json_object_set_new(object, "cause", json_text(event->cause));
    json_object_set_new(object, "lease_epoch", json_integer(event->lease_epoch));
    json_object_set_new(object, "http_status",
                        event->http_status ? json_integer(event->http_status) : json_null());
    json_object_set_new(object, "reason", json_text(event->reason));
    json_object_set_new(object, "message", json_text(event->message));
    json_object_set_new(object, "request_id", json_text(event->request_id));
    return object;
}

static void put_part(struct buf *line, const char *before, const char *text)
{
    if (*text)
        buf_printf(line, "%s%s", before, text);
}

/* One line a event, so that grep works on it. */
static void print_event(const struct store_event *event)
{
    char time[32];
    struct buf line AUTO_BUF = BUF_INIT(4096);
    buf_printf(&line, "%s", time_text(time, event->at_ms));
    put_part(&line, "  ", event->job);
    put_part(&line, "  ", event->who);
    put_part(&line, "  ", event->what);
    if (*event->to_state)
        buf_printf(&line, "  %s -> %s", *event->from_state ? event->from_state : "(new)", event->to_state);
    put_part(&line, ": ", event->cause);
    if (!*event->job)
        put_part(&line, "  channel ", event->channel);
    if (event->http_status)
        buf_printf(&line, "  HTTP %d", event->http_status);
    put_part(&line, "  ", event->reason);
    put_part(&line, "  ", event->message);
    out_text(line.data);
}

static int on_event(void *ctx, const struct store_event *event)
{
    struct audit_walk *walk = ctx;
    if (walk->cli->json)
        out_json(audit_json(event));
    else
        print_event(event);
    return 0;
}

static int run_audit(struct cli *cli, struct err *err)
{
    struct audit_walk walk = {.cli = cli};
    struct store_job job;
    char id[JOB_ID_SIZE] = "";
    int code = cli_open_store(cli, err);
    if (code == 0 && cli->arg_count > 0) {
        code = store_job_find(cli->store, cli->args[0], &job, err);
        if (code == 0) {
            snprintf(id, sizeof(id), "%s", job.id.text);
            store_job_release(&job);
        }
    }
    return code < 0 ? code : store_event_list(cli->store, *id ? id : NULL, on_event, &walk, err);
}

static const struct cli_option archive_options[] = {
    {"before", "TIME", NULL, "Which lines are old, as 2026-11-01; needed."},
    {"to", "FILE", NULL, "The file to write; needed."},
    {NULL}};

const struct cli_command audit_commands[] = {
    {.name = "audit",
     .arguments = "[ID]",
     .args_max = 1,
     .summary = "Print the audit trail, oldest first: of one job, or of everything.",
     .run = run_audit},
    {.name = "audit archive",
     .arguments = "",
     .summary = "Move old lines of the audit trail to a file.",
     .details =
         "Lines older than --before go, at least 30 days old, of jobs that came to their end before it and "
         "of no job. They are written as `audit --json` prints them; the file is on the disk before the "
         "first "
         "line is removed. Broken off, it goes on if it is given the same file again. The trail keeps a "
         "line that tells how many went where, with the file's SHA-256.",
     .options = archive_options,
     .run = audit_archive},
    {NULL},
};
