#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/limits.h"
#include "youtube/json.h"
#include "youtube/url.h"
#include "youtube/youtube.h"

enum { URL_LEN_MAX = 2 * SESSION_URL_LEN_MAX };

void yt_request_release(struct yt_request *request)
{
    buf_wipe(&request->url);
    buf_wipe(&request->body);
    for (size_t i = 0; i < ARRAY_LEN(request->headers); i++) {
        mem_free(request->headers[i]);
        request->headers[i] = NULL;
    }
}

static void init_request(struct yt_request *ret, const char *method, uint32_t units)
{
    *ret = (struct yt_request){.method = method, .units = units};
    buf_init(&ret->url, URL_LEN_MAX);
    buf_init(&ret->body, METADATA_BYTES_MAX * 2);
}

/* Takes the header text over. */
static void take_header(struct yt_request *request, char *header)
{
    size_t at = 0;
    while (request->headers[at])
        at++;
    assert(at + 1 < ARRAY_LEN(request->headers));
    request->headers[at] = header;
}

static void put_root(struct buf *url, const char *api_root)
{
    size_t len = strlen(api_root);
    while (len > 0 && api_root[len - 1] == '/')
        len--;
    buf_append(url, api_root, len);
}

/* ---- the upload ---- */

/* Objects of the body in the order of `part`; the page of videos.insert names them [insert]. */
static const char *const parts[] = {"snippet", "status", "localizations", "recordingDetails",
                                    "paidProductPlacementDetails"};

static bool is_part(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcmp(key, parts[i]) == 0)
            return true;
    return false;
}

static int check_body(json_t *body, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value) if (!is_part(key)) return err_set(
        err, ERR_INVALID, "stored metadata has an unknown part");
    /* Without a privacyStatus the video would be public [rev 2026-11-02]. */
    if (!yt_json_text(json_object_get(body, "status"), "privacyStatus"))
        return err_set(err, ERR_INVALID, "stored metadata has no status.privacyStatus");
    return 0;
}

static void put_parts(struct buf *url, const json_t *body)
{
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!json_object_get(body, parts[i]))
            continue;
        buf_printf(url, "%s%s", separator, parts[i]);
        separator = "%2C";
    }
}

static bool is_header_safe(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text >= 0x7F)
            return false;
    return true;
}

static void put_start_url(struct buf *url, const char *api_root, const json_t *body, const json_t *notify)
{
    put_root(url, api_root);
    buf_puts(url, "/upload/youtube/v3/videos?uploadType=resumable&part=");
    put_parts(url, body);
    if (json_is_boolean(notify))
        buf_printf(url, "&notifySubscribers=%s", json_is_true(notify) ? "true" : "false");
}

int yt_build_start(const char *api_root, const char *metadata_json, uint64_t size_bytes,
                   const char *content_type, const char *slug, struct yt_request *ret, struct err *err)
{
    init_request(ret, "POST", 0);
    json_t *body AUTO_JSON =
        yt_json_load_file_text(metadata_json, strlen(metadata_json), 2 * METADATA_BYTES_MAX, err);
    if (!body)
        return err_wrap(err, "stored metadata");
    json_t *notify AUTO_JSON = json_incref(json_object_get(body, "notifySubscribers"));
    json_object_del(body, "notifySubscribers");
    int result = check_body(body, err);
    if (result < 0)
        return result;
    if (!is_header_safe(content_type) || !is_header_safe(slug))
        return err_set(err, ERR_INVALID, "a content type or file name that may not stand in a header");
    put_start_url(&ret->url, api_root, body, notify);
    take_header(ret, mem_dup("Content-Type: application/json; charset=UTF-8"));
    take_header(ret, mem_printf("X-Upload-Content-Length: %" PRIu64, size_bytes));
    take_header(ret, mem_printf("X-Upload-Content-Type: %s", content_type));
    take_header(ret, mem_printf("Slug: %s", slug));
    return yt_json_put(&ret->body, body) ? 0 : err_set(err, ERR_INVALID, "stored metadata is too long");
}

void yt_build_put(const char *session_url, uint64_t first_byte, uint64_t size_bytes, uint64_t total_bytes,
                  const char *content_type, struct yt_request *ret)
{
    assert(size_bytes > 0 && first_byte < total_bytes && size_bytes <= total_bytes - first_byte);
    init_request(ret, "PUT", 0);
    buf_puts(&ret->url, session_url);
    take_header(ret, mem_printf("Content-Type: %s", content_type));
    take_header(ret, mem_printf("Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first_byte,
                                first_byte + size_bytes - 1, total_bytes));
}

