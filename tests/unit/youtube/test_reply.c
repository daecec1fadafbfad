#include "yt_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/classify.h"

static const struct yt_expected expected = {
    .metadata_json = "{\"snippet\":{\"title\":\"My film\"},\"status\":{\"privacyStatus\":\"private\"}}",
    .size_bytes = 1048577,
    .slug = "film [01J].mp4",
};

static struct reply parse(struct yt_http http)
{
    struct reply reply = {0};
    yt_parse_upload_reply(&http, &expected, NOW_MS, &reply);
    assert_true(utf8_is_valid(reply.message, strlen(reply.message)));
    return reply;
}

static struct reply parse_status(int status, const char *headers, const char *body)
{
    return parse(http_reply(status, headers, body));
}

/* ---- Range ---- */

static struct reply parse_range(const char *value)
{
    char headers[256];
    snprintf(headers, sizeof(headers), "Content-Length: 0\nRange: %s\n", value);
    return parse_status(308, headers, "");
}

/* java-storage ITJsonResumableSessionQueryTaskTest incompleteSession; python resumable-media
 * test__process_resumable_response_partial, test__process_recover_response_with_range; nodejs-storage "should
 * set the offset to 0 if no range is back from the API". */
static void range_tells_what_is_stored(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t bytes;
    } cases[] = {
        {"bytes=0-0", 1},
        {"bytes=0-12", 13},
        {"bytes=0-262143", 262144},
        {"bytes=0-8388607", 8388608},
        {"bytes=0-274877906943", 274877906944},
        {"bytes=0-9223372036854775807", UINT64_C(9223372036854775808)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply reply = parse_range(cases[i].value);
        assert_int_equal(reply.status, 308);
        assert_int_equal(reply.range, RANGE_OK);
        assert_int_equal(reply.range_bytes, cases[i].bytes);
    }
}

/* java-storage incompleteSession_missingRangeHeader; python resumable-media
 * test__process_resumable_response_partial_no_range, test__process_recover_response_no_range. */
static void p01_no_range_is_told_apart_from_a_bad_one(void **state)
{
    (void)state;
    assert_int_equal(parse_status(308, "Content-Length: 0\n", "").range, RANGE_NONE);
    assert_int_equal(parse_status(308, "", "").range, RANGE_NONE);
    assert_int_equal(parse_status(308, "X-Range: bytes=0-9\nContent-Range: bytes 0-9/10\n", "").range,
                     RANGE_NONE);
}

/* python resumable-media test__process_resumable_response_partial_bad_range,
 * test__process_recover_response_bad_range; java-storage query_badOffset. */
static void p05_range_not_of_the_documented_form_is_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0-99",
        "bytes=5-9",
        "bytes=1-9",
        "bytes=0-9,20-29",
        "bytes=0-18446744073709551616",
        "bytes=0-18446744073709551615",
        "bytes=0-9223372036854775808",
        "bytes=0--1",
        "bytes=0-+1",
        "bytes=-5",
        "bytes=0-",
        "bytes= 0-9",
        "bytes=0 -9",
        "bytes=0- 9",
        "bytes =0-9",
        "bytes=0-9 ,",
        "bytes 0-9",
        "bytes 0-9/10",
        "bytes=0-9/10",
        "BYTES=0-9",
        "bytes=00-9",
        "bytes=0-09",
        "bytes=0-0x9",
        "bytes=0-9.0",
        "bytes=0-1e3",
        "items=0-9",
        "none",
        "bytes=0-99999999999999999999999999999999999999999999",
        "bytes=0-\xd9\xa3",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct reply reply = parse_range(bad[i]);
        if (reply.range != RANGE_BAD)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(reply.range_bytes, 0);
    }
}

static void p05_two_range_headers_are_bad(void **state)
{
    (void)state;
    assert_int_equal(parse_status(308, "Range: bytes=0-9\nRange: bytes=0-9\n", "").range, RANGE_BAD);
    assert_int_equal(parse_status(308, "Range: bytes=0-9\nrange: bytes=0-19\n", "").range, RANGE_BAD);
}

/* The blanks around a field's value are not part of it (RFC 9110 section 5.5); its name has no case. */
static void range_is_read_from_any_spelling_of_its_header(void **state)
{
    (void)state;
    assert_int_equal(parse_status(308, "range:bytes=0-9\n", "").range_bytes, 10);
    assert_int_equal(parse_status(308, "RANGE: \t bytes=0-9 \n", "").range_bytes, 10);
    assert_int_equal(parse_status(308, "A: b\nRange: bytes=0-9", "").range_bytes, 10);
}

