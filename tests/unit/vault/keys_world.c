#include "keys_world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/token.h"

void pass_time(struct keys_world *world, int64_t ms)
{
    int64_t now_ms;
    world->fix->now_ms += ms;
    assert_ok(store_now(world->fix->store, &now_ms, &world->fix->err), world->fix);
    assert_int_equal(now_ms, world->fix->now_ms);
}

/* ---- values ---- */

/* What a row holds says where it belongs; what follows the blank is a writer's own. */
static void build_value(char ret[128], const struct seal_place *place, uint64_t number)
{
    snprintf(ret, 128, "%lld/%s/%s/%s %llu", (long long)place->tenant_id, place->table, place->row,
             place->field, (unsigned long long)number);
}

void must_seal(struct keys_world *world, const struct seal_place *place, uint64_t number, struct buf *ret,
               char key_id[VAULT_KEY_ID_SIZE])
{
    char value[128];
    build_value(value, place, number);
    buf_init(ret, 1024);
    assert_ok(tenant_seal(world->keys, place, value, strlen(value), ret, key_id, &world->fix->err),
              world->fix);
}

static struct blob blob_of(const struct buf *buf)
{
    return (struct blob){.data = buf->data, .len = buf->len};
}

static const struct {
    const char *table, *field;
} places[] = {[SEALED_TOKEN] = {"token", "refresh_token"},
              [SEALED_ACCESS] = {"token", "access_token"},
              [SEALED_CLIENT] = {"client", "client_secret"},
              [SEALED_SESSION] = {"upload", "session_url"}};

struct seal_place place_in(enum sealed_table table, int64_t tenant, const char *row)
{
    return (struct seal_place){
        .tenant_id = tenant, .table = places[table].table, .row = row, .field = places[table].field};
}

void put_token(struct keys_world *world, int64_t tenant, int64_t channel, uint64_t number)
{
    struct fixture *fix = world->fix;
    struct store_access access;
    char row[24], key_id[VAULT_KEY_ID_SIZE];
    struct buf sealed AUTO_BUF, shared AUTO_BUF;
    bool is_mine, is_done;
    snprintf(row, sizeof(row), "%lld", (long long)channel);
    struct seal_place place = place_in(SEALED_TOKEN, tenant, row);
    must_seal(world, &place, number, &sealed, key_id);
    assert_ok(store_token_set(fix->store, channel, blob_of(&sealed), "youtube", key_id, &fix->err), fix);
    place = place_in(SEALED_ACCESS, tenant, row);
    must_seal(world, &place, number, &shared, NULL);
    assert_ok(store_access_get(fix->store, channel, "me", &access, &fix->err), fix);
    mem_free((void *)access.sealed.data);
    assert_ok(store_refresh_begin(fix->store, channel, "me", access.serial, 1000, &is_mine, &fix->err), fix);
    assert_ok(store_refresh_end(fix->store, channel, "me", blob_of(&shared), 1000, &is_done, &fix->err), fix);
}

static void put_session(struct keys_world *world, const struct job_claim *job)
{
    struct job_write write = write_of(job);
    struct buf sealed AUTO_BUF;
    enum write_result result;
    struct seal_place place = place_in(SEALED_SESSION, job->tenant_id, job->id.text);
    must_seal(world, &place, 1, &sealed, NULL);
    write.set_session = true;
    assert_ok(store_write(world->fix->store, "w1", &write, blob_of(&sealed), &result, &world->fix->err),
              world->fix);
    assert_int_equal(result, WRITE_OK);
}

static void put_client(struct keys_world *world, int64_t client)
{
    struct store_client found;
    char row[24];
    struct buf sealed AUTO_BUF;
    assert_ok(store_client_get(world->fix->store, client, &found, &world->fix->err), world->fix);
    snprintf(row, sizeof(row), "%lld", (long long)client);
    struct seal_place place = place_in(SEALED_CLIENT, found.tenant_id, row);
    must_seal(world, &place, 1, &sealed, NULL);
    assert_ok(store_client_set_secret(world->fix->store, client, blob_of(&sealed), &world->fix->err),
              world->fix);
}

/* ---- the world ---- */

void open_keys(struct keys_world *world)
{
    assert_ok(vault_ring_load(world->key_file, &world->ring, &world->fix->err), world->fix);
    world->keys = tenant_keys_new(world->fix->store, world->ring);
}

void close_keys(struct keys_world *world)
{
    tenant_keys_free(world->keys);
    vault_ring_free(world->ring);
    world->keys = NULL;
    world->ring = NULL;
}

static void fill_tenant(struct keys_world *world, int tenant)
{
    char name[24], channel[24], id[24];
    snprintf(name, sizeof(name), "tenant%d", tenant);
    put_client(world, make_client(world->fix, name));
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(channel, sizeof(channel), "t%dc%d", tenant, i);
        world->channels[tenant][i] = make_channel(world->fix, name, channel);
        put_token(world, get_channel(world->fix, world->channels[tenant][i]).tenant_id,
                  world->channels[tenant][i], 1);
    }
    for (int i = 0; i < JOBS; i++) {
        snprintf(id, sizeof(id), "T%dJ%d", tenant, i);
        add_job(world->fix, world->channels[tenant][i % CHANNELS], id);
    }
}

