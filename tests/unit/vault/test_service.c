/* What is asked of a token service, what its answers mean, and what the broker shows to it. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "scratch.h"
#include "vault/service.h"

#define NOW_MS   INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define GOOD     "\"access_token\":\"ya29.a\""
#define SCOPE(x) "https://www.googleapis.com/auth/" x

static struct service_reply parse_with(int status, const char *headers, const char *body)
{
    struct yt_http http = {.status = status, .headers = headers, .body = body, .body_len = strlen(body)};
    struct service_reply reply;
    service_parse_reply(&http, NOW_MS, &reply);
    assert_int_equal(reply.http_status, status);
    return reply;
}

static struct service_reply parse(int status, const char *body)
{
    return parse_with(status, "", body);
}

/* ---- the question ---- */

static void a_question_names_the_channel(void **state)
{
    (void)state;
    struct buf body AUTO_BUF = BUF_INIT(1024);
    service_build_ask(
        &(struct service_ask){
            .tenant = "acme", .channel = "main", .yt_channel_id = "UCone", .is_fresh_wanted = true},
        &body);
    assert_string_equal(
        body.data, "{\"version\":1,\"tenant\":\"acme\",\"channel\":\"main\",\"channel_id\":\"UCone\","
                   "\"scope\":\"" SCOPE("youtube.upload") " " SCOPE("youtube.readonly") "\",\"fresh\":true}");
}

static void a_channel_that_is_not_known_yet_is_null(void **state)
{
    (void)state;
    struct buf body AUTO_BUF = BUF_INIT(1024);
    service_build_ask(&(struct service_ask){.tenant = "a", .channel = "b", .yt_channel_id = ""}, &body);
    assert_non_null(strstr(body.data, "\"channel_id\":null"));
    assert_non_null(strstr(body.data, "\"fresh\":false"));
}

/* ---- tokens ---- */

static void a_whole_answer_is_read(void **state)
{
    (void)state;
    struct service_reply reply =
        parse(200, "{" GOOD ",\"expires_in\":1800,\"channel_id\":\"UCone\",\"scope\":\"a b\",\"more\":[1]}");
    assert_int_equal(reply.token.result, TOKEN_OK);
    assert_string_equal(reply.token.access_token, "ya29.a");
    assert_int_equal(reply.token.expires_in_ms, 1800000);
    assert_string_equal(reply.channel_id, "UCone");
    assert_string_equal(reply.token.scope, "a b");
    assert_false(reply.is_for_operator);
}

static void channel_and_scope_may_be_left_out(void **state)
{
    (void)state;
    static const char *const bodies[] = {("{" GOOD "}"), ("{" GOOD ",\"channel_id\":null,\"scope\":null}")};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct service_reply reply = parse(200, bodies[i]);
        assert_int_equal(reply.token.result, TOKEN_OK);
        assert_string_equal(reply.channel_id, "");
        assert_string_equal(reply.token.scope, "");
    }
}

static void k05_the_end_is_clamped(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t life_ms;
    } cases[] = {
        {"{" GOOD "}", 60000},
        {"{" GOOD ",\"expires_in\":0}", 60000},
        {"{" GOOD ",\"expires_in\":-5}", 60000},
        {"{" GOOD ",\"expires_in\":9223372036854775807}", 86400000},
        {"{" GOOD ",\"expires_at\":\"2027-01-15T08:30:00Z\"}", 1800000},
        {"{" GOOD ",\"expires_at\":\"2027-01-15T09:30:00+01:00\"}", 1800000},
        {"{" GOOD ",\"expires_at\":\"2027-01-15T07:00:00Z\"}", 60000},
        {"{" GOOD ",\"expires_at\":\"9999-12-31T23:59:59Z\"}", 86400000},
        {"{" GOOD ",\"expires_at\":\"soon\"}", 60000},
        {"{" GOOD ",\"expires_at\":1800000900}", 60000},
        /* What depends on no clock wins. */
        {"{" GOOD ",\"expires_in\":600,\"expires_at\":\"2027-01-15T08:30:00Z\"}", 600000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct service_reply reply = parse(200, cases[i].body);
        assert_int_equal(reply.token.result, TOKEN_OK);
        assert_int_equal(reply.token.expires_in_ms, cases[i].life_ms);
    }
}

