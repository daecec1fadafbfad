#include "yt_test.h"

#include <stdio.h>

#include "base/err.h"

static struct err err;

static const struct yt_expected expected = {
    .metadata_json = "{\"snippet\":{\"title\":\"T\"},\"status\":{\"privacyStatus\":\"private\"}}",
    .size_bytes = 5,
    .slug = "a [J].mp4",
};

#define ERROR(code, reason, message)                                                                         \
    "{\"error\":{\"code\":" #code ",\"message\":\"" message "\",\"errors\":[{\"reason\":\"" reason "\"}]}}"

/* ---- channels.list ---- */

static int parse_channels(int status, const char *body, struct yt_channel *ret)
{
    struct yt_http http = http_reply(status, "", body);
    err = (struct err){0};
    return yt_parse_channels(&http, ret, &err);
}

static void the_channel_of_a_token_is_read(void **state)
{
    (void)state;
    struct yt_channel channel;
    assert_int_equal(
        parse_channels(
            200,
            "{\"kind\":\"youtube#channelListResponse\",\"items\":[{\"id\":\"UCabc_-1\",\"snippet\":{"
            "\"title\":"
            "\"My\\u001b[1m "
            "\\u202echannel\"},\"contentDetails\":{\"relatedPlaylists\":{\"uploads\":\"UUabc_-1\"}},"
            "\"status\":{\"longUploadsStatus\":\"eligible\"}}]}",
            &channel),
        0);
    assert_string_equal(channel.id, "UCabc_-1");
    assert_string_equal(channel.title, "My [1m channel");
    assert_string_equal(channel.uploads_playlist, "UUabc_-1");
    assert_string_equal(channel.long_uploads_status, "eligible");
}

static void an_account_may_have_no_channel(void **state)
{
    (void)state;
    struct yt_channel channel;
    assert_int_equal(parse_channels(200, "{}", &channel), ERR_NOT_FOUND);
    assert_int_equal(parse_channels(200, "{\"items\":[]}", &channel), ERR_NOT_FOUND);
    assert_int_equal(parse_channels(401, ERROR(401, "youtubeSignupRequired", "Unauthorized"), &channel),
                     ERR_NOT_FOUND);
}

static void k09_a_reply_that_names_no_one_channel_is_not_believed(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         "ok",
                                         "[]",
                                         "{\"items\":{}}",
                                         "{\"items\":[{}]}",
                                         "{\"items\":[{\"id\":\"\"}]}",
                                         "{\"items\":[{\"id\":7}]}",
                                         "{\"items\":[{\"id\":\"UC a\"}]}",
                                         "{\"items\":[{\"id\":\"UCa\"},{\"id\":\"UCb\"}]}",
                                         "{\"items\":[\"UCa\"]}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct yt_channel channel;
        assert_int_equal(parse_channels(200, bodies[i], &channel), ERR_IO);
        assert_string_equal(channel.id, "");
    }
}

static void refusals_of_channels_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int code;
    } cases[] = {
        {401, ERROR(401, "authError", "Invalid Credentials"), ERR_AUTH},
        {401, "", ERR_AUTH},
        {403, ERROR(403, "insufficientPermissions", "x"), ERR_AUTH},
        {403, ERROR(403, "authenticatedUserAccountSuspended", "x"), ERR_AUTH},
        {403, ERROR(403, "accessNotConfigured", "x"), ERR_AUTH},
        {403, ERROR(403, "quotaExceeded", "x"), ERR_LIMIT},
        {403, ERROR(403, "dailyLimitExceeded", "x"), ERR_LIMIT},
        {403, ERROR(403, "rateLimitExceeded", "x"), ERR_IO},
        {429, ERROR(429, "rateLimitExceeded", "limit 'Queries per minute'"), ERR_IO},
        {429, ERROR(429, "rateLimitExceeded", "limit 'Queries per day'"), ERR_LIMIT},
        {500, ERROR(500, "internalError", "x"), ERR_IO},
        {503, "<html>", ERR_IO},
        {302, "", ERR_IO},
        {404, "", ERR_IO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_channel channel;
        int code = parse_channels(cases[i].status, cases[i].body, &channel);
        if (code != cases[i].code)
            fail_msg("%d %s: %s", cases[i].status, cases[i].body, err_name(code));
    }
}

static void the_error_of_channels_names_the_reason(void **state)
{
    (void)state;
    struct yt_channel channel;
    parse_channels(403, ERROR(403, "insufficientPermissions", "Request had insufficient scopes."), &channel);
    assert_non_null(
        strstr(err.message, "HTTP 403 insufficientPermissions: Request had insufficient scopes."));
}

