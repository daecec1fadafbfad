#include "yt_test.h"

#include <stdio.h>

#include "base/err.h"

static struct err err;

/* ---- the client's file ---- */

#define GOOD_CLIENT                                                                                          \
    "\"client_id\":\"1.apps.googleusercontent.com\",\"project_id\":\"p\",\"auth_uri\":\"https://"            \
    "accounts.google.com/o/oauth2/v2/"                                                                       \
    "auth\",\"token_uri\":\"https://oauth2.googleapis.com/"                                                  \
    "token\",\"auth_provider_x509_cert_url\":\"x\",\"client_secret\":"                                       \
    "\"GOCSPX-s\",\"redirect_uris\":[\"http://localhost\",\"b\"]"

static int parse_client(const char *json, struct yt_client_secret *ret)
{
    err = (struct err){0};
    return yt_parse_client_secret(json, strlen(json), true, ret, &err);
}

static void a_client_file_of_either_kind_is_read(void **state)
{
    (void)state;
    struct yt_client_secret client;
    assert_int_equal(parse_client("{\"installed\":{" GOOD_CLIENT "}}", &client), 0);
    assert_string_equal(client.kind, "installed");
    assert_string_equal(client.client_id, "1.apps.googleusercontent.com");
    assert_string_equal(client.project_id, "p");
    assert_string_equal(client.auth_uri, "https://accounts.google.com/o/oauth2/v2/auth");
    assert_string_equal(client.token_uri, "https://oauth2.googleapis.com/token");
    assert_string_equal(client.redirect_uri, "http://localhost");
    assert_string_equal(client.client_secret, "GOCSPX-s");
    assert_int_equal(parse_client("\xef\xbb\xbf{\"web\":{" GOOD_CLIENT "}}", &client), 0);
    assert_string_equal(client.kind, "web");
}

/* Where a token service has the logins, the client only names whose quota it is. */
static void for_its_quota_alone_a_client_needs_no_secret(void **state)
{
    (void)state;
    struct yt_client_secret client;
    static const char bare[] = "{\"installed\":{\"client_id\":\"a\"}}";
    assert_int_equal(yt_parse_client_secret(bare, strlen(bare), false, &client, &err), 0);
    assert_string_equal(client.client_id, "a");
    assert_string_equal(client.token_uri, "");
    static const char whole[] = "{\"installed\":{" GOOD_CLIENT "}}";
    assert_int_equal(yt_parse_client_secret(whole, strlen(whole), false, &client, &err), 0);
    assert_string_equal(client.token_uri, "https://oauth2.googleapis.com/token");
    assert_string_equal(client.client_secret, "");
    static const char plain[] = "{\"installed\":{\"client_id\":\"a\",\"token_uri\":\"http://x.example/\"}}";
    assert_int_equal(yt_parse_client_secret(plain, strlen(plain), false, &client, &err), ERR_INVALID);
    assert_int_equal(parse_client(bare, &client), ERR_INVALID);
}

/* As youtubeuploader does: `web` wins where both have a client_id. */
static void web_wins_over_installed(void **state)
{
    (void)state;
    struct yt_client_secret client;
    assert_int_equal(parse_client("{\"installed\":{" GOOD_CLIENT "},\"web\":{" GOOD_CLIENT "}}", &client), 0);
    assert_string_equal(client.kind, "web");
    assert_int_equal(parse_client("{\"web\":{},\"installed\":{" GOOD_CLIENT "}}", &client), 0);
    assert_string_equal(client.kind, "installed");
}

static void an_emulators_local_uris_are_taken(void **state)
{
    (void)state;
    struct yt_client_secret client;
    assert_int_equal(parse_client("{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"b\",\"auth_uri\":"
                                  "\"http://127.0.0.1:1/a\","
                                  "\"token_uri\":\"https://localhost:2/t\"}}",
                                  &client),
                     0);
    assert_string_equal(client.redirect_uri, "");
    assert_string_equal(client.project_id, "");
}

