#include "unit.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

static void utf8_rejects_what_is_not_shortest(void **state)
{
    (void)state;
    assert_true(utf8_is_valid("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac", 10));
    assert_false(utf8_is_valid("\xc0\x80", 2));
    assert_false(utf8_is_valid("\xed\xa0\x80", 3));
    assert_false(utf8_is_valid("\xf4\x90\x80\x80", 4));
    assert_false(utf8_is_valid("\xe2\x82", 2));
    assert_int_equal(utf8_length("h\xc3\xa9\xe2\x82\xac"), 3);
}

static void escape_hides_control_and_bidi(void **state)
{
    (void)state;
    struct buf out AUTO_BUF;
    buf_init(&out, 200);
    text_escape(&out, "a\n\x1b[1m\xe2\x80\xae\"\xff", true);
    assert_string_equal(out.data, "a\\u{a}\\u{1b}[1m\\u{202e}\\\"\\xff");
}

static void json_keeps_its_meaning_and_moves_no_cursor(void **state)
{
    (void)state;
    struct buf out AUTO_BUF;
    buf_init(&out, 200);
    text_escape_json(&out, "[\"\xc2\x9b\xe2\x80\xae\x7f\xd8\x9c h\xc3\xa9\xf0\x9f\x8e\xac\\n\"]");
    assert_string_equal(out.data, "[\"\\u009b\\u202e\\u007f\\u061c h\xc3\xa9\xf0\x9f\x8e\xac\\n\"]");
}

static void codecs_match_the_rfc(void **state)
{
    (void)state;
    char text[32];
    unsigned char bytes[3];
    text_base64url(text, "\xfb\xff\xbf\x01", 4);
    assert_string_equal(text, "-_-_AQ");
    text_hex(text, "\x01\xab\xff", 3);
    assert_string_equal(text, "01abff");
    assert_true(text_unhex(bytes, 3, text));
    assert_memory_equal(bytes, "\x01\xab\xff", 3);
    assert_true(text_unhex(bytes, 3, "01ABff")); /* browsers write %2F */
    assert_memory_equal(bytes, "\x01\xab\xff", 3);
    assert_false(text_unhex(bytes, 3, "01abf"));
    assert_false(text_unhex(bytes, 3, "01abfg"));
}

static void copy_cuts_between_code_points(void **state)
{
    (void)state;
    char small[4];
    assert_false(text_copy(small, sizeof(small), "ab\xe2\x82\xac"));
    assert_string_equal(small, "ab");
}

static void mending_leaves_letters_alone(void **state)
{
    (void)state;
    char good[] = "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac", cut[] = "h\xf0\x9f\x8e",
         bad[] = "\xff\xc3(\xed\xa0\x80", empty[] = "";
    text_mend(good);
    assert_string_equal(good, "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac");
    text_mend(cut);
    assert_string_equal(cut, "h");
    text_mend(bad);
    assert_string_equal(bad, "?"
                             "?(???");
    text_mend(empty);
    assert_string_equal(empty, "");
}

static void buffer_stops_at_its_cap(void **state)
{
    (void)state;
    struct buf out AUTO_BUF;
    buf_init(&out, 4);
    assert_true(buf_puts(&out, "abcd"));
    assert_false(buf_putc(&out, 'e'));
    assert_true(out.overflowed);
    assert_string_equal(out.data, "abcd");
}

static void keep_line(void *ctx, const char *line, size_t len)
{
    buf_append(ctx, line, len);
}

static void a_title_cannot_forge_a_log_line(void **state)
{
    (void)state;
    struct buf lines AUTO_BUF;
    buf_init(&lines, 4096);
    log_set_sink(keep_line, &lines);
    LOG(LOG_INFO, "added", F_STR("title", "x\nlevel=error msg=\"forged\""), F_U64("bytes", 5),
        F_STR("none", NULL));
    log_setup(LOG_INFO, LOG_JSON);
    LOG(LOG_WARN, "again", F_STR("title", "\"\\\n"), F_I64("n", -1));
    log_set_sink(NULL, NULL);
    assert_non_null(strstr(lines.data, "title=\"x\\u{a}level=error msg=\\\"forged\\\"\" bytes=5\n"));
    assert_non_null(strstr(lines.data, "\"msg\":\"again\",\"title\":\"\\\"\\\\\\\\u{a}\",\"n\":-1}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_rejects_what_is_not_shortest),
        cmocka_unit_test(escape_hides_control_and_bidi),
        cmocka_unit_test(json_keeps_its_meaning_and_moves_no_cursor),
        cmocka_unit_test(codecs_match_the_rfc),
        cmocka_unit_test(copy_cuts_between_code_points),
        cmocka_unit_test(mending_leaves_letters_alone),
        cmocka_unit_test(buffer_stops_at_its_cap),
        cmocka_unit_test(a_title_cannot_forge_a_log_line),
    };
    return RUN_UNIT_TESTS(tests);
}
