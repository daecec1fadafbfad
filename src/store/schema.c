/*
 * The tables, version by version; docs/store.md says what they mean. A version that was released is never
 * edited: a change is a new migration at the end.
 */
#include "store/schema.h"

#include "base/buf.h"
#include "core/job.h"

/* The generated column below has it in its text. Another delay needs a migration. */
_Static_assert(TAKEOVER_DELAY_MS == 5000, "job.claim_at_ms says 5000");

#define TEXT_OF(value)              #value
#define TEXT(value)                 TEXT_OF(value)
#define STATE_IS(name, text, cause) "state = '" text "' or "
#define STATE_IS_ONE(name, text)    "state = '" text "' or "
#define CAUSE_IS(name, text)        "cause = '" text "' or "

static const char people_sql[] =
    "create table tenant ("
    " id {serial},"
    " name {key} not null unique,"
    " added_at_ms bigint not null);"

    "create table client ("
    " id {serial},"
    " tenant_id bigint not null references tenant (id),"
    " name {key} not null,"
    " client_id text not null,"
    " secret_sealed {blob},"
    " auth_uri text not null,"
    " token_uri text not null,"
    " kind text not null,"
    " uploads_per_day bigint not null,"
    " units_per_day bigint not null,"
    " added_at_ms bigint not null,"
    " removed_at_ms bigint not null default 0,"
    " unique (tenant_id, id));" /* what refers to a client is of its tenant */
    "create unique index client_name on client (tenant_id, name) where removed_at_ms = 0;"

    "create table channel ("
    " id {serial},"
    " tenant_id bigint not null references tenant (id),"
    " client_id bigint not null,"
    " name {key} not null,"
    " yt_channel_id {key} not null,"
    " title text not null default '',"
    " uploads_playlist text not null default '',"
    " state text not null default 'active',"
    " state_reason text not null default '',"
    " until_ms bigint not null default 0,"
    " uploads_per_day bigint not null default 0," /* of its own; 0: only its client's */
    " added_at_ms bigint not null,"
    " removed_at_ms bigint not null default 0,"
    " unique (tenant_id, id),"
    " foreign key (tenant_id, client_id) references client (tenant_id, id),"
    " check (" CHANNEL_STATE_TABLE(
        STATE_IS) "1 = 0));"
                  "create unique index channel_name on channel (tenant_id, name) where removed_at_ms = 0;"
                  "create unique index channel_yt on channel (tenant_id, yt_channel_id) where removed_at_ms "
                  "= 0;"
                  "create index channel_client on channel (client_id);"
                  "create index channel_limited on channel (until_ms) where state = 'limited';"

                  /* Apart from tenant and channel, so that a claim, which writes them, is in nobody's way. */
                  "create table turn ("
                  " tenant_id bigint not null references tenant (id),"
                  " channel_id bigint not null," /* 0: the tenant's own row */
                  " served_seq bigint not null default 0,"
                  " served_channel_id bigint not null default 0,"
                  /* a channel's window (core/window.h) */
                  " milliplaces bigint not null default " TEXT(
                      WINDOW_START) "000,"
                                    " rest_until_ms bigint not null default 0,"
                                    " primary key (tenant_id, channel_id));"
                                    "create index turn_resting on turn (rest_until_ms) where rest_until_ms > "
                                    "0;"

                                    "create table token ("
                                    " channel_id bigint primary key not null,"
                                    " tenant_id bigint not null,"
                                    " sealed {blob} not null,"
                                    " scopes text not null,"
                                    " key_id text not null,"
                                    " stored_at_ms bigint not null,"
                                    " foreign key (tenant_id, channel_id) references channel (tenant_id, "
                                    "id));";

