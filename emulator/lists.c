/* The list calls: videos, channels, playlists and their items, categories. */
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "categories.h"
#include "json.h"
#include "ops.h"

enum { IDS_MAX = 50, RESULTS_MAX = 50, RESULTS_USUAL = 5 };

/* ---- what they share ---- */

static bool is_in_list(const char *list, const char *name)
{
    for (size_t len; *list; list += len + (list[len] == ',')) {
        len = strcspn(list, ",");
        if (strlen(name) == len && memcmp(list, name, len) == 0)
            return true;
    }
    return false;
}

static bool has_part(const struct request *request, const char *part)
{
    AUTO_FREE char *parts = request_list_param(request, "part");
    return parts && is_in_list(parts, part);
}

/* Answers unless every name in the parameter `part` is among `allowed`, itself a list with commas. */
static void check_parts(struct request *request, const char *allowed)
{
    AUTO_FREE char *parts = request_list_param(request, "part");
    if (!parts || !*parts) {
        refuse_bad(request, "required", "Required parameter: part", "part");
        return;
    }
    size_t len;
    for (const char *at = parts; *at; at += len + (at[len] == ',')) {
        len = strcspn(at, ",");
        AUTO_FREE char *name = mem_dup_n(at, len);
        if (!is_in_list(allowed, name)) {
            refuse_bad(request, "invalidParameter", "Invalid value for parameter part.", "part");
            return;
        }
    }
}

static json_t *new_list(const char *kind, size_t total, size_t per_page)
{
    return json_pack("{s:s, s:s, s:{s:I, s:I}, s:[]}", "kind", kind, "etag", "\"list\"", "pageInfo",
                     "totalResults", (json_int_t)total, "resultsPerPage", (json_int_t)per_page, "items");
}

static void add_item(json_t *list, json_t *item)
{
    json_array_append_new(json_object_get(list, "items"), item);
}

struct page {
    size_t first;
    size_t count;
};

/* Page tokens are "at" and an offset; a client must not care. Answers if one is wrong. */
static struct page read_page(struct request *request)
{
    struct page page = {0, RESULTS_USUAL};
    uint64_t number = RESULTS_USUAL;
    const char *count = request_param(request, "maxResults");
    const char *token = request_param(request, "pageToken");
    if (count && (!parse_u64(count, &number) || number > RESULTS_MAX))
        refuse_bad(request, "invalidParameter", "Invalid value for parameter maxResults.", "maxResults");
    page.count = (size_t)number;
    number = 0;
    if (token && (!text_starts_with(token, "at") || !parse_u64(token + 2, &number)))
        refuse_bad(request, "invalidPageToken", "The request specifies an invalid page token.", "pageToken");
    page.first = (size_t)number;
    return page;
}

static void set_next_page(json_t *list, struct page page, size_t total)
{
    if (page.first + page.count >= total)
        return;
    AUTO_FREE char *token = mem_printf("at%zu", page.first + page.count);
    json_object_set_new(list, "nextPageToken", json_string(token));
}

/* ---- videos.list ---- */

static bool is_owner(const struct request *request, const struct video *video)
{
    return request->caller.channel == video->channel;
}

/* Parts that only the owner may see [videos]: 403 for everybody else. */
static const unsigned owner_parts =
    VIDEO_PART_FILE_DETAILS | VIDEO_PART_PROCESSING_DETAILS | VIDEO_PART_SUGGESTIONS;

static void add_video(struct request *request, json_t *list, const char *id, unsigned parts)
{
    static const struct api_error not_owner = {
        403, "youtube.video", "forbidden", "The caller may not see the requested parts of this video.", NULL,
        NULL};
    struct video *video = videos_find(&request->state->videos, id);
    if (!video || video->is_hidden)
        return; /* an unknown id is no item [videos] */
    if (!is_owner(request, video) && !video_is_public(request->state, video))
        return;
    if (!is_owner(request, video) && parts & owner_parts)
        refuse(request, &not_owner);
    else
        add_item(list, video_resource(request->state, video, parts));
}

static size_t count_ids(const char *ids)
{
    size_t count = 1;
    for (; *ids; ids++)
        count += *ids == ',';
    return count;
}

static void list_videos(struct request *request, const char *ids, unsigned parts)
{
    AUTO_JSON json_t *list = new_list("youtube#videoListResponse", count_ids(ids), count_ids(ids));
    for (size_t len; *ids; ids += len + (ids[len] == ',')) {
        len = strcspn(ids, ",");
        AUTO_FREE char *id = mem_dup_n(ids, len);
        add_video(request, list, id, parts);
    }
    if (!request_is_answered(request))
        reply_json(&request->reply, 200, list);
}

