#include "youtube/reply.h"

#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "youtube/headers.h"
#include "youtube/message.h"
#include "youtube/retry_after.h"
#include "youtube/url.h"
#include "youtube/video.h"

json_t *yt_reply_body(const struct yt_http *http)
{
    return http->body_is_cut ? NULL : yt_json_load_reply(http->body, http->body_len);
}

/* ---- errors ---- */

static bool read_details_reason(const json_t *error, char ret[REASON_SIZE])
{
    const json_t *details = json_object_get(error, "details");
    for (size_t i = 0; i < json_array_size(details); i++)
        if (yt_json_word(json_array_get(details, i), "reason", ret, REASON_SIZE))
            return true;
    return false;
}

static void read_reason(const json_t *body, char ret[REASON_SIZE])
{
    const json_t *error = json_object_get(body, "error");
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
    if (!yt_json_word(first, "reason", ret, REASON_SIZE) && !read_details_reason(error, ret) &&
        !yt_json_word(error, "status", ret, REASON_SIZE))
        yt_json_word(body, "error", ret, REASON_SIZE);
}

static const json_t *find_message(const json_t *body)
{
    const json_t *error = json_object_get(body, "error");
    const json_t *message = json_object_get(error, "message");
    if (!json_is_string(message))
        message = json_object_get(json_array_get(json_object_get(error, "errors"), 0), "message");
    if (!json_is_string(message))
        message = json_object_get(body, "error_description");
    return json_is_string(message) ? message : NULL;
}

void yt_reply_read_error(const struct yt_http *http, const json_t *body, struct reply *ret)
{
    ret->status = http->status;
    read_reason(body, ret->reason);
    const json_t *message = find_message(body);
    if (message)
        yt_message_from_text(ret->message, sizeof(ret->message), json_string_value(message),
                             json_string_length(message));
    else
        yt_message_from_body(ret->message, sizeof(ret->message), http->body, http->body_len);
}

/* ---- Range ---- */

/* Exactly "bytes=0-N", N without sign, blank or leading zero and below 2^63 (P05). */
static bool parse_range(struct slice value, uint64_t *ret_bytes)
{
    static const char begin[] = "bytes=0-";
    char text[sizeof(begin) + 20];
    uint64_t last;
    if (!yt_slice_copy(value, text, sizeof(text)) || !text_starts_with(text, begin))
        return false;
    const char *digits = text + sizeof(begin) - 1;
    if ((digits[0] == '0' && digits[1]) || !parse_u64(digits, &last) || last > INT64_MAX)
        return false;
    *ret_bytes = last + 1;
    return true;
}

static void read_range(const struct yt_http *http, struct reply *ret)
{
    struct slice value;
    unsigned count = yt_headers_find(http->headers, "Range", &value);
    ret->range_bytes = 0;
    ret->range = count == 0                                            ? RANGE_NONE
                 : count == 1 && parse_range(value, &ret->range_bytes) ? RANGE_OK
                                                                       : RANGE_BAD;
}

/* ---- the upload's reply ---- */

/* 200 and 201 say that the upload is done, if there is a video's id and no override (H13, P07). */
static bool may_be_done(const struct yt_http *http, const struct reply *reply)
{
    return (http->status == 200 || http->status == 201) && !reply->is_override;
}

static void read_video(const json_t *body, const struct yt_expected *expected, struct reply *ret)
{
    struct expected_video ours AUTO_EXPECTED;
    yt_expected_video_open(expected, &ours);
    yt_video_read(body, &ours, &ret->video);
    ret->reason[0] = '\0';
    text_copy(ret->message, sizeof(ret->message), ret->video.id[0] ? "" : "the reply names no video");
}

void yt_parse_upload_reply(const struct yt_http *http, const struct yt_expected *expected, int64_t wall_ms,
                           struct reply *ret)
{
    struct slice override;
    json_t *body AUTO_JSON = yt_reply_body(http);
    yt_reply_read_error(http, body, ret);
    ret->retry_after_ms = yt_retry_after_ms(http->headers, wall_ms);
    ret->is_override = yt_headers_find(http->headers, "X-HTTP-Status-Code-Override", &override) > 0;
    read_range(http, ret);
    ret->video = (struct video_facts){.title = MATCH_UNKNOWN};
    if (may_be_done(http, ret))
        read_video(body, expected, ret);
}

/* ---- other headers ---- */

/* Google's API answers under two names [guide], [disc]. */
static bool is_google(const struct origin *origin)
{
    return origin->is_https && origin->port == 443 &&
           (strcmp(origin->host, "www.googleapis.com") == 0 ||
            strcmp(origin->host, "youtube.googleapis.com") == 0);
}

int yt_check_session(const char *url, const char *api_root, struct err *err)
{
    struct origin root, origin;
    if (yt_origin_parse(api_root, &root, err) < 0)
        return err_wrap(err, "api_root");
    int code = yt_origin_parse(url, &origin, err);
    if (code < 0)
        return code;
    if (!yt_origin_is_same(&origin, &root) && !(is_google(&root) && is_google(&origin)))
        return err_set(err, ERR_INVALID, "%s://%s:%u is not the API's own origin",
                       origin.is_https ? "https" : "http", origin.host, origin.port);
    return 0;
}

static int check_location(const char *url, const char *api_root, struct err *err)
{
    return yt_check_session(url, api_root, err) < 0 ? err_wrap(err, "refused Location") : 0;
}

int yt_location(const struct yt_http *http, const char *api_root, struct buf *ret_url, struct err *err)
{
    struct slice value;
    char url[SESSION_URL_LEN_MAX + 1];
    int result = -1;
    unsigned count = yt_headers_find(http->headers, "Location", &value);
    if (count == 0)
        return 0;
    if (count > 1)
        err_set(err, ERR_INVALID, "refused Location: it is there %u times", count);
    else if (!yt_slice_copy(value, url, sizeof(url)))
        err_set(err, ERR_INVALID, "refused Location: %zu bytes, at most %d are allowed", value.len,
                SESSION_URL_LEN_MAX);
    else if (check_location(url, api_root, err) == 0)
        result = buf_puts(ret_url, url) ? 1 : -1;
    explicit_bzero(url, sizeof(url));
    return result;
}

bool yt_uploader_id(const struct yt_http *http, struct buf *ret)
{
    struct slice value;
    return yt_headers_find(http->headers, "X-GUploader-UploadID", &value) > 0 && value.len > 0 &&
           buf_append(ret, value.text, value.len);
}

int yt_check_api_root(const char *api_root, bool allow_plain, struct err *err)
{
    struct origin origin;
    if (yt_origin_parse(api_root, &origin, err) < 0)
        return err_wrap(err, "api_root");
    if (strchr(api_root, '?'))
        return err_set(err, ERR_INVALID, "api_root: a URL with a query");
    if (origin.is_https || (allow_plain && yt_origin_is_loopback(&origin)))
        return 0;
    return err_set(err, ERR_INVALID, "api_root: host %s must be reached by https%s", origin.host,
                   yt_origin_is_loopback(&origin) ? " (plain http to a loopback address must be asked for)"
                                                  : "");
}
