/* Every reply of the API, through every function that reads one (H13, H15, H16, P05, P10). */
#include "fuzz.h"

#include "core/limits.h"

static const struct yt_expected expected = {
    .metadata_json = "{\"snippet\":{\"title\":\"T\"},\"status\":{\"privacyStatus\":\"private\"}}",
    .size_bytes = 5,
    .slug = "a [J].mp4",
};

static void check_video(const struct video_facts *video)
{
    CHECK_TEXT(video->id);
    CHECK_TEXT(video->etag);
    CHECK_TEXT(video->failure);
    CHECK(is_word(video->id) && is_word(video->failure));
}

static void check_reply(const struct reply *reply)
{
    CHECK_TEXT(reply->reason);
    CHECK_TEXT(reply->message);
    CHECK(is_word(reply->reason));
    CHECK(reply->retry_after_ms >= -1);
    CHECK(reply->candidate_count <= CANDIDATES_MAX);
    check_video(&reply->video);
    for (uint32_t i = 0; i < reply->candidate_count; i++)
        check_video(&reply->candidates[i]);
}

static void fuzz_upload(const struct yt_http *http)
{
    struct reply reply = {0};
    yt_parse_upload_reply(http, &expected, INT64_C(1795330800000), &reply);
    check_reply(&reply);
    CHECK((reply.range == RANGE_OK) == (reply.range_bytes > 0));
    CHECK(!reply.video.id[0] || ((http->status == 200 || http->status == 201) && !reply.is_override));
}

static void fuzz_location(const struct yt_http *http, const char *api_root)
{
    struct err err = {0};
    struct buf url AUTO_BUF;
    buf_init(&url, SESSION_URL_LEN_MAX);
    int result = yt_location(http, api_root, &url, &err);
    CHECK((result == 1) == (url.len > 0));
    CHECK((result < 0) == (err.code != 0));
    CHECK(result != 1 || text_starts_with(url.data, "http") || text_starts_with(url.data, "HTTP") ||
          url.data[0] == 'h' || url.data[0] == 'H');
    CHECK(!strchr(url.data, '\n') && !strchr(url.data, ' '));
}

static void fuzz_lists(const struct yt_http *http)
{
    struct yt_channel channel;
    struct yt_page page;
    struct err err = {0};
    struct reply reply = {0};
    CHECK((yt_parse_channels(http, &channel, &err) == 0) == (channel.id[0] != '\0'));
    CHECK_TEXT(channel.id);
    CHECK_TEXT(channel.title);
    CHECK_TEXT(channel.uploads_playlist);
    yt_parse_playlist_items(http, &page, &reply);
    CHECK(page.count <= 50);
    for (uint32_t i = 0; i < page.count; i++)
        CHECK(page.items[i].id[0] && is_word(page.items[i].id));
    check_reply(&reply);
    yt_parse_videos(http, &expected, &reply);
    yt_parse_videos(http, &expected, &reply);
    check_reply(&reply);
    yt_parse_video(http, &expected, &reply);
    check_reply(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_reply reply AUTO_FUZZ_REPLY = fuzz_reply_of(data, size);
    fuzz_upload(&reply.http);
    fuzz_location(&reply.http, "https://www.googleapis.com");
    fuzz_location(&reply.http, "http://127.0.0.1:8080");
    fuzz_lists(&reply.http);
    struct buf id AUTO_BUF;
    buf_init(&id, 4096);
    yt_uploader_id(&reply.http, &id);
    return 0;
}