/* google-api-python-client test_resumable_multipart_media_good_upload: 308 without Range, 0-12, 0-(n-2), then
 * 200 with the video. */
static void a_whole_upload_is_followed_reply_by_reply(void **state)
{
    (void)state;
    assert_int_equal(parse_status(308, "Location: http://upload.example.com/2\n", "").range, RANGE_NONE);
    assert_int_equal(parse_range("bytes=0-12").range_bytes, 13);
    assert_int_equal(parse_range("bytes=0-1048575").range_bytes, expected.size_bytes - 1);
    assert_string_equal(parse_status(200, "", "{\"id\":\"abc_-123\"}").video.id, "abc_-123");
}

/* ---- the video ---- */

#define VIDEO_REPLY                                                                                          \
    "{\"kind\":\"youtube#video\",\"etag\":\"\\\"e1\\\"\",\"id\":\"dQw4w9WgXcQ\","                            \
    "\"snippet\":{\"publishedAt\":\"2026-11-22T07:00:00Z\",\"title\":\"My film\"},"                          \
    "\"status\":{\"uploadStatus\":\"uploaded\",\"privacyStatus\":\"private\"},"                              \
    "\"fileDetails\":{\"fileName\":\"film [01J].mp4\",\"fileSize\":\"1048577\"}}"

/* java-storage successfulSession; python resumable-media test__process_resumable_response_success. */
static void the_final_reply_names_and_matches_the_video(void **state)
{
    (void)state;
    static const int statuses[] = {200, 201};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct reply reply = parse_status(statuses[i], "Content-Type: application/json\n", VIDEO_REPLY);
        assert_int_equal(reply.status, statuses[i]);
        assert_string_equal(reply.video.id, "dQw4w9WgXcQ");
        assert_string_equal(reply.video.etag, "\"e1\"");
        assert_int_equal(reply.video.title, MATCH_YES);
        assert_int_equal(reply.video.size, MATCH_YES);
        assert_int_equal(reply.video.file_name, MATCH_YES);
        assert_int_equal(reply.video.privacy, MATCH_YES);
        assert_int_equal(reply.video.published_at_ms, NOW_MS);
        assert_false(reply.video.failed);
        assert_string_equal(reply.reason, "");
        assert_string_equal(reply.message, "");
    }
}

static void p08_another_videos_title_size_name_or_privacy_does_not_match(void **state)
{
    (void)state;
    struct reply reply = parse_status(
        201, "",
        "{\"id\":\"x\",\"snippet\":{\"title\":\"My film \"},\"status\":{\"privacyStatus\":\"public\"},"
        "\"fileDetails\":{\"fileName\":\"film.mp4\",\"fileSize\":\"1048576\"}}");
    assert_int_equal(reply.video.title, MATCH_NO);
    assert_int_equal(reply.video.size, MATCH_NO);
    assert_int_equal(reply.video.file_name, MATCH_NO);
    assert_int_equal(reply.video.privacy, MATCH_NO);
}

static void what_the_reply_does_not_say_is_unknown(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"id\":\"x\"}",
        "{\"id\":\"x\",\"snippet\":null,\"status\":[],\"fileDetails\":7}",
        "{\"id\":\"x\",\"snippet\":{\"title\":7},\"fileDetails\":{\"fileSize\":\"1048577x\"}}",
        "{\"id\":\"x\",\"fileDetails\":{\"fileSize\":\"-1\"}}",
        "{\"id\":\"x\",\"fileDetails\":{\"fileSize\":1048577.5}}",
        "{\"id\":\"x\",\"fileDetails\":{\"fileSize\":true},\"snippet\":{\"publishedAt\":\"yesterday\"}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reply reply = parse_status(200, "", bodies[i]);
        assert_string_equal(reply.video.id, "x");
        assert_int_equal(reply.video.title, MATCH_UNKNOWN);
        assert_int_equal(reply.video.size, MATCH_UNKNOWN);
        assert_int_equal(reply.video.file_name, MATCH_UNKNOWN);
        assert_int_equal(reply.video.privacy, MATCH_UNKNOWN);
        assert_int_equal(reply.video.published_at_ms, 0);
    }
}

