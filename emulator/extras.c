/* What follows an upload: delete, thumbnails, captions, playlists. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "json.h"
#include "multipart.h"
#include "ops.h"

#define WRITE_SCOPES (SCOPE_YOUTUBE | SCOPE_FORCE_SSL | SCOPE_PARTNER)

static const struct api_error video_not_found = {
    404,       "youtube.video", "videoNotFound", "The video that you are trying to use cannot be found.",
    "videoId", "parameter"};
static const struct api_error not_yours = {
    403, "youtube.video", "forbidden", "The caller may not do this with this video.", NULL, NULL};

/* The caller's own video; answers 404 or 403 otherwise. */
static struct video *own_video(struct request *request, const char *id)
{
    struct video *video = videos_find(&request->state->videos, id);
    if (!video || video->is_hidden)
        refuse(request, &video_not_found);
    else if (video->channel != request->caller.channel)
        refuse(request, &not_yours);
    return request_is_answered(request) ? NULL : video;
}

/* ---- videos.delete ---- */

static void end_videos_delete(struct request *request)
{
    const struct video *video = own_video(request, request_param(request, "id"));
    if (!video)
        return;
    videos_delete(&request->state->videos, video->id);
    reply_empty(&request->reply, 204);
}

const struct op op_videos_delete = {.name = "videos.delete",
                                    .scopes = WRITE_SCOPES,
                                    .bucket = QUOTA_UNITS,
                                    .units = 50,
                                    .end = end_videos_delete};

/* ---- thumbnails.set ---- */

enum { THUMBNAIL_BYTES_MAX = 50 << 20 }; /* since 2026-09-14 [rev] */

static bool is_image(const char *type)
{
    return type && (text_starts_with(type, "image/jpeg") || text_starts_with(type, "image/png") ||
                    text_starts_with(type, "application/octet-stream"));
}

static void take_thumbnail(struct request *request, const char *data, size_t len)
{
    (void)request;
    (void)data;
    (void)len; /* its size is counted, its bytes are of no interest */
}

static void end_thumbnails_set(struct request *request)
{
    static const struct api_error too_large = {
        413, "global", "uploadTooLarge", "The thumbnail is too large.", NULL, NULL};
    static const struct api_error unverified = {
        403,         "youtube.thumbnail",
        "forbidden", "The thumbnail can't be set for the specified video. The channel is not verified.",
        NULL,        NULL};
    static const struct api_error too_early = {
        403,
        "youtube.thumbnail",
        "forbidden",
        "The thumbnail can't be set for the specified video. It is a Short that is still being processed.",
        NULL,
        NULL};
    const char *type = request_header(request, "Content-Type");
    struct video *video = own_video(request, request_param(request, "videoId"));
    if (!video)
        return;
    if (!request->caller.channel->is_verified)
        refuse(request, &unverified);
    else if (request->caller.channel->makes_shorts && !video_is_processed(request->state, video))
        refuse(request, &too_early);
    else if (request->received_bytes == 0)
        refuse_bad(request, "mediaBodyRequired", "The request does not include the image content.", NULL);
    else if (!is_image(type))
        refuse_bad(request, "invalidImage", "The provided image content is invalid.", NULL);
    else if (request->received_bytes > THUMBNAIL_BYTES_MAX)
        refuse(request, &too_large);
    if (request_is_answered(request))
        return;
    video->has_thumbnail = true;
    video->thumbnail_bytes = request->received_bytes;
    mem_free(video->thumbnail_type);
    video->thumbnail_type = mem_dup(type);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:[{s:{s:s}}]}", "kind", "youtube#thumbnailSetResponse", "etag",
                              video->etag, "items", "default", "url", "https://i.ytimg.com/vi/default.jpg"));
}

const struct op op_thumbnails_set = {.name = "thumbnails.set",
                                     .scopes = SCOPE_UPLOAD | WRITE_SCOPES,
                                     .bucket = QUOTA_UNITS,
                                     .units = 50,
                                     .take = take_thumbnail,
                                     .end = end_thumbnails_set};

/* ---- captions.insert ---- */

enum { CAPTION_BYTES_MAX = 104857600, CAPTION_NAME_MAX = 150 }; /* captions/insert of the reference */

/* The parts of a caption upload. */
struct caption_parts {
    struct buf metadata;
    uint64_t bytes;
};

static void on_caption_headers(void *parts, unsigned part, const char *headers)
{
    (void)parts;
    (void)part;
    (void)headers;
}

static void on_caption_data(void *parts_, unsigned part, const char *data, size_t len)
{
    struct caption_parts *parts = parts_;
    if (part == 1)
        buf_append(&parts->metadata, data, len);
    else
        parts->bytes += len;
}

/* Reads the collected body; NULL after an answer. */
static json_t *read_caption(struct request *request)
{
    struct multipart multipart;
    struct caption_parts parts = {.bytes = 0};
    json_t *resource = NULL;
    buf_init(&parts.metadata, 1 << 20);
    if (multipart_init(&multipart, request_header(request, "Content-Type"))) {
        multipart.on_headers = on_caption_headers;
        multipart.on_data = on_caption_data;
        multipart.ctx = &parts;
        multipart_feed(&multipart, request->body.data, request->body.len);
        resource = json_loadb(parts.metadata.data, parts.metadata.len, 0, NULL);
    }
    multipart_release(&multipart);
    buf_release(&parts.metadata);
    if (!resource)
        refuse_bad(request, "invalidMetadata", "The request contains invalid metadata values.", NULL);
    else if (parts.bytes == 0)
        refuse_bad(request, "contentRequired", "The caption track contents are required.", NULL);
    if (!request_is_answered(request))
        return resource;
    json_decref(resource);
    return NULL;
}

