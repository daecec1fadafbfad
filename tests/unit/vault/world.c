#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "core/pacific.h"
#include "scratch.h"
#include "vault/ring.h"

struct endpoint *endpoint;

int world_main(int (*run)(void))
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* the endpoint's process must not repeat what is not written yet */
    vault_start();
    uint64_t seed = random_u64();
    printf("# seed %llx\n", (unsigned long long)seed);
    fflush(stdout);
    plant_seed(seed);
    endpoint = endpoint_start();
    int failed = run();
    endpoint_stop(endpoint);
    return failed;
}

/* ---- the broker ---- */

struct broker_config world_config(const struct world *world)
{
    static char api_root[64];
    snprintf(api_root, sizeof(api_root), "http://127.0.0.1:%u", endpoint->port);
    return (struct broker_config){.store = world->store_url,
                                  .key_source = world->key_file,
                                  .api_root = api_root,
                                  .allow_plain_loopback = true,
                                  .executable = getenv("BROKER_CHILD"),
                                  .log_level = LOG_DEBUG,
                                  .who = "tester"};
}

void world_open_broker(struct world *world)
{
    struct broker_config config = world_config(world);
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
}

void world_open_broker_elsewhere(struct world *world)
{
    struct broker_config config = world_config(world);
    config.executable = getenv("BROKER_ELSEWHERE");
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
}

void world_close_broker(struct world *world)
{
    broker_close(world->broker);
    world->broker = NULL;
    uv_run(&world->loop, UV_RUN_DEFAULT);
}

/* ---- what the child wrote ---- */