/* ---- playlistItems.list ---- */

static bool parse_page(int status, const char *body, struct yt_page *ret, struct reply *ret_reply)
{
    struct yt_http http = http_reply(status, "", body);
    *ret_reply = (struct reply){0};
    return yt_parse_playlist_items(&http, ret, ret_reply);
}

static void a_page_of_uploads_is_read(void **state)
{
    (void)state;
    struct yt_page page;
    struct reply reply;
    assert_true(parse_page(
        200,
        "{\"nextPageToken\":\"EAAaBlBUOkNESQ\",\"items\":["
        "{\"snippet\":{\"publishedAt\":\"2026-11-22T07:00:00Z\"},\"contentDetails\":{\"videoId\":\"a\"}},"
        "{\"snippet\":{\"resourceId\":{\"kind\":\"youtube#video\",\"videoId\":\"b\"}},"
        "\"contentDetails\":{\"videoPublishedAt\":\"2026-11-22T06:00:00Z\"}},"
        "{\"contentDetails\":{\"videoId\":\"c\"}}]}",
        &page, &reply));
    assert_int_equal(page.count, 3);
    assert_string_equal(page.items[0].id, "a");
    assert_int_equal(page.items[0].published_at_ms, NOW_MS);
    assert_string_equal(page.items[1].id, "b");
    assert_int_equal(page.items[1].published_at_ms, NOW_MS - 3600000);
    assert_int_equal(page.items[2].published_at_ms, 0);
    assert_string_equal(page.next_page, "EAAaBlBUOkNESQ");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.reason, "");
}

static void the_last_page_names_no_next_one(void **state)
{
    (void)state;
    struct yt_page page;
    struct reply reply;
    assert_true(parse_page(200, "{\"items\":[]}", &page, &reply));
    assert_int_equal(page.count, 0);
    assert_string_equal(page.next_page, "");
}

/* A list half understood would prove the absence of a video that is there. */
static void h10_a_page_not_understood_to_its_end_is_no_page(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"items\":null}",
        "{\"items\":{}}",
        "{\"items\":[{}]}",
        "{\"items\":[{\"contentDetails\":{\"videoId\":\"a\"}},{\"contentDetails\":{\"videoId\":\"\"}}]}",
        "{\"items\":[{\"contentDetails\":{\"videoId\":\"0123456789012345678901234567890123456789\"}}]}",
        "{\"items\":[],\"nextPageToken\":7}",
        "{\"items\":[],\"nextPageToken\":\"\"}",
        "{\"items\":[],\"nextPageToken\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
        "89012345678901234567890123456789012345678901234567890\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct yt_page page;
        struct reply reply;
        if (parse_page(200, bodies[i], &page, &reply))
            fail_msg("taken: %s", bodies[i]);
        assert_int_equal(reply.status, 200);
        assert_int_not_equal(strlen(reply.message), 0);
    }
}

static void more_items_than_a_page_holds_are_no_page(void **state)
{
    (void)state;
    struct yt_page page;
    struct reply reply;
    struct buf body AUTO_BUF;
    buf_init(&body, 65536);
    buf_puts(&body, "{\"items\":[");
    for (int i = 0; i < 51; i++)
        buf_printf(&body, "%s{\"contentDetails\":{\"videoId\":\"v%d\"}}", i ? "," : "", i);
    buf_puts(&body, "]}");
    assert_false(parse_page(200, body.data, &page, &reply));
}

static void a_refused_list_leaves_its_reason_for_classification(void **state)
{
    (void)state;
    struct yt_page page;
    struct reply reply;
    assert_false(parse_page(404, ERROR(404, "playlistNotFound", "gone"), &page, &reply));
    assert_int_equal(reply.status, 404);
    assert_string_equal(reply.reason, "playlistNotFound");
    assert_string_equal(reply.message, "gone");
    assert_int_equal(reply.retry_after_ms, -1);
    struct yt_http http = http_reply(503, "Retry-After: 7\n", "");
    assert_false(yt_parse_playlist_items(&http, &page, &reply));
    assert_int_equal(reply.retry_after_ms, 7000);
}

/* ---- videos.list ---- */

static bool parse_videos(int status, const char *body, struct reply *reply)
{
    struct yt_http http = http_reply(status, "", body);
    return yt_parse_videos(&http, &expected, reply);
}

#define VIDEO(id, title, name)                                                                               \
    "{\"id\":\"" id "\",\"snippet\":{\"title\":\"" title "\"},\"fileDetails\":{\"fileName\":\"" name         \
    "\",\"fileSize\":\"5\"}}"

