/*
 * What the database itself refuses, whatever program writes to it: the same as guards_sqlite.c, in Postgres's
 * words. The conditions belong to the triggers, so a function is only called where something is refused.
 */
#include "base/buf.h"
#include "core/job.h"
#include "store/db.h"
#include "store/store.h"

static const char functions[] =
    "create function refuse() returns trigger language plpgsql as $guard$\n"
    "begin raise exception using errcode = 'check_violation', message = tg_argv[0]; end $guard$;\n"
    "create function refuse_move() returns trigger language plpgsql as $guard$\n"
    "begin raise exception using errcode = 'check_violation',"
    " message = format('a job cannot go from %s to %s', old.state, new.state); end $guard$;\n";

static void build_move_guard(struct buf *sql)
{
    const char *comma = "";
    buf_puts(sql, "create trigger job_move_guard before update of state on job for each row"
                  " when (old.state || ' ' || new.state not in (");
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            if (job_move_is_allowed((enum job_state)from, (enum job_state)to)) {
                buf_printf(sql, "%s'%s %s'", comma, job_state_text((enum job_state)from),
                           job_state_text((enum job_state)to));
                comma = ", ";
            }
    buf_puts(sql, ")) execute function refuse_move();\n");
}

static void build_refusal(struct buf *sql, const char *name, const char *when, const char *message)
{
    buf_printf(sql, "create trigger %s before %s execute function refuse('%s');\n", name, when, message);
}

/* Workers that listen are told when a job becomes claimable (watch.c); a transaction tells the same only
 * once, however many jobs it is about. */
static void build_tellers(struct buf *sql)
{
    buf_puts(sql, "create function tell_workers() returns trigger language plpgsql as $tell$\n"
                  "begin perform pg_notify('sluice', tg_table_schema || ' ' || new.region); return null; end"
                  " $tell$;\n"
                  "create trigger job_added_teller after insert on job for each row"
                  " when (new.claim_at_ms <= new.passed_ms) execute function tell_workers();\n"
                  "create trigger job_freed_teller after update of state, cancel_wanted on job for each row"
                  " when (new.claim_at_ms <= new.passed_ms"
                  "  and (old.claim_at_ms > old.passed_ms or old.claim_at_ms is null))"
                  " execute function tell_workers();\n");
}

/* To lock a row one must have the right to update something of it. This is the column to give where nothing
 * is to be changed. */
static void build_beginning_guards(struct buf *sql)
{
    static const char *const tables[] = {"tenant", "client", "channel"};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        buf_printf(sql,
                   "create trigger %s_beginning_guard before update of added_at_ms on %s for each row"
                   " when (new.added_at_ms <> old.added_at_ms)"
                   " execute function refuse('what was added stays as old as it is');\n",
                   tables[i], tables[i]);
}

/* Lines go only through event_removal, and only those that are old and of jobs at their end: audit archive
 * writes their ids there. It is done with the owner's rights; whose lines, the policies tell by the login,
 * which a line names then. */
static void build_removal(struct buf *sql)
{
    buf_printf(
        sql,
        "create function remove_events() returns trigger language plpgsql security definer as $go$\n"
        "begin\n"
        "  with gone as (delete from event e where e.id = any (string_to_array(new.ids, ',')::bigint[])\n"
        "    and e.at_ms < now_ms() - %lld and (e.job_id = '' or exists (select from job j\n"
        "      where j.id = e.job_id and j.state in ('completed', 'failed', 'cancelled')))\n"
        "    returning e.id, e.tenant_id)\n"
        "  insert into event (at_ms, tenant_id, who, what, message)\n"
        "    select now_ms(), g.tenant_id, 'login:' || session_user, 'lines removed',\n"
        "      format('%%s lines from id %%s to %%s', count(*), min(g.id), max(g.id))\n"
        "    from gone g group by g.tenant_id;\n"
        "  delete from event_removal;\n"
        "  return null;\n"
        "end $go$;\n"
        "create function refuse_removal() returns trigger language plpgsql as $guard$\n"
        "begin\n"
        "  if not exists (select from event_removal) then\n"
        "    raise exception using errcode = 'check_violation', message = tg_argv[0];\n"
        "  end if;\n"
        "  return old;\n"
        "end $guard$;\n"
        "create trigger event_removal_act after insert on event_removal for each row"
        " execute function remove_events();\n"
        "create trigger event_delete_guard before delete on event for each row"
        " execute function refuse_removal('the audit trail is append-only');\n"
        "do $path$ declare name text; begin\n"
        "  foreach name in array array['remove_events()', 'refuse_removal()'] loop\n"
        "    execute format('alter function %%s set search_path = %%I, pg_temp', name, current_schema());\n"
        "  end loop;\n"
        "end $path$;\n",
        (long long)EVENT_KEPT_MS);
}

void db_postgres_build_guards(struct buf *sql)
{
    buf_puts(sql, functions);
    build_move_guard(sql);
    build_refusal(sql, "job_begin_guard",
                  "insert on job for each row when (new.state not in ('queued', 'held'))",
                  "a job begins queued or held");
    build_refusal(sql, "job_channel_guard",
                  "update of id, tenant_id, channel_id on job for each row when (new.id <> old.id"
                  " or new.tenant_id <> old.tenant_id or new.channel_id <> old.channel_id)",
                  "a job never changes its channel");
    build_refusal(sql, "job_epoch_guard",
                  "update of lease_epoch on job for each row when (new.lease_epoch < old.lease_epoch)",
                  "a lease epoch never goes back");
    build_refusal(sql, "job_video_guard",
                  "update of video_id on job for each row"
                  " when (old.state = 'completed' and new.video_id is distinct from old.video_id)",
                  "the video of a completed job never changes");
    build_refusal(sql, "event_update_guard", "update on event for each row",
                  "the audit trail is append-only");
    build_refusal(sql, "event_truncate_guard", "truncate on event", "the audit trail is append-only");
    build_beginning_guards(sql);
    build_removal(sql);
    build_tellers(sql);
}
