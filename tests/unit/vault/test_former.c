/* D09, K11: a store of before there were data keys, in which a root key itself has sealed everything. */
#include "keys_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "store/schema.h"

enum { FORMER_VALUES = TENANTS * (CHANNELS + 1 + JOBS) };

static uint64_t seed;

/* ---- making one ---- */

static void seal_as_before(struct keys_world *world, enum sealed_table table, struct sealed_row *row)
{
    struct secret opened AUTO_SECRET = {0};
    struct buf sealed AUTO_BUF = BUF_INIT(1024);
    struct seal_place place = place_in(table, row->tenant_id, row->row);
    const struct vault_key *root = vault_ring_current(world->ring);
    uint32_t done;
    assert_ok(tenant_open(world->keys, &place, row->sealed.data, row->sealed.len, &opened, &world->fix->err),
              world->fix);
    vault_seal(root, &place, opened.data, opened.len, &sealed);
    row->fresh = (struct blob){.data = sealed.data, .len = sealed.len};
    copy_text(row->key_id, vault_key_id(root));
    assert_ok(store_sealed_replace(world->fix->store, table, row, 1, &done, &world->fix->err), world->fix);
    assert_int_equal(done, 1);
}

static void seal_all_as_before(struct keys_world *world)
{
    static const enum sealed_table tables[] = {SEALED_TOKEN, SEALED_CLIENT, SEALED_SESSION};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct sealed_row rows[64];
        uint32_t count;
        assert_ok(store_sealed_list(world->fix->store, tables[i], "", ARRAY_LEN(rows), rows, &count,
                                    &world->fix->err),
                  world->fix);
        for (uint32_t row = 0; row < count; row++) {
            seal_as_before(world, tables[i], &rows[row]);
            mem_free((void *)rows[row].sealed.data);
        }
    }
}

/* As the schema was. */
static void take_back_keys(struct keys_world *world)
{
    static const char *const statements[] = {"drop table foreign_video",
                                             "drop table video_look",
                                             "drop index upload_finalizing",
                                             "alter table client drop column state",
                                             "alter table client drop column state_reason",
                                             "alter table client drop column state_at_ms",
                                             "alter table channel drop column own_state",
                                             "alter table channel drop column own_reason",
                                             "alter table channel drop column own_until_ms",
                                             "drop table key_rotation",
                                             "drop table tenant_key",
                                             "drop table root_key",
                                             "alter table token drop column access_sealed",
                                             "alter table token drop column access_serial",
                                             "alter table token drop column access_until_ms",
                                             "alter table token drop column refresh_owner",
                                             "alter table token drop column refresh_until_ms",
                                             "delete from schema_version where version > 2"};
    char message[256];
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        if (run_sql(world->fix, statements[i], message) != 0)
            fail_msg("%s: %s", statements[i], message);
}

/* And as this version's `init` makes it of that. */
static int former_setup(void **state)
{
    if (keys_setup(state) != 0)
        return -1;
    struct keys_world *world = *state;
    seal_all_as_before(world);
    take_back_keys(world);
    assert_ok(migrate(world->fix->store->db, schema_migrations, schema_version, &world->fix->err),
              world->fix);
    fixture_reopen(world->fix);
    close_keys(world);
    open_keys(world);
    return 0;
}

/* ---- what holds of it ---- */

static void must_open_all(struct keys_world *world, uint32_t rows)
{
    close_keys(world);
    open_keys(world);
    struct verified all = verify_with(world);
    assert_int_equal(all.closed, 0);
    assert_int_equal(all.rows, rows);
}

static bool is_due(struct keys_world *world)
{
    bool ret;
    assert_ok(store_rotation_is_due(world->fix->store, &ret, &world->fix->err), world->fix);
    return ret;
}

static void d09_everything_opens_as_it_was_sealed(void **state)
{
    struct keys_world *world = *state;
    assert_true(is_due(world));
    must_open_all(world, FORMER_VALUES);
    assert_int_equal(count_keys(world).active, 0);
    /* What is sealed from now on gets under data keys. */
    int64_t tenant = get_channel(world->fix, world->channels[1][0]).tenant_id;
    put_token(world, tenant, world->channels[1][0], 7);
    assert_int_equal(count_keys(world).active, 1);
    must_open_all(world, FORMER_VALUES + 1);
}

