#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "core/classify.h"
#include "youtube/message.h"
#include "youtube/reply.h"
#include "youtube/retry_after.h"
#include "youtube/video.h"

/* Fills the reply; the body where it is a good one, else NULL. */
static json_t *good_body(const struct yt_http *http, struct reply *ret)
{
    json_t *body = yt_reply_body(http);
    yt_reply_read_error(http, body, ret);
    ret->retry_after_ms = yt_retry_after_by_date_header_ms(http->headers);
    if (http->status != 200) {
        json_decref(body);
        return NULL;
    }
    ret->reason[0] = '\0';
    text_copy(ret->message, sizeof(ret->message), body ? "" : "the reply is not JSON");
    return body;
}

/* What the list must have been, seen from its end: a reply half understood is not a good one. */
static bool refuse(struct reply *ret, const char *message)
{
    text_copy(ret->message, sizeof(ret->message), message);
    return false;
}

/* ---- channels.list ---- */

static int channels_error_code(const struct reply *reply)
{
    switch (classify(reply->status, reply->reason, reply->message, false)) {
    case VERDICT_QUOTA:
    case VERDICT_CHANNEL_LIMIT:
        return ERR_LIMIT;
    case VERDICT_REFRESH:
    case VERDICT_CHANNEL_AUTH:
    case VERDICT_CHANNEL_FROZEN:
    case VERDICT_CLIENT:
        return ERR_AUTH;
    case VERDICT_FAIL:
        return reply->status == 403 ? ERR_AUTH : ERR_IO;
    case VERDICT_RETRY:
    case VERDICT_QUERY:
    case VERDICT_GONE:
        break;
    }
    return ERR_IO;
}

static int channels_error(const struct reply *reply, struct err *err)
{
    if (strcmp(reply->reason, "youtubeSignupRequired") == 0)
        return err_set(err, ERR_NOT_FOUND, "the account has no YouTube channel (youtubeSignupRequired)");
    return err_set(err, channels_error_code(reply), "channels.list: HTTP %d %s%s%s", reply->status,
                   reply->reason, reply->message[0] ? ": " : "", reply->message);
}

static int read_channel(const json_t *item, struct yt_channel *ret, struct err *err)
{
    const json_t *details = json_object_get(item, "contentDetails");
    if (!yt_json_word(item, "id", ret->id, sizeof(ret->id)))
        return err_set(err, ERR_IO, "channels.list: the reply names no channel id");
    const json_t *title = json_object_get(json_object_get(item, "snippet"), "title");
    if (json_is_string(title))
        yt_message_from_text(ret->title, sizeof(ret->title), json_string_value(title),
                             json_string_length(title));
    yt_json_word(json_object_get(details, "relatedPlaylists"), "uploads", ret->uploads_playlist,
                 sizeof(ret->uploads_playlist));
    yt_json_word(json_object_get(item, "status"), "longUploadsStatus", ret->long_uploads_status,
                 sizeof(ret->long_uploads_status));
    return 0;
}

int yt_parse_channels(const struct yt_http *http, struct yt_channel *ret, struct err *err)
{
    struct reply reply = {0};
    *ret = (struct yt_channel){0};
    json_t *body AUTO_JSON = good_body(http, &reply);
    if (!body)
        return channels_error(&reply, err);
    const json_t *items = json_object_get(body, "items");
    if (items && !json_is_array(items))
        return err_set(err, ERR_IO, "channels.list: the reply is not a list");
    if (json_array_size(items) == 0)
        return err_set(err, ERR_NOT_FOUND, "the account has no YouTube channel");
    if (json_array_size(items) > 1)
        return err_set(err, ERR_IO, "channels.list: the reply names %zu channels for one token",
                       json_array_size(items));
    return read_channel(json_array_get(items, 0), ret, err);
}

/* ---- playlistItems.list ---- */