static void keep_stderr(struct world *world)
{
    int fd = open(world->log_file, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    world->stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static void give_stderr_back(struct world *world)
{
    dup2(world->stderr_was, STDERR_FILENO);
    close(world->stderr_was);
}

void world_print_failure(struct world *world, const char *what, int code)
{
    /* Standard error is kept for the log: standard output takes TAP's comments, too. */
    printf("# %s: %s: %s\n", what, err_name(code), world->err.message);
    fflush(stdout);
    fail();
}

static void read_log(const struct world *world, struct buf *ret)
{
    buf_init(ret, 16777216);
    assert_int_equal(file_read(world->log_file, ret, NULL), 0);
}

uint32_t world_log_count(const struct world *world, const char *text)
{
    struct buf log AUTO_BUF;
    uint32_t count = 0;
    read_log(world, &log);
    for (const char *at = log.data; (at = strstr(at, text)); at++)
        count++;
    return count;
}

bool world_log_has(const struct world *world, const char *text)
{
    return world_log_count(world, text) > 0;
}

static bool log_is_clean(const struct world *world)
{
    static const int plants[] = {0, 1, 2, 3, PLANT_CLIENT_SECRET, PLANT_CODE};
    struct buf log AUTO_BUF;
    read_log(world, &log);
    bool is_clean = !strstr(log.data, "ya29.");
    for (size_t i = 0; i < ARRAY_LEN(plants); i++)
        is_clean = is_clean && !plant_is_in(plants[i], log.data, log.len);
    if (!is_clean || strstr(log.data, "Sanitizer"))
        fprintf(stderr, "%s\n", log.data);
    return is_clean && !strstr(log.data, "Sanitizer");
}

/* ---- setup ---- */

int world_setup(void **state)
{
    struct world *world = mem_alloc(sizeof(*world));
    const char *base = getenv("TMPDIR");
    snprintf(world->dir, sizeof(world->dir), "%s/sluice-vault-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(world->dir))
        return -1;
    snprintf(world->store_url, sizeof(world->store_url), "sqlite:%s/store.db", world->dir);
    snprintf(world->key_file, sizeof(world->key_file), "%s/key", world->dir);
    snprintf(world->log_file, sizeof(world->log_file), "%s/log", world->dir);
    endpoint_reset(endpoint);
    uv_loop_init(&world->loop);
    assert_ok(store_open(world->store_url, STORE_CREATE, &world->store, &world->err), world);
    assert_ok(vault_key_create(world->key_file, &world->err), world);
    keep_stderr(world);
    world_open_broker(world);
    assert_ok(import_client(world, NULL, &world->client), world);
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *world = *state;
    world_close_broker(world);
    int left = uv_loop_close(&world->loop);
    give_stderr_back(world);
    bool is_clean = log_is_clean(world);
    store_close(world->store);
    remove_folder(world->dir);
    mem_free(world);
    return is_clean && left == 0 ? 0 : -1;
}

/* ---- clients and channels ---- */

/* Letter by letter into a buffer that is wiped as it grows: no copy stays behind. */
static void build_client_json(struct buf *ret)
{
    buf_printf(ret,
               "{\"installed\":{\"client_id\":\"id.apps.example\",\"project_id\":\"p\","
               "\"auth_uri\":\"http://127.0.0.1:%u/auth\",\"token_uri\":\"http://127.0.0.1:%u/token\","
               "\"redirect_uris\":[\"http://localhost\"],\"client_secret\":\"",
               endpoint->port, endpoint->port);
    for (size_t at = 0; at < PLANT_LEN; at++)
        buf_putc(ret, plant_char(PLANT_CLIENT_SECRET, at));
    buf_puts(ret, "\"}}");
}

int import_client(struct world *world, const char *name, struct store_client *ret)
{
    struct buf json;
    buf_init(&json, 4096);
    build_client_json(&json);
    int code = broker_client_import(world->broker, "acme", name, json.data, json.len, ret, &world->err);
    buf_wipe(&json);
    return code;
}

int login_as(struct world *world, const char *name, const char *expect, struct store_channel *ret)
{
    char code_text[PLANT_SIZE];
    plant_text(PLANT_CODE, code_text);
    struct broker_login login = {.tenant = "acme",
                                 .client_id = world->client.id,
                                 .channel = name,
                                 .expect_channel = expect,
                                 .code = code_text,
                                 .verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                                 .redirect_uri = "http://127.0.0.1:1/"};
    int code = broker_channel_login(world->broker, &login, ret, &world->err);
    secret_wipe(code_text, sizeof(code_text));
    return code;
}

struct store_channel must_login(struct world *world, const char *name)
{
    struct store_channel channel;
    assert_ok(login_as(world, name, NULL, &channel), world);
    return channel;
}

/* ---- jobs ---- */

struct job_claim leased_job(struct world *world, const struct store_channel *channel)
{
    char key[16];
    snprintf(key, sizeof(key), "job-%d", ++world->job_count);
    struct store_job_new job = {.channel_id = channel->id,
                                .region = "",
                                .storage_path = "clip.mp4",
                                .size_bytes = 1000,
                                .fingerprint = "v1:1000:0:0:0:abc",
                                .title = key,
                                .metadata = "{}",
                                .idempotency_key = key,
                                .params_digest = "digest",
                                .cdn_url = "",
                                .who = "tester"};
    struct store_reach reach = {.region = "", .any_region = true, .tenants = ""};
    struct store_work work;
    struct job_id id;
    uint32_t count = 0;
    bool existed;
    snprintf(job.id.text, sizeof(job.id.text), "01JABCDEFGHJKMNPQRSTV%05d", world->job_count);
    assert_ok(store_job_add(world->store, &job, &id, &existed, &world->err), world);
    assert_ok(store_claim(world->store, "w1", &reach, 1, 60000, &work, &count, &world->err), world);
    assert_int_equal(count, 1);
    struct job_claim claim = work.claim;
    assert_string_equal(claim.id.text, id.text);
    store_work_release(&work);
    return claim;
}

static void take_token(void *ctx, const struct broker_token *token)
{
    struct got_token *got = ctx;
    assert_false(got->is_done);
    got->is_done = true;
    got->result = token->result;
    got->expires_at_mono_ms = token->expires_at_mono_ms;
    got->retry_after_ms = token->retry_after_ms;
    text_copy(got->access, sizeof(got->access), token->access_token ? token->access_token : "");
    text_copy(got->message, sizeof(got->message), token->message);
}

void run_until_done(struct world *world, const struct got_token *tokens, int count)
{
    for (int i = 0; i < count; i++)
        while (!tokens[i].is_done)
            uv_run(&world->loop, UV_RUN_ONCE);
}

static void start_asking(struct world *world, const struct job_claim *job, bool fresh, struct got_token *ret)
{
    *ret = (struct got_token){.is_done = false};
    broker_token(world->broker, job->tenant_id, job->channel_id, job->id, job->lease_epoch, fresh, take_token,
                 ret);
    assert_false(ret->is_done);
}

void ask_later(struct world *world, const struct job_claim *job, struct got_token *ret)
{
    start_asking(world, job, false, ret);
}

struct got_token ask(struct world *world, const struct job_claim *job)
{
    struct got_token got;
    start_asking(world, job, false, &got);
    run_until_done(world, &got, 1);
    return got;
}

struct got_token ask_fresh(struct world *world, const struct job_claim *job)
{
    struct got_token got;
    start_asking(world, job, true, &got);
    run_until_done(world, &got, 1);
    return got;
}

/* ---- looking ---- */

struct event_search {
    const char *what, *message;
    uint32_t count;
};

static int look_at_event(void *ctx, const struct store_event *event)
{
    struct event_search *search = ctx;
    search->count += strcmp(event->what, search->what) == 0 &&
                     (!search->message || strcmp(event->message, search->message) == 0);
    return 0;
}

static uint32_t count_lines(struct world *world, const char *what, const char *message)
{
    struct event_search search = {.what = what, .message = message};
    assert_ok(store_event_list(world->store, NULL, look_at_event, &search, &world->err), world);
    return search.count;
}

uint32_t count_events(struct world *world, const char *what)
{
    return count_lines(world, what, NULL);
}

uint32_t count_refreshed(struct world *world, const char *access)
{
    char token[64] = "token ";
    vault_digest(broker_digest_key(world->broker), access, strlen(access), token + strlen(token));
    return count_lines(world, "token refreshed", token);
}

static int look_at_quota(void *ctx, const struct store_quota *quota)
{
    if (quota->bucket == BUCKET_UNITS)
        *(uint32_t *)ctx += quota->used;
    return 0;
}

uint32_t units_used(struct world *world)
{
    uint32_t used = 0;
    assert_ok(store_quota_list(world->store, pacific_day(clock_wall_ms()), look_at_quota, &used, &world->err),
              world);
    return used;
}
