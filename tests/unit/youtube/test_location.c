#include "yt_test.h"

#include <stdio.h>

#include "core/limits.h"

static struct err err;

/* What yt_location() makes of one Location; 1: and the URL is the one that was given. */
static int locate(const char *api_root, const char *location)
{
    static char headers[16384];
    struct buf url AUTO_BUF;
    buf_init(&url, 8192);
    snprintf(headers, sizeof(headers), "Content-Length: 0\nLocation: %s\n", location);
    struct yt_http http = http_reply(200, headers, "");
    err = (struct err){0};
    int result = yt_location(&http, api_root, &url, &err);
    if (result == 1)
        assert_string_equal(url.data, location);
    else
        assert_string_equal(url.data, "");
    return result;
}

static void p10_location_of_the_api_is_taken(void **state)
{
    (void)state;
    assert_int_equal(locate(API_ROOT, "https://www.googleapis.com/upload/youtube/v3/videos?upload_id=xa298"),
                     1);
    assert_int_equal(locate(API_ROOT, "https://youtube.googleapis.com/resumable/upload?upload_id=x"), 1);
    assert_int_equal(locate(API_ROOT "/", "https://WWW.googleapis.COM:443/upload?upload_id=x"), 1);
    assert_int_equal(locate("https://youtube.googleapis.com", "https://www.googleapis.com/u?upload_id=x"), 1);
    assert_int_equal(locate("https://127.0.0.1:8443", "https://127.0.0.1:8443/u?upload_id=x"), 1);
    assert_int_equal(locate("https://[::1]:8443", "https://[::1]:8443/u?upload_id=x"), 1);
    assert_int_equal(locate("http://127.0.0.1:8080", "http://127.0.0.1:8080/u?upload_id=x"), 1);
    assert_int_equal(locate("https://proxy.example/api", "https://proxy.example/session?upload_id=x"), 1);
}

static void p10_location_missing_is_told_apart(void **state)
{
    (void)state;
    struct buf url AUTO_BUF;
    buf_init(&url, 8192);
    struct yt_http http = http_reply(200, "Content-Location: https://www.googleapis.com/x\n", "");
    assert_int_equal(yt_location(&http, API_ROOT, &url, &err), 0);
}

static void p10_location_of_another_origin_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "https://evil.example/upload?upload_id=x",
        "https://www.googleapis.com.evil.example/x",
        "https://www.googleapis.com:8443/x",
        "https://googleapis.com/x",
        "https://youtube.googleapis.com:444/x",
        "https://youtube.googleapis.com./x",
        "https://142.250.1.1/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://evil.example#www.googleapis.com/",
        "https://evil.example?www.googleapis.com/",
        "https://evil.example\\@www.googleapis.com/",
        "https://evilwww.googleapis.com/",
        "https://drive.googleapis.com/",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (locate(API_ROOT, bad[i]) != -1)
            fail_msg("taken: %s", bad[i]);
}

static void p10_location_not_absolute_https_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/upload?upload_id=x",
        "//www.googleapis.com/x",
        "upload?upload_id=x",
        "http://www.googleapis.com/x",
        "http://www.googleapis.com:443/x",
        "ftp://www.googleapis.com/x",
        "file:///etc/passwd",
        "https:www.googleapis.com/x",
        "https:///x",
        "https://",
        "https://user@www.googleapis.com/x",
        "https://user:pw@www.googleapis.com/x",
        "https://@www.googleapis.com/x",
        "https://www.googleapis.com@evil.example/x",
        "https://www.googleapis.com/x#fragment",
        "https://www.googleapis.com/a b",
        "https://www.googleapis.com/a\tb",
        "https://www.googleapis.com/\xc3\xa9",
        "https://www.googleapis.com:/x",
        "https://www.googleapis.com:0/x",
        "https://www.googleapis.com:65536/x",
        "https://www.googleapis.com:4430000/x",
        "https://www.googleapis.com:+443/x",
        "https://[::1/x",
        "https://www.googleapis.com%00.evil.example/x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (locate(API_ROOT, bad[i]) != -1)
            fail_msg("taken: %s", bad[i]);
}

