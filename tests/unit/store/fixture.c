#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "postgres.h"
#include "scratch.h"

#define START_MS 1800000000000

static int64_t virtual_now(void *ctx)
{
    return ((struct fixture *)ctx)->now_ms;
}

void fixture_set_clock(struct fixture *fix, struct store *store)
{
    store_set_clock(store, virtual_now, fix);
    if (fix->postgres)
        postgres_set_clock(store);
}

static struct store *open_store(struct fixture *fix, enum store_mode mode)
{
    struct store *store = NULL;
    assert_ok(store_open(fix->url, mode, &store, &fix->err), fix);
    fixture_set_clock(fix, store);
    return store;
}

/* SQLite's file as `init` makes it: making its tables takes longer than most tests. */
static void copy_new_store(struct fixture *fix)
{
    static struct buf made;
    if (!made.data) {
        store_close(open_store(fix, STORE_CREATE));
        buf_init(&made, 1 << 20);
        assert_ok(file_read(fix->path, &made, &fix->err), fix);
        return;
    }
    FILE *file = fopen(fix->path, "wxe");
    assert_non_null(file);
    assert_int_equal(fwrite(made.data, 1, made.len, file), made.len);
    assert_int_equal(fclose(file), 0);
}

int fixture_setup(void **state)
{
    struct fixture *fix = mem_alloc(sizeof(*fix));
    const char *base = getenv("TMPDIR");
    snprintf(fix->dir, sizeof(fix->dir), "%s/sluice-store-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(fix->dir))
        return -1;
    snprintf(fix->path, sizeof(fix->path), "%s/store.db", fix->dir);
    snprintf(fix->url, sizeof(fix->url), "sqlite:%s", fix->path);
    fix->now_ms = START_MS;
    if (getenv("STORE_TEST_URL"))
        fix->postgres = postgres_setup(fix);
    fix->is_bound = fix->postgres && postgres_roles() && strcmp(postgres_roles(), "member") == 0;
    if (!fix->postgres)
        copy_new_store(fix);
    fix->store = open_store(fix, STORE_USE);
    *state = fix;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fix = *state;
    store_close(fix->store);
    postgres_teardown(fix->postgres);
    remove_folder(fix->dir);
    mem_free(fix);
    return 0;
}

void fixture_reopen(struct fixture *fix)
{
    store_close(fix->store);
    fix->store = NULL;
    fix->store = open_store(fix, STORE_USE);
}

struct store *fixture_open_another(struct fixture *fix)
{
    return open_store(fix, STORE_USE);
}

/* ---- clients and channels ---- */

void admit(struct fixture *fix, const char *tenant)
{
    if (fix->is_bound)
        postgres_admit(fix->postgres, "sluice_test_member", tenant);
}

int64_t make_client(struct fixture *fix, const char *tenant)
{
    struct store_client client = {.name = "main",
                                  .client_id = "id.apps.example",
                                  .auth_uri = "https://accounts.example/auth",
                                  .token_uri = "https://accounts.example/token",
                                  .kind = "installed"};
    copy_text(client.tenant, tenant);
    admit(fix, tenant);
    assert_ok(store_client_put(fix->store, &client, "cli:test", &fix->err), fix);
    return client.id;
}

static int seal(void *ctx, int64_t tenant, int64_t channel, struct blob *ret, struct err *err)
{
    (void)ctx;
    (void)err;
    static char sealed[64];
    int len =
        snprintf(sealed, sizeof(sealed), "token of %lld in %lld", (long long)channel, (long long)tenant);
    *ret = (struct blob){.data = sealed, .len = (size_t)len};
    return 0;
}

int login(struct fixture *fix, const char *tenant, const char *name, const char *yt_channel_id)
{
    struct store_login in = {.scopes = "youtube", .who = "cli:test", .seal = seal, .key_id = "k1"};
    struct store_client client;
    in.channel.client_id = make_client(fix, tenant);
    assert_ok(store_client_get(fix->store, in.channel.client_id, &client, &fix->err), fix);
    in.channel.tenant_id = client.tenant_id;
    copy_text(in.channel.name, name);
    copy_text(in.channel.yt_channel_id, yt_channel_id);
    copy_text(in.channel.uploads_playlist, "UU-uploads");
    return store_channel_login(fix->store, &in, &fix->err);
}

int64_t make_channel(struct fixture *fix, const char *tenant, const char *name)
{
    struct store_channel channel;
    char yt[YT_CHANNEL_SIZE];
    snprintf(yt, sizeof(yt), "UC-%s", name);
    assert_ok(login(fix, tenant, name, yt), fix);
    assert_ok(store_channel_find(fix->store, tenant, name, &channel, &fix->err), fix);
    set_window(fix, channel.id, (struct window){.milliplaces = INT32_MAX});
    return channel.id;
}

void set_window(struct fixture *fix, int64_t channel, struct window window)
{
    int rc =
        db_run(fix->store->db, "update turn set milliplaces = $2, rest_until_ms = $3 where channel_id = $1",
               DB_ARGS(DB_I(channel), DB_I(window.milliplaces), DB_I(window.rest_until_ms)), &fix->err);
    assert_int_equal(rc, 1);
}

struct store_channel get_channel(struct fixture *fix, int64_t channel)
{
    struct store_channel ret;
    assert_ok(store_channel_get(fix->store, channel, &ret, &fix->err), fix);
    return ret;
}

void set_channel(struct fixture *fix, int64_t channel, enum channel_state state, int64_t until_ms)
{
    assert_ok(store_channel_set_state(fix->store, channel, state, until_ms, "as the test says", "tester",
                                      &fix->err),
              fix);
}

/* ---- jobs ---- */

struct job_id job_id(const char *id)
{
    struct job_id ret;
    snprintf(ret.text, sizeof(ret.text), "%s", id);
    size_t len = strlen(ret.text);
    memset(ret.text + len, '0', JOB_ID_SIZE - 1 - len);
    ret.text[JOB_ID_SIZE - 1] = '\0';
    return ret;
}

struct store_job_new new_job(int64_t channel, const char *id)
{
    return (struct store_job_new){.id = job_id(id),
                                  .channel_id = channel,
                                  .region = "",
                                  .storage_path = "clip.mp4",
                                  .size_bytes = 1000,
                                  .fingerprint = "v1:1000:0:0:0:abc",
                                  .title = id,
                                  .metadata = "{}",
                                  .idempotency_key = id,
                                  .params_digest = "digest",
                                  .cdn_url = "",
                                  .who = "tester"};
}

struct job_id add(struct fixture *fix, const struct store_job_new *job)
{
    struct job_id id;
    bool existed;
    assert_ok(store_job_add(fix->store, job, &id, &existed, &fix->err), fix);
    assert_false(existed);
    return id;
}

void add_many(struct fixture *fix, int64_t channel, const char *prefix, int count)
{
    assert_ok(store_begin(fix->store, &fix->err), fix);
    for (int i = 0; i < count; i++) {
        char id[JOB_ID_SIZE];
        snprintf(id, sizeof(id), "%s%06d", prefix, i);
        add_job(fix, channel, id);
    }
    assert_ok(store_commit(fix->store, &fix->err), fix);
}

struct job_id add_job(struct fixture *fix, int64_t channel, const char *id)
{
    struct store_job_new job = new_job(channel, id);
    return add(fix, &job);
}

struct store_job get_job(struct fixture *fix, struct job_id id)
{
    struct store_job job;
    assert_ok(store_job_find(fix->store, id.text, &job, &fix->err), fix);
    store_job_release(&job);
    return job;
}

enum job_state state_of(struct fixture *fix, struct job_id id)
{
    return get_job(fix, id).state;
}

enum job_cause cause_of(struct fixture *fix, struct job_id id)
{
    return get_job(fix, id).cause;
}

/* ---- work ---- */

static void remember(struct fixture *fix, const char *worker, const struct job_claim *claim)
{
    uint32_t at = fix->claim_count++ % ARRAY_LEN(fix->claims);
    fix->claims[at].id = claim->id;
    fix->claims[at].epoch = claim->lease_epoch;
    copy_text(fix->claims[at].worker, worker);
}

const char *lessee(const struct fixture *fix, struct job_id id, int64_t epoch)
{
    for (size_t i = 0; i < ARRAY_LEN(fix->claims); i++)
        if (fix->claims[i].epoch == epoch && strcmp(fix->claims[i].id.text, id.text) == 0)
            return fix->claims[i].worker;
    return "w1";
}

uint32_t claim_reach(struct fixture *fix, const char *worker, const struct store_reach *reach, uint32_t max,
                     struct job_claim *ret)
{
    struct store_work *works = mem_alloc_array(max, sizeof(*works));
    uint32_t count;
    assert_ok(store_claim(fix->store, worker, reach, max, LEASE_MS, works, &count, &fix->err), fix);
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = works[i].claim;
        remember(fix, worker, &ret[i]);
        store_work_release(&works[i]);
    }
    mem_free(works);
    return count;
}

