/*
 * A video as YouTube describes it, compared with what was sent [videos]. Any thread.
 */
#ifndef YOUTUBE_VIDEO_H
#define YOUTUBE_VIDEO_H

#include "youtube/json.h"
#include "youtube/youtube.h"

/* What is compared, read once for a whole list. */
struct expected_video {
    json_t *metadata; /* owned; NULL: nothing is known */
    uint64_t size_bytes;
    const char *slug;
};
void yt_expected_video_open(const struct yt_expected *expected, struct expected_video *ret);
void yt_expected_video_close(struct expected_video *expected);
#define AUTO_EXPECTED CLEANUP(yt_expected_video_close)

/*
 * Fills all of `ret`. title and privacy: exact. size: fileDetails.fileSize. file_name: fileDetails.fileName
 * against the slug. What the resource does not say, or says in a form that is not its own, is MATCH_UNKNOWN.
 * id "" where it is missing, no plain word or the resource is of another kind.
 */
void yt_video_read(const json_t *video, const struct expected_video *expected, struct video_facts *ret);

#endif