static void a_bad_client_file_is_refused_by_key_and_shows_no_value(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *part;
    } cases[] = {
        {"", "line"},
        {"{\"installed\":{\"client_secret\":\"TOPSECRET\" x}}", "line 1"},
        {"{\"installed\":{\"client_secret\":\"TOPSECRET\",\"client_secret\":\"TOPSECRET\"}}", "twice"},
        {"[\"TOPSECRET\"]", "not a JSON object"},
        {"{}", "neither \"installed\" nor \"web\""},
        {"{\"installed\":7}", "client_id"},
        {"{\"installed\":{\"client_secret\":\"TOPSECRET\"}}", "client_id is missing"},
        {"{\"installed\":{\"client_id\":\"a\"}}", "client_secret is missing"},
        {"{\"installed\":{\"client_id\":\"a\",\"client_secret\":null}}", "client_secret is missing"},
        {"{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"TOPSECRET x\"}}",
         "client_secret holds a blank"},
        {"{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"TOPSECRET\"}}", "auth_uri is missing"},
        {"{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"TOPSECRET\",\"auth_uri\":\"http://"
         "accounts.google.com/\"}}",
         "auth_uri: host accounts.google.com must be reached by https"},
        {"{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"TOPSECRET\",\"auth_uri\":\"https://a/"
         "\",\"token_uri\":\"https://"
         "TOPSECRET@b/\"}}",
         "token_uri: a URL with user information"},
        {"{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"TOPSECRET\",\"auth_uri\":\"https://a/"
         "\",\"token_uri\":\"https://b/\","
         "\"redirect_uris\":[7]}}",
         "redirect_uris[0]"},
        {"{\"type\":\"service_account\",\"private_key\":\"TOPSECRET\"}", "service account"},
        {"{\"access_token\":\"TOPSECRET\",\"refresh_token\":\"TOPSECRET\"}", "token file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_client_secret client;
        assert_int_equal(parse_client(cases[i].json, &client), ERR_INVALID);
        if (!strstr(err.message, cases[i].part))
            fail_msg("\"%s\" does not tell: %s", err.message, cases[i].part);
        assert_null(strstr(err.message, "TOPSECRET"));
        assert_string_equal(client.client_secret, "");
    }
}

static void a_client_value_too_long_is_refused(void **state)
{
    (void)state;
    char json[1024];
    struct yt_client_secret client;
    snprintf(json, sizeof(json), "{\"installed\":{\"client_id\":\"%0256d\"}}", 0);
    assert_int_equal(parse_client(json, &client), ERR_INVALID);
    assert_non_null(strstr(err.message, "client_id is longer than 255"));
}

/* ---- scopes ---- */

#define SCOPE(name) "https://www.googleapis.com/auth/" name

static void k07_the_missing_scope_is_named(void **state)
{
    (void)state;
    assert_null(yt_missing_scope(YT_SCOPES_DEFAULT));
    assert_null(yt_missing_scope(YT_SCOPES_DEVICE));
    assert_null(yt_missing_scope("openid  " SCOPE("youtube.force-ssl")));
    assert_null(yt_missing_scope(SCOPE("youtubepartner") " email"));
    assert_null(yt_missing_scope(SCOPE("youtube.readonly") " " SCOPE("youtube.upload")));
    assert_string_equal(yt_missing_scope(SCOPE("youtube.upload")), SCOPE("youtube.readonly"));
    assert_string_equal(yt_missing_scope(SCOPE("youtube.readonly")), SCOPE("youtube.upload"));
    assert_string_equal(yt_missing_scope(""), SCOPE("youtube.upload"));
    assert_string_equal(yt_missing_scope(NULL), SCOPE("youtube.upload"));
    assert_string_equal(
        yt_missing_scope(SCOPE("youtube.uploads") " " SCOPE("youtube.channel-memberships.creator")),
        SCOPE("youtube.upload"));
}

/* ---- requests ---- */

