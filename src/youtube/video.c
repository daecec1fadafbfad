#include "youtube/video.h"

#include <string.h>

#include "base/parse.h"
#include "base/text.h"

void yt_expected_video_open(const struct yt_expected *expected, struct expected_video *ret)
{
    const char *metadata = expected->metadata_json ? expected->metadata_json : "";
    *ret = (struct expected_video){.metadata = yt_json_load_reply(metadata, strlen(metadata)),
                                   .size_bytes = expected->size_bytes,
                                   .slug = expected->slug};
}

void yt_expected_video_close(struct expected_video *expected)
{
    json_decref(expected->metadata);
    expected->metadata = NULL;
}

static enum match match_texts(const char *ours, const char *theirs)
{
    if (!ours || !theirs)
        return MATCH_UNKNOWN;
    return strcmp(ours, theirs) == 0 ? MATCH_YES : MATCH_NO;
}

static enum match match_member(const json_t *ours, const json_t *theirs, const char *part, const char *key)
{
    return match_texts(yt_json_text(json_object_get(ours, part), key),
                       yt_json_text(json_object_get(theirs, part), key));
}

static void match_file(const json_t *details, const struct expected_video *expected, struct video_facts *ret)
{
    uint64_t size_bytes;
    if (yt_json_number_u64(details, "fileSize", &size_bytes))
        ret->size = size_bytes == expected->size_bytes ? MATCH_YES : MATCH_NO;
    ret->file_name = match_texts(expected->slug, yt_json_text(details, "fileName"));
}

/* uploadStatus is one of uploaded processed failed rejected deleted [videos]. */
static void read_failure(const json_t *status, struct video_facts *ret)
{
    const char *upload_status = yt_json_text(status, "uploadStatus");
    if (!upload_status)
        return;
    const char *key = strcmp(upload_status, "failed") == 0     ? "failureReason"
                      : strcmp(upload_status, "rejected") == 0 ? "rejectionReason"
                                                               : NULL;
    ret->failed = key || strcmp(upload_status, "deleted") == 0;
    if (ret->failed && !(key && yt_json_word(status, key, ret->failure, sizeof(ret->failure))))
        text_copy(ret->failure, sizeof(ret->failure), upload_status);
}

/* Cut, an etag would be another one: too long or odd, and there is none. */
static void read_etag(const json_t *video, struct video_facts *ret)
{
    const char *etag = yt_json_text(video, "etag");
    if (!etag || strlen(etag) >= sizeof(ret->etag))
        return;
    for (const char *p = etag; *p; p++)
        if (*p <= 0x20 || *p >= 0x7F)
            return;
    text_copy(ret->etag, sizeof(ret->etag), etag);
}

void yt_video_read(const json_t *video, const struct expected_video *expected, struct video_facts *ret)
{
    *ret = (struct video_facts){.title = MATCH_UNKNOWN};
    const char *kind = yt_json_text(video, "kind");
    if (json_object_get(video, "kind") && (!kind || strcmp(kind, "youtube#video") != 0))
        return;
    if (!yt_json_word(video, "id", ret->id, sizeof(ret->id)))
        return;
    read_etag(video, ret);
    ret->title = match_member(expected->metadata, video, "snippet", "title");
    ret->privacy = match_member(expected->metadata, video, "status", "privacyStatus");
    match_file(json_object_get(video, "fileDetails"), expected, ret);
    read_failure(json_object_get(video, "status"), ret);
    const char *published_at = yt_json_text(json_object_get(video, "snippet"), "publishedAt");
    if (published_at && !parse_time(published_at, &ret->published_at_ms))
        ret->published_at_ms = 0;
}
