/* Which URLs may be used, and what their origin is (docs/faults.md P10). */
#include <string.h>

#include "base/attr.h"
#include "http/http.h"
#include "unit.h"

static void check(const char *url, bool https, const char *host, int port)
{
    struct http_origin origin;
    struct err err = {0};
    if (http_origin_parse(url, &origin, &err))
        fail_msg("%s: %s", url, err.message);
    assert_int_equal(origin.https, https);
    assert_string_equal(origin.host, host);
    assert_int_equal(origin.port, port);
}

static void origins_are_read(void **state)
{
    (void)state;
    check("https://www.googleapis.com/upload?upload_id=x", true, "www.googleapis.com", 443);
    check("https://WWW.GoogleAPIs.com", true, "www.googleapis.com", 443);
    check("HTTPS://h:8443/", true, "h", 8443);
    check("http://127.0.0.1:80/", false, "127.0.0.1", 80);
    check("https://[::1]:9/", true, "::1", 9);
    check("https://h?q=@x", true, "h", 443);
    check("https://h/a@b", true, "h", 443);
    check("https://h./", true, "h.", 443);
}

static void p10_doubtful_urls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/upload",
        "//h/",
        "h/",
        "ftp://h/",
        "https:/h/",
        "https:///h/",
        "https://",
        "https://?x",
        "https:h",
        "https://u@h/",
        "https://u:p@h/",
        "https://@h/",
        "https://www.googleapis.com@evil.example/",
        "https://h\\@evil.example/",
        "https://h/#f",
        "https://h:0/",
        "https://h:65536/",
        "https://h:x/",
        "https://h:-1/",
        "https://h/ x",
        "https://h/\r\nX: y",
        "https://h/\x7f",
        "https://h/\xc3\xa9",
        "https://\xd0\xb5.example/",
        " https://h/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "javascript:x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_origin origin = {.port = 7};
        struct err err = {0};
        if (http_origin_parse(bad[i], &origin, &err) != ERR_INVALID)
            fail_msg("taken: %s as %s", bad[i], origin.host);
        assert_int_equal(origin.port, 7); /* untouched */
        assert_true(err.message[0]);
    }
}

static void loopback_is_a_matter_of_the_address(void **state)
{
    (void)state;
    assert_true(http_host_is_loopback("127.0.0.1") && http_host_is_loopback("127.255.0.9"));
    assert_true(http_host_is_loopback("::1") && http_host_is_loopback("0:0:0:0:0:0:0:1"));
    assert_true(http_host_is_loopback("localhost") && http_host_is_loopback("LOCALHOST"));
    assert_false(http_host_is_loopback("127.0.0.1.example") || http_host_is_loopback("128.0.0.1"));
    assert_false(http_host_is_loopback("localhost.example") || http_host_is_loopback("::2"));
    assert_false(http_host_is_loopback("0.0.0.0") || http_host_is_loopback("") ||
                 http_host_is_loopback("::ffff:127.0.0.1"));
}

static void private_hosts_are_told(void **state)
{
    (void)state;
    static const char *const are[] = {"localhost", "127.0.0.1", "10.0.0.1",
                                      "::1",       "fd00::1",   "::ffff:10.0.0.1"};
    static const char *const are_not[] = {"h", "sub.localhost", "10.0.0.1.example", "8.8.8.8", "2a00::1", ""};
    for (size_t i = 0; i < ARRAY_LEN(are); i++)
        assert_true(http_host_is_private(are[i]));
    for (size_t i = 0; i < ARRAY_LEN(are_not); i++)
        assert_false(http_host_is_private(are_not[i]));
}

/* Other spellings of an address are brought to the one that is compared. */
static void an_address_has_one_spelling(void **state)
{
    (void)state;
    check("https://0x7f.1/", true, "127.0.0.1", 443);
    check("https://2130706433/", true, "127.0.0.1", 443);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins_are_read),
        cmocka_unit_test(p10_doubtful_urls_are_refused),
        cmocka_unit_test(loopback_is_a_matter_of_the_address),
        cmocka_unit_test(private_hosts_are_told),
        cmocka_unit_test(an_address_has_one_spelling),
    };
    return RUN_UNIT_TESTS(tests);
}