static void the_consent_page_is_asked_for_with_pkce(void **state)
{
    (void)state;
    struct buf url AUTO_BUF;
    buf_init(&url, 4096);
    yt_build_auth_url("https://accounts.google.com/o/oauth2/v2/auth", "id&1", "http://127.0.0.1:8080", "a b",
                      "s/t", "CH-_", &url);
    assert_string_equal(
        url.data,
        "https://accounts.google.com/o/oauth2/v2/auth?client_id=id%261&redirect_uri=http%3A%2F%2F127.0.0.1"
        "%3A8080&response_type=code&scope=a%20b&state=s%2Ft&code_challenge=CH-_&code_challenge_method="
        "S256&access_type=offline&prompt=select_account%20consent");
    buf_clear(&url);
    yt_build_auth_url("http://127.0.0.1:1/a?x=1", "c", "r", "s", "t", "h", &url);
    assert_true(text_starts_with(url.data, "http://127.0.0.1:1/a?x=1&client_id=c&"));
}

static void forms_are_escaped(void **state)
{
    (void)state;
    struct buf form AUTO_BUF;
    buf_init(&form, 4096);
    yt_build_code_exchange("id", "s=&e", "4/0a+b", "ver~if", "http://127.0.0.1:1", &form);
    assert_string_equal(
        form.data,
        "grant_type=authorization_code&code=4%2F0a%2Bb&code_verifier=ver~if&redirect_uri=http%3A%2F%2F"
        "127.0.0.1%3A1&client_id=id&client_secret=s%3D%26e");
    buf_clear(&form);
    yt_build_refresh("id", "sec", "1//a\xc3\xa9", &form);
    assert_string_equal(
        form.data, "grant_type=refresh_token&refresh_token=1%2F%2Fa%C3%A9&client_id=id&client_secret=sec");
    buf_clear(&form);
    yt_build_revoke("1//a", &form);
    assert_string_equal(form.data, "token=1%2F%2Fa");
}

/* ---- the token endpoint's replies ---- */

static struct yt_token_reply parse_token(int status, const char *body)
{
    struct yt_http http = http_reply(status, "", body);
    struct yt_token_reply reply;
    yt_parse_token_reply(&http, &reply);
    assert_true(utf8_is_valid(reply.message, strlen(reply.message)));
    return reply;
}

static void a_token_reply_is_read(void **state)
{
    (void)state;
    struct yt_token_reply reply =
        parse_token(200, "{\"access_token\":\"ya29.a-b_c~/+=\",\"expires_in\":3599,\"refresh_token\":\"1//"
                         "r\",\"scope\":\"a  b c\","
                         "\"token_type\":\"Bearer\",\"id_token\":\"x\"}");
    assert_int_equal(reply.result, TOKEN_OK);
    assert_string_equal(reply.access_token, "ya29.a-b_c~/+=");
    assert_string_equal(reply.refresh_token, "1//r");
    assert_string_equal(reply.scope, "a b c");
    assert_int_equal(reply.expires_in_ms, 3599000);
    assert_int_equal(reply.retry_after_ms, -1);
}

static void k06_no_refresh_token_in_the_reply_is_usual(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"access_token\":\"a\"}",
                                         "{\"access_token\":\"a\",\"refresh_token\":null}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct yt_token_reply reply = parse_token(200, bodies[i]);
        assert_int_equal(reply.result, TOKEN_OK);
        assert_string_equal(reply.refresh_token, "");
    }
}