static void end_videos_list(struct request *request)
{
    unsigned parts;
    AUTO_FREE char *part = request_list_param(request, "part");
    AUTO_FREE char *ids = request_list_param(request, "id");
    if (!part || !ids || !*ids)
        refuse_bad(request, "required", "Required parameter: part, id", part ? "id" : "part");
    else if (!video_parts_parse(part, &parts))
        refuse_bad(request, "invalidParameter", "Invalid value for parameter part.", "part");
    else if (count_ids(ids) > IDS_MAX)
        refuse_bad(request, "invalidParameter", "Too many values for parameter id.", "id");
    else
        list_videos(request, ids, parts);
}

/* ---- channels.list ---- */

static json_t *channel_item(const struct request *request, const struct channel *channel)
{
    json_t *item =
        json_pack("{s:s, s:s, s:s}", "kind", "youtube#channel", "etag", "\"channel\"", "id", channel->id);
    if (has_part(request, "snippet"))
        json_object_set_new(item, "snippet",
                            json_pack("{s:s, s:s, s:s}", "title", channel->title, "description", "",
                                      "publishedAt", "2020-01-01T00:00:00Z"));
    if (has_part(request, "contentDetails"))
        json_object_set_new(
            item, "contentDetails",
            json_pack("{s:{s:s, s:s}}", "relatedPlaylists", "likes", "", "uploads", channel->uploads_id));
    if (has_part(request, "status"))
        json_object_set_new(item, "status",
                            json_pack("{s:s, s:b, s:s}", "privacyStatus", "public", "isLinked", 1,
                                      "longUploadsStatus", channel->long_uploads_status));
    if (has_part(request, "statistics"))
        json_object_set_new(item, "statistics",
                            json_pack("{s:s, s:s, s:b}", "viewCount", "0", "subscriberCount", "0",
                                      "hiddenSubscriberCount", 0));
    return item;
}

static void end_channels_list(struct request *request)
{
    static const char allowed[] = "id,snippet,contentDetails,status,statistics,brandingSettings,topicDetails";
    const char *mine = request_param(request, "mine");
    const char *id = request_param(request, "id");
    check_parts(request, allowed);
    if (request_is_answered(request))
        return;
    bool is_mine = mine && strcmp(mine, "true") == 0;
    if (!is_mine && !id) {
        refuse_bad(request, "required", "No filter selected. Expected one of: mine, id", NULL);
        return;
    }
    const struct channel *channel =
        is_mine ? request->caller.channel : map_get(&request->state->channels.by_id, id);
    bool is_there = channel && channel->state != CHANNEL_ABSENT;
    AUTO_JSON json_t *list = new_list("youtube#channelListResponse", is_there, 5);
    if (is_there)
        add_item(list, channel_item(request, channel));
    else
        json_object_del(list, "items"); /* empty or missing: seen both [oauth] */
    reply_json(&request->reply, 200, list);
}

/* ---- playlists ---- */

static json_t *playlist_item(const struct request *request, struct video *video, const char *playlist_id,
                             const char *item_id, size_t position)
{
    char published[TIME_TEXT_SIZE];
    const json_t *snippet = json_object_get(video->metadata, "snippet");
    json_t *item =
        json_pack("{s:s, s:s, s:s}", "kind", "youtube#playlistItem", "etag", video->etag, "id", item_id);
    format_time(published, video->finished_at_ms);
    if (has_part(request, "snippet"))
        json_object_set_new(
            item, "snippet",
            json_pack("{s:s, s:s, s:O, s:O, s:s, s:s, s:I, s:{s:s, s:s}}", "publishedAt", published,
                      "channelId", video->channel->id, "title", json_object_get(snippet, "title"),
                      "description", json_object_get(snippet, "description"), "channelTitle",
                      video->channel->title, "playlistId", playlist_id, "position", (json_int_t)position,
                      "resourceId", "kind", "youtube#video", "videoId", video->id));
    if (has_part(request, "contentDetails"))
        json_object_set_new(item, "contentDetails",
                            json_pack("{s:s, s:s}", "videoId", video->id, "videoPublishedAt", published));
    if (has_part(request, "status"))
        json_object_set_new(item, "status",
                            json_pack("{s:s}", "privacyStatus",
                                      video_is_public(request->state, video) ? "public" : "private"));
    return item;
}

