#include "unit.h"

#include "base/parse.h"

static void numbers_are_strict(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    assert_true(parse_u64("18446744073709551615", &u));
    assert_true(u == UINT64_MAX);
    assert_false(parse_u64("18446744073709551616", &u));
    assert_false(parse_u64("", &u));
    assert_false(parse_u64("1 ", &u));
    assert_false(parse_u64("+1", &u));
    assert_true(u == UINT64_MAX);
    assert_true(parse_i64("-9223372036854775808", &i));
    assert_true(i == INT64_MIN);
    assert_false(parse_i64("9223372036854775808", &i));
}

static void sizes_and_durations_have_units(void **state)
{
    (void)state;
    uint64_t bytes;
    int64_t ms;
    assert_true(parse_bytes("8M", &bytes));
    assert_true(bytes == 8388608);
    assert_true(parse_bytes("256KiB", &bytes));
    assert_true(bytes == 262144);
    assert_false(parse_bytes("8X", &bytes));
    assert_false(parse_bytes("17179869184G", &bytes));
    assert_true(parse_duration_ms("2m", &ms));
    assert_true(ms == 120000);
    assert_true(parse_duration_ms("7d", &ms));
    assert_true(ms == 604800000);
    assert_false(parse_duration_ms("2 weeks", &ms));
}

static void times_round_trip(void **state)
{
    (void)state;
    int64_t ms;
    char text[TIME_TEXT_SIZE];
    assert_true(parse_time("2023-10-01T23:47:10.260858598+10:00", &ms));
    format_time(text, ms);
    assert_string_equal(text, "2023-10-01T13:47:10.260Z");
    assert_true(parse_time("0001-01-01T00:00:00Z", &ms));
    format_time(text, ms);
    assert_string_equal(text, "0001-01-01T00:00:00.000Z");
    assert_true(parse_time("2024-02-29", &ms));
    assert_true(ms == 1709164800000);
    assert_false(parse_time("2023-02-29", &ms));
    assert_false(parse_time("2023-10-01T23:47:10", &ms));
    assert_false(parse_time("2023-10-01T23:47:10.Z", &ms));
    assert_false(parse_time("", &ms));
}

static void bytes_are_shown_for_people(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(format_bytes(text, 17), "17 B");
    assert_string_equal(format_bytes(text, 1536), "1.5 KiB");
    assert_string_equal(format_bytes(text, 67108864), "64 MiB");
    assert_string_equal(format_bytes(text, UINT64_MAX), "15 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(sizes_and_durations_have_units),
        cmocka_unit_test(times_round_trip),
        cmocka_unit_test(bytes_are_shown_for_people),
    };
    return RUN_UNIT_TESTS(tests);
}