static void k05_what_is_no_token_is_not_taken(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"access_token\":17}",
        "{\"access_token\":\"\"}",
        "{\"access_token\":\"a\\r\\nX: y\"}",
        "{\"access_token\":\"a\\u0000b\"}",
        "{\"access_token\":\"\xc3\xbc\"}",
        ("{" GOOD ",\"token_type\":\"mac\"}"),
        ("{" GOOD ",\"channel_id\":17}"),
        ("{" GOOD ",\"channel_id\":\"\"}"),
        ("{" GOOD ",\"channel_id\":\"UC one\"}"),
        ("{" GOOD ",\"channel_id\":\"UC\\u0000\"}"),
        ("{" GOOD),
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct service_reply reply = parse(200, bodies[i]);
        assert_int_equal(reply.token.result, TOKEN_TRANSIENT);
        assert_string_equal(reply.token.access_token, "");
        assert_true(reply.token.message[0] != '\0');
        assert_true(reply.is_for_operator);
    }
}

static void k05_a_cut_answer_is_not_taken(void **state)
{
    (void)state;
    struct yt_http http = {.status = 200,
                           .headers = "",
                           .body = "{" GOOD "}",
                           .body_len = strlen("{" GOOD "}"),
                           .body_is_cut = true};
    struct service_reply reply;
    service_parse_reply(&http, NOW_MS, &reply);
    assert_int_equal(reply.token.result, TOKEN_TRANSIENT);
}

static void a_refresh_token_is_not_kept(void **state)
{
    (void)state;
    struct service_reply reply = parse(200, "{" GOOD ",\"refresh_token\":\"1//r\"}");
    assert_int_equal(reply.token.result, TOKEN_OK);
    assert_string_equal(reply.token.refresh_token, "");
}

/* ---- refusals ---- */

static void refusals_have_names(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum token_result result;
        bool is_for_operator;
    } cases[] = {
        {404, "{\"error\":\"unknown_channel\"}", TOKEN_NONE, false},
        {403, "{\"error\":\"revoked\"}", TOKEN_REVOKED, false},
        {409, "{\"error\":\"revoked\"}", TOKEN_REVOKED, false},
        {410, "{\"error\":\"revoked\"}", TOKEN_REVOKED, false},
        {403, "{\"error\":\"scope_missing\"}", TOKEN_SCOPE, false},
        {403, "{\"error\":\"client_refused\"}", TOKEN_CLIENT, false},
        /* What does not speak for the channel. */
        {404, "{\"error\":\"not_found\"}", TOKEN_TRANSIENT, true},
        {404, "<html>unknown_channel</html>", TOKEN_TRANSIENT, true},
        {403, "{\"error\":{\"code\":\"revoked\"}}", TOKEN_TRANSIENT, true},
        {403, "{\"error\":\"invalid_grant\"}", TOKEN_TRANSIENT, true},
        {401, "{\"error\":\"revoked\"}", TOKEN_TRANSIENT, true},
        {400, "", TOKEN_TRANSIENT, true},
        {302, "{\"error\":\"revoked\"}", TOKEN_TRANSIENT, true},
        {201, "{" GOOD "}", TOKEN_TRANSIENT, true},
        {408, "{\"error\":\"revoked\"}", TOKEN_TRANSIENT, false},
        {429, "{\"error\":\"revoked\"}", TOKEN_TRANSIENT, false},
        {500, "{\"error\":\"revoked\"}", TOKEN_TRANSIENT, false},
        {503, "", TOKEN_TRANSIENT, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct service_reply reply = parse(cases[i].status, cases[i].body);
        assert_int_equal(reply.token.result, cases[i].result);
        assert_int_equal(reply.is_for_operator, cases[i].is_for_operator);
        assert_string_equal(reply.token.access_token, "");
        assert_true(reply.token.message[0] != '\0');
    }
}

static void retry_after_and_the_message_are_kept(void **state)
{
    (void)state;
    struct service_reply reply =
        parse_with(503, "Retry-After: 7\n", "{\"error\":\"busy\",\"error_description\":\"later\\n please\"}");
    assert_int_equal(reply.token.retry_after_ms, 7000);
    assert_string_equal(reply.token.message, "busy: later please");
    assert_int_equal(parse(429, "").token.retry_after_ms, -1);
}

/* ---- what the broker shows ---- */

static char path[96], pem[96];