/* Newest first. The real list is late, so a video may be held back for a time. */
static void list_uploads(struct request *request, const struct channel *channel, struct page page)
{
    struct state *state = request->state;
    int64_t newest_ms = state_now_ms(state) - state->settings.listing_delay_ms;
    size_t total = 0;
    AUTO_JSON json_t *list = new_list("youtube#playlistItemListResponse", 0, page.count);
    for (size_t i = state->videos.count; i-- > 0;) {
        struct video *video = state->videos.list[i];
        if (video->channel != channel || video->is_hidden || video->finished_at_ms > newest_ms)
            continue;
        if (!is_owner(request, video) && !video_is_public(state, video))
            continue;
        if (total >= page.first && total < page.first + page.count) {
            AUTO_FREE char *item_id = mem_printf("UU%s", video->id);
            add_item(list, playlist_item(request, video, channel->uploads_id, item_id, total));
        }
        total++;
    }
    json_object_set_new(json_object_get(list, "pageInfo"), "totalResults", json_integer((json_int_t)total));
    set_next_page(list, page, total);
    reply_json(&request->reply, 200, list);
}

static void list_playlist(struct request *request, const struct playlist *playlist, struct page page)
{
    AUTO_JSON json_t *list = new_list("youtube#playlistItemListResponse", playlist->item_count, page.count);
    for (size_t i = page.first; i < playlist->item_count && i < page.first + page.count; i++) {
        struct video *video = videos_find(&request->state->videos, playlist->items[i].video_id);
        if (video)
            add_item(list, playlist_item(request, video, playlist->id, playlist->items[i].id, i));
    }
    set_next_page(list, page, playlist->item_count);
    reply_json(&request->reply, 200, list);
}

static const struct channel *channel_of_uploads(const struct state *state, const char *playlist_id)
{
    for (size_t i = 0; i < state->channels.count; i++)
        if (strcmp(state->channels.list[i]->uploads_id, playlist_id) == 0)
            return state->channels.list[i];
    return NULL;
}

static void end_playlist_items_list(struct request *request)
{
    static const char allowed[] = "id,snippet,contentDetails,status";
    static const struct api_error not_found = {
        404,
        "youtube.playlistItem",
        "playlistNotFound",
        "The playlist identified with the request's playlistId parameter cannot be found.",
        "playlistId",
        "parameter"};
    const char *id = request_param(request, "playlistId");
    check_parts(request, allowed);
    struct page page = read_page(request);
    if (!request_is_answered(request) && !id)
        refuse_bad(request, "required", "Required parameter: playlistId", "playlistId");
    if (request_is_answered(request))
        return;
    const struct channel *channel = channel_of_uploads(request->state, id);
    const struct playlist *playlist = playlists_find(&request->state->playlists, id);
    if (channel)
        list_uploads(request, channel, page);
    else if (playlist)
        list_playlist(request, playlist, page);
    else
        refuse(request, &not_found);
}

static void end_playlists_list(struct request *request)
{
    static const char allowed[] = "id,snippet,contentDetails,status";
    const struct playlists *playlists = &request->state->playlists;
    check_parts(request, allowed);
    if (request_is_answered(request))
        return;
    AUTO_JSON json_t *list = new_list("youtube#playlistListResponse", 0, RESULTS_MAX);
    for (size_t i = 0; i < playlists->count; i++) {
        const struct playlist *playlist = playlists->list[i];
        if (playlist->channel == request->caller.channel)
            add_item(list, json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:{s:I}}", "kind", "youtube#playlist",
                                     "id", playlist->id, "snippet", "channelId", playlist->channel->id,
                                     "title", playlist->title, "status", "privacyStatus", playlist->privacy,
                                     "contentDetails", "itemCount", (json_int_t)playlist->item_count));
    }
    reply_json(&request->reply, 200, list);
}

static void end_video_categories_list(struct request *request)
{
    static const char allowed[] = "id,snippet";
    check_parts(request, allowed);
    if (request_is_answered(request))
        return;
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:o}", "kind", "youtube#videoCategoryListResponse", "etag",
                              "\"categories\"", "items", categories_list()));
}

/* Not youtube.upload: that scope may not read [oauth]. */
#define READ_SCOPES (SCOPE_YOUTUBE | SCOPE_FORCE_SSL | SCOPE_READONLY | SCOPE_PARTNER)
#define LIST_OP(name_, end_)                                                                                 \
    {                                                                                                        \
        .name = name_, .scopes = READ_SCOPES, .bucket = QUOTA_UNITS, .units = 1, .end = end_                 \
    }

const struct op op_videos_list = LIST_OP("videos.list", end_videos_list);
const struct op op_channels_list = LIST_OP("channels.list", end_channels_list);
const struct op op_playlist_items_list = LIST_OP("playlistItems.list", end_playlist_items_list);
const struct op op_playlists_list = LIST_OP("playlists.list", end_playlists_list);
const struct op op_video_categories_list = LIST_OP("videoCategories.list", end_video_categories_list);
