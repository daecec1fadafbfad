/*
 * Videos on a channel that no job of it has made: when its uploads were last looked at, and what was found
 * there. Who looks is vault/broker_videos.c; what comes of it is an alarm (core/misuse.h). Times are the
 * store's, but for those at which YouTube says that a video was published. Errors and threads as in store.h.
 *
 * A video of ours is never taken for another's: before a PUT that can complete an upload, `finalizing` is
 * stored, and it is there until the video's id is, in the same write. So whoever has a list of videos and
 * then finds no such upload on the channel knows that each video of ours on the list has its id in a job.
 * While there is one, nothing that was published since its session began is judged: a later look does it.
 */
#ifndef STORE_VIDEOS_H
#define STORE_VIDEOS_H

#include "store/store.h"

/* YouTube does not say when a video shows on the list: each is looked for again for a day. */
#define VIDEO_LATE_MS 86400000

struct store_video {
    char id[VIDEO_ID_SIZE];
    int64_t published_at_ms; /* YouTube's; 0: not told */
};

struct store_video_list {
    const struct store_video *items;
    uint32_t count;
    bool is_cut; /* there is more since then, which the next look must see */
};

struct store_video_look {
    int64_t channel_id;
    int64_t since_ms; /* what was published before is judged already, or older than the channel here */
    int64_t begun_at_ms;
};

/* Takes the look at the channel, unless one was begun in the last `every_ms`: then *ret_is_due is false. Of
 * any number of brokers one has it. */
int store_video_look_begin(struct store *store, int64_t channel, int64_t every_ms,
                           struct store_video_look *ret, bool *ret_is_due, struct err *err) MUST_CHECK;
/* What the list had, asked for after the look was begun. Each video that no job of the channel has made, and
 * that was not found before, is noted, with a line `foreign video` in the trail; *ret_found: how many. */
int store_video_look_end(struct store *store, const struct store_video_look *look,
                         const struct store_video_list *list, uint32_t *ret_found,
                         struct err *err) MUST_CHECK;
/* It is not possible to look, and time alone does not help. *ret_is_news false: that is known already. The
 * next look that ends well lifts it. */
int store_video_look_refused(struct store *store, int64_t channel, const char *trouble, bool *ret_is_news,
                             struct err *err) MUST_CHECK;
/* Channels that cannot be looked at, and why. */
int store_video_trouble_list(struct store *store,
                             int (*row)(void *ctx, const struct store_channel *channel, const char *trouble),
                             void *ctx, struct err *err) MUST_CHECK;

#endif
