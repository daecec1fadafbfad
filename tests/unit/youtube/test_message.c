#include "yt_test.h"

#include <stdio.h>

#include "core/limits.h"
#include "youtube/message.h"

static char message[MESSAGE_SIZE];

static const char *from_text(const char *text)
{
    yt_message_from_text(message, sizeof(message), text, strlen(text));
    assert_true(utf8_is_valid(message, strlen(message)));
    return message;
}

static const char *from_body(const char *body)
{
    yt_message_from_body(message, sizeof(message), body, strlen(body));
    assert_true(utf8_is_valid(message, strlen(message)));
    return message;
}

static void a_message_is_one_clean_line(void **state)
{
    (void)state;
    assert_string_equal(from_text("  a\n\n b\tc\x1b[31m \xe2\x80\xae x  "), "a b c [31m x");
    assert_string_equal(from_text("h\xc3\xa9\xff\xc3"), "h\xc3\xa9??");
    assert_string_equal(from_text(""), "");
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    char text[1024] = "";
    for (int i = 0; i < 300; i++)
        strcat(text, "\xe2\x82\xac");
    assert_int_equal(strlen(from_text(text)), 255);
    memmove(text + 1, text, strlen(text) + 1);
    text[0] = 'a';
    assert_int_equal(strlen(from_text(text)), 253);
}

static void the_limit_clause_of_a_long_message_is_kept(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof(text),
             "%0300d and Limit 'Video Uploads Per Day' of service 'youtube.googleapis.com'%0300d", 0, 0);
    assert_true(text_starts_with(from_text(text), "Limit 'Video Uploads Per Day' of service"));
    snprintf(text, sizeof(text), "short limit 'a per day'%0300d", 0);
    assert_true(text_starts_with(from_text(text), "short limit 'a per day'"));
    snprintf(text, sizeof(text), "%0200d limit '%0100d per day' of", 0, 0);
    assert_non_null(strstr(from_text(text), "per day' of"));
    snprintf(text, sizeof(text), "%0300d limit '%0600d per day' of", 0, 0);
    assert_true(text_starts_with(from_text(text), "limit '…0"));
    assert_non_null(strstr(message, "per day'"));
    snprintf(text, sizeof(text), "%0300d limit '%0600d per day", 0, 0);
    assert_non_null(strstr(from_text(text), "per day"));
}

static void the_first_printable_line_of_a_text_is_taken(void **state)
{
    (void)state;
    assert_string_equal(from_body("\r\n  \nInvalid request.\r\nSecond line"), "Invalid request.");
    assert_string_equal(from_body("\n \t\n"), "");
    yt_message_from_body(message, sizeof(message), "\0\0 a\0b\nc", 8);
    assert_string_equal(message, "a b");
    yt_message_from_body(message, sizeof(message), NULL, 0);
    assert_string_equal(message, "");
}

static void html_is_read_without_its_tags(void **state)
{
    (void)state;
    assert_string_equal(
        from_body(
            "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
            "<style>\n*{margin:0}</style><script>x()\n</script>\n<title>Error 404 (Not Found)!!1</title>\n"
            "<p>more"),
        "Error 404 (Not Found)!!1");
    assert_string_equal(from_body("<html><body></body>"), "");
    assert_string_equal(from_body("<unclosed"), "");
    assert_string_equal(from_body("<style>never ends"), "");
}

/* Google's own page for a 404 repeats the URL, and with it the session's secret. */
static void i05_no_secret_comes_through(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "The requested URL "
        "<code>/upload/youtube/v3/videos?uploadType=resumable&upload_id=SECRET_-x.y~z%2F&a=b</code> was not "
        "found",
        "upload_id: \"SECRET\"",
        "UPLOAD_ID%3DSECRET",
        "Authorization: Bearer SECRET",
        "token ya29.SECRET is bad",
        "1//SECRET",
        "GOCSPX-SECRET",
        "{\"refresh_token\" : \"SECRET\"}",
        "client_secret=SECRET&x",
        "access_token=SECRET",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_null(strstr(from_text(texts[i]), "SECRET"));
        assert_null(strstr(from_body(texts[i]), "SECRET"));
        assert_non_null(strstr(from_text(texts[i]), "…"));
    }
    assert_string_equal(
        from_text(texts[0]),
        "The requested URL <code>/upload/youtube/v3/videos?uploadType=resumable&upload_id…&a=b"
        "</code> was not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_clean_line),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(the_limit_clause_of_a_long_message_is_kept),
        cmocka_unit_test(the_first_printable_line_of_a_text_is_taken),
        cmocka_unit_test(html_is_read_without_its_tags),
        cmocka_unit_test(i05_no_secret_comes_through),
    };
    return RUN_UNIT_TESTS(tests);
}
