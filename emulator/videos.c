#include "videos.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "json.h"
#include "state.h"

static const char *const part_names[] = {
#define X(id, text) text,
    VIDEO_PART_TABLE(X)
#undef X
};

/* ---- the collection ---- */

static struct processing_plan processing_plan_for(const struct state *state, const struct video *video)
{
    const struct processing_plan *plan = map_get(&state->processing_plans, video->channel->id);
    if (!plan)
        plan = map_get(&state->processing_plans, "*");
    struct processing_plan chosen = plan ? *plan : (struct processing_plan){PROCESSING_SUCCEEDS, ""};
    if (video->size_bytes == 0)
        chosen = (struct processing_plan){PROCESSING_FAILS, "emptyFile"}; /* [videos] */
    return chosen;
}

struct video *videos_add(struct state *state, const struct video_source *source)
{
    struct video *video = mem_alloc(sizeof *video);
    char tag[28];
    *video = (struct video){.channel = source->channel,
                            .client_id = source->client_id,
                            .metadata = json_incref(source->metadata),
                            .parts = source->parts,
                            .file_name = mem_dup(source->slug),
                            .size_bytes = source->size_bytes,
                            .shown_size_bytes = source->size_bytes,
                            .received_bytes = source->received_bytes,
                            .finished_at_ms = state_now_ms(state),
                            .captions = json_array()};
    do
        dice_id(&state->dice, video->id, VIDEO_ID_LEN);
    while (videos_find(&state->videos, video->id));
    dice_id(&state->dice, tag, sizeof tag - 1);
    snprintf(video->etag, sizeof video->etag, "\"%s\"", tag);
    text_hex(video->sha256, source->sha256, SHA256_BYTES);
    text_copy(video->session, sizeof video->session, source->session);
    video->processed_at_ms = video->finished_at_ms + state->settings.processing_ms;
    video->processing = processing_plan_for(state, video);
    state->videos.list = mem_grow(state->videos.list, state->videos.count + 1, sizeof(struct video *));
    state->videos.list[state->videos.count++] = video;
    map_put(&state->videos.by_id, video->id, video);
    return video;
}

struct video *videos_find(struct videos *videos, const char *id)
{
    return map_get(&videos->by_id, id);
}

/* The record stays, for the oracle; the API finds it no more. */
bool videos_delete(struct videos *videos, const char *id)
{
    struct video *video = videos_find(videos, id);
    if (!video || video->is_hidden)
        return false;
    video->is_hidden = true;
    return true;
}

static void video_free(struct video *video)
{
    json_decref(video->metadata);
    json_decref(video->captions);
    mem_free(video->file_name);
    mem_free(video->thumbnail_type);
    mem_free(video);
}

void videos_clear(struct videos *videos)
{
    for (size_t i = 0; i < videos->count; i++)
        video_free(videos->list[i]);
    mem_free(videos->list);
    map_clear(&videos->by_id, NULL);
    *videos = (struct videos){0};
}

uint64_t videos_count_since(const struct videos *videos, const struct channel *channel, int64_t since_ms)
{
    uint64_t count = 0;
    for (size_t i = 0; i < videos->count; i++)
        count += videos->list[i]->channel == channel && videos->list[i]->finished_at_ms > since_ms;
    return count;
}

json_t *videos_describe(const struct video *video)
{
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:I, s:s, s:O, s:o, s:o, s:I, s:I, s:b, s:O}", "id", video->id, "channel",
                  video->channel->id, "client", video->client_id, "bytes", (json_int_t)video->size_bytes,
                  "sha256", video->sha256, "metadata", video->metadata, "session",
                  *video->session ? json_string(video->session) : json_null(), "file_name",
                  video->file_name ? json_string(video->file_name) : json_null(), "received_bytes",
                  (json_int_t)video->received_bytes, "finished_at_ms", (json_int_t)video->finished_at_ms,
                  "hidden", video->is_hidden, "captions", video->captions);
    if (video->has_thumbnail)
        json_object_set_new(line, "thumbnail",
                            json_pack("{s:s, s:I}", "type", video->thumbnail_type, "bytes",
                                      (json_int_t)video->thumbnail_bytes));
    return line;
}

/* ---- the resource ---- */

static bool parse_part(const char *name, size_t len, unsigned *parts)
{
    for (size_t i = 0; i < VIDEO_PART_COUNT_; i++) {
        if (strlen(part_names[i]) == len && memcmp(part_names[i], name, len) == 0) {
            *parts |= 1u << i;
            return true;
        }
    }
    return false;
}

bool video_parts_parse(const char *text, unsigned *ret)
{
    unsigned parts = 0;
    for (const char *at = text; *at;) {
        at += strspn(at, " ");
        size_t len = strcspn(at, ", ");
        if (!parse_part(at, len, &parts))
            return false;
        at += len + strspn(at + len, " ");
        at += *at == ',';
    }
    if (parts)
        *ret = parts;
    return parts != 0;
}

static bool is_processing_over(struct state *state, const struct video *video)
{
    return state_now_ms(state) >= video->processed_at_ms;
}

bool video_is_processed(struct state *state, const struct video *video)
{
    return is_processing_over(state, video) && video->processing.result == PROCESSING_SUCCEEDS;
}

