#include "yt_test.h"

#include "base/err.h"

static struct err err;

static int parse(const char *json, struct yt_token_file *ret)
{
    err = (struct err){0};
    return yt_parse_token_file(json, strlen(json), ret, &err);
}

static void each_programs_file_is_known_by_its_keys(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *kind;
        const char *client_id;
    } cases[] = {
        {"{\"access_token\":\"ya29.a\",\"token_type\":\"Bearer\",\"refresh_token\":\"1//r\",\"expiry\":"
         "\"0001-01-01T00:00:00Z\"}",
         "youtubeuploader", ""},
        {"{\"_module\":\"oauth2client.client\",\"access_token\":\"a\",\"refresh_token\":\"1//r\","
         "\"client_id\":\"c\",\"token_expiry\":null,\"invalid\":false}",
         "oauth2client", "c"},
        {"{\"access_token\":\"a\",\"refresh_token\":\"1//r\",\"client_id\":\"c\",\"token_expiry\":null}",
         "oauth2client", "c"},
        {"{\"token\":\"a\",\"refresh_token\":\"1//r\",\"client_id\":\"c\",\"scopes\":\"a b\"}", "google-auth",
         "c"},
        {"\xef\xbb\xbf{\"type\":\"authorized_user\",\"refresh_token\":\"1//r\",\"client_id\":\"c\"}",
         "google-auth", "c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_token_file file;
        assert_int_equal(parse(cases[i].json, &file), 0);
        assert_string_equal(file.kind, cases[i].kind);
        assert_string_equal(file.client_id, cases[i].client_id);
        assert_string_equal(file.refresh_token, "1//r");
    }
}

static void what_is_wrong_is_told_without_a_value(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *part;
    } cases[] = {
        {"", "line"},
        {"{\"refresh_token\":\"TOPSECRET\" x}", "line 1"},
        {"{\"refresh_token\":\"TOPSECRET\",\"refresh_token\":\"TOPSECRET\"}", "twice"},
        {"\x80\x04", "pickle"},
        {"{\"refresh_token\":\"TOPSECRET\"}", "neither"},
        {"{\"installed\":{\"client_secret\":\"TOPSECRET\"}}", "client import"},
        {"{\"type\":\"service_account\",\"private_key\":\"TOPSECRET\"}", "service account"},
        {"{\"access_token\":\"TOPSECRET\"}", "refresh_token is missing"},
        {"{\"access_token\":\"TOPSECRET\",\"refresh_token\":null}", "refresh_token is missing"},
        {"{\"access_token\":\"TOPSECRET\",\"refresh_token\":\"TOPSECRET \"}", "refresh_token is not"},
        {"{\"access_token\":\"TOPSECRET\",\"refresh_token\":\"TOPSECRET\\r\\nX: y\"}",
         "refresh_token is not"},
        {"{\"access_token\":\"TOPSECRET\",\"refresh_token\":{}}", "refresh_token is not"},
        {"{\"token_expiry\":null,\"refresh_token\":\"TOPSECRET\"}", "client_id"},
        {"{\"token_expiry\":null,\"refresh_token\":\"TOPSECRET\",\"client_id\":\"\\u001b[2J\"}", "client_id"},
        {"{\"token_expiry\":null,\"refresh_token\":\"TOPSECRET\",\"client_id\":\"c\",\"invalid\":true}",
         "invalid"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_token_file file;
        assert_int_equal(parse(cases[i].json, &file), ERR_INVALID);
        assert_non_null(strstr(err.message, cases[i].part));
        assert_null(strstr(err.message, "TOPSECRET"));
        assert_string_equal(file.refresh_token, "");
        assert_int_equal(yt_parse_token_file(cases[i].json, strlen(cases[i].json), &file, NULL), ERR_INVALID);
    }
}

/* ---- the device flow's first reply ---- */

static int parse_code(int status, const char *body, struct yt_device_code *ret)
{
    struct yt_http http = http_reply(status, "", body);
    err = (struct err){0};
    return yt_parse_device_code(&http, ret, &err);
}

#define GOOD_CODE "\"device_code\":\"AH-1Ng\",\"user_code\":\"ABCD-EFGH\""

static void a_device_code_is_read(void **state)
{
    (void)state;
    struct yt_device_code code;
    assert_int_equal(parse_code(200,
                                "{" GOOD_CODE ",\"verification_url\":\"https://www.google.com/device\","
                                "\"expires_in\":1800,\"interval\":7}",
                                &code),
                     0);
    assert_string_equal(code.device_code, "AH-1Ng");
    assert_string_equal(code.user_code, "ABCD-EFGH");
    assert_string_equal(code.url, "https://www.google.com/device");
    assert_int_equal(code.expires_in_ms, 1800000);
    assert_int_equal(code.interval_ms, 7000);
    assert_int_equal(parse_code(200, "{" GOOD_CODE ",\"verification_uri\":\"https://a.example/\"}", &code),
                     0);
    assert_int_equal(code.expires_in_ms, 1800000);
    assert_int_equal(code.interval_ms, 5000);
}

static void odd_times_of_a_device_code_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *expires_in, *interval;
        int64_t expires_in_ms, interval_ms;
    } cases[] = {
        {"0", "0", 60000, 1000},
        {"-1", "-1", 1800000, 5000},
        {"1e300", "1e300", 1800000, 5000},
        {"9007199254740992", "9007199254740992", 86400000, 60000},
        {"null", "\"soon\"", 1800000, 5000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf body AUTO_BUF = BUF_INIT(1024);
        struct yt_device_code code;
        buf_printf(&body,
                   "{" GOOD_CODE ",\"verification_url\":\"https://a/\",\"expires_in\":%s,\"interval\":%s}",
                   cases[i].expires_in, cases[i].interval);
        assert_int_equal(parse_code(200, body.data, &code), 0);
        assert_int_equal(code.expires_in_ms, cases[i].expires_in_ms);
        assert_int_equal(code.interval_ms, cases[i].interval_ms);
    }
}

static void a_reply_that_is_no_device_code_is_none(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int code;
        const char *part;
    } cases[] = {
        {200, "", ERR_IO, "cannot be understood"},
        {200, "{\"user_code\":\"A\",\"verification_url\":\"https://a/\"}", ERR_IO, "cannot be understood"},
        {200, "{\"device_code\":\"a b\",\"user_code\":\"A\",\"verification_url\":\"https://a/\"}", ERR_IO,
         ""},
        {200, "{" GOOD_CODE ",\"verification_url\":\"javascript:alert(1)\"}", ERR_INVALID, "page"},
        {200, "{" GOOD_CODE ",\"verification_url\":\"http://a.example/\"}", ERR_INVALID, "https"},
        {401, "{\"error\":\"invalid_client\"}", ERR_AUTH, "TVs and Limited Input devices"},
        {400, "{\"error\":\"invalid_scope\"}", ERR_AUTH, "invalid_scope"},
        {403, "{\"error_code\":\"rate_limit_exceeded\"}", ERR_IO, "try again"},
        {503, "", ERR_IO, "try again"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_device_code code;
        assert_int_equal(parse_code(cases[i].status, cases[i].body, &code), cases[i].code);
        assert_non_null(strstr(err.message, cases[i].part));
        assert_string_equal(code.device_code, "");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_programs_file_is_known_by_its_keys),
        cmocka_unit_test(what_is_wrong_is_told_without_a_value),
        cmocka_unit_test(a_device_code_is_read),
        cmocka_unit_test(odd_times_of_a_device_code_are_bounded),
        cmocka_unit_test(a_reply_that_is_no_device_code_is_none),
    };
    return RUN_UNIT_TESTS(tests);
}
