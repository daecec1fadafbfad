#include "unit.h"

#include "base/attr.h"
#include "content_range.h"

/* The cases of fake-gcs-server's TestParseContentRange, and more of their kind. */
static void refuses_what_is_no_content_range(void **state)
{
    static const char *const bad[] = {
        "",
        "none",
        "bytes 20",
        "bytes 1/4",
        "bytes start-20/100",
        "bytes 20-end/100",
        "bytes 100-200/total",
        "bytes",
        "bytes ",
        "bytes  0-1/2",
        "bytes=0-1/2",
        "Bytes 0-1/2",
        "bytes -1/2",
        "bytes 0-/2",
        "bytes 1-0/2",
        "bytes 0-1",
        "bytes 0-1/",
        "bytes 0-1/2 ",
        "bytes 0-1/2,3-4/5",
        "bytes */",
        "bytes *",
        "bytes +0-1/2",
        "bytes 0x0-1/2",
        "bytes 0-9223372036854775808/*",
        "bytes 0-1/99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct content_range range = {.first = 42};
        assert_false(content_range_parse(bad[i], &range));
        assert_int_equal(range.first, 42);
    }
}

static void reads_bytes_with_a_total(void **state)
{
    struct content_range range;
    (void)state;
    assert_true(content_range_parse("bytes 1024-2047/4096", &range));
    assert_false(range.is_query);
    assert_true(range.has_last && range.has_total);
    assert_int_equal(range.first, 1024);
    assert_int_equal(range.last, 2047);
    assert_int_equal(range.total, 4096);
}

static void reads_queries(void **state)
{
    struct content_range range;
    (void)state;
    assert_true(content_range_parse("bytes */1024", &range));
    assert_true(range.is_query && range.has_total && !range.has_last);
    assert_int_equal(range.total, 1024);
    assert_true(content_range_parse("bytes */*", &range));
    assert_true(range.is_query && !range.has_total);
}

static void reads_what_is_not_known_yet(void **state)
{
    struct content_range range;
    (void)state;
    assert_true(content_range_parse("bytes 0-*/*", &range));
    assert_false(range.is_query || range.has_last || range.has_total);
    assert_true(content_range_parse("bytes 0-1024/*", &range));
    assert_true(range.has_last && !range.has_total);
    assert_int_equal(range.last, 1024);
    assert_true(content_range_parse("bytes 5-*/9", &range));
    assert_true(!range.has_last && range.has_total);
    assert_int_equal(range.first, 5);
}

static void f11_is_exact_in_64_bits(void **state)
{
    struct content_range range;
    (void)state;
    assert_true(content_range_parse("bytes 4294967296-274877906943/274877906944", &range));
    assert_true(range.first == UINT64_C(4294967296));
    assert_true(range.last == UINT64_C(274877906943));
    assert_true(range.total == UINT64_C(274877906944));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_content_range),
        cmocka_unit_test(reads_bytes_with_a_total),
        cmocka_unit_test(reads_queries),
        cmocka_unit_test(reads_what_is_not_known_yet),
        cmocka_unit_test(f11_is_exact_in_64_bits),
    };
    return RUN_UNIT_TESTS(tests);
}