int keys_setup(void **state)
{
    struct keys_world *world = mem_alloc(sizeof(*world));
    struct job_claim jobs[TENANTS * JOBS];
    if (fixture_setup((void **)&world->fix) != 0)
        return -1;
    snprintf(world->key_file, sizeof(world->key_file), "%s/key", world->fix->dir);
    assert_ok(vault_key_create(world->key_file, &world->fix->err), world->fix);
    open_keys(world);
    for (int tenant = 0; tenant < TENANTS; tenant++)
        fill_tenant(world, tenant);
    uint32_t count = claim_many(world->fix, "w1", ARRAY_LEN(jobs), jobs);
    for (uint32_t i = 0; i < count; i++)
        put_session(world, &jobs[i]);
    pass_time(world, 60000);
    *state = world;
    return 0;
}

int keys_teardown(void **state)
{
    struct keys_world *world = *state;
    close_keys(world);
    fixture_teardown((void **)&world->fix);
    mem_free(world);
    return 0;
}

/* ---- does everything open? ---- */

static void verify_row(struct keys_world *world, enum sealed_table table, const struct sealed_row *row,
                       struct verified *ret)
{
    char expected[128];
    struct secret opened AUTO_SECRET = {0};
    struct seal_place place = place_in(table, row->tenant_id, row->row);
    struct err err = {0};
    ret->rows++;
    if (tenant_open(world->keys, &place, row->sealed.data, row->sealed.len, &opened, &err) != 0) {
        print_message("# %s %s: %s\n", place.table, place.row, err.message);
        ret->closed++;
        return;
    }
    build_value(expected, &place, 0);
    assert_int_equal(strncmp(opened.data, expected, strlen(expected) - 1), 0);
}

struct verified verify_with(struct keys_world *world)
{
    struct verified ret = {.rows = 0};
    struct sealed_row rows[16];
    uint32_t count;
    for (int table = 0; table < SEALED_TABLE_COUNT; table++) {
        char after[32] = "";
        do {
            assert_ok(store_sealed_list(world->fix->store, (enum sealed_table)table, after, ARRAY_LEN(rows),
                                        rows, &count, &world->fix->err),
                      world->fix);
            for (uint32_t i = 0; i < count; i++) {
                verify_row(world, (enum sealed_table)table, &rows[i], &ret);
                copy_text(after, rows[i].row);
                mem_free((void *)rows[i].sealed.data);
            }
        } while (count);
    }
    return ret;
}

void verify_all(struct keys_world *world)
{
    struct verified all = verify_with(world);
    assert_int_equal(all.closed, 0);
    assert_int_equal(all.rows, VALUES);
    struct keys_world fresh = *world;
    open_keys(&fresh);
    all = verify_with(&fresh);
    assert_int_equal(all.closed, 0);
    close_keys(&fresh);
}

static int count_key(void *ctx, const struct store_key *key)
{
    struct key_count *count = ctx;
    count->active += key->state == KEY_ACTIVE;
    count->retired += key->state == KEY_RETIRED;
    count->pending += key->state == KEY_PENDING;
    return 0;
}

struct key_count count_keys(struct keys_world *world)
{
    struct key_count count = {.active = 0};
    assert_ok(store_key_list(world->fix->store, count_key, &count, &world->fix->err), world->fix);
    return count;
}

/* ---- rotations ---- */

int rotate_with(struct store *store, const char *key_file, bool is_root, int64_t keep_ms,
                struct rotation_progress *ret, struct err *err)
{
    struct vault_ring *ring = NULL;
    int code = vault_ring_load(key_file, &ring, err);
    if (code != 0)
        return code;
    struct rotation rotation = {.store = store, .ring = ring, .who = "tester", .keep_ms = keep_ms};
    code = is_root ? rotation_of_root_key(&rotation, ret, err) : rotation_of_data_keys(&rotation, ret, err);
    vault_ring_free(ring);
    return code;
}

struct rotation_progress must_rotate(struct keys_world *world, bool is_root, int64_t keep_ms)
{
    struct rotation_progress done;
    pass_time(world, 1000);
    assert_ok(rotate_with(world->fix->store, world->key_file, is_root, keep_ms, &done, &world->fix->err),
              world->fix);
    pass_time(world, 1000);
    return done;
}

/* ---- other processes ---- */

pid_t start_child(struct keys_world *world, int (*run)(struct keys_world *world, uint64_t number),
                  uint64_t number)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    world->fix->store = fixture_open_another(world->fix); /* the parent's stays open in the parent */
    _exit(run(world, number));
}

int end_of(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
