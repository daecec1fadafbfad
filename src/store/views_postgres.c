/*
 * What Postgres offers to people and to other services: views with times that can be read, and a function
 * that adds a job in the caller's own transaction. docs/store.md describes them.
 */
#include "base/buf.h"
#include "store/db.h"
#include "store/schema.h"

static const char views[] =
    "create function ms_time(ms bigint) returns timestamptz language sql immutable parallel safe as"
    " 'select to_timestamp(nullif(ms, 0) / 1000.0)';\n"

    "create view job_view as select j.id, t.name as tenant, h.name as channel, j.region, j.priority, j.state,"
    " j.cause, ms_time(j.next_at_ms) as next_at, j.lease_owner, j.lease_epoch,"
    " ms_time(j.lease_until_ms) as lease_until, j.storage_path, j.title, j.size_bytes,"
    " u.last_byte_uploaded + 1 as confirmed_bytes, u.upload_attempts, u.finalizing <> 0 as finalizing,"
    " j.video_id, j.error_reason, j.error_message, j.idempotency_key, ms_time(j.added_at_ms) as added_at,"
    " ms_time(j.changed_at_ms) as changed_at, ms_time(j.finished_at_ms) as finished_at"
    " from job j join upload u on u.job_id = j.id join channel h on h.id = j.channel_id"
    " join tenant t on t.id = j.tenant_id;\n"

    "create view channel_view as select h.id, t.name as tenant, h.name, h.yt_channel_id, h.title, c.name as"
    " client, h.state, h.state_reason, ms_time(h.until_ms) as until, ms_time(h.added_at_ms) as added_at"
    " from channel h join tenant t on t.id = h.tenant_id join client c on c.id = h.client_id"
    " where h.removed_at_ms = 0;\n"

    "create view event_view as select e.id, ms_time(e.at_ms) as at, t.name as tenant, h.name as channel,"
    " e.job_id, e.who, e.what, e.from_state, e.to_state, e.cause, e.lease_epoch, e.http_status, e.reason,"
    " e.message, e.request_id from event e left join tenant t on t.id = e.tenant_id"
    " left join channel h on h.id = e.channel_id;\n"

    "create view quota_view as select t.name as tenant, c.name as client, h.name as channel, q.bucket,"
    " date '1970-01-01' + q.pacific_day::int as pacific_day, q.used, q.drift from quota q"
    " join client c on c.id = q.client_id join tenant t on t.id = q.tenant_id"
    " left join channel h on h.id = q.channel_id;\n";

/* 26 letters of Crockford's base 32: ten of the time, sixteen at random. */
static const char id_sql[] =
    "create function sluice_job_id() returns text language sql volatile as $id$\n"
    "select string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + letter, 1), '' order by at) from (\n"
    "  select at, case when at < 10 then ((now_ms() >> (5 * (9 - at))) & 31)::int\n"
    "    else get_byte(bytes, at) & 31 end as letter\n"
    "  from generate_series(0, 25) as at, (select sha256(uuid_send(gen_random_uuid()) ||\n"
    "    uuid_send(gen_random_uuid())) as bytes) as random) as letters $id$;\n";

/* The checks that the database can make; YouTube makes the others, and the job fails with its reason. */
static const char metadata_sql[] =
    "create function sluice_metadata(metadata jsonb) returns jsonb language plpgsql immutable as $meta$\n"
    "declare\n"
    "  title text := btrim(metadata #>> '{snippet,title}');\n"
    "begin\n"
    "  if jsonb_typeof(metadata) <> 'object' or title is null or title = '' or length(title) > 100\n"
    "     or title ~ '[<>]' then\n"
    "    raise exception using errcode = 'check_violation', message =\n"
    "      'metadata: a video resource whose snippet.title has 1 to 100 characters, none of them < or >';\n"
    "  end if;\n"
    "  metadata := jsonb_set(metadata, '{snippet,title}', to_jsonb(title));\n"
    "  if metadata #>> '{snippet,categoryId}' is null then\n"
    "    metadata := jsonb_set(metadata, '{snippet,categoryId}', '\"22\"');\n"
    "  end if;\n"
    "  if metadata #>> '{status,privacyStatus}' is null then\n"
    "    metadata := jsonb_set(metadata, '{status}', coalesce(metadata -> 'status', '{}') ||\n"
    "      '{\"privacyStatus\": \"private\"}');\n"
    "  end if;\n"
    "  return metadata;\n"
    "end $meta$;\n";