static void k05_expires_in_is_clamped(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        int64_t ms;
    } cases[] = {
        {"", 60000},
        {",\"expires_in\":0", 60000},
        {",\"expires_in\":-1", 60000},
        {",\"expires_in\":1", 60000},
        {",\"expires_in\":59", 60000},
        {",\"expires_in\":60", 60000},
        {",\"expires_in\":61", 61000},
        {",\"expires_in\":3599.9", 3599000},
        {",\"expires_in\":\"3599\"", 3599000},
        {",\"expires_in\":\"-5\"", 60000},
        {",\"expires_in\":\"soon\"", 60000},
        {",\"expires_in\":null", 60000},
        {",\"expires_in\":[3599]", 60000},
        {",\"expires_in\":86400", 86400000},
        {",\"expires_in\":86401", 86400000},
        {",\"expires_in\":9223372036854775808", 86400000},
        {",\"expires_in\":-9223372036854775809", 60000},
        {",\"expires_in\":1e300", 86400000},
        {",\"expires_in\":\"18446744073709551615\"", 86400000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"access_token\":\"a\"%s}", cases[i].member);
        struct yt_token_reply reply = parse_token(200, body);
        assert_int_equal(reply.result, TOKEN_OK);
        if (reply.expires_in_ms != cases[i].ms)
            fail_msg("%s became %lld ms", cases[i].member, (long long)reply.expires_in_ms);
    }
}

static void k05_a_token_that_may_not_stand_in_a_header_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "[]",
        "",
        "{\"access_token\":null}",
        "{\"access_token\":\"\"}",
        "{\"access_token\":7}",
        "{\"access_token\":\"a\\r\\nX: y\"}",
        "{\"access_token\":\"a\\nb\"}",
        "{\"access_token\":\"a\\u0000b\"}",
        "{\"access_token\":\"a b\"}",
        "{\"access_token\":\"a\\u007f\"}",
        "{\"access_token\":\"\xc3\xa9\"}",
        "{\"access_token\":\"a\",\"token_type\":\"MAC\"}",
        "{\"access_token\":\"a\",\"refresh_token\":\"\"}",
        "{\"access_token\":\"a\",\"refresh_token\":\"a\\nb\"}",
        "{\"access_token\":\"a\",\"refresh_token\":7}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct yt_token_reply reply = parse_token(200, bodies[i]);
        if (reply.result != TOKEN_TRANSIENT)
            fail_msg("taken: %s", bodies[i]);
        assert_string_equal(reply.access_token, "");
        assert_string_equal(reply.refresh_token, "");
        assert_int_not_equal(strlen(reply.message), 0);
    }
}

static void k05_tokens_up_to_their_size_are_taken(void **state)
{
    (void)state;
    static char body[8192];
    static const int sizes[] = {YT_ACCESS_TOKEN_SIZE - 1, YT_ACCESS_TOKEN_SIZE};
    for (int i = 0; i < 2; i++) {
        snprintf(body, sizeof(body), "{\"access_token\":\"%0*d\"}", sizes[i], 0);
        struct yt_token_reply reply = parse_token(200, body);
        assert_int_equal(reply.result, i == 0 ? TOKEN_OK : TOKEN_TRANSIENT);
    }
    struct yt_http http = http_reply(200, "", body);
    http.body_is_cut = true;
    struct yt_token_reply reply;
    yt_parse_token_reply(&http, &reply);
    assert_int_equal(reply.result, TOKEN_TRANSIENT);
}

static void a_list_of_scopes_too_long_loses_whole_words(void **state)
{
    (void)state;
    static char body[2048];
    snprintf(body, sizeof(body), "{\"access_token\":\"a\",\"scope\":\"first %0600d last\"}", 0);
    assert_string_equal(parse_token(200, body).scope, "first last");
}