static void a_size_may_be_a_number_too(void **state)
{
    (void)state;
    assert_int_equal(
        parse_status(200, "", "{\"id\":\"x\",\"fileDetails\":{\"fileSize\":1048577}}").video.size, MATCH_YES);
}

static void a_failed_video_tells_why(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        bool failed;
        const char *failure;
    } cases[] = {
        {"{\"uploadStatus\":\"failed\",\"failureReason\":\"emptyFile\"}", true, "emptyFile"},
        {"{\"uploadStatus\":\"rejected\",\"rejectionReason\":\"duplicate\"}", true, "duplicate"},
        {"{\"uploadStatus\":\"rejected\"}", true, "rejected"},
        {"{\"uploadStatus\":\"deleted\"}", true, "deleted"},
        {"{\"uploadStatus\":\"processed\",\"failureReason\":\"codec\"}", false, ""},
        {"{\"uploadStatus\":\"uploaded\"}", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[256];
        snprintf(body, sizeof(body), "{\"id\":\"x\",\"status\":%s}", cases[i].status);
        struct reply reply = parse_status(200, "", body);
        assert_int_equal(reply.video.failed, cases[i].failed);
        assert_string_equal(reply.video.failure, cases[i].failure);
    }
}

/* java-storage emptyObjectHappyPath, successfulSession_noObject, jsonParseFailure,
 * jsonDeserializationOnlyAttemptedWhenContentPresent; scenario 0.1: a final 200 that is not JSON. */
static void h13_a_success_without_an_id_names_no_video(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "ok",
        "{}",
        "[]",
        "null",
        "{\"id\":\"\"}",
        "{\"id\":null}",
        "{\"id\":7}",
        "{\"id\":\"x y\"}",
        "{\"id\":\"x\\u0000y\"}",
        "{\"id\":\"../etc\"}",
        "{\"id\":\"0123456789012345678901234567890123456789\"}",
        "{\"kind\":\"youtube#channel\",\"id\":\"x\"}",
        "{\"kind\":7,\"id\":\"x\"}",
        "{\"id\":\"x\"",
        "{\"id\":\"x\"} trailing",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reply reply = parse_status(200, "", bodies[i]);
        if (reply.video.id[0])
            fail_msg("taken as a video: %s", bodies[i]);
        assert_string_equal(reply.message, "the reply names no video");
    }
}

static void h13_another_2xx_is_no_success_even_with_an_id(void **state)
{
    (void)state;
    static const int statuses[] = {100, 202, 203, 204, 206, 226, 299, 302, 308};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_string_equal(parse_status(statuses[i], "", VIDEO_REPLY).video.id, "");
}

static void p07_an_overridden_200_is_no_success(void **state)
{
    (void)state;
    struct reply reply =
        parse_status(200, "X-HTTP-Status-Code-Override: 308\nRange: bytes=0-99\n", VIDEO_REPLY);
    assert_true(reply.is_override);
    assert_string_equal(reply.video.id, "");
    assert_int_equal(reply.range_bytes, 100);
    assert_false(parse_status(200, "X-HTTP-Status: 308\n", VIDEO_REPLY).is_override);
    assert_false(parse_status(308, "Range: bytes=0-99\n", "").is_override);
}

static void h15_a_cut_body_is_not_believed(void **state)
{
    (void)state;
    struct yt_http http = http_reply(200, "", VIDEO_REPLY);
    http.body_is_cut = true;
    assert_string_equal(parse(http).video.id, "");
}

static void nothing_else_of_the_reply_is_touched(void **state)
{
    (void)state;
    struct yt_http http = http_reply(308, "Location: https://www.googleapis.com/x\nRange: bytes=0-9\n", "");
    struct reply reply = {.transport = TRANSPORT_OK, .sent_bytes = 7, .elapsed_ms = 8, .candidate_count = 3};
    memcpy(reply.request_id, "digest", 7);
    yt_parse_upload_reply(&http, &expected, NOW_MS, &reply);
    assert_int_equal(reply.sent_bytes, 7);
    assert_int_equal(reply.elapsed_ms, 8);
    assert_int_equal(reply.candidate_count, 3);
    assert_string_equal(reply.request_id, "digest");
    assert_false(reply.has_location);
}

/* ---- errors ---- */

