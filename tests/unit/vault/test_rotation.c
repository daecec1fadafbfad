/* Rotations of keys on a real store: whole ones, ones that are killed, ones beside writers. Both engines. */
#include "keys_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "vault/rotation.h"

static uint64_t seed;

/* ---- rotations ---- */

static void every_value_gets_a_new_key(void **state)
{
    struct keys_world *world = *state;
    struct rotation_progress done = must_rotate(world, false, 3600000);
    assert_int_equal(done.keys, TENANTS);
    assert_int_equal(done.resealed, VALUES);
    assert_int_equal(done.forgotten, 0);
    struct key_count count = count_keys(world);
    assert_true(count.active == TENANTS && count.retired == TENANTS && count.pending == 0);
    verify_all(world);
    assert_int_equal(count_events(world->fix, NULL, "data key changed"), TENANTS);
    /* Nothing is sealed with the old ones any more, and their time is over: they are forgotten. */
    done = must_rotate(world, false, 1000);
    assert_int_equal(done.forgotten, TENANTS);
    verify_all(world);
    count = count_keys(world);
    assert_true(count.active == TENANTS && count.retired == TENANTS);
}

static void the_root_key_changes_and_no_value_does(void **state)
{
    struct keys_world *world = *state;
    struct sealed_row before, after;
    uint32_t count;
    char old_root[VAULT_KEY_ID_SIZE];
    text_copy(old_root, sizeof(old_root), vault_ring_id(world->ring, 0));
    assert_ok(store_sealed_list(world->fix->store, SEALED_TOKEN, "", 1, &before, &count, &world->fix->err),
              world->fix);
    struct rotation_progress done = must_rotate(world, true, 0);
    assert_int_equal(done.keys, TENANTS);
    assert_int_equal(done.retired, 1);
    assert_int_equal(done.resealed, 0);
    assert_ok(store_sealed_list(world->fix->store, SEALED_TOKEN, "", 1, &after, &count, &world->fix->err),
              world->fix);
    assert_int_equal(before.sealed.len, after.sealed.len);
    assert_memory_equal(before.sealed.data, after.sealed.data, before.sealed.len);
    mem_free((void *)before.sealed.data);
    mem_free((void *)after.sealed.data);
    verify_all(world);
    /* The file has the new one alone. */
    struct vault_ring *ring = NULL;
    assert_ok(vault_ring_load(world->key_file, &ring, &world->fix->err), world->fix);
    assert_int_equal(vault_ring_count(ring), 1);
    assert_string_not_equal(vault_ring_id(ring, 0), old_root);
    vault_ring_free(ring);
    assert_int_equal(count_keys(world).active, TENANTS);
}

/* A process that has the old root key in its memory: it neither loses what others wrap, nor wraps with it. */
static void a_process_with_the_old_root_key_reads_the_new_one(void **state)
{
    struct keys_world *world = *state;
    char row[24];
    struct buf sealed AUTO_BUF;
    must_rotate(world, true, 0);
    tenant_keys_free(world->keys);
    world->keys = tenant_keys_new(world->fix->store, world->ring); /* the ring is as it was */
    assert_ok(tenant_keys_check(world->keys, &world->fix->err), world->fix);
    verify_all(world);
    close_keys(world);
    open_keys(world);
    must_rotate(world, true, 0);
    int64_t client = make_client(world->fix, "newcomer");
    struct store_client found;
    assert_ok(store_client_get(world->fix->store, client, &found, &world->fix->err), world->fix);
    snprintf(row, sizeof(row), "%lld", (long long)client);
    struct seal_place place = place_in(SEALED_CLIENT, found.tenant_id, row);
    must_seal(world, &place, 1, &sealed, NULL);
    close_keys(world);
    open_keys(world);
    struct secret opened AUTO_SECRET = {0};
    assert_ok(tenant_open(world->keys, &place, sealed.data, sealed.len, &opened, &world->fix->err),
              world->fix);
}