static bool read_playlist_item(const json_t *item, struct yt_page *page)
{
    const json_t *snippet = json_object_get(item, "snippet");
    const json_t *details = json_object_get(item, "contentDetails");
    char *id = page->items[page->count].id;
    if (!yt_json_word(details, "videoId", id, VIDEO_ID_SIZE) &&
        !yt_json_word(json_object_get(snippet, "resourceId"), "videoId", id, VIDEO_ID_SIZE))
        return false;
    const char *at = yt_json_text(snippet, "publishedAt");
    if (!at)
        at = yt_json_text(details, "videoPublishedAt");
    if (!at || !parse_time(at, &page->items[page->count].published_at_ms))
        page->items[page->count].published_at_ms = 0;
    page->count++;
    return true;
}

/* Absent: the last page. Anything odd must not pass for the last page. */
static bool read_next_page(const json_t *body, struct yt_page *page)
{
    if (!json_object_get(body, "nextPageToken"))
        return true;
    const char *token = yt_json_text(body, "nextPageToken");
    if (!token || !*token || !text_copy(page->next_page, sizeof(page->next_page), token)) {
        page->next_page[0] = '\0';
        return false;
    }
    return true;
}

bool yt_parse_playlist_items(const struct yt_http *http, struct yt_page *ret, struct reply *ret_reply)
{
    *ret = (struct yt_page){0};
    json_t *body AUTO_JSON = good_body(http, ret_reply);
    if (!body)
        return false;
    const json_t *items = json_object_get(body, "items");
    if (!json_is_array(items) || json_array_size(items) > ARRAY_LEN(ret->items))
        return refuse(ret_reply, "the reply is not a list of at most 50 items");
    for (size_t i = 0; i < json_array_size(items); i++)
        if (!read_playlist_item(json_array_get(items, i), ret))
            return refuse(ret_reply, "an item of the list names no video");
    if (!read_next_page(body, ret))
        return refuse(ret_reply, "the list's nextPageToken is not one");
    return true;
}

/* ---- videos.list ---- */

/* Everything stays that could be ours: only another title, without our file name, rules a video out. */
static bool is_candidate(const struct video_facts *video)
{
    return video->title != MATCH_NO || video->file_name == MATCH_YES;
}

static void add_candidate(const struct video_facts *video, struct reply *reply)
{
    if (reply->candidate_count < CANDIDATES_MAX)
        reply->candidates[reply->candidate_count++] = *video;
    else
        reply->list_is_complete = false;
}

static const json_t *video_items(const json_t *body, struct reply *reply)
{
    const json_t *items = json_object_get(body, "items");
    if (body && !json_is_array(items))
        refuse(reply, "the reply is not a list");
    return json_is_array(items) ? items : NULL;
}

bool yt_parse_videos(const struct yt_http *http, const struct yt_expected *expected, struct reply *ret_reply)
{
    json_t *body AUTO_JSON = good_body(http, ret_reply);
    const json_t *items = video_items(body, ret_reply);
    struct expected_video ours AUTO_EXPECTED;
    yt_expected_video_open(expected, &ours);
    for (size_t i = 0; i < json_array_size(items); i++) {
        struct video_facts video;
        yt_video_read(json_array_get(items, i), &ours, &video);
        if (!video.id[0])
            return refuse(ret_reply, "an item of the list is no video");
        if (is_candidate(&video))
            add_candidate(&video, ret_reply);
    }
    return items != NULL;
}

bool yt_parse_video(const struct yt_http *http, const struct yt_expected *expected, struct reply *ret_reply)
{
    json_t *body AUTO_JSON = good_body(http, ret_reply);
    const json_t *items = video_items(body, ret_reply);
    ret_reply->video = (struct video_facts){.title = MATCH_UNKNOWN};
    if (json_array_size(items) == 0)
        return items != NULL;
    struct expected_video ours AUTO_EXPECTED;
    yt_expected_video_open(expected, &ours);
    yt_video_read(json_array_get(items, 0), &ours, &ret_reply->video);
    return ret_reply->video.id[0] ? true : refuse(ret_reply, "an item of the list is no video");
}