static const char job_sql[] =
    "create table job_move ("
    " from_state {key} not null,"
    " to_state {key} not null,"
    " primary key (from_state, to_state));"

    "create table job ("
    " id {key} primary key not null,"
    " tenant_id bigint not null,"
    " channel_id bigint not null,"
    " region {key} not null default '',"
    " priority bigint not null default 0,"
    " state {key} not null,"
    " cause {key} not null default '',"
    " next_at_ms bigint not null default 0,"
    " lease_owner text not null default '',"
    " lease_epoch bigint not null default 0,"
    " lease_until_ms bigint not null default 0,"
    " cancel_wanted bigint not null default 0," /* 1: asked for; 2: and a worker was told */
    " waits bigint not null default 0,"
    " passed_ms bigint not null default 0,"
    " claim_at_ms bigint generated always as (case"
    "  when lease_owner <> '' then lease_until_ms + 5000"
    "  when state in ('completed', 'failed', 'cancelled') then null"
    "  when state in ('queued', 'uploading') then 0"
    "  when state in ('waiting', 'finishing') or cause in ('quota', 'upload_limit')"
    "   or cancel_wanted <> 0 then next_at_ms"
    "  end) stored,"
    " size_bytes bigint not null,"
    " video_id {key},"
    " error_reason text not null default '',"
    " error_message text not null default '',"
    " added_at_ms bigint not null,"
    " changed_at_ms bigint not null,"
    " finished_at_ms bigint not null default 0,"
    " storage_path text not null,"
    " fingerprint text not null,"
    " title {key} not null,"
    " idempotency_key {key} not null,"
    " params_digest text not null,"
    " cdn_url text not null default '',"
    " metadata text not null,"
    " unique (tenant_id, idempotency_key),"
    " foreign key (tenant_id, channel_id) references channel (tenant_id, id),"
    " check (" JOB_CAUSE_TABLE(
        CAUSE_IS) "1 = 0),"
                  " check ((state = 'held') = (cause <> '')),"
                  " check (lease_owner = '' or state in ('uploading', 'finishing')),"
                  " check (video_id is not null or state not in ('completed', 'finishing')),"
                  " check (video_id is null or state not in ('queued', 'waiting', 'failed', 'cancelled')));"

                  /* Claimable now, and claimable later: see claim.c. */
                  "create index job_ready on job (tenant_id, region, channel_id, priority desc, id, "
                  "claim_at_ms, passed_ms)"
                  " where claim_at_ms <= passed_ms;"
                  /* Of those, what may be claimed even where its channel has no place for more. */
                  "create index job_ready_anyway on job (tenant_id, region, channel_id, priority desc, id)"
                  " where claim_at_ms <= passed_ms and (cancel_wanted <> 0 or video_id is not null);"
                  "create index job_timed on job (claim_at_ms, tenant_id, region, channel_id, lease_owner, "
                  "passed_ms)"
                  " where claim_at_ms > passed_ms;"
                  "create index job_leased on job (tenant_id, channel_id, claim_at_ms) where lease_owner <> "
                  "'';"
                  "create unique index job_video on job (channel_id, video_id) where video_id is not null;"
                  "create index job_twin on job (channel_id, size_bytes, title)"
                  " where state <> 'failed' and state <> 'cancelled';"
                  "create index job_depth on job (channel_id, state, cause, region, size_bytes);"

                  "create table upload ("
                  " job_id {key} primary key not null references job (id),"
                  " tenant_id bigint not null references tenant (id),"
                  " session_url {blob},"
                  " session_at_ms bigint not null default 0,"
                  " last_byte_uploaded bigint not null default -1,"
                  " finalizing bigint not null default 0,"
                  " session_dead bigint not null default 0,"
                  " upload_attempts bigint not null default 0,"
                  " reconcile_looks bigint not null default 0,"
                  " reconcile_from_ms bigint not null default 0,"
                  " check_looks bigint not null default 0,"
                  " etag text not null default '',"
                  " check (last_byte_uploaded >= -1));"

                  "create table chunk ("
                  " job_id {key} not null references job (id),"
                  " first_byte bigint not null,"
                  " tenant_id bigint not null references tenant (id),"
                  " size_bytes bigint not null,"
                  " digest {blob} not null,"
                  " primary key (job_id, first_byte));";

static const char ledger_sql[] = "create table quota ("
                                 " client_id bigint not null,"
                                 " channel_id bigint not null," /* 0: not known when it was spent */
                                 " bucket {key} not null,"
                                 " pacific_day bigint not null,"
                                 " tenant_id bigint not null,"
                                 " used bigint not null,"
                                 " drift bigint not null default 0," /* of it: only YouTube knew */
                                 " primary key (client_id, bucket, pacific_day, channel_id),"
                                 " foreign key (tenant_id, client_id) references client (tenant_id, id));"

                                 /* No foreign keys: the trail outlives what it tells of. */
                                 "create table event ("
                                 " id {serial},"
                                 " at_ms bigint not null,"
                                 " tenant_id bigint not null default 0,"
                                 " channel_id bigint not null default 0,"
                                 " job_id {key} not null default '',"
                                 " who text not null,"
                                 " what text not null,"
                                 " from_state text not null default '',"
                                 " to_state text not null default '',"
                                 " cause text not null default '',"
                                 " lease_epoch bigint not null default 0,"
                                 " http_status bigint not null default 0,"
                                 " reason text not null default '',"
                                 " message text not null default '',"
                                 " request_id text not null default '');"
                                 "create index event_job on event (job_id, id) where job_id <> '';"
                                 /* The one way for a line to go (guards_*.c); empty outside of that. */
                                 "create table event_removal (ids text not null);"

                                 "create table worker ("
                                 " name {key} primary key not null,"
                                 " region text not null,"
                                 " active bigint not null,"
                                 " started_at_ms bigint not null,"
                                 " seen_at_ms bigint not null);";