static void k11_the_key_that_it_needs_is_known(void **state)
{
    struct keys_world *world = *state;
    char other[160];
    struct vault_ring *ring = NULL;
    assert_ok(tenant_keys_check(world->keys, &world->fix->err), world->fix);
    snprintf(other, sizeof(other), "%s.other", world->key_file);
    assert_ok(vault_key_create(other, &world->fix->err), world->fix);
    assert_ok(vault_ring_load(other, &ring, &world->fix->err), world->fix);
    struct tenant_keys *keys = tenant_keys_new(world->fix->store, ring);
    assert_code(tenant_keys_check(keys, &world->fix->err), ERR_AUTH);
    assert_non_null(strstr(world->fix->err.message, vault_ring_id(world->ring, 0)));
    tenant_keys_free(keys);
    vault_ring_free(ring);
}

/* Which would lose everything if it took only the data keys along. */
static void the_root_key_changes_and_nothing_is_lost(void **state)
{
    struct keys_world *world = *state;
    char old_root[VAULT_KEY_ID_SIZE];
    copy_text(old_root, vault_ring_id(world->ring, 0));
    must_rotate(world, true, 0);
    must_open_all(world, FORMER_VALUES);
    assert_null(vault_ring_find(world->ring, old_root));
    assert_false(is_due(world));
    assert_int_equal(count_keys(world).active, TENANTS);
}

static void data_keys_change_and_nothing_is_lost(void **state)
{
    struct keys_world *world = *state;
    struct rotation_progress done = must_rotate(world, false, 0);
    assert_int_equal(done.resealed, 0); /* they had just been */
    must_open_all(world, FORMER_VALUES);
    assert_false(is_due(world));
    done = must_rotate(world, false, 0);
    assert_int_equal(done.resealed, FORMER_VALUES);
    must_open_all(world, FORMER_VALUES);
}

static int child_rotates_root(struct keys_world *world, uint64_t number)
{
    struct rotation_progress done;
    (void)number;
    return rotate_with(world->fix->store, world->key_file, true, 0, &done, NULL) == 0 ? 0 : 1;
}

static void x01_killed_at_any_moment_nothing_is_lost(void **state)
{
    struct keys_world *world = *state;
    uint64_t chance = seed;
    for (int i = 0; i < 20; i++) {
        pass_time(world, 1000);
        pid_t pid = start_child(world, child_rotates_root, 0);
        chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        usleep((useconds_t)((chance >> 33) % 30000));
        kill(pid, SIGKILL);
        int end = end_of(pid);
        assert_true(end == 0 || end == -SIGKILL);
        must_open_all(world, FORMER_VALUES);
    }
    must_rotate(world, true, 0);
    must_open_all(world, FORMER_VALUES);
    assert_false(is_due(world));
}

static void k10_one_that_does_not_open_is_told(void **state)
{
    struct keys_world *world = *state;
    struct sealed_row rows[2];
    uint32_t count, done;
    assert_ok(store_sealed_list(world->fix->store, SEALED_TOKEN, "", 2, rows, &count, &world->fix->err),
              world->fix);
    struct sealed_row moved = rows[0];
    moved.fresh = rows[1].sealed;
    assert_ok(store_sealed_replace(world->fix->store, SEALED_TOKEN, &moved, 1, &done, &world->fix->err),
              world->fix);
    assert_int_equal(verify_with(world).closed, 1);
    must_rotate(world, true, 0);
    assert_int_equal(count_events(world->fix, NULL, "decrypt failed"), 1);
    close_keys(world);
    open_keys(world);
    assert_int_equal(verify_with(world).closed, 1);
    mem_free((void *)rows[0].sealed.data);
    mem_free((void *)rows[1].sealed.data);
}

int main(void)
{
    vault_start();
    const char *wanted = getenv("ROTATION_SEED");
    seed = wanted ? strtoull(wanted, NULL, 16) : random_u64();
    printf("# seed %llx (ROTATION_SEED)\n", (unsigned long long)seed);
#define TEST(name) cmocka_unit_test_setup_teardown(name, former_setup, keys_teardown)
    const struct CMUnitTest tests[] = {
        TEST(d09_everything_opens_as_it_was_sealed),    TEST(k11_the_key_that_it_needs_is_known),
        TEST(the_root_key_changes_and_nothing_is_lost), TEST(data_keys_change_and_nothing_is_lost),
        TEST(x01_killed_at_any_moment_nothing_is_lost), TEST(k10_one_that_does_not_open_is_told),
    };
    return RUN_UNIT_TESTS(tests);
}
