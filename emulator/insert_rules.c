#include "insert_rules.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "metadata.h"

static const int64_t LIMIT_WINDOW_MS = 24 * 3600 * INT64_C(1000);

static bool has_control_character(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* Which names are bad is not documented: what can be no file name anywhere is taken as bad. */
static bool is_file_name(const char *slug)
{
    return !slug || (*slug && strlen(slug) <= 1024 && !strchr(slug, '/') && !has_control_character(slug) &&
                     utf8_is_valid(slug, strlen(slug)));
}

/* [insert] */
static bool is_media_type(const char *type)
{
    return !type || text_starts_with(type, "video/") || text_starts_with(type, "application/octet-stream");
}

static bool is_json_type(const char *type)
{
    return type && text_starts_with(type, "application/json");
}

static bool read_announced(const struct request *request, struct insert_terms *terms)
{
    const char *text = request_header(request, "X-Upload-Content-Length");
    terms->has_announced = text != NULL;
    return !text || parse_u64(text, &terms->announced_bytes);
}

/* Answers if the request around the metadata is wrong. */
static void check_headers(struct request *request, const char *media_type, struct insert_terms *terms)
{
    AUTO_FREE char *part = request_list_param(request, "part");
    if (!part || !*part)
        refuse_bad(request, "required", "Required parameter: part", "part");
    else if (!video_parts_parse(part, &terms->parts))
        refuse_bad(request, "invalidParameter", "Invalid value for parameter part.", "part");
    else if (!is_file_name(request_header(request, "Slug")))
        refuse_bad(request, "invalidFilename", "The video filename specified in the Slug header is invalid.",
                   NULL);
    else if (!is_media_type(media_type))
        refuse_bad(request, "badRequest",
                   "Media type is not supported. Valid media types: [application/octet-stream, video/*]",
                   NULL);
    else if (!read_announced(request, terms))
        refuse_bad(request, "badRequest", "Invalid value for header X-Upload-Content-Length.", NULL);
    else if (terms->has_announced && terms->announced_bytes > MEDIA_BYTES_MAX)
        insert_refuse_size(request);
}

void insert_refuse_size(struct request *request)
{
    static const struct api_error error = {413,  "global", "uploadTooLarge", "The upload is too large.",
                                           NULL, NULL};
    refuse(request, &error);
}

/* The platform's own cap for a channel, apart from the project's quota [quota]. */
static void check_channel_limit(struct request *request)
{
    const struct channel *channel = request->caller.channel;
    struct api_error error = {.status = channel->upload_limit_status,
                              .domain = "youtube.video",
                              .reason = "uploadLimitExceeded",
                              .message = "The user has exceeded the number of videos they may upload."};
    int64_t since_ms = state_now_ms(request->state) - LIMIT_WINDOW_MS;
    if (channel->has_upload_limit &&
        videos_count_since(&request->state->videos, channel, since_ms) >= channel->upload_limit)
        refuse(request, &error);
}

static json_t *metadata_from_name(const char *slug)
{
    return json_pack("{s:{s:s}}", "snippet", "title", slug ? slug : "unknown");
}

static json_t *read_metadata(struct request *request, const struct buf *text)
{
    json_t *resource = json_loadb(text->data, text->len, 0, NULL);
    if (json_is_object(resource))
        return resource;
    json_decref(resource);
    refuse_bad(request, "parseError", "Parse Error", NULL);
    return NULL;
}

bool insert_accept(struct request *request, const struct buf *metadata_text, const char *media_type,
                   struct insert_terms *ret)
{
    struct insert_terms terms = {0};
    check_headers(request, media_type, &terms);
    if (!request_is_answered(request))
        check_channel_limit(request);
    if (!request_is_answered(request) && metadata_text && metadata_text == &request->body &&
        !is_json_type(request_header(request, "Content-Type")))
        refuse_bad(request, "badRequest", "The metadata must be sent as application/json.", NULL);
    if (request_is_answered(request))
        return false;
    json_t *resource = metadata_text ? read_metadata(request, metadata_text)
                                     : metadata_from_name(request_header(request, "Slug"));
    if (!resource)
        return false;
    const struct api_error *broken =
        metadata_check(resource, metadata_text ? terms.parts : VIDEO_PART_SNIPPET);
    if (broken)
        refuse(request, broken);
    else
        terms.metadata = metadata_accepted(resource, metadata_text ? terms.parts : VIDEO_PART_SNIPPET);
    json_decref(resource);
    *ret = terms;
    return !broken;
}
