/*
 * What the database itself refuses, whatever program writes to it: moves that the lifecycle does not know,
 * another channel for a job, changes to the audit trail.
 */
#include <stdio.h>

#include "base/buf.h"
#include "core/job.h"
#include "store/db.h"
#include "store/schema.h"
#include "store/store.h"

/* RAISE takes only a constant text, so every forbidden move has its own. */
static void build_move_message(struct buf *sql, enum job_state from, enum job_state to)
{
    buf_printf(sql, "when '%s %s' then raise(abort, 'a job cannot go from %s to %s')\n", job_state_text(from),
               job_state_text(to), job_state_text(from), job_state_text(to));
}

static void build_move_guard(struct buf *sql)
{
    buf_puts(sql, "create trigger job_move_guard before update of state on job\n"
                  "when not exists (select 1 from job_move m"
                  " where m.from_state = old.state and m.to_state = new.state)\n"
                  "begin\nselect case old.state || ' ' || new.state\n");
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            if (!job_move_is_allowed((enum job_state)from, (enum job_state)to))
                build_move_message(sql, (enum job_state)from, (enum job_state)to);
    buf_puts(sql, "else raise(abort, 'a job cannot go to a state that is not known') end;\nend;\n");
}

static void build_refusal(struct buf *sql, const char *name, const char *when, const char *message)
{
    buf_printf(sql, "create trigger %s before %s\nbegin select raise(abort, '%s'); end;\n", name, when,
               message);
}

/* The one way for lines to go, and only for those that are old and of jobs at their end. It leaves a line. */
static void build_removal(struct buf *sql)
{
    static const char which[] =
        "from event where id in (select value from json_each('[' || new.ids || ']'))"
        " and at_ms < now_ms() - %lld and (job_id = '' or exists (select 1 from job j"
        " where j.id = event.job_id and j.state in ('completed', 'failed', 'cancelled')))";
    char lines[512];
    snprintf(lines, sizeof(lines), which, (long long)EVENT_KEPT_MS);
    buf_printf(
        sql,
        "create trigger event_removal_act after insert on event_removal\nbegin\n"
        "insert into event (at_ms, tenant_id, who, what, message) select now_ms(), tenant_id, 'sqlite',"
        " 'lines removed', count(*) || ' lines from id ' || min(id) || ' to ' || max(id) %s"
        " group by tenant_id;\n"
        "delete %s;\n"
        "delete from event_removal;\nend;\n",
        lines, lines);
}

void db_sqlite_build_guards(struct buf *sql)
{
    build_move_guard(sql);
    build_refusal(sql, "job_begin_guard", "insert on job when new.state not in ('queued', 'held')",
                  "a job begins queued or held");
    build_refusal(sql, "job_channel_guard",
                  "update of id, tenant_id, channel_id on job when new.id <> old.id"
                  " or new.tenant_id <> old.tenant_id or new.channel_id <> old.channel_id",
                  "a job never changes its channel");
    build_refusal(sql, "job_epoch_guard",
                  "update of lease_epoch on job when new.lease_epoch < old.lease_epoch",
                  "a lease epoch never goes back");
    build_refusal(
        sql, "job_video_guard",
        "update of video_id on job when old.state = 'completed' and new.video_id is not old.video_id",
        "the video of a completed job never changes");
    build_refusal(sql, "event_update_guard", "update on event", "the audit trail is append-only");
    build_refusal(sql, "event_delete_guard", "delete on event when not exists (select 1 from event_removal)",
                  "the audit trail is append-only");
    build_removal(sql);
}

/* The time as sqlite3 itself can tell it: the view is also for those who look with that. */
#define SQLITE_NOW "(cast(strftime('%s', 'now') as integer) * 1000)"

void db_sqlite_build_views(struct buf *sql)
{
    schema_build_backlog(sql, SQLITE_NOW, "max(j.passed_ms, " SQLITE_NOW ")");
}