void yt_build_query(const char *session_url, uint64_t total_bytes, struct yt_request *ret)
{
    init_request(ret, "PUT", 0);
    buf_puts(&ret->url, session_url);
    take_header(ret, mem_printf("Content-Range: bytes */%" PRIu64, total_bytes));
}

void yt_build_cancel(const char *session_url, struct yt_request *ret)
{
    init_request(ret, "DELETE", 0);
    buf_puts(&ret->url, session_url);
}

/* ---- lists ---- */

void yt_build_channels_mine(const char *api_root, struct yt_request *ret)
{
    init_request(ret, "GET", 1);
    put_root(&ret->url, api_root);
    buf_puts(&ret->url, "/youtube/v3/channels?part=id%2Csnippet%2CcontentDetails%2Cstatus&mine=true");
}

void yt_build_playlist_items(const char *api_root, const char *playlist, const char *page_token,
                             struct yt_request *ret)
{
    init_request(ret, "GET", 1);
    put_root(&ret->url, api_root);
    buf_puts(&ret->url, "/youtube/v3/playlistItems?part=snippet%2CcontentDetails&maxResults=50&playlistId=");
    yt_url_escape(&ret->url, playlist);
    if (page_token && *page_token) {
        buf_puts(&ret->url, "&pageToken=");
        yt_url_escape(&ret->url, page_token);
    }
}

void yt_build_videos_list(const char *api_root, const char *const *ids, uint32_t count,
                          struct yt_request *ret)
{
    assert(count >= 1 && count <= YT_IDS_MAX);
    init_request(ret, "GET", 1);
    put_root(&ret->url, api_root);
    buf_puts(&ret->url, "/youtube/v3/videos?part=id%2Csnippet%2Cstatus%2CfileDetails&id=");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buf_puts(&ret->url, "%2C");
        yt_url_escape(&ret->url, ids[i]);
    }
}

/* ---- names ---- */

/* The extension's dot; NULL: none. A leading dot hides a file, it begins no extension. */
static const char *extension_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name && dot[1] ? dot : NULL;
}

/* One character a code point, so that a name in any script keeps its length: what RFC 5023 would have to
 * encode becomes '_'. */
static size_t put_safe(char *ret, size_t len_max, const char *text, size_t len)
{
    size_t out = 0;
    for (size_t at = 0; at < len && out < len_max;) {
        uint32_t point;
        size_t size = utf8_decode(text + at, len - at, &point);
        bool is_safe = size == 1 && (isalnum((int)point) || strchr(" ._-()+,=@", (int)point)) && point;
        ret[out++] = is_safe ? (char)point : '_';
        at += size ? size : 1;
    }
    return out;
}

void yt_slug(const char *storage_path, const char *job_id, char ret[256])
{
    enum { BASE_MAX = 120, EXTENSION_MAX = 16 };
    char base[BASE_MAX + 1], extension[EXTENSION_MAX + 1] = "";
    const char *name = file_name(storage_path);
    const char *dot = extension_of(name);
    size_t len = dot ? (size_t)(dot - name) : strlen(name);
    base[put_safe(base, BASE_MAX, name, len)] = '\0';
    if (dot)
        extension[put_safe(extension, EXTENSION_MAX, dot, strlen(dot))] = '\0';
    snprintf(ret, 256, "%s [%.64s]%s", base, job_id, extension);
}

const char *yt_content_type(const char *storage_path)
{
    static const char *const types[][2] = {
        {".mp4", "video/mp4"},        {".m4v", "video/x-m4v"}, {".mov", "video/quicktime"},
        {".mkv", "video/x-matroska"}, {".webm", "video/webm"}, {".avi", "video/x-msvideo"},
        {".mpg", "video/mpeg"},       {".mpeg", "video/mpeg"}, {".wmv", "video/x-ms-wmv"},
        {".flv", "video/x-flv"},      {".3gp", "video/3gpp"},  {".ts", "video/mp2t"},
        {".mts", "video/mp2t"},       {".m2ts", "video/mp2t"}, {".ogv", "video/ogg"},
    };
    const char *dot = extension_of(file_name(storage_path));
    for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
        if (strcasecmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}