static void p10_location_of_a_local_root_stays_with_it(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "https://127.0.0.1:8444/x", "https://127.0.0.2:8443/x",     "http://127.0.0.1:8443/x",
        "https://localhost:8443/x", "https://www.googleapis.com/x", "https://127.0.0.1/x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (locate("https://127.0.0.1:8443", bad[i]) != -1)
            fail_msg("taken: %s", bad[i]);
}

static void p10_location_may_have_4096_bytes(void **state)
{
    (void)state;
    static const char begin[] = "https://www.googleapis.com/u?upload_id=";
    static char url[8193];
    memset(url, 'x', 8192);
    memcpy(url, begin, sizeof(begin) - 1);
    assert_int_equal(locate(API_ROOT, url), -1);
    url[SESSION_URL_LEN_MAX + 1] = '\0';
    assert_int_equal(locate(API_ROOT, url), -1);
    url[SESSION_URL_LEN_MAX] = '\0';
    assert_int_equal(locate(API_ROOT, url), 1);
}

static void p10_location_twice_is_refused(void **state)
{
    (void)state;
    struct buf url AUTO_BUF;
    buf_init(&url, 8192);
    struct yt_http http = http_reply(
        200, "Location: https://www.googleapis.com/a\nLocation: https://www.googleapis.com/b\n", "");
    assert_int_equal(yt_location(&http, API_ROOT, &url, &err), -1);
    assert_string_equal(url.data, "");
}

static void p10_location_refused_names_the_host_and_no_secret(void **state)
{
    (void)state;
    assert_int_equal(locate(API_ROOT, "https://evil.example/p?upload_id=SECRET"), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "evil.example"));
    assert_null(strstr(err.message, "SECRET"));
    assert_int_equal(locate(API_ROOT, "https://evil.example/p#upload_id=SECRET"), -1);
    assert_null(strstr(err.message, "SECRET"));
    assert_int_equal(locate(API_ROOT, "/p?upload_id=SECRET"), -1);
    assert_null(strstr(err.message, "SECRET"));
}

static void the_api_root_is_https_or_loopback_when_asked_for(void **state)
{
    (void)state;
    assert_int_equal(yt_check_api_root(API_ROOT, false, &err), 0);
    assert_int_equal(yt_check_api_root("https://127.0.0.1:1/", false, &err), 0);
    static const char *const local[] = {"http://127.0.0.1:1", "http://127.255.255.255", "http://[::1]:9",
                                        "http://localhost:8"};
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        assert_int_equal(yt_check_api_root(local[i], true, &err), 0);
        assert_int_equal(yt_check_api_root(local[i], false, &err), ERR_INVALID);
        assert_non_null(strstr(err.message, "must be asked for"));
    }
    static const char *const bad[] = {"http://www.googleapis.com",
                                      "http://127.0.0.1.evil.example",
                                      "http://[::2]",
                                      "http://10.0.0.1",
                                      "www.googleapis.com",
                                      "",
                                      "https://a@b",
                                      "https://b?q=1",
                                      "https://b#f",
                                      "http://127.1",
                                      "http://2130706433"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (yt_check_api_root(bad[i], true, &err) != ERR_INVALID)
            fail_msg("taken: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p10_location_of_the_api_is_taken),
        cmocka_unit_test(p10_location_missing_is_told_apart),
        cmocka_unit_test(p10_location_of_another_origin_is_refused),
        cmocka_unit_test(p10_location_not_absolute_https_is_refused),
        cmocka_unit_test(p10_location_of_a_local_root_stays_with_it),
        cmocka_unit_test(p10_location_may_have_4096_bytes),
        cmocka_unit_test(p10_location_twice_is_refused),
        cmocka_unit_test(p10_location_refused_names_the_host_and_no_secret),
        cmocka_unit_test(the_api_root_is_https_or_loopback_when_asked_for),
    };
    return RUN_UNIT_TESTS(tests);
}