static void the_reason_is_that_of_the_first_error(void **state)
{
    (void)state;
    struct reply reply =
        parse_status(400, "",
                     "{\"error\":{\"code\":400,\"message\":\"Bad title.\",\"status\":\"INVALID_ARGUMENT\","
                     "\"details\":[{\"reason\":\"SECOND\"}],\"errors\":[{\"message\":\"x\","
                     "\"domain\":\"youtube.video\",\"reason\":\"invalidTitle\"},{\"reason\":\"other\"}]}}");
    assert_int_equal(reply.status, 400);
    assert_string_equal(reply.reason, "invalidTitle");
    assert_string_equal(reply.message, "Bad title.");
}

static void the_reason_falls_back_to_details_status_and_oauth_error(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *reason;
    } cases[] = {
        {"{\"error\":{\"details\":[{\"@type\":\"x\"},{\"reason\":\"RATE_LIMIT_EXCEEDED\"}],\"status\":"
         "\"RESOURCE_EXHAUSTED\"}}",
         "RATE_LIMIT_EXCEEDED"},
        {"{\"error\":{\"errors\":[],\"status\":\"RESOURCE_EXHAUSTED\"}}", "RESOURCE_EXHAUSTED"},
        {"{\"error\":{\"errors\":[{\"reason\":\"\"}],\"status\":\"NOT_FOUND\"}}", "NOT_FOUND"},
        {"{\"error\":\"invalid_token\",\"error_description\":\"gone\"}", "invalid_token"},
        {"{\"error\":{\"errors\":[{\"reason\":\"two words\"}]}}", ""},
        {"{\"error\":{\"errors\":[{\"reason\":\"nul\\u0000\"}]}}", ""},
        {"{\"error\":{\"errors\":{\"reason\":\"x\"}}}", ""},
        {"{\"error\":{\"errors\":[{\"reason\":"
         "\"a0123456789012345678901234567890123456789012345678901234567890123456789\"}]}}",
         ""},
        {"{\"error\":[]}", ""},
        {"[{\"error\":{\"errors\":[{\"reason\":\"x\"}]}}]", ""},
        {"{}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(parse_status(429, "", cases[i].body).reason, cases[i].reason);
}

static void the_message_of_the_days_limit_survives(void **state)
{
    (void)state;
    static const char body[] = "{\"error\":{\"code\":429,\"message\":\"Quota exceeded for quota metric "
                               "'Video Uploads' and limit 'Video Uploads per "
                               "day' of service 'youtube.googleapis.com' for consumer "
                               "'project_number:123456789012'.\",\"errors\":[{\"reason\":"
                               "\"rateLimitExceeded\",\"domain\":\"global\"}]}}";
    struct reply reply = parse_status(429, "", body);
    assert_string_equal(reply.reason, "rateLimitExceeded");
    assert_non_null(strstr(reply.message, "limit 'Video Uploads per day'"));
    assert_int_equal(classify(reply.status, reply.reason, reply.message, false), VERDICT_QUOTA);
}

/* google-api-dotnet-client
 * TestUploadInBadServer_{NotFound_PlainTextError,NotFound_JsonError,ServerUnavailable}; java-storage scenario
 * 5, 503_emptyBody. */
static void h16_errors_of_any_shape_keep_their_status(void **state)
{
    (void)state;
    struct reply reply = parse_status(404, "Content-Type: text/plain\n", "Not Found\nmore\n");
    assert_int_equal(reply.status, 404);
    assert_string_equal(reply.reason, "");
    assert_string_equal(reply.message, "Not Found");
    reply = parse_status(
        404, "", "{\"error\":{\"code\":404,\"message\":\"Gone\",\"errors\":[{\"reason\":\"notFound\"}]}}");
    assert_string_equal(reply.reason, "notFound");
    reply = parse_status(503, "", "");
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.message, "");
    reply = parse_status(
        503, "Content-Type: text/plain\n",
        "Invalid request.  According to the Content-Range header, the upload offset is 524288 byte(s), which "
        "exceeds already uploaded size of 262144 byte(s).");
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.message, "exceeds already uploaded size"));
}