static void k11_another_root_key_is_told_at_the_start(void **state)
{
    struct keys_world *world = *state;
    char other[160];
    snprintf(other, sizeof(other), "%s.other", world->key_file);
    assert_ok(vault_key_create(other, &world->fix->err), world->fix);
    struct vault_ring *ring = NULL;
    assert_ok(vault_ring_load(other, &ring, &world->fix->err), world->fix);
    struct tenant_keys *keys = tenant_keys_new(world->fix->store, ring);
    assert_int_equal(tenant_keys_check(keys, &world->fix->err), ERR_AUTH);
    assert_non_null(strstr(world->fix->err.message, vault_ring_id(world->ring, 0)));
    /* Used all the same, nothing opens, and it is no corruption: the key may come back. */
    struct sealed_row row;
    uint32_t count;
    struct secret opened AUTO_SECRET = {0};
    assert_ok(store_sealed_list(world->fix->store, SEALED_TOKEN, "", 1, &row, &count, &world->fix->err),
              world->fix);
    struct seal_place place = place_in(SEALED_TOKEN, row.tenant_id, row.row);
    assert_int_equal(tenant_open(keys, &place, row.sealed.data, row.sealed.len, &opened, &world->fix->err),
                     ERR_NOT_YET);
    assert_null(opened.data);
    mem_free((void *)row.sealed.data);
    tenant_keys_free(keys);
    vault_ring_free(ring);
}

/* ---- K10 ---- */

static void k10_one_tenants_key_does_not_open_anothers(void **state)
{
    struct keys_world *world = *state;
    struct sealed_row row;
    uint32_t count;
    struct secret opened AUTO_SECRET = {0};
    char message[256];
    int64_t first = get_channel(world->fix, world->channels[0][0]).tenant_id;
    int64_t second = get_channel(world->fix, world->channels[1][0]).tenant_id;
    assert_ok(store_sealed_list(world->fix->store, SEALED_TOKEN, "", 1, &row, &count, &world->fix->err),
              world->fix);
    assert_int_equal(row.tenant_id, first);
    struct seal_place place = place_in(SEALED_TOKEN, second, row.row);
    assert_int_equal(
        tenant_open(world->keys, &place, row.sealed.data, row.sealed.len, &opened, &world->fix->err),
        ERR_CORRUPT);
    /* Not even with the key brought along: it is wrapped for its tenant. */
    char sql[256];
    snprintf(
        sql, sizeof(sql),
        "insert into tenant_key (tenant_id, id, root_key_id, state, wrapped, added_at_ms) select %lld, id,"
        " root_key_id, 'retired', wrapped, 1 from tenant_key where tenant_id = %lld",
        (long long)second, (long long)first);
    assert_int_equal(run_sql(world->fix, sql, message), 0);
    assert_int_equal(
        tenant_open(world->keys, &place, row.sealed.data, row.sealed.len, &opened, &world->fix->err),
        ERR_CORRUPT);
    assert_null(opened.data);
    mem_free((void *)row.sealed.data);
}

static void k10_what_does_not_open_is_told_and_left_as_it_is(void **state)
{
    struct keys_world *world = *state;
    struct sealed_row rows[2];
    uint32_t count, done;
    struct rotation_progress progress;
    assert_ok(store_sealed_list(world->fix->store, SEALED_TOKEN, "", 2, rows, &count, &world->fix->err),
              world->fix);
    struct sealed_row moved = rows[0];
    moved.fresh = rows[1].sealed; /* another row's */
    assert_ok(store_sealed_replace(world->fix->store, SEALED_TOKEN, &moved, 1, &done, &world->fix->err),
              world->fix);
    assert_int_equal(done, 1);
    pass_time(world, 1000);
    assert_int_equal(rotate_with(world->fix->store, world->key_file, false, 0, &progress, &world->fix->err),
                     ERR_CORRUPT);
    assert_int_equal(progress.corrupt, 1);
    assert_int_equal(progress.forgotten, 0);
    assert_int_equal(count_events(world->fix, NULL, "decrypt failed"), 1);
    assert_int_equal(verify_with(world).closed, 1);
    /* Put back, all is well again: its key is still there. */
    struct sealed_row back = rows[0];
    back.sealed = rows[1].sealed;
    back.fresh = rows[0].sealed;
    assert_ok(store_sealed_replace(world->fix->store, SEALED_TOKEN, &back, 1, &done, &world->fix->err),
              world->fix);
    verify_all(world);
    must_rotate(world, false, 0);
    verify_all(world);
    mem_free((void *)rows[0].sealed.data);
    mem_free((void *)rows[1].sealed.data);
}

