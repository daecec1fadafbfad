/*
 * Metadata files and the stored form of a job's metadata.
 *
 * Stored form: the video resource as it is sent to videos.insert (snippet, status, localizations,
 * recordingDetails, paidProductPlacementDetails), plus a top-level "notifySubscribers". Made once at `add`,
 * sent unchanged by every attempt.
 */
#ifndef YOUTUBE_METADATA_JSON_H
#define YOUTUBE_METADATA_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "core/metadata.h"

/* What the command line may set; NULL: not set. A metadata file wins over these, as youtubeuploader's does.
 */
struct metadata_flags {
    const char *title; /* default: the file's base name without extension, made valid */
    const char *description;
    const char *tags;        /* comma separated, trimmed */
    const char *category_id; /* default "22" */
    const char *privacy;     /* default "private" */
    const char *publish_at;  /* any form parse_time() takes; only with private, the default */
};

/*
 * Reads a metadata file of either form, told apart by its keys: a video resource (snippet, status,
 * recordingDetails, paidProductPlacementDetails or notifySubscribers is there), else youtubeuploader's flat
 * metaJSON (names without regard to case, all its date forms; docs/metadata.md). Unknown names of the first
 * are refused, of the second ignored. Merges flags, checks everything with metadata_check().
 *
 * `flags` may not be NULL; storage_path is the video's. On violations: ERR_INVALID, all of them in
 * `ret_violations` (none for a file that is not JSON: then err says where). Besides Google's reasons there
 * are wrongType, unknownKey, duplicate and unsupported: playlists in a metaJSON are refused until steps
 * exist. `ret_json` is appended to, on success only. Times are written in UTC; blanks around the title are
 * dropped.
 */
int metadata_make(const char *file_json /* NULL: none */, size_t len, const struct metadata_flags *flags,
                  const char *storage_path, int64_t now_ms, struct buf *ret_json,
                  struct metadata_violations *ret_violations, struct err *err) MUST_CHECK;
/* The title inside a stored form; "" if none. `ret` of 101*4+1 bytes holds any title. */
void metadata_title(const char *stored_json, char *ret, size_t size);

#endif