static const char add_sql[] =
    /* With the owner's rights, so that a service needs none but this one: which tenants it may add for, the
     * policies tell by its login. */
    "create function sluice_add(channel text, storage_path text, size_bytes bigint, metadata jsonb,\n"
    "  tenant text default 'default', key text default null, region text default '',\n"
    "  priority bigint default 0, cdn_url text default '', fingerprint text default '')\n"
    "returns text language plpgsql volatile security definer as $add$\n"
    "#variable_conflict use_column\n"
    "declare\n"
    "  home channel;\n"
    "  new_id text := sluice_job_id();\n"
    "  new_key text := coalesce(nullif(sluice_add.key, ''), 'job:' || new_id);\n"
    "  resource jsonb := sluice_metadata(sluice_add.metadata);\n"
    "  digest text := encode(sha256(convert_to(jsonb_build_array(sluice_add.channel,\n"
    "    sluice_add.storage_path, sluice_add.size_bytes, resource, sluice_add.region, sluice_add.cdn_url,\n"
    "    sluice_add.fingerprint)::text, 'UTF8')), 'hex');\n"
    "  is_open boolean;\n"
    "  found_id text;\n"
    "  found_digest text;\n"
    "begin\n"
    "  if sluice_add.size_bytes not between 1 and 274877906944 then\n"
    "    raise exception using errcode = 'check_violation', message =\n"
    "      format('%s has %s bytes: 1 to 274877906944 can be uploaded', sluice_add.storage_path,\n"
    "        sluice_add.size_bytes);\n"
    "  end if;\n"
    "  select h.* into home from channel h where h.name = sluice_add.channel and h.removed_at_ms = 0\n"
    "    and h.tenant_id = (select t.id from tenant t where t.name = sluice_add.tenant) for share;\n"
    "  if not found then\n"
    "    raise exception using errcode = 'no_data_found', message =\n"
    "      format('tenant %s has no channel %s', sluice_add.tenant, sluice_add.channel);\n"
    "  end if;\n"
    "  is_open := home.state = 'active' or (home.state = 'limited' and home.until_ms <= now_ms());\n"
    "  insert into job (id, tenant_id, channel_id, region, priority, state, cause, next_at_ms, size_bytes,\n"
    "      added_at_ms, changed_at_ms, storage_path, fingerprint, title, idempotency_key, params_digest,\n"
    "      cdn_url, metadata)\n"
    "    values (new_id, home.tenant_id, home.id, sluice_add.region, sluice_add.priority,\n"
    "      case when is_open then 'queued' else 'held' end,\n"
    "      case when is_open then '' when home.state = 'limited' then 'upload_limit'\n"
    "        else 'channel_' || home.state end,\n"
    "      case when is_open then 0 else home.until_ms end, sluice_add.size_bytes, now_ms(), now_ms(),\n"
    "      sluice_add.storage_path, sluice_add.fingerprint, resource #>> '{snippet,title}', new_key, "
    "digest,\n"
    "      sluice_add.cdn_url, resource::text)\n"
    "    on conflict (tenant_id, idempotency_key) do nothing;\n"
    "  if not found then\n"
    "    select j.id, j.params_digest into found_id, found_digest from job j\n"
    "      where j.tenant_id = home.tenant_id and j.idempotency_key = new_key;\n"
    "    if found_digest <> digest then\n"
    "      raise exception using errcode = 'unique_violation', message =\n"
    "        format('the key %s belongs to job %s with other parameters', new_key, found_id);\n"
    "    end if;\n"
    "    return found_id;\n"
    "  end if;\n"
    "  insert into upload (job_id, tenant_id) values (new_id, home.tenant_id);\n"
    "  insert into event (at_ms, tenant_id, channel_id, job_id, who, what, to_state, cause)\n"
    "    select now_ms(), j.tenant_id, j.channel_id, j.id, 'sql:' || session_user, 'job added', j.state,\n"
    "      j.cause from job j where j.id = new_id;\n"
    "  return new_id;\n"
    "end $add$;\n"
    /* Other services call it from wherever they are. */
    "do $path$ begin\n"
    "  execute format('alter function sluice_job_id() set search_path = %I, pg_temp', current_schema());\n"
    "  execute format('alter function sluice_add(text, text, bigint, jsonb, text, text, text, bigint, "
    "text,'\n"
    "    ' text) set search_path = %I, pg_temp', current_schema());\n"
    "  revoke all on function sluice_add(text, text, bigint, jsonb, text, text, text, bigint, text, text)\n"
    "    from public;\n"
    "end $path$;\n";

void db_postgres_build_views(struct buf *sql)
{
    buf_puts(sql, views);
    schema_build_backlog(sql, "now_ms()", "now_ms()");
    buf_puts(sql, id_sql);
    buf_puts(sql, metadata_sql);
    buf_puts(sql, add_sql);
    db_postgres_build_isolation(sql);
}