/* ---- other processes ---- */

static int child_rotates(struct keys_world *world, uint64_t is_root)
{
    struct rotation_progress done;
    struct err err = {0};
    int code = rotate_with(world->fix->store, world->key_file, is_root != 0, 500, &done, &err);
    if (code != 0 && code != ERR_BUSY && code != ERR_EXISTS)
        fprintf(stderr, "# rotation: %s\n", err.message);
    return code == 0 ? 0 : code == ERR_BUSY || code == ERR_EXISTS ? 75 : 1;
}

static void x01_rotations_killed_at_any_moment_lose_nothing(void **state)
{
    enum { KILLS = 100 };
    struct keys_world *world = *state;
    uint32_t broken_off = 0, whole = 0;
    int64_t longest_us = 20000;
    uint64_t chance = seed;
    bool is_root = false;
    while (broken_off < KILLS && whole < 4 * KILLS) {
        pass_time(world, 1000);
        int64_t begun_ms = clock_mono_ms();
        pid_t pid = start_child(world, child_rotates, is_root);
        chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        usleep((useconds_t)((chance >> 33) % (uint64_t)longest_us));
        kill(pid, SIGKILL);
        int end = end_of(pid);
        broken_off += end == -SIGKILL;
        whole += end == 0;
        if (end == 0) {
            int64_t took_us = (clock_mono_ms() - begun_ms) * 1000;
            longest_us = took_us > 5000 ? took_us : 5000;
            is_root = !is_root; /* one that was broken off is taken up */
        } else {
            longest_us += 500;
        }
        assert_true(end == 0 || end == -SIGKILL);
        verify_all(world);
    }
    print_message("# %u killed, %u came to their end\n", broken_off, whole);
    assert_int_equal(broken_off, KILLS);
    pass_time(world, 1000);
    if (child_rotates(world, is_root) != 0)
        fail_msg("the last rotation did not come to its end");
    verify_all(world);
    must_rotate(world, !is_root, 0);
    must_rotate(world, false, 0);
    must_rotate(world, true, 0);
    verify_all(world);
    struct key_count count = count_keys(world);
    assert_true(count.active == TENANTS && count.pending == 0);
}

/* As uploads do: new tokens and new sessions all the time. */
static int child_writes(struct keys_world *world, uint64_t number)
{
    close_keys(world);
    open_keys(world);
    for (uint64_t i = 0; i < number; i++) {
        int tenant = (int)(random_u64() % TENANTS);
        int64_t channel = world->channels[tenant][random_u64() % CHANNELS];
        struct err *err = &world->fix->err;
        struct store_channel found;
        if (store_channel_get(world->fix->store, channel, &found, err) != 0)
            return 1;
        put_token(world, found.tenant_id, channel, i);
    }
    return 0;
}

static void rotations_beside_writers_lose_nothing(void **state)
{
    struct keys_world *world = *state;
    pid_t writers[2];
    for (size_t i = 0; i < ARRAY_LEN(writers); i++)
        writers[i] = start_child(world, child_writes, 300);
    for (int i = 0; i < 6; i++)
        must_rotate(world, i % 2 != 0, 3600000);
    for (size_t i = 0; i < ARRAY_LEN(writers); i++)
        assert_int_equal(end_of(writers[i]), 0);
    verify_all(world);
    must_rotate(world, false, 0);
    verify_all(world);
}

static void two_rotations_at_once_are_one(void **state)
{
    struct keys_world *world = *state;
    for (int i = 0; i < 5; i++) {
        pass_time(world, 1000);
        pid_t one = start_child(world, child_rotates, i % 2), two = start_child(world, child_rotates, i % 2);
        int first = end_of(one), second = end_of(two);
        assert_true(first == 0 || second == 0);
        assert_true((first == 0 || first == 75) && (second == 0 || second == 75));
        verify_all(world);
    }
}