/* A publishAt that has come makes the video public; one in the past does so at once [videos]. */
static const char *privacy_now(struct state *state, const struct video *video)
{
    const json_t *status = json_object_get(video->metadata, "status");
    const char *publish_at = json_text_at(status, "publishAt");
    int64_t at_ms;
    if (publish_at && parse_time(publish_at, &at_ms) && at_ms <= state_now_ms(state))
        return "public";
    return json_text_at(status, "privacyStatus");
}

bool video_is_public(struct state *state, const struct video *video)
{
    return strcmp(privacy_now(state, video), "public") == 0;
}

static json_t *make_snippet(const struct video *video)
{
    json_t *snippet = json_copy(json_object_get(video->metadata, "snippet"));
    char published[TIME_TEXT_SIZE];
    format_time(published, video->finished_at_ms);
    json_object_set_new(snippet, "publishedAt", json_string(published));
    json_object_set_new(snippet, "channelId", json_string(video->channel->id));
    json_object_set_new(snippet, "channelTitle", json_string(video->channel->title));
    json_object_set_new(snippet, "liveBroadcastContent", json_string("none"));
    json_object_set_new(snippet, "localized",
                        json_pack("{s:O, s:O}", "title", json_object_get(snippet, "title"), "description",
                                  json_object_get(snippet, "description")));
    return snippet;
}

static json_t *make_status(struct state *state, const struct video *video)
{
    json_t *status = json_copy(json_object_get(video->metadata, "status"));
    const char *upload = "uploaded";
    if (is_processing_over(state, video) && video->processing.result == PROCESSING_SUCCEEDS) {
        upload = "processed";
    } else if (is_processing_over(state, video)) {
        bool failed = video->processing.result == PROCESSING_FAILS;
        upload = failed ? "failed" : "rejected";
        json_object_set_new(status, failed ? "failureReason" : "rejectionReason",
                            json_string(video->processing.reason));
    }
    json_object_set_new(status, "uploadStatus", json_string(upload));
    json_object_set_new(status, "privacyStatus", json_string(privacy_now(state, video)));
    const json_t *for_kids = json_object_get(status, "selfDeclaredMadeForKids");
    json_object_set_new(status, "madeForKids", json_boolean(json_is_true(for_kids)));
    return status;
}

/* 64-bit numbers are texts in this API, and so are these counts [videos]. */
static json_t *make_processing(struct state *state, const struct video *video)
{
    if (!is_processing_over(state, video)) {
        AUTO_FREE char *left = mem_printf("%lld", (long long)(video->processed_at_ms - state_now_ms(state)));
        return json_pack("{s:s, s:{s:s, s:s, s:s}}", "processingStatus", "processing", "processingProgress",
                         "partsTotal", "1000", "partsProcessed", "500", "timeLeftMs", left);
    }
    if (video->processing.result == PROCESSING_FAILS)
        return json_pack("{s:s, s:s}", "processingStatus", "failed", "processingFailureReason",
                         "transcodeFailed");
    return json_pack("{s:s, s:s}", "processingStatus", "succeeded", "thumbnailsAvailability", "available");
}

static json_t *make_file_details(const struct state *state, const struct video *video)
{
    AUTO_FREE char *size = mem_printf("%llu", (unsigned long long)video->shown_size_bytes);
    json_t *details = json_pack("{s:s, s:s}", "fileSize", size, "fileType", "video");
    if (video->file_name && state->settings.slug_is_file_name)
        json_object_set_new(details, "fileName", json_string(video->file_name));
    return details;
}

static json_t *make_part(struct state *state, const struct video *video, enum video_part_position part)
{
    switch (part) {
    case VIDEO_PART_SNIPPET_AT:
        return make_snippet(video);
    case VIDEO_PART_STATUS_AT:
        return make_status(state, video);
    case VIDEO_PART_PROCESSING_DETAILS_AT:
        return make_processing(state, video);
    case VIDEO_PART_FILE_DETAILS_AT:
        return make_file_details(state, video);
    case VIDEO_PART_STATISTICS_AT:
        return json_pack("{s:s, s:s, s:s}", "viewCount", "0", "favoriteCount", "0", "commentCount", "0");
    case VIDEO_PART_RECORDING_DETAILS_AT:
    case VIDEO_PART_LOCALIZATIONS_AT:
    case VIDEO_PART_PAID_PRODUCT_PLACEMENT_DETAILS_AT:
        return json_incref(json_object_get(video->metadata, part_names[part]));
    case VIDEO_PART_BRAND_PARTNER_AT:
    case VIDEO_PART_CONTENT_DETAILS_AT:
    case VIDEO_PART_ID_AT:
    case VIDEO_PART_LIVE_STREAMING_DETAILS_AT:
    case VIDEO_PART_PLAYER_AT:
    case VIDEO_PART_SUGGESTIONS_AT:
    case VIDEO_PART_TOPIC_DETAILS_AT:
    case VIDEO_PART_COUNT_:
        return NULL;
    }
    return NULL;
}

json_t *video_resource(struct state *state, const struct video *video, unsigned parts)
{
    json_t *resource =
        json_pack("{s:s, s:s, s:s}", "kind", "youtube#video", "etag", video->etag, "id", video->id);
    for (int part = 0; part < VIDEO_PART_COUNT_; part++) {
        json_t *section = parts & 1u << part ? make_part(state, video, (enum video_part_position)part) : NULL;
        if (section)
            json_object_set_new(resource, part_names[part], section);
    }
    return resource;
}
