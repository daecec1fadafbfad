#include "tenant_calls.h"

#include <stdio.h>
#include <string.h>

#include "store/videos.h"

static const struct store_reach anywhere = {.region = "", .any_region = true};

/* ---- walks ---- */

struct names {
    const char *tenant; /* whose rows are counted */
    uint32_t count;
};

#define COUNT_ROWS(function, type)                                                                           \
    static int function(void *ctx, const struct type *row)                                                   \
    {                                                                                                        \
        struct names *names = ctx;                                                                           \
        names->count += strcmp(row->tenant, names->tenant) == 0;                                             \
        return 0;                                                                                            \
    }
COUNT_ROWS(on_client, store_client)
COUNT_ROWS(on_channel, store_channel)
COUNT_ROWS(on_job, store_job)
COUNT_ROWS(on_depth, store_depth)
COUNT_ROWS(on_queue, store_queue)
COUNT_ROWS(on_quota, store_quota)
COUNT_ROWS(on_event, store_event)
COUNT_ROWS(on_alarm, store_alarm)

static int on_chunk(void *ctx, const struct chunk_digest *chunk)
{
    (void)chunk;
    ++*(uint32_t *)ctx;
    return 0;
}

static bool none(int rc, const struct names *names)
{
    return rc == 0 && names->count == 0;
}

/* ---- one function each: whether nothing of theirs came of it ---- */

#define CALL(name) static bool name(const struct theirs *b __attribute__((unused)), struct fixture *fix)
#define STORE      fix->store
#define ERR        &fix->err

CALL(tenant_name)
{
    char name[NAME_SIZE];
    return store_tenant_name(STORE, b->tenant, name, ERR) == ERR_NOT_FOUND;
}

CALL(client_put)
{
    struct store_client client = {.name = "new", .tenant = "b", .kind = "installed"};
    return store_client_put(STORE, &client, "cli:test", ERR) < 0;
}

CALL(client_set_secret)
{
    return store_client_set_secret(STORE, b->client, (struct blob){"x", 1}, ERR) == ERR_NOT_FOUND;
}

CALL(client_get_secret)
{
    struct blob sealed;
    return store_client_get_secret(STORE, b->client, &sealed, ERR) == ERR_NOT_FOUND;
}

CALL(client_get)
{
    struct store_client client;
    return store_client_get(STORE, b->client, &client, ERR) == ERR_NOT_FOUND;
}

CALL(client_find)
{
    struct store_client client;
    return store_client_find(STORE, "b", "main", &client, ERR) == ERR_NOT_FOUND;
}

CALL(client_list)
{
    struct names names = {.tenant = "b"};
    return none(store_client_list(STORE, on_client, &names, ERR), &names);
}

CALL(client_remove)
{
    return store_client_remove(STORE, b->client, "tester", ERR) == ERR_NOT_FOUND;
}

CALL(client_limits)
{
    return store_client_limits(STORE, b->client, 1, 1, "tester", ERR) == ERR_NOT_FOUND;
}

CALL(client_set_state)
{
    return store_client_set_state(STORE, b->client, CLIENT_FROZEN, "", "tester", ERR) == ERR_NOT_FOUND;
}

static int seal(void *ctx, int64_t tenant, int64_t channel, struct blob *ret, struct err *err)
{
    (void)ctx, (void)tenant, (void)channel, (void)err;
    *ret = (struct blob){"x", 1};
    return 0;
}

CALL(channel_login)
{
    struct store_login login = {.scopes = "s", .seal = seal, .key_id = "k"};
    login.channel = (struct store_channel){.tenant_id = b->tenant, .client_id = b->client};
    snprintf(login.channel.name, NAME_SIZE, "theirs");
    snprintf(login.channel.yt_channel_id, YT_CHANNEL_SIZE, "UC-theirs");
    return store_channel_login(STORE, &login, ERR) < 0;
}

CALL(channel_get)
{
    struct store_channel channel;
    return store_channel_get(STORE, b->channel, &channel, ERR) == ERR_NOT_FOUND;
}