static void a_rotation_of_the_other_kind_must_be_ended_first(void **state)
{
    struct keys_world *world = *state;
    struct store_rotation wanted = {.kind = "root", .owner = "elsewhere/1"}, record;
    struct rotation_progress done;
    assert_ok(store_rotation_begin(world->fix->store, &wanted, NULL, &record, &world->fix->err), world->fix);
    assert_int_equal(rotate_with(world->fix->store, world->key_file, false, 0, &done, &world->fix->err),
                     ERR_EXISTS);
    assert_int_equal(rotate_with(world->fix->store, world->key_file, true, 0, &done, &world->fix->err),
                     ERR_BUSY);
    pass_time(world, ROTATION_SILENT_MS);
    must_rotate(world, true, 0);
    assert_int_equal(store_rotation_seen(world->fix->store, &record, &world->fix->err), ERR_BUSY);
}

/* ---- many ---- */

static int64_t insert_channel(struct keys_world *world, const struct store_channel *like, int64_t number)
{
    char name[24];
    int64_t id = 0;
    snprintf(name, sizeof(name), "many%lld", (long long)number);
    assert_true(db_number(world->fix->store->db,
                          "insert into channel (tenant_id, client_id, name, yt_channel_id, added_at_ms)"
                          " values ($1, $2, $3, $3, 0) returning id",
                          DB_ARGS(DB_I(like->tenant_id), DB_I(like->client_id), DB_T(name)), &id,
                          &world->fix->err) == 1);
    return id;
}

static void insert_token(struct keys_world *world, int64_t tenant, int64_t channel)
{
    char row[24], key_id[VAULT_KEY_ID_SIZE];
    struct buf sealed AUTO_BUF;
    snprintf(row, sizeof(row), "%lld", (long long)channel);
    struct seal_place place = place_in(SEALED_TOKEN, tenant, row);
    must_seal(world, &place, 1, &sealed, key_id);
    assert_true(db_run(world->fix->store->db,
                       "insert into token (channel_id, tenant_id, sealed, scopes, key_id, stored_at_ms)"
                       " values ($1, $2, $3, '', $4, 0)",
                       DB_ARGS(DB_I(channel), DB_I(tenant), DB_B(sealed.data, sealed.len), DB_T(key_id)),
                       &world->fix->err) == 1);
}

static void insert_rows(struct keys_world *world, int64_t from, int64_t count)
{
    struct store_channel like = get_channel(world->fix, world->channels[0][0]);
    assert_ok(store_begin(world->fix->store, &world->fix->err), world->fix);
    for (int64_t i = from; i < from + count; i++)
        insert_token(world, like.tenant_id, insert_channel(world, &like, i));
    assert_ok(store_commit(world->fix->store, &world->fix->err), world->fix);
}

/* ROTATION_ROWS=1000000 tells how long a million take. */
static void many_rows_in_one_run(void **state)
{
    struct keys_world *world = *state;
    const char *wanted = getenv("ROTATION_ROWS");
    int64_t count = wanted ? strtoll(wanted, NULL, 10) : 2000;
    for (int64_t at = 0; at < count; at += 1000)
        insert_rows(world, at, count - at < 1000 ? count - at : 1000);
    int64_t begun_ms = clock_mono_ms();
    struct rotation_progress done = must_rotate(world, false, 0);
    print_message("# %lld values sealed anew, %lld looked at, in %lld ms\n", (long long)done.resealed,
                  (long long)done.rows, (long long)(clock_mono_ms() - begun_ms));
    assert_int_equal(done.resealed, count + VALUES);
    assert_int_equal(verify_with(world).closed, 0);
}

int main(void)
{
    vault_start();
    seed = random_u64();
    const char *wanted = getenv("ROTATION_SEED");
    if (wanted)
        seed = strtoull(wanted, NULL, 16);
    printf("# seed %llx (ROTATION_SEED)\n", (unsigned long long)seed);
#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_setup, keys_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_value_gets_a_new_key),
        TEST(the_root_key_changes_and_no_value_does),
        TEST(a_process_with_the_old_root_key_reads_the_new_one),
        TEST(k11_another_root_key_is_told_at_the_start),
        TEST(k10_one_tenants_key_does_not_open_anothers),
        TEST(k10_what_does_not_open_is_told_and_left_as_it_is),
        TEST(x01_rotations_killed_at_any_moment_lose_nothing),
        TEST(rotations_beside_writers_lose_nothing),
        TEST(two_rotations_at_once_are_one),
        TEST(a_rotation_of_the_other_kind_must_be_ended_first),
        TEST(many_rows_in_one_run),
    };
    return RUN_UNIT_TESTS(tests);
}
