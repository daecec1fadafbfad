#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/parse.h"
#include "base/random.h"
#include "dice.h"
#include "map.h"

enum { KEYS = 512, STEPS = 20000 };

static void key_of(char ret[16], size_t i)
{
    snprintf(ret, 16, "key-%zu", i);
}

/* Random puts and removes against a plain array: whatever happened, both must agree on every key. */
static void agrees_with_an_array(void **state)
{
    static char values[KEYS];
    const char *given = getenv("SEED");
    uint64_t seed = random_u64();
    if (given)
        assert_true(parse_u64(given, &seed));
    struct dice dice = {seed};
    struct map map = {0};
    void *there[KEYS] = {0};
    char key[16];
    size_t count = 0;
    (void)state;
    print_message("# SEED=%llu\n", (unsigned long long)seed);
    for (int step = 0; step < STEPS; step++) {
        size_t i = dice_u64(&dice) % KEYS;
        key_of(key, i);
        if (dice_u64(&dice) % 2) {
            count += !there[i];
            there[i] = &values[i];
            map_put(&map, key, there[i]);
        } else {
            assert_int_equal(map_remove(&map, key), there[i] != NULL);
            count -= there[i] != NULL;
            there[i] = NULL;
        }
        assert_int_equal(map.count, count);
        size_t looked_at = dice_u64(&dice) % KEYS;
        key_of(key, looked_at);
        assert_ptr_equal(map_get(&map, key), there[looked_at]);
    }
    for (size_t i = 0; i < KEYS; i++) {
        key_of(key, i);
        assert_ptr_equal(map_get(&map, key), there[i]);
    }
    map_clear(&map, NULL);
    assert_null(map_get(&map, "key-1"));
}

static void empty_map_and_no_key(void **state)
{
    struct map map = {0};
    (void)state;
    assert_null(map_get(&map, "x"));
    assert_null(map_get(&map, NULL));
    assert_false(map_remove(&map, "x"));
    map_clear(&map, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(empty_map_and_no_key),
    };
    return RUN_UNIT_TESTS(tests);
}