static int make_folder(void **state)
{
    if (scratch_open(state) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/bearer", scratch);
    snprintf(pem, sizeof(pem), "%s/cert.pem", scratch);
    return 0;
}

static int read_bearer(const char *text, mode_t mode, struct secret *ret)
{
    put_file(path, text, mode);
    return service_read_bearer(path, ret, NULL);
}

static void a_bearer_is_one_line(void **state)
{
    (void)state;
    static const char *const good[] = {"abc", "abc\n", "abc\r\n"};
    static const char *const bad[] = {"", "\n", "abc\n\n", "abc\ndef", "a b", "a\tb", "\xc3\xbc", "abc\rd\n"};
    struct secret bearer AUTO_SECRET = {0};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(read_bearer(good[i], 0600, &bearer), 0);
        assert_string_equal(bearer.data, "Authorization: Bearer abc");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(read_bearer(bad[i], 0600, &bearer), ERR_AUTH);
}

static void a_bearer_has_at_most_4096_characters(void **state)
{
    (void)state;
    char text[4100];
    struct secret bearer AUTO_SECRET = {0};
    memset(text, 'a', sizeof(text));
    strcpy(text + 4096, "\n");
    assert_int_equal(read_bearer(text, 0600, &bearer), 0);
    assert_int_equal(bearer.len, strlen("Authorization: Bearer ") + 4096);
    strcpy(text + 4096, "a");
    assert_int_equal(read_bearer(text, 0600, &bearer), ERR_AUTH);
    strcpy(text + 4096, "\r\nb");
    assert_int_equal(read_bearer(text, 0600, &bearer), ERR_AUTH);
}

static void k11_a_bearer_that_others_may_read_is_refused(void **state)
{
    (void)state;
    struct secret bearer AUTO_SECRET = {0};
    static const mode_t modes[] = {0604, 0640, 0620, 0602, 0777};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        assert_int_equal(read_bearer("abc", modes[i], &bearer), ERR_AUTH);
    unlink(path);
    assert_int_equal(service_read_bearer(path, &bearer, NULL), ERR_NOT_FOUND);
    assert_int_equal(service_read_bearer(scratch, &bearer, NULL), ERR_AUTH);
}

static int check(struct service_config config, bool allow_plain)
{
    return service_check(&config, allow_plain, NULL);
}

static void only_https_and_someone_to_be(void **state)
{
    (void)state;
    put_file(path, "abc\n", 0600);
    assert_int_equal(
        check((struct service_config){.url = "https://t.example/v1", .bearer_file = path}, false), 0);
    assert_int_equal(check((struct service_config){.url = "http://127.0.0.1:1/", .bearer_file = path}, true),
                     0);
    static const char *const bad[] = {"t.example",
                                      "ftp://t.example/",
                                      "http://t.example/",
                                      "https://u@t.example/",
                                      "https://t.example/#here",
                                      "http://10.0.0.1/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(check((struct service_config){.url = bad[i], .bearer_file = path}, true),
                         ERR_INVALID);
    assert_int_equal(check((struct service_config){.url = "http://127.0.0.1:1/", .bearer_file = path}, false),
                     ERR_INVALID);
    assert_int_equal(check((struct service_config){.url = "https://t.example/"}, false), ERR_INVALID);
}

static void a_certificate_and_its_key_belong_together(void **state)
{
    (void)state;
    struct service_config config = {.url = "https://t.example/", .cert_file = pem, .key_file = path};
    put_file(pem, "-----BEGIN CERTIFICATE-----\n", 0644);
    put_file(path, "key", 0600);
    assert_int_equal(check(config, false), 0);
    put_file(path, "key", 0644);
    assert_int_equal(check(config, false), ERR_AUTH);
    config.key_file = NULL;
    assert_int_equal(check(config, false), ERR_INVALID);
    config.key_file = path;
    put_file(path, "key", 0600);
    put_file(pem, "none", 0644);
    assert_int_equal(check(config, false), ERR_INVALID);
    config.cert_file = scratch;
    assert_int_not_equal(check(config, false), 0);
}

int main(void)
{
    vault_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_names_the_channel),
        cmocka_unit_test(a_channel_that_is_not_known_yet_is_null),
        cmocka_unit_test(a_whole_answer_is_read),
        cmocka_unit_test(channel_and_scope_may_be_left_out),
        cmocka_unit_test(k05_the_end_is_clamped),
        cmocka_unit_test(k05_what_is_no_token_is_not_taken),
        cmocka_unit_test(k05_a_cut_answer_is_not_taken),
        cmocka_unit_test(a_refresh_token_is_not_kept),
        cmocka_unit_test(refusals_have_names),
        cmocka_unit_test(retry_after_and_the_message_are_kept),
        cmocka_unit_test(a_bearer_is_one_line),
        cmocka_unit_test(a_bearer_has_at_most_4096_characters),
        cmocka_unit_test(k11_a_bearer_that_others_may_read_is_refused),
        cmocka_unit_test(only_https_and_someone_to_be),
        cmocka_unit_test(a_certificate_and_its_key_belong_together),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, scratch_close);
}