static void k02_k03_k04_errors_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *error;
        enum token_result result;
    } cases[] = {
        {400, "invalid_grant", TOKEN_REVOKED},         {400, "admin_policy_enforced", TOKEN_REVOKED},
        {403, "org_internal", TOKEN_REVOKED},          {403, "access_denied", TOKEN_REVOKED},
        {400, "an_error_nobody_knows", TOKEN_REVOKED}, {401, "invalid_client", TOKEN_CLIENT},
        {401, "deleted_client", TOKEN_CLIENT},         {400, "unauthorized_client", TOKEN_CLIENT},
        {401, "unauthorized_client", TOKEN_CLIENT},    {400, "invalid_request", TOKEN_CLIENT},
        {400, "unsupported_grant_type", TOKEN_CLIENT}, {400, "redirect_uri_mismatch", TOKEN_CLIENT},
        {400, "server_error", TOKEN_TRANSIENT},        {400, "temporarily_unavailable", TOKEN_TRANSIENT},
        {400, "internal_failure", TOKEN_TRANSIENT},    {428, "authorization_pending", TOKEN_TRANSIENT},
        {403, "slow_down", TOKEN_TRANSIENT},           {429, "invalid_grant", TOKEN_TRANSIENT},
        {500, "invalid_grant", TOKEN_TRANSIENT},       {503, "an_error_nobody_knows", TOKEN_TRANSIENT},
        {302, "invalid_grant", TOKEN_TRANSIENT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"error\":\"%s\",\"error_description\":\"why\"}", cases[i].error);
        struct yt_token_reply reply = parse_token(cases[i].status, body);
        if (reply.result != cases[i].result)
            fail_msg("%d %s: %s", cases[i].status, cases[i].error, token_result_text(reply.result));
        assert_string_equal(reply.error, cases[i].error);
    }
    assert_int_equal(parse_token(403, "{\"error_code\":\"rate_limit_exceeded\"}").result, TOKEN_TRANSIENT);
}

/* A proxy's page must not end anybody's consent. */
static void k02_a_reply_without_an_oauth_error_ends_no_login(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",   "<html><title>Blocked</title>", "{}",
                                         "[]", "{\"error\":{\"code\":403}}",   "{\"error\":\"\"}"};
    static const int statuses[] = {0, 204, 301, 400, 403, 404, 407, 500, 502, 503};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        for (size_t j = 0; j < ARRAY_LEN(statuses); j++)
            assert_int_equal(parse_token(statuses[j], bodies[i]).result, TOKEN_TRANSIENT);
    assert_string_equal(parse_token(403, bodies[1]).message, "HTTP 403: Blocked");
}

static void the_message_names_error_and_description_and_no_token(void **state)
{
    (void)state;
    struct yt_token_reply reply =
        parse_token(400, "{\"error\":\"invalid_grant\",\"error_subtype\":\"invalid_rapt\","
                         "\"error_description\":\"Token 1//SECRET has been expired\\u001b or revoked.\"}");
    assert_string_equal(reply.message,
                        "invalid_grant (invalid_rapt): Token 1//… has been expired or revoked.");
    struct yt_http http = http_reply(503, "Retry-After: 9\n", "");
    yt_parse_token_reply(&http, &reply);
    assert_int_equal(reply.retry_after_ms, 9000);
}

int main(void)
{
    /* As every process does first: jansson's memory is wiped from here on. */
    yt_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_file_of_either_kind_is_read),
        cmocka_unit_test(for_its_quota_alone_a_client_needs_no_secret),
        cmocka_unit_test(web_wins_over_installed),
        cmocka_unit_test(an_emulators_local_uris_are_taken),
        cmocka_unit_test(a_bad_client_file_is_refused_by_key_and_shows_no_value),
        cmocka_unit_test(a_client_value_too_long_is_refused),
        cmocka_unit_test(k07_the_missing_scope_is_named),
        cmocka_unit_test(the_consent_page_is_asked_for_with_pkce),
        cmocka_unit_test(forms_are_escaped),
        cmocka_unit_test(a_token_reply_is_read),
        cmocka_unit_test(k06_no_refresh_token_in_the_reply_is_usual),
        cmocka_unit_test(k05_expires_in_is_clamped),
        cmocka_unit_test(k05_a_token_that_may_not_stand_in_a_header_is_refused),
        cmocka_unit_test(k05_tokens_up_to_their_size_are_taken),
        cmocka_unit_test(a_list_of_scopes_too_long_loses_whole_words),
        cmocka_unit_test(k02_k03_k04_errors_are_told_apart),
        cmocka_unit_test(k02_a_reply_without_an_oauth_error_ends_no_login),
        cmocka_unit_test(the_message_names_error_and_description_and_no_token),
    };
    return RUN_UNIT_TESTS(tests);
}