static void candidates_are_all_that_could_be_ours(void **state)
{
    (void)state;
    struct reply reply = {.list_is_complete = true};
    assert_true(parse_videos(
        200,
        "{\"items\":[" VIDEO("both", "T", "a [J].mp4") "," VIDEO("title", "T", "other") "," VIDEO(
            "name", "other",
            "a [J].mp4") "," VIDEO("none", "other",
                                   "other") ",{\"id\":\"silent\"},"
                                            "{\"id\":\"other\",\"snippet\":{\"title\":\"other\"}}]}",
        &reply));
    assert_int_equal(reply.candidate_count, 4);
    assert_string_equal(reply.candidates[0].id, "both");
    assert_int_equal(reply.candidates[0].size, MATCH_YES);
    assert_string_equal(reply.candidates[1].id, "title");
    assert_int_equal(reply.candidates[1].file_name, MATCH_NO);
    assert_string_equal(reply.candidates[2].id, "name");
    assert_int_equal(reply.candidates[2].title, MATCH_NO);
    assert_string_equal(reply.candidates[3].id, "silent");
    assert_int_equal(reply.candidates[3].title, MATCH_UNKNOWN);
    assert_true(reply.list_is_complete);
    assert_string_equal(reply.video.id, "");
}

static void candidates_of_several_pages_add_up_to_their_limit(void **state)
{
    (void)state;
    struct reply reply = {.list_is_complete = true};
    for (int i = 0; i < CANDIDATES_MAX; i++) {
        assert_true(parse_videos(200, "{\"items\":[" VIDEO("v", "T", "x") "]}", &reply));
        assert_int_equal(reply.candidate_count, i + 1);
    }
    assert_true(reply.list_is_complete);
    assert_true(parse_videos(200, "{\"items\":[" VIDEO("v", "other", "x") "]}", &reply));
    assert_true(reply.list_is_complete);
    assert_true(parse_videos(200, "{\"items\":[" VIDEO("v", "T", "x") "]}", &reply));
    assert_int_equal(reply.candidate_count, CANDIDATES_MAX);
    assert_false(reply.list_is_complete);
}

static void h10_videos_not_understood_are_no_list(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{}", "{\"items\":7}", "{\"items\":[{}]}",
                                         "{\"items\":[{\"kind\":\"x\",\"id\":\"y\"}]}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reply reply = {0};
        if (parse_videos(200, bodies[i], &reply))
            fail_msg("taken: %s", bodies[i]);
    }
    struct reply reply = {0};
    assert_false(parse_videos(403, ERROR(403, "forbidden", "x"), &reply));
    assert_string_equal(reply.reason, "forbidden");
    assert_true(parse_videos(200, "{\"items\":[]}", &reply));
}

static void p15_one_video_is_looked_up_by_its_id(void **state)
{
    (void)state;
    struct reply reply = {0};
    struct yt_http http = http_reply(200, "", "{\"items\":[" VIDEO("v", "other", "other") "]}");
    assert_true(yt_parse_video(&http, &expected, &reply));
    assert_string_equal(reply.video.id, "v");
    assert_int_equal(reply.video.title, MATCH_NO);
    assert_int_equal(reply.candidate_count, 0);
    http = http_reply(200, "", "{\"items\":[]}");
    assert_true(yt_parse_video(&http, &expected, &reply));
    assert_string_equal(reply.video.id, "");
    http = http_reply(200, "", "{\"items\":[{}]}");
    assert_false(yt_parse_video(&http, &expected, &reply));
    http = http_reply(500, "", "");
    assert_false(yt_parse_video(&http, &expected, &reply));
    assert_int_equal(reply.status, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_channel_of_a_token_is_read),
        cmocka_unit_test(an_account_may_have_no_channel),
        cmocka_unit_test(k09_a_reply_that_names_no_one_channel_is_not_believed),
        cmocka_unit_test(refusals_of_channels_are_told_apart),
        cmocka_unit_test(the_error_of_channels_names_the_reason),
        cmocka_unit_test(a_page_of_uploads_is_read),
        cmocka_unit_test(the_last_page_names_no_next_one),
        cmocka_unit_test(h10_a_page_not_understood_to_its_end_is_no_page),
        cmocka_unit_test(more_items_than_a_page_holds_are_no_page),
        cmocka_unit_test(a_refused_list_leaves_its_reason_for_classification),
        cmocka_unit_test(candidates_are_all_that_could_be_ours),
        cmocka_unit_test(candidates_of_several_pages_add_up_to_their_limit),
        cmocka_unit_test(h10_videos_not_understood_are_no_list),
        cmocka_unit_test(p15_one_video_is_looked_up_by_its_id),
    };
    return RUN_UNIT_TESTS(tests);
}