CALL(channel_find)
{
    struct store_channel channel;
    return store_channel_find(STORE, "b", "theirs", &channel, ERR) == ERR_NOT_FOUND;
}

CALL(channel_list)
{
    struct names all = {.tenant = "b"}, named = all;
    return none(store_channel_list(STORE, NULL, on_channel, &all, ERR), &all) &&
           none(store_channel_list(STORE, "b", on_channel, &named, ERR), &named);
}

CALL(channel_set_state)
{
    return store_channel_set_state(STORE, b->channel, CHANNEL_PAUSED, 0, "", "x", ERR) == ERR_NOT_FOUND;
}

CALL(channel_limits)
{
    return store_channel_limits(STORE, b->channel, 1, "x", ERR) == ERR_NOT_FOUND;
}

CALL(channel_remove)
{
    return store_channel_remove(STORE, b->channel, "x", ERR) == ERR_NOT_FOUND;
}

CALL(token_get)
{
    struct store_token token;
    return store_token_get(STORE, b->channel, &token, ERR) == ERR_NOT_FOUND;
}

CALL(token_set)
{
    return store_token_set(STORE, b->channel, (struct blob){"x", 1}, "s", "k", ERR) == ERR_NOT_FOUND;
}

CALL(job_add)
{
    struct store_job_new job = new_job(b->channel, "NEW");
    struct job_id id;
    bool existed;
    return store_job_add(STORE, &job, &id, &existed, ERR) == ERR_NOT_FOUND;
}

CALL(job_add_many)
{
    struct store_job_new job = new_job(b->channel, "NEW");
    struct store_add_item item = {.job = &job};
    return store_job_add_many(STORE, &item, 1, ERR) == ERR_NOT_FOUND;
}

CALL(job_find)
{
    struct store_job job;
    return store_job_find(STORE, b->queued.text, &job, ERR) == ERR_NOT_FOUND;
}

CALL(job_list)
{
    struct store_job_filter all = {.state = -1}, channel = {.state = -1, .channel_id = b->channel};
    struct names names = {.tenant = "b"};
    return none(store_job_list(STORE, &all, on_job, &names, ERR), &names) &&
           none(store_job_list(STORE, &channel, on_job, &names, ERR), &names);
}

CALL(job_cancel)
{
    bool done;
    return store_job_cancel(STORE, b->queued, "x", &done, ERR) == ERR_NOT_FOUND;
}

CALL(job_retry)
{
    return store_job_retry(STORE, b->queued, "x", ERR) == ERR_NOT_FOUND;
}

CALL(job_resolve)
{
    return store_job_resolve(STORE, b->queued, NULL, "x", ERR) == ERR_NOT_FOUND;
}

CALL(claim)
{
    struct store_reach named = {.any_region = true, .only_jobs = &b->queued, .only_job_count = 1};
    struct store_reach tenant = {.any_region = true, .tenants = "b"};
    const struct store_reach *reaches[] = {&anywhere, &named, &tenant};
    for (size_t i = 0; i < ARRAY_LEN(reaches); i++) {
        struct store_work works[4];
        uint32_t count;
        if (store_claim(STORE, "w-a", reaches[i], 4, LEASE_MS, works, &count, ERR) != 0 || count > 0)
            return false;
    }
    return true;
}

CALL(write)
{
    struct job_write write = move_of(&b->claim, JOB_WAITING, CAUSE_NONE);
    enum write_result result;
    return store_write(STORE, "w-b", &write, (struct blob){0}, &result, ERR) == 0 &&
           result == WRITE_LEASE_LOST;
}

CALL(write_many)
{
    struct job_write write = move_of(&b->claim, JOB_WAITING, CAUSE_NONE);
    struct store_write_item items[2] = {{.write = &write}, {.write = &write}};
    return store_write_many(STORE, "w-b", items, 2, ERR) == 0 && items[0].result == WRITE_LEASE_LOST &&
           items[1].result == WRITE_LEASE_LOST;
}

