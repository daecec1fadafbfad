-- Keeps tenants apart by the database's own means: groups of rights, and row-level security on every table that has a
-- tenant. docs/tenants.md tells how to use it and what each role can do.
--
--     psql -d sluice -f deploy/postgres/roles.sql            after `sluice init`, and again after each update of sluice
--
-- Run it as a superuser, or as the owner of the tables with CREATEROLE. `-v schema=NAME` where the tables are not in
-- the schema sluice. It is one transaction, and repeating it takes back what has been given away by hand since.

\set ON_ERROR_STOP 1
\if :{?schema}
\else
\set schema sluice
\endif

begin;
set local search_path = :"schema";
set local client_min_messages = error;

-- ---- groups: nobody logs in as one of them; login.sql makes logins that are members

do $groups$
declare
  name text;
begin
  foreach name in array array['sluice_worker', 'sluice_broker', 'sluice_operator', 'sluice_reader', 'sluice_adder',
                              'sluice_every'] loop
    begin
      execute format('create role %I nologin', name);
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
end $groups$;

-- ---- what nobody has

do $nothing$
declare
  every text := 'sluice_worker, sluice_broker, sluice_operator, sluice_reader, sluice_adder, sluice_every';
begin
  execute format('revoke all on all tables in schema %I from public, %s', current_schema(), every);
  execute format('revoke all on all sequences in schema %I from public, %s', current_schema(), every);
  execute format('revoke create on schema %I from public, %s', current_schema(), every);
  execute format('grant usage on schema %I to %s', current_schema(), every);
end $nothing$;
-- Rights to single columns are not taken back by the above.
do $columns$
declare
  one record;
begin
  for one in select c.relname, a.attname, r.rolname
      from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
      cross join lateral aclexplode(a.attacl) as x join pg_catalog.pg_roles r on r.oid = x.grantee
      where c.relnamespace = current_schema()::regnamespace and r.rolname in
        ('sluice_worker', 'sluice_broker', 'sluice_operator', 'sluice_reader', 'sluice_adder', 'sluice_every') loop
    execute format('revoke all (%I) on %I from %I', one.attname, one.relname, one.rolname);
  end loop;
end $columns$;

-- ---- a worker: jobs and how they get on. No token, no client's secret; it adds to the trail, and of its lines it reads
-- what it must count to find misuse: what happened when, and why, in the words that sluice has for it

-- added_at_ms is guarded by a trigger: the right to update it is the right to lock the row, and no other.
grant select on schema_version, job_move to sluice_worker, sluice_broker, sluice_operator;
grant select (id, name) on tenant to sluice_worker;
grant select (id, tenant_id, name, client_id, auth_uri, token_uri, kind, uploads_per_day, units_per_day, added_at_ms,
    removed_at_ms, state, state_reason, state_at_ms), update (added_at_ms, state, state_reason, state_at_ms)
  on client to sluice_worker;
grant select (channel_id) on token to sluice_worker; -- whether there is one
grant select, update (state, state_reason, until_ms, own_state, own_reason, own_until_ms) on channel to sluice_worker;
grant select, update (served_seq, served_channel_id, milliplaces, rest_until_ms) on turn to sluice_worker;
grant select, update (state, cause, next_at_ms, lease_owner, lease_epoch, lease_until_ms, cancel_wanted, waits,
    passed_ms, video_id, error_reason, error_message, changed_at_ms, finished_at_ms, fingerprint)
  on job to sluice_worker;
grant select, update (session_url, session_at_ms, last_byte_uploaded, finalizing, session_dead, upload_attempts,
    reconcile_looks, reconcile_from_ms, check_looks, etag)
  on upload to sluice_worker;
grant select, insert, update (size_bytes, digest), delete on chunk to sluice_worker;
grant select, insert, update (used, drift) on quota to sluice_worker;
grant select (id, at_ms, tenant_id, channel_id, job_id, what, reason), insert (at_ms, tenant_id, channel_id, job_id, who,
    what, from_state, to_state, cause, lease_epoch, http_status, reason, message, request_id)
  on event to sluice_worker;
grant select, insert, update, delete on worker to sluice_worker;
-- It raises alarms and cannot close them.
grant select, insert, update (event_id, looked_at_ms) on watch to sluice_worker;
grant select, insert, update (since_ms, count, windows, mean_milli) on tally to sluice_worker;
grant select, insert (tenant_id, channel_id, client_id, signal, severity, count, since_ms, last_at_ms, message, reaction),
    update (count, last_at_ms, told_at_ms, tell_at_ms, tells)
  on alarm to sluice_worker;

-- ---- a broker: tokens and clients' secrets, logins, and whether a lease covers what a worker asks for

grant select (id, name), insert (name, added_at_ms), update (added_at_ms) on tenant to sluice_broker;
grant select, insert (tenant_id, name, client_id, auth_uri, token_uri, kind, uploads_per_day, units_per_day,
    added_at_ms), update (auth_uri, token_uri, kind, secret_sealed, added_at_ms, state,
    state_reason, state_at_ms)
  on client to sluice_broker;
grant select, insert (tenant_id, client_id, name, yt_channel_id, title, uploads_playlist, added_at_ms),
    update (client_id, title, uploads_playlist, state, state_reason, until_ms, own_state, own_reason, own_until_ms,
    removed_at_ms)
  on channel to sluice_broker;
