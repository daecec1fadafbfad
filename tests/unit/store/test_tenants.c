/*
 * One tenant's store handle against another tenant's rows: every function of store.h, by a login that the
 * database keeps to its tenants; and what a worker's reach keeps apart in any store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "fixture.h"
#include "postgres.h"

static const struct store_reach anywhere = {.region = "", .any_region = true};

/* What the tenant b has, made by a handle that reaches all. */
struct theirs {
    struct fixture *fix;
    int64_t tenant, client, channel;
    struct job_id queued, leased;
    struct job_claim claim;
};

static void make_theirs(struct fixture *fix, struct theirs *ret)
{
    struct store *bound = fix->store;
    bool was_bound = fix->is_bound;
    if (was_bound)
        fix->store = postgres_open_as_owner(fix);
    fix->is_bound = false;
    *ret = (struct theirs){.fix = fix, .channel = make_channel(fix, "b", "theirs")};
    ret->tenant = get_channel(fix, ret->channel).tenant_id;
    ret->client = get_channel(fix, ret->channel).client_id;
    ret->leased = add_job(fix, ret->channel, "LEASED");
    ret->claim = claim_one(fix, "w-b");
    struct job_write write = write_of(&ret->claim);
    write.set_session = true;
    write.set_confirmed = true;
    write.confirmed_bytes = 500;
    write.chunks = (struct chunk_digests){.count = 1, .items[0].size_bytes = 500};
    must_write(fix, &write);
    ret->queued = add_job(fix, ret->channel, "QUEUED");
    assert_ok(charge_units(fix->store, ret->client, ret->channel, 1, &fix->err), fix);
    struct store_event drift = {.tenant = "b", .channel = "theirs", .who = "x", .what = "quota drift"};
    uint32_t raised;
    assert_ok(store_event_add(fix->store, &drift, &fix->err), fix);
    fix->now_ms += 10000; /* a look leaves the lines of the last moments */
    assert_ok(store_alarm_look(fix->store, "w", 0, &raised, &fix->err), fix);
    assert_int_equal(raised, 1);
    if (was_bound)
        store_close(fix->store);
    fix->store = bound;
    fix->is_bound = was_bound;
}

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

static const struct {
    const char *name;
    bool (*is_refused)(const struct theirs *b, struct fixture *fix); /* NULL: it is about no tenant */
} functions[] = {
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
    {"event_add", event_add},
    {"event_list", event_list},
    {"event_page", event_page},
    {"event_remove", event_remove},
    {"alarm_look", alarm_look},
    {"alarm_list", alarm_list},
    {"alarm_untold", alarm_untold},
    {"alarm_told", alarm_told},
    {"alarm_close", alarm_close},
};

/* ---- tests ---- */

static bool is_in_table(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
            return true;
    return false;
}

/* A declaration begins a line with a type; comments and continuations do not have " store_" or "*store_"
 * there. */
static void every_function_of_the_store_is_in_the_table(void **state)
{
    struct buf text AUTO_BUF = BUF_INIT(1 << 20);
    struct err err = {0};
    size_t found = 0;
    (void)state;
    assert_int_equal(file_read(STORE_HEADER, &text, &err), 0);
    for (char *line = text.data, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : NULL;
        size_t type = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
        char *name = line + type + strspn(line + type, " *");
        if (type == 0 || name == line + type || strncmp(name, "store_", 6) != 0)
            continue;
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789");
        if (name[len] != '(')
            continue;
        if (!is_in_table(name + 6, len - 6))
            fail_msg("%.*s is not tested against another tenant", (int)len, name);
        found++;
    }
    assert_int_equal(found, ARRAY_LEN(functions));
}

/* The rows of b as a superuser sees them, as one number. */
static int64_t digest_of(struct fixture *fix, const char *table, const char *key, int64_t tenant)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "select hashtextextended(coalesce(string_agg(t::text, ',' order by t::text), ''), 0)"
             " from %s t where %s = %lld",
             table, key, (long long)tenant);
    return number(fix, sql);
}

static const char *const tables[] = {"client", "channel", "turn",  "token", "job",   "upload",
                                     "chunk",  "quota",   "event", "watch", "tally", "alarm"};

static void nothing_of_another_tenant_is_given_or_changed(void **state)
{
    struct fixture *fix = *state;
    struct theirs b;
    int64_t before[ARRAY_LEN(tables)];
    if (!fix->is_bound)
        skip();
    make_channel(fix, "a", "ours");
    make_theirs(fix, &b);
    fix->now_ms += EVENT_KEPT_MS + 1; /* their lines could be archived, their lease is over */
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        before[i] = digest_of(fix, tables[i], "tenant_id", b.tenant);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (functions[i].is_refused && !functions[i].is_refused(&b, fix))
            fail_msg("store_%s reaches another tenant: %s", functions[i].name, fix->err.message);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (digest_of(fix, tables[i], "tenant_id", b.tenant) != before[i])
            fail_msg("a row of another tenant was changed in %s", tables[i]);
}

/* Everywhere: by what the worker is told. */
static void a_worker_claims_of_its_tenants_alone(void **state)
{
    struct fixture *fix = *state;
    struct store_reach reach = {.any_region = true, .tenants = "a,c"};
    struct store_backlog backlog;
    struct job_claim claims[8];
    int64_t ours = make_channel(fix, "a", "ours"), theirs = make_channel(fix, "b", "theirs");
    make_channel(fix, "c", "none");
    add_job(fix, theirs, "JOB1");
    add_job(fix, ours, "JOB2");
    add_job(fix, theirs, "JOB3");
    assert_ok(store_backlog(fix->store, &reach, &backlog, &fix->err), fix);
    assert_int_equal(backlog.runnable, 1);
    assert_int_equal(claim_reach(fix, "w1", &reach, 8, claims), 1);
    assert_int_equal(claims[0].channel_id, ours);
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS + 1;
    assert_int_equal(claim_reach(fix, "w2", &reach, 8, claims), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_of_the_store_is_in_the_table),
        TEST(nothing_of_another_tenant_is_given_or_changed),
        TEST(a_worker_claims_of_its_tenants_alone),
    };
    return RUN_UNIT_TESTS(tests);
}