/* What looks like misuse (core/misuse.h). */
static const char alarm_sql[] =
    /* How far a tenant's trail was looked through. */
    "create table watch ("
    " tenant_id bigint primary key not null references tenant (id),"
    " event_id bigint not null,"
    " looked_at_ms bigint not null);"
    "insert into watch (tenant_id, event_id, looked_at_ms)"
    " select id, (select coalesce(max(id), 0) from event), 0 from tenant;"

    /* What was counted there; 0 where a signal is not about one channel, or client. */
    "create table tally ("
    " tenant_id bigint not null references tenant (id),"
    " signal {key} not null,"
    " channel_id bigint not null,"
    " client_id bigint not null,"
    " since_ms bigint not null,"
    " count bigint not null,"
    " windows bigint not null,"
    " mean_milli bigint not null,"
    " primary key (tenant_id, signal, channel_id, client_id));"

    "create table alarm ("
    " id {serial},"
    " tenant_id bigint not null references tenant (id),"
    " channel_id bigint not null,"
    " client_id bigint not null,"
    " signal {key} not null,"
    " severity text not null,"
    " count bigint not null,"
    " since_ms bigint not null,"
    " last_at_ms bigint not null,"
    " message text not null,"
    " reaction text not null,"
    " told_at_ms bigint not null default 0," /* to notify_url */
    " tell_at_ms bigint not null default 0," /* not before */
    " tells bigint not null default 0,"
    " closed_at_ms bigint not null default 0);"
    /* As long as it is open, it is the same one. */
    "create unique index alarm_open on alarm (tenant_id, signal, channel_id, client_id)"
    " where closed_at_ms = 0;";

/* Clients that are stopped, and what their channels were, and are again after that. */
static const char client_state_sql[] =
    "alter table client add column state text not null default 'active'"
    " check (" CLIENT_STATE_TABLE(
        STATE_IS_ONE) "1 = 0);"
                      "alter table client add column state_reason text not null default '';"
                      "alter table client add column state_at_ms bigint not null default 0;"
                      /* '' : its client is not stopped */
                      "alter table channel add column own_state text not null default '';"
                      "alter table channel add column own_reason text not null default '';"
                      "alter table channel add column own_until_ms bigint not null default 0;";

/* Looks at channels' uploads, for videos that no job has made (videos.h). */
static const char videos_sql[] =
    "create table video_look ("
    " channel_id bigint primary key not null,"
    " tenant_id bigint not null,"
    " looked_at_ms bigint not null,"
    " judged_ms bigint not null,"
    " trouble text not null default '',"
    " foreign key (tenant_id, channel_id) references channel (tenant_id, id));"

    "create table foreign_video ("
    " channel_id bigint not null,"
    " tenant_id bigint not null,"
    " video_id {key} not null,"
    " published_at_ms bigint not null,"
    " found_at_ms bigint not null,"
    " primary key (channel_id, video_id),"
    " foreign key (tenant_id, channel_id) references channel (tenant_id, id));"

    /* A handful: uploads whose last byte may be out. */
    "create index upload_finalizing on upload (tenant_id, job_id) where finalizing = 1;";

static int fill_moves(struct db *db, struct err *err)
{
    int rc = 0;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT && rc >= 0; to++)
            if (job_move_is_allowed((enum job_state)from, (enum job_state)to))
                rc = db_run(db, "insert into job_move (from_state, to_state) values ($1, $2)",
                            DB_ARGS(DB_T(job_state_text((enum job_state)from)),
                                    DB_T(job_state_text((enum job_state)to))),
                            err);
    return rc < 0 ? rc : 0;
}

static int run_built(struct db *db, void (*build)(struct buf *sql), struct err *err)
{
    struct buf sql AUTO_BUF = BUF_INIT(32768);
    build(&sql);
    return db_script(db, sql.data, err);
}

static int make_tables(struct db *db, struct err *err)
{
    int rc = run_built(db, db->driver->build_functions, err);
    if (rc == 0)
        rc = db_script(db, people_sql, err);
    if (rc == 0)
        rc = db_script(db, job_sql, err);
    if (rc == 0)
        rc = db_script(db, ledger_sql, err);
    if (rc == 0)
        rc = fill_moves(db, err);
    if (rc >= 0)
        rc = run_built(db, db->driver->build_guards, err);
    return rc < 0 ? rc : run_built(db, db->driver->build_views, err);
}

static int make_alarms(struct db *db, struct err *err)
{
    return db_script(db, alarm_sql, err);
}

static int make_client_states(struct db *db, struct err *err)
{
    return db_script(db, client_state_sql, err);
}

static int make_video_looks(struct db *db, struct err *err)
{
    return db_script(db, videos_sql, err);
}

const struct migration schema_migrations[] = {
    {"first tables", make_tables, 1},
    {"alarms", make_alarms, 1},
    {"keys", schema_add_keys, 3},
    {"states of clients", make_client_states, 3},
    {"looks at videos", make_video_looks, 3},
};
const int64_t schema_version = ARRAY_LEN(schema_migrations);
