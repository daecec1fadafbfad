/* Data keys and root keys as rows, and the turn to refresh: what the database itself keeps straight. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/key.h"
#include "store/token.h"

static int64_t tenant_of(struct fixture *fix, const char *tenant)
{
    struct store_client client;
    assert_ok(store_client_get(fix->store, make_client(fix, tenant), &client, &fix->err), fix);
    return client.tenant_id;
}

static int add_key(struct fixture *fix, int64_t tenant, const char *id, const char *root,
                   enum key_state state)
{
    struct store_key key = {.tenant_id = tenant, .state = state, .wrapped = {.data = "wrapped", .len = 7}};
    copy_text(key.id, id);
    copy_text(key.root_id, root);
    return store_key_add(fix->store, &key, &fix->err);
}

/* ---- data keys ---- */

static void a_tenant_has_one_active_key(void **state)
{
    struct fixture *fix = *state;
    int64_t tenant = tenant_of(fix, "acme");
    char id[KEY_ID_SIZE];
    assert_code(store_key_active(fix->store, tenant, id, &fix->err), ERR_NOT_FOUND);
    assert_ok(add_key(fix, tenant, "k1", "r1", KEY_ACTIVE), fix);
    assert_code(add_key(fix, tenant, "k2", "r1", KEY_ACTIVE), ERR_EXISTS);
    assert_ok(store_key_promote(fix->store, tenant, "me", &fix->err), fix); /* nothing is pending */
    assert_ok(store_key_active(fix->store, tenant, id, &fix->err), fix);
    assert_string_equal(id, "k1");
    assert_ok(add_key(fix, tenant, "k2", "r1", KEY_PENDING), fix);
    assert_code(add_key(fix, tenant, "k3", "r1", KEY_PENDING), ERR_EXISTS);
    assert_ok(store_key_promote(fix->store, tenant, "me", &fix->err), fix);
    assert_ok(store_key_active(fix->store, tenant, id, &fix->err), fix);
    assert_string_equal(id, "k2");
    struct store_key old;
    assert_ok(store_key_get(fix->store, tenant, "k1", &old, &fix->err), fix);
    assert_int_equal(old.state, KEY_RETIRED);
    assert_int_equal(old.wrapped.len, 7);
    mem_free((void *)old.wrapped.data);
    assert_int_equal(count_events(fix, NULL, "data key changed"), 1);
}

static void only_retired_keys_are_forgotten(void **state)
{
    struct fixture *fix = *state;
    int64_t tenant = tenant_of(fix, "acme");
    uint32_t count;
    assert_ok(add_key(fix, tenant, "k1", "r1", KEY_ACTIVE), fix);
    assert_ok(add_key(fix, tenant, "k2", "r1", KEY_PENDING), fix);
    assert_ok(store_key_promote(fix->store, tenant, "me", &fix->err), fix);
    int64_t retired_at_ms = fix->now_ms;
    fix->now_ms += 1000;
    assert_ok(store_key_forget(fix->store, retired_at_ms, "me", &count, &fix->err), fix);
    assert_int_equal(count, 0);
    assert_ok(store_key_forget(fix->store, retired_at_ms + 1, "me", &count, &fix->err), fix);
    assert_int_equal(count, 1);
    assert_int_equal(number(fix, "select count(*) from tenant_key"), 1);
    assert_int_equal(count_events(fix, NULL, "data key forgotten"), 1);
}

static void a_root_key_in_use_is_not_retired_and_a_retired_one_not_used(void **state)
{
    struct fixture *fix = *state;
    int64_t tenant = tenant_of(fix, "acme"), other = tenant_of(fix, "other");
    assert_ok(add_key(fix, tenant, "k1", "r1", KEY_ACTIVE), fix);
    assert_ok(add_key(fix, other, "k2", "r1", KEY_ACTIVE), fix);
    assert_code(store_root_retire(fix->store, "r1", &fix->err), ERR_INVALID);
    struct store_key key = {.tenant_id = tenant, .wrapped = {.data = "anew", .len = 4}};
    copy_text(key.id, "k1");
    copy_text(key.root_id, "r2");
    assert_ok(store_key_rewrap(fix->store, &key, "r1", &fix->err), fix);
    assert_code(store_root_retire(fix->store, "r1", &fix->err), ERR_INVALID);
    key.tenant_id = other;
    copy_text(key.id, "k2");
    assert_ok(store_key_rewrap(fix->store, &key, "r1", &fix->err), fix);
    assert_ok(store_root_retire(fix->store, "r1", &fix->err), fix);
    assert_ok(store_root_retire(fix->store, "r1", &fix->err), fix); /* safe to repeat */
    assert_code(add_key(fix, tenant, "k3", "r1", KEY_PENDING), ERR_INVALID);
    copy_text(key.root_id, "r1");
    assert_code(store_key_rewrap(fix->store, &key, "r2", &fix->err), ERR_INVALID);
    assert_int_equal(number(fix, "select count(*) from root_key where live_id is not null"), 1);
}