CALL(renew_many)
{
    struct store_renew_item items[2] = {{.id = b->leased, .lease_epoch = b->claim.lease_epoch},
                                        {.id = b->queued}};
    return store_renew_many(STORE, "w-b", items, 2, LEASE_MS, ERR) == 0 &&
           items[0].renewal.result == WRITE_LEASE_LOST && items[1].renewal.result == WRITE_LEASE_LOST;
}

CALL(renew)
{
    struct store_renewal renewal;
    return store_renew(STORE, "w-b", b->leased, b->claim.lease_epoch, LEASE_MS, &renewal, ERR) == 0 &&
           renewal.result == WRITE_LEASE_LOST;
}

CALL(set_fingerprint)
{
    enum write_result result;
    return store_job_set_fingerprint(STORE, "w-b", b->leased, b->claim.lease_epoch, "v1:1000:0:0:0:abc",
                                     &result, ERR) == 0 &&
           result == WRITE_LEASE_LOST;
}

CALL(chunk_list)
{
    uint32_t count = 0;
    return store_chunk_list(STORE, b->leased, on_chunk, &count, ERR) == 0 && count == 0;
}

CALL(backlog)
{
    struct store_reach named = {.any_region = true, .only_jobs = &b->queued, .only_job_count = 1};
    struct store_backlog all, one;
    return store_backlog(STORE, &anywhere, &all, ERR) == 0 && all.runnable + all.leased == 0 &&
           store_backlog(STORE, &named, &one, ERR) == 0 && one.runnable + one.leased == 0;
}

CALL(depth_list)
{
    struct names names = {.tenant = "b"};
    return none(store_depth_list(STORE, on_depth, &names, ERR), &names);
}

CALL(queue_list)
{
    struct names names = {.tenant = "b"};
    return none(store_queue_list(STORE, on_queue, &names, ERR), &names);
}

CALL(quota_list)
{
    struct names names = {.tenant = "b"};
    return none(store_quota_list(STORE, 5, on_quota, &names, ERR), &names);
}

CALL(quota_charge)
{
    return charge_units(STORE, b->client, b->channel, 1, ERR) == ERR_NOT_FOUND;
}

CALL(quota_charge_below)
{
    const struct store_charge charge = {.client_id = b->client,
                                        .channel_id = b->channel,
                                        .pacific_day = 5,
                                        .units = 1,
                                        .who = "x",
                                        .calls = "x"};
    bool fits;
    return store_quota_charge_below(STORE, &charge, 90, &fits, ERR) == ERR_NOT_FOUND;
}

CALL(event_add)
{
    struct store_event event = {.who = "x", .what = "x"};
    snprintf(event.job, sizeof(event.job), "%s", b->queued.text);
    snprintf(event.tenant, sizeof(event.tenant), "b");
    return store_event_add(STORE, &event, ERR) < 0;
}

CALL(event_list)
{
    struct names all = {.tenant = "b"}, job = all;
    return none(store_event_list(STORE, NULL, on_event, &all, ERR), &all) &&
           none(store_event_list(STORE, b->leased.text, on_event, &job, ERR), &job);
}

CALL(event_page)
{
    struct store_event_query query = {.job = b->leased.text};
    struct store_event page[2];
    uint32_t count;
    return store_event_page(STORE, &query, page, 2, &count, ERR) == 0 && count == 0;
}

/* What is left of theirs is compared afterwards. */
CALL(event_remove)
{
    int64_t ids[100];
    for (int i = 0; i < 100; i++)
        ids[i] = i;
    return store_event_remove(STORE, ids, 100, ERR) == 0;
}

CALL(alarm_look)
{
    uint32_t raised;
    return store_alarm_look(STORE, "w-a", 0, &raised, ERR) == 0 && raised == 0;
}

CALL(alarm_list)
{
    struct names names = {.tenant = "b"};
    return none(store_alarm_list(STORE, true, on_alarm, &names, ERR), &names);
}

CALL(alarm_untold)
{
    struct store_alarm alarm;
    return store_alarm_untold(STORE, 0, 0, &alarm, ERR) == 0 && alarm.id == 0;
}