uint32_t claim_many(struct fixture *fix, const char *worker, uint32_t max, struct job_claim *ret)
{
    struct store_reach reach = {.region = "", .any_region = true, .tenants = ""};
    return claim_reach(fix, worker, &reach, max, ret);
}

struct job_claim claim_one(struct fixture *fix, const char *worker)
{
    struct job_claim claim = {.tenant_id = 0};
    claim_many(fix, worker, 1, &claim);
    return claim;
}

struct job_write write_of(const struct job_claim *claim)
{
    return (struct job_write){.id = claim->id, .lease_epoch = claim->lease_epoch};
}

struct job_write move_of(const struct job_claim *claim, enum job_state state, enum job_cause cause)
{
    struct job_write write = write_of(claim);
    write.set_state = true;
    write.state = state;
    write.cause = cause;
    write.release_lease = state != JOB_UPLOADING && state != JOB_FINISHING;
    return write;
}

enum write_result do_store_write(struct fixture *fix, const struct job_write *write)
{
    enum write_result result;
    struct blob sealed = {.data = "sealed session", .len = write->set_session ? 14 : 0};
    assert_ok(store_write(fix->store, lessee(fix, write->id, write->lease_epoch), write, sealed, &result,
                          &fix->err),
              fix);
    return result;
}

