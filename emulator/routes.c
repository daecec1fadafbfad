#include "routes.h"

#include <string.h>

#include "base/text.h"
#include "ops.h"

static void answer_not_found(struct request *request)
{
    static const struct api_error error = {404, "global", "notFound", "Not Found", NULL, NULL};
    refuse(request, &error);
}

static void answer_not_allowed(struct request *request)
{
    static const struct api_error error = {405,  "global", "httpMethodNotAllowed", "Method Not Allowed",
                                           NULL, NULL};
    refuse(request, &error);
}

static void answer_wrong_url(struct request *request)
{
    refuse_bad(request, "wrongUrlForUpload",
               "Uploads must be sent to the upload URL. Re-send this request to the same path, but with a "
               "/upload prefix.",
               NULL);
}

static const struct op op_unknown = {.name = "unknown", .end = answer_not_found};
static const struct op op_not_allowed = {.name = "unknown", .end = answer_not_allowed};
static const struct op op_wrong_url = {.name = "videos.insert", .end = answer_wrong_url};

/* uploadType chooses the protocol [guide]; a request with an upload_id, and every PUT, belongs to a session.
 */
static const struct op *upload_op(struct request *request)
{
    const char *type = request_param(request, "uploadType");
    if (request_param(request, "upload_id") || strcmp(request->method, "POST") != 0)
        return resumable_op(request);
    if (type && strcmp(type, "resumable") == 0)
        return &op_start;
    if (type && (strcmp(type, "multipart") == 0 || strcmp(type, "media") == 0))
        return &op_insert;
    return &op_bad_upload;
}

struct route {
    const char *method;
    const char *path;
    const struct op *op; /* or: */
    const struct op *(*choose)(struct request *request);
};

static const struct route routes[] = {
    {"POST", "/upload/youtube/v3/videos", .choose = upload_op},
    {"PUT", "/upload/youtube/v3/videos", .choose = upload_op},
    {"DELETE", "/upload/youtube/v3/videos", .choose = upload_op},
    /* [disc] */
    {"POST", "/resumable/upload/youtube/v3/videos", .choose = upload_op},
    {"PUT", "/resumable/upload/youtube/v3/videos", .choose = upload_op},
    {"DELETE", "/resumable/upload/youtube/v3/videos", .choose = upload_op},
    {"GET", "/youtube/v3/videos", &op_videos_list},
    {"POST", "/youtube/v3/videos", &op_wrong_url},
    {"DELETE", "/youtube/v3/videos", &op_videos_delete},
    {"GET", "/youtube/v3/channels", &op_channels_list},
    {"GET", "/youtube/v3/playlistItems", &op_playlist_items_list},
    {"POST", "/youtube/v3/playlistItems", &op_playlist_items_insert},
    {"GET", "/youtube/v3/playlists", &op_playlists_list},
    {"POST", "/youtube/v3/playlists", &op_playlists_insert},
    {"GET", "/youtube/v3/videoCategories", &op_video_categories_list},
    {"POST", "/upload/youtube/v3/thumbnails/set", &op_thumbnails_set},
    {"POST", "/upload/youtube/v3/captions", &op_captions_insert},
    {"GET", "/o/oauth2/v2/auth", &op_auth},
    {"POST", "/o/oauth2/v2/auth/approve", &op_auth_approve},
    {"POST", "/token", &op_token},
    {"POST", "/revoke", &op_revoke},
    {"POST", "/device/code", &op_device_code},
    {"GET", "/device", &op_device_page},
    {"POST", "/device", &op_device_approve},
};

const struct op *route(struct request *request)
{
    bool is_known_path = false;
    if (text_starts_with(request->path, "/_ctl/"))
        return &op_control;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (strcmp(routes[i].path, request->path) != 0)
            continue;
        if (strcmp(routes[i].method, request->method) == 0)
            return routes[i].op ? routes[i].op : routes[i].choose(request);
        is_known_path = true;
    }
    return is_known_path ? &op_not_allowed : &op_unknown;
}