grant select, insert (tenant_id, channel_id) on turn to sluice_broker;
grant select, insert, update (sealed, scopes, key_id, stored_at_ms, access_sealed, access_serial, access_until_ms,
    refresh_owner, refresh_until_ms), delete
  on token to sluice_broker;
grant select, update (state, cause, next_at_ms, changed_at_ms) on job to sluice_broker;
grant select, update (session_url) on upload to sluice_broker; -- key rotate
-- Data keys, wrapped; which root keys there are, by their ids; and how far a rotation has come.
grant select, insert (tenant_id, id, root_key_id, state, wrapped, added_at_ms), delete,
    update (root_key_id, state, wrapped, retired_at_ms)
  on tenant_key to sluice_broker;
grant select, insert (id, live_id, added_at_ms), update (live_id, retired_at_ms) on root_key to sluice_broker;
grant select, insert (kind, from_key, owner, started_at_ms, seen_at_ms),
    update (owner, seen_at_ms, ended_at_ms, resealed)
  on key_rotation to sluice_broker;
grant select, insert, update (used, drift) on quota to sluice_broker;
grant select, update (closed_at_ms) on alarm to sluice_broker; -- a login, or an import, ends what stopped
grant select (id, job_id), insert (at_ms, tenant_id, channel_id, job_id, who, what, from_state, to_state, cause,
    lease_epoch, http_status, reason, message, request_id)
  on event to sluice_broker;
-- watch_videos
grant select, insert (channel_id, tenant_id, looked_at_ms, judged_ms), update (looked_at_ms, judged_ms, trouble)
  on video_look to sluice_broker;
grant select, insert on foreign_video to sluice_broker;

-- ---- an operator: every command but init. It brings its own broker for what has to do with logins

do $operator$ begin
  if not pg_has_role('sluice_operator', 'sluice_worker', 'member') then
    grant sluice_worker to sluice_operator;
  end if;
exception when unique_violation then
  null;
end $operator$;
grant update (added_at_ms) on tenant to sluice_operator;
grant update (uploads_per_day, units_per_day, removed_at_ms, secret_sealed) on client to sluice_operator;
grant update (uploads_per_day) on channel to sluice_operator;
grant insert (id, tenant_id, channel_id, region, priority, state, cause, next_at_ms, size_bytes, added_at_ms,
    changed_at_ms, storage_path, fingerprint, title, idempotency_key, params_digest, cdn_url, metadata)
  on job to sluice_operator;
grant insert (job_id, tenant_id) on upload to sluice_operator;
grant select on event to sluice_operator;
grant select on video_look to sluice_operator;
grant update (closed_at_ms) on alarm to sluice_operator;
grant insert on event_removal to sluice_operator; -- audit archive; a trigger does it, if the lines are old

-- ---- a reader: the views; and a service that adds jobs: one function

grant select on job_view, channel_view, event_view, quota_view, sluice_backlog to sluice_reader, sluice_operator;
grant execute on function sluice_add to sluice_adder, sluice_operator;

-- ---- rows: a login reaches its tenants (sluice_admit, tenant_member), a member of sluice_every all

do $rows$
declare
  one record;
  policy record;
  owner name;
  mine text;
begin
  for one in select c.oid, c.relname, c.relowner from pg_catalog.pg_class c
      where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
        and (c.relname = 'tenant' or exists (select from pg_catalog.pg_attribute a
          where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)) loop
    for policy in select p.polname from pg_catalog.pg_policy p where p.polrelid = one.oid loop
      execute format('drop policy %I on %I', policy.polname, one.relname);
    end loop;
    owner := pg_catalog.pg_get_userbyid(one.relowner);
    execute format('alter table %I enable row level security', one.relname);
    execute format('alter table %I force row level security', one.relname);
    -- Found once a statement, so that it can be looked up in an index.
    mine := case one.relname when 'tenant' then 'id = any ((select sluice_tenants())::bigint[])'
      when 'tenant_member' then 'role = session_user'
      else 'tenant_id = any ((select sluice_tenants())::bigint[])' end;
    execute format('create policy own on %I to sluice_worker, sluice_broker, sluice_operator, sluice_reader,'
      ' sluice_adder using (%s)', one.relname, mine);
    execute format('create policy every on %I to sluice_every using (true)', one.relname);
    -- Views and functions run with the owner's rights, but for whoever has logged in.
    execute format('create policy owner on %I to %I using ((select sluice_reaches_all()) or %s)', one.relname, owner,
      mine);
  end loop;
end $rows$;

-- A row that hangs on a job is of the job's tenant.
create policy whole on upload as restrictive for insert with check
  (exists (select from job j where j.id = job_id and j.tenant_id = upload.tenant_id));
create policy whole on chunk as restrictive for insert with check
  (exists (select from job j where j.id = job_id and j.tenant_id = chunk.tenant_id));
-- Of alarms, a login or an import ends those that tell of what was stopped for want of it, and no others: for whom it is a
-- broker's right alone.
create policy stopped on alarm as restrictive for update to sluice_broker
  using (signal in ('channel_stopped', 'client_stopped')
    or pg_has_role(session_user, 'sluice_worker', 'usage')
    or pg_has_role(session_user, 'sluice_operator', 'usage'));

commit;
