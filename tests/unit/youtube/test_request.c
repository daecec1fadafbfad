#include "yt_test.h"

#include "base/err.h"

#define SESSION "https://www.googleapis.com/upload/youtube/v3/videos?uploadType=resumable&upload_id=xa298sd_f"

static struct err err;

static void yt_request_release_at(struct yt_request *request)
{
    yt_request_release(request);
}
#define AUTO_REQUEST CLEANUP(yt_request_release_at)

/* Exactly these headers, in this order. */
static void assert_headers(const struct yt_request *request, const char *const *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_non_null(request->headers[i]);
        assert_string_equal(request->headers[i], headers[i]);
    }
    assert_null(request->headers[count]);
}
#define ASSERT_HEADERS(request, ...)                                                                         \
    assert_headers(request, (const char *const[]){__VA_ARGS__},                                              \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static int build_start(const char *metadata, struct yt_request *ret)
{
    return yt_build_start(API_ROOT, metadata, 5, "video/mp4", "a [J].mp4", ret, &err);
}

static void start_names_exactly_the_parts_of_its_body(void **state)
{
    (void)state;
    static const struct {
        const char *metadata;
        const char *query;
        const char *body;
    } cases[] = {
        {"{\"snippet\":{\"title\":\"T\"},\"status\":{\"privacyStatus\":\"private\"}}",
         "part=snippet%2Cstatus",
         "{\"snippet\":{\"title\":\"T\"},\"status\":{\"privacyStatus\":\"private\"}}"},
        {"{\"status\":{\"privacyStatus\":\"public\"}}", "part=status",
         "{\"status\":{\"privacyStatus\":\"public\"}}"},
        {"{\"notifySubscribers\":false,\"snippet\":{},\"status\":{\"privacyStatus\":\"private\"},"
         "\"paidProductPlacementDetails\":{},"
         "\"recordingDetails\":{},\"localizations\":{}}",
         "part=snippet%2Cstatus%2Clocalizations%2CrecordingDetails%2CpaidProductPlacementDetails&"
         "notifySubscribers=false",
         "{\"snippet\":{},\"status\":{\"privacyStatus\":\"private\"},\"paidProductPlacementDetails\":{},"
         "\"recordingDetails\":{},"
         "\"localizations\":{}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_request request AUTO_REQUEST;
        assert_int_equal(build_start(cases[i].metadata, &request), 0);
        static const char begin[] = API_ROOT "/upload/youtube/v3/videos?uploadType=resumable&";
        assert_true(text_starts_with(request.url.data, begin));
        assert_string_equal(request.url.data + sizeof(begin) - 1, cases[i].query);
        assert_string_equal(request.body.data, cases[i].body);
        assert_string_equal(request.method, "POST");
        assert_int_equal(request.units, 0);
    }
}

static void start_announces_the_file(void **state)
{
    (void)state;
    struct yt_request request AUTO_REQUEST;
    assert_int_equal(yt_build_start(API_ROOT "//", "{\"status\":{\"privacyStatus\":\"private\"}}",
                                    UINT64_C(274877906944), "application/octet-stream", "x [J].mov", &request,
                                    &err),
                     0);
    assert_true(text_starts_with(request.url.data, API_ROOT "/upload/youtube/v3/videos?"));
    ASSERT_HEADERS(&request, "Content-Type: application/json; charset=UTF-8",
                   "X-Upload-Content-Length: 274877906944", "X-Upload-Content-Type: application/octet-stream",
                   "Slug: x [J].mov");
}

static void start_never_leaves_privacy_to_youtube(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "{\"status\":{}}",
                                      "{\"snippet\":{\"title\":\"T\"}}",
                                      "{\"status\":{\"privacyStatus\":7}}",
                                      "{\"status\":{\"privacyStatus\":\"private\"},\"statistics\":{}}",
                                      "nonsense",
                                      ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct yt_request request AUTO_REQUEST;
        assert_int_equal(build_start(bad[i], &request), ERR_INVALID);
    }
}

static void start_puts_no_line_break_into_a_header(void **state)
{
    (void)state;
    static const char *const bad[] = {"a\r\nX: y", "a\nb", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct yt_request request AUTO_REQUEST;
        assert_int_equal(yt_build_start(API_ROOT, "{\"status\":{\"privacyStatus\":\"private\"}}", 5,
                                        "video/mp4", bad[i], &request, &err),
                         ERR_INVALID);
        struct yt_request other AUTO_REQUEST;
        assert_int_equal(yt_build_start(API_ROOT, "{\"status\":{\"privacyStatus\":\"private\"}}", 5, bad[i],
                                        "a", &other, &err),
                         ERR_INVALID);
    }
}

/* python resumable-media Test_get_content_range; google's guide, "Content-Range: bytes FIRST-LAST/TOTAL". */
static void put_tells_first_last_and_total(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, size, total;
        const char *range;
    } cases[] = {
        {0, 1, 1, "Content-Range: bytes 0-0/1"},
        {0, 8388608, 10000000, "Content-Range: bytes 0-8388607/10000000"},
        {8388608, 1611392, 10000000, "Content-Range: bytes 8388608-9999999/10000000"},
        {17, 262144, UINT64_C(274877906944), "Content-Range: bytes 17-262160/274877906944"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yt_request request AUTO_REQUEST;
        yt_build_put(SESSION, cases[i].first, cases[i].size, cases[i].total, "video/mp4", &request);
        assert_string_equal(request.method, "PUT");
        assert_string_equal(request.url.data, SESSION);
        assert_string_equal(request.body.data, "");
        ASSERT_HEADERS(&request, "Content-Type: video/mp4", cases[i].range);
    }
}

static void query_and_cancel_have_no_body(void **state)
{
    (void)state;
    struct yt_request query AUTO_REQUEST, cancel AUTO_REQUEST;
    yt_build_query(SESSION, 1234, &query);
    assert_string_equal(query.method, "PUT");
    assert_string_equal(query.url.data, SESSION);
    ASSERT_HEADERS(&query, "Content-Range: bytes */1234");
    assert_int_equal(query.units, 0);
    yt_build_cancel(SESSION, &cancel);
    assert_string_equal(cancel.method, "DELETE");
    assert_string_equal(cancel.url.data, SESSION);
    assert_null(cancel.headers[0]);
    assert_int_equal(cancel.units, 0);
}

static void lists_cost_one_unit_and_escape_their_values(void **state)
{
    (void)state;
    struct yt_request channels AUTO_REQUEST, items AUTO_REQUEST, first AUTO_REQUEST, videos AUTO_REQUEST;
    yt_build_channels_mine(API_ROOT, &channels);
    assert_string_equal(channels.url.data, API_ROOT
                        "/youtube/v3/channels?part=id%2Csnippet%2CcontentDetails%2Cstatus&mine=true");
    yt_build_playlist_items(API_ROOT, "UU&x=1", "a b+c", &items);
    assert_string_equal(items.url.data,
                        API_ROOT "/youtube/v3/playlistItems?part=snippet%2CcontentDetails&maxResults=50"
                                 "&playlistId=UU%26x%3D1&pageToken=a%20b%2Bc");
    yt_build_playlist_items(API_ROOT, "UU1", "", &first);
    assert_null(strstr(first.url.data, "pageToken"));
    yt_build_videos_list(API_ROOT, (const char *[]){"a-_1", "b,c"}, 2, &videos);
    assert_string_equal(videos.url.data, API_ROOT
                        "/youtube/v3/videos?part=id%2Csnippet%2Cstatus%2CfileDetails&id=a-_1%2Cb%2Cc");
    assert_int_equal(channels.units + items.units + videos.units, 3);
    assert_string_equal(videos.method, "GET");
}

static void fifty_longest_ids_fit(void **state)
{
    (void)state;
    static const char id[] = "0123456789012345678901234567890";
    const char *ids[YT_IDS_MAX];
    for (size_t i = 0; i < YT_IDS_MAX; i++)
        ids[i] = id;
    struct yt_request request AUTO_REQUEST;
    yt_build_videos_list(API_ROOT, ids, YT_IDS_MAX, &request);
    assert_false(request.url.overflowed);
}

static void slug_is_safe_and_carries_the_job(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *slug;
    } cases[] = {
        {"/a/b/film.mp4", "film [JOB].mp4"},
        {"film.final.MOV", "film.final [JOB].MOV"},
        {"film", "film [JOB]"},
        {"/x/.hidden", ".hidden [JOB]"},
        {"dot.", "dot. [JOB]"},
        {"a/\xc3\xa9t\xc3\xa9 \xe2\x82\xac.mp4", "_t_ _ [JOB].mp4"},
        {"a\r\nX: y\x7f%00\xff.mp4", "a__X_ y__00_ [JOB].mp4"},
        {"dir.d/file", "file [JOB]"},
        {"", " [JOB]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char slug[256];
        yt_slug(cases[i].path, "JOB", slug);
        assert_string_equal(slug, cases[i].slug);
    }
}

static void slug_of_a_long_name_is_cut_around_the_job(void **state)
{
    (void)state;
    char path[1024], slug[256];
    memset(path, 'n', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memcpy(path + 900, ".mp4", 4);
    yt_slug(path, "01JD0000000000000000000000", slug);
    assert_non_null(strstr(slug, " [01JD0000000000000000000000].mp4nnn"));
    assert_int_equal(strlen(slug), 120 + 29 + 16);
}

static void content_type_comes_from_the_extension(void **state)
{
    (void)state;
    assert_string_equal(yt_content_type("/a/b.mp4"), "video/mp4");
    assert_string_equal(yt_content_type("b.MOV"), "video/quicktime");
    assert_string_equal(yt_content_type("b.mkv"), "video/x-matroska");
    assert_string_equal(yt_content_type("b.exe"), "application/octet-stream");
    assert_string_equal(yt_content_type("a.mp4/b"), "application/octet-stream");
    assert_string_equal(yt_content_type(".mp4"), "application/octet-stream");
    assert_string_equal(yt_content_type(""), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_names_exactly_the_parts_of_its_body),
        cmocka_unit_test(start_announces_the_file),
        cmocka_unit_test(start_never_leaves_privacy_to_youtube),
        cmocka_unit_test(start_puts_no_line_break_into_a_header),
        cmocka_unit_test(put_tells_first_last_and_total),
        cmocka_unit_test(query_and_cancel_have_no_body),
        cmocka_unit_test(lists_cost_one_unit_and_escape_their_values),
        cmocka_unit_test(fifty_longest_ids_fit),
        cmocka_unit_test(slug_is_safe_and_carries_the_job),
        cmocka_unit_test(slug_of_a_long_name_is_cut_around_the_job),
        cmocka_unit_test(content_type_comes_from_the_extension),
    };
    return RUN_UNIT_TESTS(tests);
}