void must_write(struct fixture *fix, const struct job_write *write)
{
    assert_int_equal(do_store_write(fix, write), WRITE_OK);
}

void move_to(struct fixture *fix, const struct job_claim *claim, enum job_state state, enum job_cause cause)
{
    struct job_write write = move_of(claim, state, cause);
    if (state == JOB_FINISHING || state == JOB_COMPLETED) {
        write.set_video = true;
        snprintf(write.video_id, sizeof(write.video_id), "v%.10s", claim->id.text);
    }
    must_write(fix, &write);
}

/* ---- looking ---- */

struct event_search {
    const char *what;
    uint32_t count;
    struct store_event last;
};

static int look_at_event(void *ctx, const struct store_event *event)
{
    struct event_search *search = ctx;
    search->last = *event;
    if (!search->what || strcmp(search->what, event->what) == 0)
        search->count++;
    return 0;
}

uint32_t count_events(struct fixture *fix, const char *job, const char *what)
{
    struct event_search search = {.what = what};
    assert_ok(store_event_list(fix->store, job, look_at_event, &search, &fix->err), fix);
    return search.count;
}

int charge_units(struct store *store, int64_t client, int64_t channel, uint32_t units, struct err *err)
{
    struct store_charge charge = {.client_id = client,
                                  .channel_id = channel,
                                  .pacific_day = 5,
                                  .units = units,
                                  .who = "broker",
                                  .calls = "channels.list"};
    return store_quota_charge(store, &charge, err);
}

struct store_event last_event(struct fixture *fix, const char *job)
{
    struct event_search search = {.what = NULL};
    assert_ok(store_event_list(fix->store, job, look_at_event, &search, &fix->err), fix);
    return search.last;
}

int64_t number(struct fixture *fix, const char *sql)
{
    if (fix->postgres)
        return postgres_number(fix->postgres, sql);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(fix->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int64_t ret = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return ret;
}

int run_sql(struct fixture *fix, const char *sql, char message[256])
{
    if (fix->postgres)
        return postgres_run_sql(fix->postgres, sql, message);
    sqlite3 *db = NULL;
    char *text = NULL;
    assert_int_equal(sqlite3_open(fix->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    sqlite3_exec(db, "pragma foreign_keys = on; pragma recursive_triggers = on", NULL, NULL, NULL);
    int rc = sqlite3_exec(db, sql, NULL, NULL, &text);
    snprintf(message, 256, "%s", text ? text : "");
    sqlite3_free(text);
    sqlite3_close(db);
    return rc;
}

static int on_alarm(void *ctx, const struct store_alarm *alarm)
{
    struct alarms *alarms = ctx;
    alarms->count++;
    alarms->last = *alarm;
    return 0;
}

struct alarms alarms_of(struct fixture *fix, bool all)
{
    struct alarms alarms = {0};
    assert_ok(store_alarm_list(fix->store, all, on_alarm, &alarms, &fix->err), fix);
    return alarms;
}
