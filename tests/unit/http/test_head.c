/* A reply's head, and asking it for one header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/head.h"
#include "http/http.h"
#include "unit.h"

static bool take(struct head *head, const char *line)
{
    return head_take(head, line, strlen(line));
}

static void the_final_response_is_kept(void **state)
{
    (void)state;
    struct head head;
    head_init(&head);
    assert_true(take(&head, "HTTP/1.1 100 Continue\r\n") && take(&head, "X: y\r\n") && take(&head, "\r\n"));
    assert_false(head.is_done);
    assert_true(take(&head, "HTTP/1.1 308 Resume Incomplete\r\n") && take(&head, "Range: bytes=0-9\r\n"));
    assert_true(take(&head, "content-length: 12 \r\n") && take(&head, "\r\n"));
    assert_true(head.is_done);
    assert_int_equal(head.status, 308);
    assert_int_equal(head.length_bytes, 12);
    assert_string_equal(head.lines.data, "Range: bytes=0-9\ncontent-length: 12 \n");
    head_release(&head);
}

static void all_of_it_stays_under_the_cap(void **state)
{
    (void)state;
    struct head head;
    int count = 0;
    head_init(&head);
    assert_true(take(&head, "HTTP/1.1 200 OK\r\n"));
    while (take(&head, "X: 0123456789012345678901234567890123456789012345678901234567\r\n"))
        count++;
    assert_true(head.total_bytes > HEAD_BYTES_MAX && head.total_bytes < HEAD_BYTES_MAX + 100);
    assert_true(count > 500);
    assert_string_equal(head.trouble, "headers over 32 KiB");
    head_release(&head);
}

static void p12_bytes_that_do_not_belong_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1\r\n",
        " folded\r\n",        "name only\r\n",       ": value\r\n",
        "a b: c\r\n",         "a: b\rc\r\n",         "Content-Length: 0x10\r\n",
        "Content-Length:\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct head head;
        head_init(&head);
        assert_true(take(&head, "HTTP/1.1 200 OK\r\n"));
        assert_false(take(&head, lines[i]));
        assert_non_null(head.trouble);
        head_release(&head);
    }
    struct head head;
    head_init(&head);
    assert_false(head_take(&head, "a: b\0c\r\n", 8));
    head_release(&head);
}

/* Any bytes at all: nothing but a verdict comes of it. */
static void random_lines_do_no_harm(void **state)
{
    (void)state;
    static const char bits[] = "HTTP/1.1 200 \r\n:\t Content-Length: 09aZ\xff\x01";
    unsigned seed = (unsigned)(uintptr_t)&state ^ 0x5eedu;
    print_message("# seed %u\n", seed);
    for (int round = 0; round < 20000; round++) {
        char line[64];
        struct head head;
        size_t len = (size_t)(rand_r(&seed) % 60);
        for (size_t i = 0; i < len; i++)
            line[i] = bits[(size_t)rand_r(&seed) % sizeof bits];
        head_init(&head);
        (void)!head_take(&head, line, len);
        (void)!head_take(&head, line, len);
        head_release(&head);
    }
}

static void a_header_is_found_whatever_its_case(void **state)
{
    (void)state;
    char value[32];
    const char *headers = "Range: bytes=0-9\nX-Long: 0123456789\nEmpty:\nlocation:\thttps://h/ \n";
    assert_true(http_header(headers, "range", value, sizeof value));
    assert_string_equal(value, "bytes=0-9");
    assert_true(http_header(headers, "Location", value, sizeof value));
    assert_string_equal(value, "https://h/");
    assert_true(http_header(headers, "empty", value, sizeof value));
    assert_string_equal(value, "");
    assert_false(http_header(headers, "Long", value, sizeof value));
    assert_false(http_header(headers, "X-Long", value, 10));
    assert_true(http_header(headers, "X-Long", value, 11));
    assert_false(http_header("", "X", value, sizeof value));
    assert_true(http_has_header(headers, "EMPTY"));
    assert_false(http_has_header(headers, "bytes"));
}

static void a_doubled_header_counts_if_it_agrees(void **state)
{
    (void)state;
    char value[32];
    assert_true(http_header("A: 1\nB: 2\na: 1 \n", "A", value, sizeof value));
    assert_string_equal(value, "1");
    assert_false(http_header("A: 1\nB: 2\na: 2\n", "A", value, sizeof value));
    assert_false(http_header("A: 1\nA: 12\n", "A", value, sizeof value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_final_response_is_kept),
        cmocka_unit_test(all_of_it_stays_under_the_cap),
        cmocka_unit_test(p12_bytes_that_do_not_belong_are_refused),
        cmocka_unit_test(random_lines_do_no_harm),
        cmocka_unit_test(a_header_is_found_whatever_its_case),
        cmocka_unit_test(a_doubled_header_counts_if_it_agrees),
    };
    return RUN_UNIT_TESTS(tests);
}