static bool has_caption(const struct video *video, const char *language, const char *name)
{
    size_t i;
    json_t *caption;
    json_array_foreach(video->captions, i, caption)
    {
        const char *there = json_text_at(caption, "name");
        if (strcmp(json_text_at(caption, "language"), language) == 0 && strcmp(there, name) == 0)
            return true;
    }
    return false;
}

static void add_caption(struct request *request, const json_t *snippet)
{
    static const struct api_error exists = {409,
                                            "youtube.caption",
                                            "captionExists",
                                            "The specified video already has a caption track with the given "
                                            "videoId, language, and name.",
                                            NULL,
                                            NULL};
    const char *language = json_text_at(snippet, "language");
    const char *name = json_text_at(snippet, "name");
    struct video *video = own_video(request, json_text_at(snippet, "videoId"));
    if (!video)
        return;
    if (!language || !name)
        refuse_bad(request, "invalidMetadata", "The request contains invalid metadata values.", NULL);
    else if (utf8_length(name) > CAPTION_NAME_MAX)
        refuse_bad(request, "nameTooLong", "The snippet.name is too long.", NULL);
    else if (has_caption(video, language, name))
        refuse(request, &exists);
    if (request_is_answered(request))
        return;
    char id[41];
    dice_id(&request->state->dice, id, sizeof id - 1);
    json_t *caption = json_pack("{s:s, s:s, s:s}", "id", id, "language", language, "name", name);
    json_array_append_new(video->captions, caption);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:O}", "kind", "youtube#caption", "id", id, "snippet", snippet));
}

static void end_captions_insert(struct request *request)
{
    AUTO_JSON json_t *resource = read_caption(request);
    if (resource)
        add_caption(request, json_object_get(resource, "snippet"));
}

const struct op op_captions_insert = {.name = "captions.insert",
                                      .scopes = SCOPE_FORCE_SSL | SCOPE_PARTNER,
                                      .bucket = QUOTA_UNITS,
                                      .units = 400,
                                      .body_bytes_max = 4 << 20,
                                      .end = end_captions_insert};

/* ---- playlists ---- */

/* The body's object; NULL after an answer. */
static json_t *read_body(struct request *request)
{
    json_t *body = request_json(request);
    if (!body)
        refuse_bad(request, "parseError", "Parse Error", NULL);
    return body;
}

static void end_playlists_insert(struct request *request)
{
    AUTO_JSON json_t *body = read_body(request);
    if (!body)
        return;
    const char *title = json_text_at(json_object_get(body, "snippet"), "title");
    const char *privacy = json_text_at(json_object_get(body, "status"), "privacyStatus");
    if (!title || !*title) {
        refuse_bad(request, "playlistTitleRequired", "The request must specify a playlist title.", NULL);
        return;
    }
    const struct playlist *playlist =
        playlists_add(&request->state->playlists, &request->state->dice, request->caller.channel, title,
                      privacy ? privacy : "public");
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:{s:s, s:s}}", "kind", "youtube#playlist", "id", playlist->id,
                              "snippet", "title", title, "channelId", playlist->channel->id));
}

const struct op op_playlists_insert = {.name = "playlists.insert",
                                       .scopes = WRITE_SCOPES,
                                       .bucket = QUOTA_UNITS,
                                       .units = 50,
                                       .end = end_playlists_insert};

static bool has_item(const struct playlist *playlist, const char *video_id)
{
    for (size_t i = 0; i < playlist->item_count; i++)
        if (strcmp(playlist->items[i].video_id, video_id) == 0)
            return true;
    return false;
}

static void add_item(struct request *request, struct playlist *playlist, const char *video_id)
{
    static const struct api_error no_playlist = {
        404, "youtube.playlistItem", "playlistNotFound", "The playlist cannot be found.", NULL, NULL};
    static const struct api_error not_accessible = {
        403,
        "youtube.playlistItem",
        "playlistItemsNotAccessible",
        "The request is not properly authorized to insert the item.",
        NULL,
        NULL};
    static const struct api_error already_there = {
        409, "youtube.playlistItem", "videoAlreadyInPlaylist", "The video is already in the playlist.", NULL,
        NULL};
    const struct video *video = videos_find(&request->state->videos, video_id);
    if (!playlist)
        refuse(request, &no_playlist);
    else if (playlist->channel != request->caller.channel)
        refuse(request, &not_accessible);
    else if (!video || video->is_hidden)
        refuse(request, &video_not_found);
    else if (has_item(playlist, video_id))
        refuse(request, &already_there);
    if (request_is_answered(request))
        return;
    const struct playlist_item *item = playlist_add_item(playlist, &request->state->dice, video_id);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}}}", "kind", "youtube#playlistItem", "id",
                              item->id, "snippet", "playlistId", playlist->id, "resourceId", "kind",
                              "youtube#video", "videoId", video_id));
}

static void end_playlist_items_insert(struct request *request)
{
    AUTO_JSON json_t *body = read_body(request);
    if (!body)
        return;
    const json_t *snippet = json_object_get(body, "snippet");
    const json_t *resource = json_object_get(snippet, "resourceId");
    const char *video_id = json_text_at(resource, "videoId");
    const char *kind = json_text_at(resource, "kind");
    if (!video_id || !kind || strcmp(kind, "youtube#video") != 0)
        refuse_bad(request, "invalidContentDetails", "The contentDetails property is not valid.", NULL);
    else
        add_item(request, playlists_find(&request->state->playlists, json_text_at(snippet, "playlistId")),
                 video_id);
}

const struct op op_playlist_items_insert = {.name = "playlistItems.insert",
                                            .scopes = WRITE_SCOPES,
                                            .bucket = QUOTA_UNITS,
                                            .units = 50,
                                            .end = end_playlist_items_insert};
