/* What both engines show to people and to scalers. docs/store.md describes it. */
#include "base/buf.h"
#include "store/schema.h"

/* A closed window (core/window.h) lets in one job at a time, after its rest; but always what is to be
 * cancelled, or has a video already. */
void schema_build_backlog(struct buf *sql, const char *now, const char *job_now)
{
    buf_printf(sql,
               "create view sluice_backlog as select region, cast(sum(open + probe) as bigint) as runnable,"
               " cast(sum(open_bytes) as bigint) as runnable_bytes,"
               " cast(sum(later + shut - probe) as bigint) as blocked,"
               " cast(sum(leased) as bigint) as under_way from"
               " (select g.*, case when shut > 0 and leased = 0 and rest_until_ms <= %s then 1 else 0 end"
               "  as probe from"
               "  (select j.region, j.rest_until_ms, count(*) filter (where j.due and j.open) as open,"
               "   coalesce(sum(j.size_bytes) filter (where j.due and j.open), 0) as open_bytes,"
               "   count(*) filter (where j.due and not j.open) as shut,"
               "   count(*) filter (where not j.due and j.lease_owner = '') as later,"
               "   count(*) filter (where not j.due and j.lease_owner <> '') as leased from"
               "   (select j.region, j.tenant_id, j.channel_id, j.lease_owner, j.size_bytes, "
               "s.rest_until_ms, coalesce(j.claim_at_ms <= %s, 1 = 0) as due,"
               "     s.milliplaces >= 1000 or j.cancel_wanted <> 0 or j.video_id is not null as open"
               "    from job j join turn s on s.tenant_id = j.tenant_id and s.channel_id = j.channel_id"
               "    where j.state in ('queued', 'uploading', 'waiting', 'held', 'finishing')) as j"
               "   group by j.region, j.tenant_id, j.channel_id, j.rest_until_ms) as g) as b"
               " group by region;\n",
               now, job_now);
}