static void h16_malformed_nested_and_binary_bodies_are_harmless(void **state)
{
    (void)state;
    static char nested[60001];
    memset(nested, '[', 30000);
    memset(nested + 30000, ']', 30000);
    assert_string_equal(parse_status(500, "", nested).reason, "");
    for (size_t i = 0; i + 5 < 30000; i += 5)
        memcpy(nested + i, "{\"a\":", 5);
    assert_string_equal(parse_status(500, "", nested).reason, "");
    struct yt_http http = {.status = 500, .headers = "", .body = "\0\0{\"error\":\xff\xfe\0", .body_len = 15};
    struct reply reply = parse(http);
    assert_int_equal(reply.status, 500);
    assert_string_equal(reply.reason, "");
    http = (struct yt_http){.status = 500, .headers = NULL, .body = NULL};
    assert_int_equal(parse(http).status, 500);
    assert_string_equal(parse_status(500, "", "{\"error\":{\"message\":\"a\\u0000b\\u001b[1m\"}}").message,
                        "a b [1m");
}

static void h02_retry_after_is_told_in_both_forms(void **state)
{
    (void)state;
    assert_int_equal(parse_status(503, "", "").retry_after_ms, -1);
    assert_int_equal(parse_status(503, "Retry-After: 120\n", "").retry_after_ms, 120000);
    assert_int_equal(parse_status(503, "Retry-After: Sun, 22 Nov 2026 07:02:00 GMT\n", "").retry_after_ms,
                     120000);
}

static void the_uploader_id_is_handed_out_apart(void **state)
{
    (void)state;
    struct buf id AUTO_BUF;
    buf_init(&id, 4096);
    struct yt_http http = http_reply(200, "X-GUploader-UploadID: ABC-123\n", "");
    assert_true(yt_uploader_id(&http, &id));
    assert_string_equal(id.data, "ABC-123");
    http.headers = "X-Other: 1\nX-GUploader-UploadID:\n";
    assert_false(yt_uploader_id(&http, &id));
    http.headers = "X-Other: 1\n";
    assert_false(yt_uploader_id(&http, &id));
}

/* Bytes of a good reply are changed, cut and doubled at random; nothing may crash or be half-told. */
static void h16_damaged_replies_never_crash(void **state)
{
    (void)state;
    const char *given = getenv("SLUICE_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 1;
    print_message("# seed %u (SLUICE_SEED)\n", seed);
    for (int round = 0; round < 5000; round++) {
        char body[sizeof(VIDEO_REPLY)] = VIDEO_REPLY;
        for (int edits = rand_r(&seed) % 6; edits >= 0; edits--)
            body[(size_t)rand_r(&seed) % (sizeof(body) - 1)] = (char)rand_r(&seed);
        struct yt_http http = {
            .status = 200, .headers = "", .body = body, .body_len = (size_t)rand_r(&seed) % sizeof(body)};
        struct reply reply = parse(http);
        assert_true(strlen(reply.video.id) < VIDEO_ID_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_tells_what_is_stored),
        cmocka_unit_test(p01_no_range_is_told_apart_from_a_bad_one),
        cmocka_unit_test(p05_range_not_of_the_documented_form_is_bad),
        cmocka_unit_test(p05_two_range_headers_are_bad),
        cmocka_unit_test(range_is_read_from_any_spelling_of_its_header),
        cmocka_unit_test(a_whole_upload_is_followed_reply_by_reply),
        cmocka_unit_test(the_final_reply_names_and_matches_the_video),
        cmocka_unit_test(p08_another_videos_title_size_name_or_privacy_does_not_match),
        cmocka_unit_test(what_the_reply_does_not_say_is_unknown),
        cmocka_unit_test(a_size_may_be_a_number_too),
        cmocka_unit_test(a_failed_video_tells_why),
        cmocka_unit_test(h13_a_success_without_an_id_names_no_video),
        cmocka_unit_test(h13_another_2xx_is_no_success_even_with_an_id),
        cmocka_unit_test(p07_an_overridden_200_is_no_success),
        cmocka_unit_test(h15_a_cut_body_is_not_believed),
        cmocka_unit_test(nothing_else_of_the_reply_is_touched),
        cmocka_unit_test(the_reason_is_that_of_the_first_error),
        cmocka_unit_test(the_reason_falls_back_to_details_status_and_oauth_error),
        cmocka_unit_test(the_message_of_the_days_limit_survives),
        cmocka_unit_test(h16_errors_of_any_shape_keep_their_status),
        cmocka_unit_test(h16_malformed_nested_and_binary_bodies_are_harmless),
        cmocka_unit_test(h02_retry_after_is_told_in_both_forms),
        cmocka_unit_test(the_uploader_id_is_handed_out_apart),
        cmocka_unit_test(h16_damaged_replies_never_crash),
    };
    return RUN_UNIT_TESTS(tests);
}
