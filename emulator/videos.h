/* Finished videos: the oracle of every test. Used under the state's lock. */
#ifndef EMULATOR_VIDEOS_H
#define EMULATOR_VIDEOS_H

#include <gnutls/crypto.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channels.h"
#include "journal.h"
#include "map.h"

struct state;

enum { VIDEO_ID_LEN = 11, SHA256_BYTES = 32 };

/* Parts of a video resource [insert] */
#define VIDEO_PART_TABLE(X)                                                                                  \
    X(BRAND_PARTNER, "brandPartner")                                                                         \
    X(CONTENT_DETAILS, "contentDetails")                                                                     \
    X(FILE_DETAILS, "fileDetails")                                                                           \
    X(ID, "id")                                                                                              \
    X(LIVE_STREAMING_DETAILS, "liveStreamingDetails")                                                        \
    X(LOCALIZATIONS, "localizations")                                                                        \
    X(PAID_PRODUCT_PLACEMENT_DETAILS, "paidProductPlacementDetails")                                         \
    X(PLAYER, "player")                                                                                      \
    X(PROCESSING_DETAILS, "processingDetails")                                                               \
    X(RECORDING_DETAILS, "recordingDetails")                                                                 \
    X(SNIPPET, "snippet")                                                                                    \
    X(STATISTICS, "statistics")                                                                              \
    X(STATUS, "status")                                                                                      \
    X(SUGGESTIONS, "suggestions")                                                                            \
    X(TOPIC_DETAILS, "topicDetails")

enum video_part_position {
#define X(id, text) VIDEO_PART_##id##_AT,
    VIDEO_PART_TABLE(X)
#undef X
        VIDEO_PART_COUNT_
};

enum video_part {
#define X(id, text) VIDEO_PART_##id = 1 << VIDEO_PART_##id##_AT,
    VIDEO_PART_TABLE(X)
#undef X
};

/* What becomes of a file after the upload [videos] */
enum processing { PROCESSING_SUCCEEDS, PROCESSING_FAILS, PROCESSING_REJECTS };

struct processing_plan {
    enum processing result;
    char reason[40]; /* failureReason or rejectionReason */
};

struct video {
    char id[VIDEO_ID_LEN + 1];
    char etag[32]; /* with its quotes */
    char sha256[2 * SHA256_BYTES + 1];
    char session[DIGEST_LEN + 1]; /* "" if it came in one request */
    struct channel *channel;
    const char *client_id;
    json_t *metadata; /* the accepted resource, owned */
    unsigned parts;   /* asked for at the start: what the final reply shows */
    char *file_name;  /* may be NULL */
    uint64_t size_bytes;
    uint64_t shown_size_bytes; /* differs only by a fault */
    uint64_t received_bytes;   /* of all bodies of its session */
    int64_t finished_at_ms;
    int64_t processed_at_ms;
    struct processing_plan processing;
    bool is_hidden; /* finished, and yet not to be found: a fault */
    bool has_thumbnail;
    uint64_t thumbnail_bytes;
    char *thumbnail_type;
    json_t *captions; /* list, owned */
};

struct videos {
    struct video **list; /* in the order they were finished */
    size_t count;
    struct map by_id;
};

/* What a finished upload is made of. */
struct video_source {
    struct channel *channel;
    const char *client_id;
    json_t *metadata; /* one more reference is taken */
    unsigned parts;
    const char *slug;    /* may be NULL */
    const char *session; /* digest, or "" */
    uint64_t size_bytes;
    uint64_t received_bytes;
    unsigned char sha256[SHA256_BYTES];
};

struct video *videos_add(struct state *state, const struct video_source *source);
struct video *videos_find(struct videos *videos, const char *id); /* NULL if unknown */
bool videos_delete(struct videos *videos, const char *id);
void videos_clear(struct videos *videos);
/* How many videos this channel finished after `since_ms`. */
uint64_t videos_count_since(const struct videos *videos, const struct channel *channel, int64_t since_ms);
/* For the control API: everything, with what no client may see. */
json_t *videos_describe(const struct video *video);

/* "snippet,status" to a set; false if empty or with an unknown name. */
bool video_parts_parse(const char *text, unsigned *ret);
/* The resource as the API shows it now. */
json_t *video_resource(struct state *state, const struct video *video, unsigned parts);
/* Whether everyone may see it now; `publishAt` is obeyed. */
bool video_is_public(struct state *state, const struct video *video);
/* The file was processed well, by the emulator's clock. */
bool video_is_processed(struct state *state, const struct video *video);

#endif
