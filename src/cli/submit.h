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

extern const struct cli_option submit_options[];

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
