/*
 * What `add` and `upload` share: from the words of the command line to queued jobs. Every file and every
 * option is checked before the first job is stored, and all jobs are stored in one transaction: all or none.
 * Main thread.
 */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "base/buf.h"
#include "cli/cli.h"
#include "core/metadata.h"
#include "media/media.h"

/* The options of both commands, as rows of their tables. */
/* clang-format off */
#define SUBMIT_OPTIONS \
    {"channel", "NAME", NULL, "The channel to upload to (required)."}, \
    {"title", "TEXT", NULL, "At most 100 characters; default: the file's name without its extension."}, \
    {"description", "TEXT", NULL, "At most 5000 bytes."}, \
    {"tags", "A,B", NULL, "Parted by commas; at most 500 characters in all."}, \
    {"category", "N", NULL, "YouTube's category id; default: 22 (People & Blogs)."}, \
    {"privacy", "WHO", NULL, "private (the default), unlisted or public."}, \
    {"publish-at", "TIME", NULL, "Publish then, as 2027-01-31T18:00:00Z; the video is private until then."}, \
    {"meta", "FILE", NULL, \
     "A JSON file: a video resource of YouTube's API, or youtubeuploader's metaJSON. It wins over the " \
     "options " \
     "above."}, \
    {"key", "TEXT", NULL, \
     "Idempotency key: the same key never makes a second job. Default: made of the channel and the file's " \
     "content."}, \
    {"priority", "N", NULL, "Higher goes first within the channel; default: 0."}, \
    {"region", "NAME", NULL, "Only workers of this region may take it; default: any."}, \
    {"cdn-url", "URL", NULL, \
     "Where a CDN serves the same file: it must tell the same size before anything is uploaded."}
/* clang-format on */

/* One file on its way to be a job. */
struct submit_item {
    const char *typed; /* the path as given */
    char *path;        /* beneath the media root; owned */
    uint64_t size_bytes;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    char title[512];
    struct buf metadata; /* stored form */
    char *key;           /* idempotency key; owned */
    char params_digest[65];
    struct job_id id;
    bool existed;
};

struct submit {
    struct cli *cli;
    struct store_channel channel;
    const char *region;
    const char *cdn_url;
    int64_t priority;
    struct submit_item *items;
    int count;
};

/* Reports every problem there is; then ERR_… of the first and nothing is stored. */
int submit_run(struct cli *cli, struct submit *ret, struct err *err) MUST_CHECK;
void submit_release(struct submit *submit);

#endif
