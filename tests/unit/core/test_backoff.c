#include "unit.h"

#include "core/backoff.h"
#include "core/limits.h"

enum { DRAWS = 20000 };

static const uint64_t seed = 20261122;
static uint64_t random_state;

static uint64_t draw(void)
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void the_ceiling_doubles_up_to_the_cap(void **state)
{
    (void)state;
    static const int64_t expected[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 64000};
    for (uint32_t tries = 0; tries < 8; tries++)
        assert_int_equal(backoff_ceiling_ms(RETRY_BASE_MS, RETRY_CAP_MS, tries), expected[tries]);
}

static void the_ceiling_does_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(backoff_ceiling_ms(1000, 64000, UINT32_MAX), 64000);
    assert_int_equal(backoff_ceiling_ms(1, INT64_MAX, 62), INT64_C(1) << 62);
    assert_int_equal(backoff_ceiling_ms(1, INT64_MAX, 63), INT64_MAX);
    assert_int_equal(backoff_ceiling_ms(3, INT64_MAX, 1000), INT64_MAX);
    assert_int_equal(backoff_ceiling_ms(INT64_MAX, INT64_MAX, 5), INT64_MAX);
}

static void a_cap_below_the_base_is_the_ceiling(void **state)
{
    (void)state;
    assert_int_equal(backoff_ceiling_ms(1000, 10, 0), 10);
    assert_int_equal(backoff_ceiling_ms(1000, 10, 9), 10);
    assert_int_equal(backoff_full_ms(0, 64000, 7, UINT64_MAX), 0);
}

static void jitter_reaches_both_ends_and_nothing_beyond(void **state)
{
    (void)state;
    assert_int_equal(jitter_between(-5, 5, 0), -5);
    assert_int_equal(jitter_between(-5, 5, UINT64_MAX), 5);
    assert_int_equal(jitter_between(7, 7, draw()), 7);
    assert_int_equal(jitter_between(0, INT64_MAX, UINT64_MAX), INT64_MAX);
    assert_int_equal(jitter_between(0, INT64_MAX, 0), 0);
}

/* Full jitter: every tenth of [0, ceiling] is met as often as every other, within 4 standard deviations. */
static void full_jitter_is_uniform_from_zero_to_the_ceiling(void **state)
{
    (void)state;
    random_state = seed;
    print_message("# seed %llu\n", (unsigned long long)seed);
    int counts[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        int64_t pause_ms = backoff_full_ms(1000, 64000, 4, draw());
        assert_in_range(pause_ms, 0, 16000);
        counts[pause_ms * 10 / 16001]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], DRAWS / 10 - 170, DRAWS / 10 + 170);
}

static void half_jitter_keeps_half_of_the_ceiling(void **state)
{
    (void)state;
    int64_t least_ms = INT64_MAX, most_ms = 0;
    for (int i = 0; i < DRAWS; i++) {
        int64_t pause_ms = backoff_half_ms(WAIT_BASE_MS, WAIT_CAP_MS, 1, draw());
        least_ms = pause_ms < least_ms ? pause_ms : least_ms;
        most_ms = pause_ms > most_ms ? pause_ms : most_ms;
    }
    assert_in_range(least_ms, 60000, 60600);
    assert_in_range(most_ms, 119400, 120000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_up_to_the_cap),
        cmocka_unit_test(the_ceiling_does_not_overflow),
        cmocka_unit_test(a_cap_below_the_base_is_the_ceiling),
        cmocka_unit_test(jitter_reaches_both_ends_and_nothing_beyond),
        cmocka_unit_test(full_jitter_is_uniform_from_zero_to_the_ceiling),
        cmocka_unit_test(half_jitter_keeps_half_of_the_ceiling),
    };
    return RUN_UNIT_TESTS(tests);
}