CALL(alarm_told)
{
    return store_alarm_told(STORE, 1, ERR) == ERR_NOT_FOUND;
}

CALL(alarm_close)
{
    return store_alarm_close(STORE, 1, "x", ERR) == ERR_NOT_FOUND;
}

CALL(video_look_begin)
{
    struct store_video_look look;
    bool is_due;
    return store_video_look_begin(STORE, b->channel, 0, &look, &is_due, ERR) == 0 && !is_due;
}

CALL(video_look_end)
{
    const struct store_video_look look = {.channel_id = b->channel, .begun_at_ms = INT64_MAX};
    const struct store_video video = {.id = "foreign", .published_at_ms = 1};
    const struct store_video_list list = {.items = &video, .count = 1};
    uint32_t found;
    return store_video_look_end(STORE, &look, &list, &found, ERR) == ERR_NOT_FOUND;
}

CALL(video_look_refused)
{
    bool is_news;
    return store_video_look_refused(STORE, b->channel, "x", &is_news, ERR) == 0 && !is_news;
}

static int on_trouble(void *ctx, const struct store_channel *channel, const char *trouble)
{
    (void)trouble;
    return on_channel(ctx, channel);
}

CALL(video_trouble_list)
{
    struct names names = {.tenant = "b"};
    return none(store_video_trouble_list(STORE, on_trouble, &names, ERR), &names);
}

const struct tenant_call tenant_calls[] = {
    {"needs_of", NULL},
    {"open", NULL},
    {"url_for_people", NULL},
    {"close", NULL},
    {"begin", NULL},
    {"commit", NULL},
    {"rollback", NULL},
    {"end", NULL},
    {"was_conflict", NULL},
    {"now", NULL},
    {"verify", NULL},
    {"tenant_name", tenant_name},
    {"client_put", client_put},
    {"client_set_secret", client_set_secret},
    {"client_get_secret", client_get_secret},
    {"client_get", client_get},
    {"client_find", client_find},
    {"client_list", client_list},
    {"client_remove", client_remove},
    {"client_limits", client_limits},
    {"client_set_state", client_set_state},
    {"client_check", NULL},
    {"channel_login", channel_login},
    {"channel_get", channel_get},
    {"channel_find", channel_find},
    {"channel_list", channel_list},
    {"channel_set_state", channel_set_state},
    {"channel_limits", channel_limits},
    {"channel_remove", channel_remove},
    {"token_get", token_get},
    {"token_set", token_set},
    {"job_add", job_add},
    {"job_add_many", job_add_many},
    {"job_release", NULL},
    {"job_find", job_find},
    {"job_list", job_list},
    {"job_cancel", job_cancel},
    {"job_retry", job_retry},
    {"job_resolve", job_resolve},
    {"work_release", NULL},
    {"claim", claim},
    {"write", write},
    {"write_many", write_many},
    {"renew", renew},
    {"renew_many", renew_many},
    {"job_set_fingerprint", set_fingerprint},
    {"chunk_list", chunk_list},
    {"worker_seen", NULL},
    {"worker_gone", NULL},
    {"worker_list", NULL},
    {"backlog", backlog},
    {"depth_list", depth_list},
    {"queue_list", queue_list},
    {"quota_list", quota_list},
    {"quota_charge", quota_charge},
    {"quota_charge_below", quota_charge_below},
    {"event_add", event_add},
    {"event_list", event_list},
    {"event_page", event_page},
    {"event_remove", event_remove},
    {"alarm_look", alarm_look},
    {"alarm_list", alarm_list},
    {"alarm_untold", alarm_untold},
    {"alarm_told", alarm_told},
    {"alarm_close", alarm_close},
    {"video_look_begin", video_look_begin},
    {"video_look_end", video_look_end},
    {"video_look_refused", video_look_refused},
    {"video_trouble_list", video_trouble_list},
};
const size_t tenant_call_count = ARRAY_LEN(tenant_calls);
