#include "worker/store_group.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum { CHUNKS_MAX = 40000 }; /* 256 GiB in chunks of 8 MiB are 32,768 */

/* ---- one by one ---- */

static int keep_chunk(void *ctx, const struct chunk_digest *chunk)
{
    struct request *request = ctx;
    if (request->chunks.count == request->chunks.size) {
        request->chunks.size = request->chunks.size ? request->chunks.size * 2 : 64;
        request->chunks.chunks =
            mem_grow(request->chunks.chunks, request->chunks.size, sizeof(*request->chunks.chunks));
    }
    request->chunks.chunks[request->chunks.count++] = *chunk;
    return request->chunks.count > CHUNKS_MAX ? ERR_LIMIT : 0;
}

/* The limits of the moment in which it was asked for. */
static int claim(const struct store_group *group, struct request *request, struct err *err)
{
    struct store_reach reach = group->config->reach;
    reach.per_channel_max = request->claim.per_channel_max;
    reach.per_tenant_max = request->claim.per_tenant_max;
    return store_claim(group->store, group->config->worker, &reach, request->claim.max,
                       group->config->lease_ms, request->claim.works, &request->claim.count, err);
}

static int run(const struct store_group *group, struct request *request, struct err *err)
{
    struct store *store = group->store;
    const struct store_thread_config *config = group->config;
    switch (request->type) {
    case REQUEST_CLAIM:
        return claim(group, request, err);
    case REQUEST_WRITE:
    case REQUEST_RENEW:
        return 0; /* all at once: run_writes(), run_renewals() */
    case REQUEST_CHUNKS:
        return store_chunk_list(store, request->chunks.job, keep_chunk, request, err);
    case REQUEST_FINGERPRINT:
        return store_job_set_fingerprint(store, config->worker, request->fingerprint.job,
                                         request->fingerprint.lease_epoch, request->fingerprint.text,
                                         &request->fingerprint.result, err);
    case REQUEST_BACKLOG:
        return store_backlog(store, &config->reach, &request->backlog.backlog, err);
    case REQUEST_QUEUE:
        return queue_count(store, request->queue.queue, err);
    case REQUEST_ALARMS:
        return store_alarm_look(store, config->worker, request->alarms.every_ms, &request->alarms.raised,
                                err);
    case REQUEST_UNTOLD:
        return store_alarm_untold(store, request->untold.within_ms, random_u64(), &request->untold.alarm,
                                  err);
    case REQUEST_TOLD:
        return store_alarm_told(store, request->told.alarm, err);
    case REQUEST_SEEN:
        return store_worker_seen(store, config->worker, config->reach.region, request->seen.active_count,
                                 err);
    }
    return ERR_INTERNAL;
}

static void release_works(struct request *request)
{
    for (uint32_t i = 0; i < request->claim.count; i++)
        store_work_release(&request->claim.works[i]);
    request->claim.count = 0;
}

void request_disbelieve(struct request *request)
{
    request->ok = false;
    if (request->type == REQUEST_CLAIM)
        release_works(request);
    if (request->type == REQUEST_WRITE)
        request->write.result = WRITE_FAILED;
    if (request->type == REQUEST_RENEW)
        request->renew.renewal.result = WRITE_FAILED;
    if (request->type == REQUEST_CHUNKS)
        request->chunks.count = 0;
    if (request->type == REQUEST_FINGERPRINT)
        request->fingerprint.result = WRITE_FAILED;
}

/* A request that is wrong in itself has been undone alone and fails alone: it must not take others with it,
 * and it would again and again. */
static bool concerns_all(int rc)
{
    return rc == ERR_STORE || rc == ERR_BUSY || rc == ERR_SCHEMA || rc == ERR_INTERNAL;
}

static int run_one(const struct store_group *group, struct request *request, struct err *err)
{
    int rc = run(group, request, err);
    request->ok = rc == 0;
    if (rc == 0 || concerns_all(rc))
        return rc;
    request_disbelieve(request);
    LOG(LOG_ERROR, "the store refused a request", F_STR("error", err->message));
    return 0;
}

/* ---- all of a kind at once ---- */

static int run_renewals(const struct store_group *group, struct request **requests, uint32_t count,
                        struct err *err)
{
    struct request *renewed[GROUP_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (requests[i]->type == REQUEST_RENEW) {
            group->renewals[n] = (struct store_renew_item){.id = requests[i]->renew.job,
                                                           .lease_epoch = requests[i]->renew.lease_epoch};
            renewed[n++] = requests[i];
        }
    int rc = store_renew_many(group->store, group->config->worker, group->renewals, n,
                              group->config->lease_ms, err);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        renewed[i]->renew.renewal = group->renewals[i].renewal;
        renewed[i]->ok = true;
    }
    return rc;
}

static void take_result(struct request *request, const struct store_write_item *item)
{
    request->write.result = item->result;
    request->ok = item->rc == 0;
    if (!request->ok)
        LOG(LOG_ERROR, "the store refused a request", F_STR("error", item->err.message));
}

static int run_writes(const struct store_group *group, struct request **requests, uint32_t count,
                      struct err *err)
{
    struct request *written[GROUP_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (requests[i]->type == REQUEST_WRITE) {
            group->writes[n].write = &requests[i]->write.write;
            group->writes[n].sealed_session =
                (struct blob){requests[i]->write.sealed, requests[i]->write.sealed_len};
            written[n++] = requests[i];
        }
    int rc = store_write_many(group->store, group->config->worker, group->writes, n, err);
    for (uint32_t i = 0; i < n && rc == 0; i++)
        take_result(written[i], &group->writes[i]);
    return rc;
}

/* Renewals before writes: the renewal of a lease that is given back in the same group has not lost it. Claims
 * and all else after them, so that they see what was given back. Requests of a kind stay in their order. */
int store_group_run(const struct store_group *group, struct request **requests, uint32_t count,
                    struct err *err)
{
    int rc = run_renewals(group, requests, count, err);
    if (rc == 0)
        rc = run_writes(group, requests, count, err);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        if (requests[i]->type != REQUEST_RENEW && requests[i]->type != REQUEST_WRITE)
            rc = run_one(group, requests[i], err);
    return rc;
}