/* ---- the turn to refresh ---- */

static bool take_turn(struct fixture *fix, int64_t channel, const char *owner)
{
    struct store_access access;
    bool is_mine = false;
    assert_ok(store_access_get(fix->store, channel, owner, &access, &fix->err), fix);
    mem_free((void *)access.sealed.data);
    assert_ok(store_refresh_begin(fix->store, channel, owner, access.serial, 30000, &is_mine, &fix->err),
              fix);
    return is_mine;
}

static bool end_turn(struct fixture *fix, int64_t channel, const char *owner, const char *value)
{
    bool is_done = false;
    struct blob sealed = {.data = value, .len = strlen(value)};
    assert_ok(store_refresh_end(fix->store, channel, owner, sealed, 3600000, &is_done, &fix->err), fix);
    return is_done;
}

static struct store_access look(struct fixture *fix, int64_t channel, const char *owner)
{
    struct store_access access;
    assert_ok(store_access_get(fix->store, channel, owner, &access, &fix->err), fix);
    mem_free((void *)access.sealed.data);
    return access;
}

static void k08_one_has_the_turn(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "acme", "main");
    assert_true(take_turn(fix, channel, "a"));
    assert_true(take_turn(fix, channel, "a")); /* after a restart */
    assert_false(take_turn(fix, channel, "b"));
    assert_int_equal(look(fix, channel, "b").wait_ms, 30000);
    assert_int_equal(look(fix, channel, "a").wait_ms, 0);
    assert_false(end_turn(fix, channel, "b", "not its turn"));
    assert_true(end_turn(fix, channel, "a", "token"));
    assert_int_equal(look(fix, channel, "b").life_ms, 3600000);
    assert_int_equal(look(fix, channel, "b").sealed.len, 5);
    assert_true(take_turn(fix, channel, "b"));
}

static void k08_what_was_seen_must_be_the_last(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "acme", "main");
    int64_t serial = look(fix, channel, "b").serial;
    bool is_mine = true;
    assert_true(take_turn(fix, channel, "a") && end_turn(fix, channel, "a", "token"));
    assert_ok(store_refresh_begin(fix->store, channel, "b", serial, 30000, &is_mine, &fix->err), fix);
    assert_false(is_mine); /* there is a newer one to look at */
}

static void k08_a_turn_ends_by_the_stores_clock(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "acme", "main");
    assert_true(take_turn(fix, channel, "a"));
    fix->now_ms += 29999;
    assert_false(take_turn(fix, channel, "b"));
    fix->now_ms += 1;
    assert_true(take_turn(fix, channel, "b"));
    assert_false(end_turn(fix, channel, "a", "late"));
    /* A clock that was wrong has set it years ahead. */
    fix->now_ms -= 10000000000;
    assert_int_equal(look(fix, channel, "a").wait_ms, 0);
    assert_true(take_turn(fix, channel, "a"));
}

static void k02_a_failed_try_is_everybodys_pause(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "acme", "main");
    assert_true(take_turn(fix, channel, "a"));
    assert_ok(store_refresh_fail(fix->store, channel, "b", 60000, &fix->err), fix); /* not its own */
    assert_false(look(fix, channel, "b").is_pause);
    assert_ok(store_refresh_fail(fix->store, channel, "a", 60000, &fix->err), fix);
    assert_false(take_turn(fix, channel, "a"));
    assert_false(take_turn(fix, channel, "b"));
    assert_true(look(fix, channel, "b").is_pause);
    fix->now_ms += 60000;
    assert_true(take_turn(fix, channel, "b"));
}

static void k03_a_new_login_ends_turn_pause_and_token(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "acme", "main");
    assert_true(take_turn(fix, channel, "a") && end_turn(fix, channel, "a", "token"));
    assert_true(take_turn(fix, channel, "a"));
    assert_ok(login(fix, "acme", "main", "UC-main"), fix);
    assert_int_equal(look(fix, channel, "b").sealed.len, 0);
    assert_false(end_turn(fix, channel, "a", "of the old login"));
    assert_true(take_turn(fix, channel, "b"));
    /* A new refresh token of the same login (K06) leaves the turn where it is. */
    struct blob sealed = {.data = "rotated", .len = 7};
    assert_ok(store_token_set(fix->store, channel, sealed, "youtube", "k1", &fix->err), fix);
    assert_true(end_turn(fix, channel, "b", "token"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tenant_has_one_active_key),
        TEST(only_retired_keys_are_forgotten),
        TEST(a_root_key_in_use_is_not_retired_and_a_retired_one_not_used),
        TEST(k08_one_has_the_turn),
        TEST(k08_what_was_seen_must_be_the_last),
        TEST(k08_a_turn_ends_by_the_stores_clock),
        TEST(k02_a_failed_try_is_everybodys_pause),
        TEST(k03_a_new_login_ends_turn_pause_and_token),
    };
    return RUN_UNIT_TESTS(tests);
}
