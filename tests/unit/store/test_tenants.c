/*
 * One tenant's store handle against another tenant's rows: every function of the store (tenant_calls.c), by a
 * login that the database keeps to its tenants; and what a worker's reach keeps apart in any store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "postgres.h"
#include "store/videos.h"
#include "tenant_calls.h"

/* That found something, and then could not look any more. */
static void make_video_look(struct fixture *fix, int64_t channel)
{
    struct store_video_look look;
    const struct store_video video = {.id = "known"};
    const struct store_video_list list = {.items = &video, .count = 1};
    bool yes = false;
    uint32_t found;
    assert_ok(store_video_look_begin(fix->store, channel, 0, &look, &yes, &fix->err), fix);
    assert_true(yes);
    assert_ok(store_video_look_end(fix->store, &look, &list, &found, &fix->err), fix);
    assert_int_equal(found, 1);
    assert_ok(store_video_look_refused(fix->store, channel, "HTTP 403", &yes, &fix->err), fix);
    assert_true(yes);
}

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
    make_video_look(fix, ret->channel);
    if (was_bound)
        store_close(fix->store);
    fix->store = bound;
    fix->is_bound = was_bound;
}

/* ---- tests ---- */

static bool is_in_table(const char *name, size_t len)
{
    for (size_t i = 0; i < tenant_call_count; i++)
        if (strlen(tenant_calls[i].name) == len && memcmp(tenant_calls[i].name, name, len) == 0)
            return true;
    return false;
}

/* A declaration begins a line with a type; comments and continuations do not have " store_" or "*store_"
 * there. */
static uint32_t functions_of(const char *header)
{
    struct buf text AUTO_BUF = BUF_INIT(1 << 20);
    struct err err = {0};
    uint32_t found = 0;
    assert_int_equal(file_read(header, &text, &err), 0);
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
    return found;
}

static void every_function_of_the_store_is_in_the_table(void **state)
{
    (void)state;
    assert_int_equal(functions_of(STORE_HEADERS "/store.h") + functions_of(STORE_HEADERS "/videos.h"),
                     tenant_call_count);
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

static const char *const tables[] = {"client", "channel", "turn",       "token",        "job",
                                     "upload", "chunk",   "quota",      "event",        "watch",
                                     "tally",  "alarm",   "video_look", "foreign_video"};

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
    for (size_t i = 0; i < tenant_call_count; i++)
        if (tenant_calls[i].is_refused && !tenant_calls[i].is_refused(&b, fix))
            fail_msg("store_%s reaches another tenant: %s", tenant_calls[i].name, fix->err.message);
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
