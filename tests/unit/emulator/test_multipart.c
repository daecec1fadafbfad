#include "unit.h"

#include <string.h>

#include "base/mem.h"
#include "multipart.h"

/* What the parser delivered: "[1:headers]data[2:headers]data". */
static struct buf seen;

static void on_headers(void *ctx, unsigned part, const char *headers)
{
    (void)ctx;
    buf_printf(&seen, "[%u:%s]", part, headers);
}

static void on_data(void *ctx, unsigned part, const char *data, size_t len)
{
    (void)ctx;
    (void)part;
    buf_append(&seen, data, len);
}

/* Feeds `body` in pieces of `size`; returns whether it was complete. What came of it is in `seen`. */
static bool parse(const char *body, size_t size)
{
    struct multipart multipart;
    size_t len = strlen(body);
    buf_clear(&seen);
    assert_true(multipart_init(&multipart, "multipart/related; boundary=b; type=x"));
    multipart.on_headers = on_headers;
    multipart.on_data = on_data;
    for (size_t at = 0; at < len; at += size)
        multipart_feed(&multipart, body + at, len - at < size ? len - at : size);
    bool is_complete = multipart_is_complete(&multipart);
    multipart_release(&multipart);
    return is_complete;
}

static void check(const char *body, const char *expected)
{
    for (size_t size = 1; size <= strlen(body); size++) {
        assert_true(parse(body, size));
        assert_string_equal(seen.data, expected);
    }
}

static void splits_parts_however_the_bytes_come(void **state)
{
    (void)state;
    check("--b\r\nA: 1\r\nB: 2\r\n\r\none\r\n--b\r\nC: 3\r\n\r\ntwo\r\n--b--\r\n",
          "[1:A: 1\r\nB: 2]one[2:C: 3]two");
    check("--b\nA: 1\n\none\n--b\nC: 3\n\ntwo\n--b--\n", "[1:A: 1]one[2:C: 3]two");
    check("\r\n--b\r\nA: 1\r\n\r\n\r\n--b--", "[1:A: 1]");
}

static void keeps_what_only_looks_like_a_boundary(void **state)
{
    (void)state;
    check("--b\r\nA: 1\r\n\r\n\r\n--c\r\n-\r\n\n--b\r\n\r\r\n--b--", "[1:A: 1]\r\n--c\r\n-\r\n\n--b\r\n\r");
}

static void cut_or_broken_bodies_are_not_complete(void **state)
{
    (void)state;
    assert_false(parse("", 1));
    assert_false(parse("--b\r\nA: 1\r\n\r\none\r\n--b", 3));
    assert_false(parse("--x\r\nA: 1\r\n\r\none\r\n--x--", 3));
    assert_false(parse("nothing of the kind", 3));
}

static void needs_a_boundary(void **state)
{
    struct multipart multipart;
    (void)state;
    assert_false(multipart_init(&multipart, NULL));
    assert_false(multipart_init(&multipart, "multipart/related"));
    assert_false(multipart_init(&multipart, "multipart/related; boundary=\"\""));
    assert_false(multipart_init(&multipart, "application/json; boundary=b"));
    assert_true(multipart_init(&multipart, "multipart/related; boundary=\"a b\""));
    assert_string_equal(multipart.boundary, "--a b");
    multipart_release(&multipart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_parts_however_the_bytes_come),
        cmocka_unit_test(keeps_what_only_looks_like_a_boundary),
        cmocka_unit_test(cut_or_broken_bodies_are_not_complete),
        cmocka_unit_test(needs_a_boundary),
    };
    buf_init(&seen, 65536);
    int failed = RUN_UNIT_TESTS(tests);
    buf_release(&seen);
    return failed;
}
