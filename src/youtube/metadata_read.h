/*
 * Reading a metadata file of either form into a draft of the stored form (metadata_json.h). Any thread.
 */
#ifndef YOUTUBE_METADATA_READ_H
#define YOUTUBE_METADATA_READ_H

#include "core/metadata.h"
#include "youtube/json.h"

/* Sets a member of one of the draft's objects, which is made if missing; takes the value over. */
void yt_draft_set(json_t *draft, const char *part, const char *name, json_t *value);
/* Sets a time from any text that parse_time() takes; another one is a violation of `field`. */
void yt_draft_set_time(json_t *draft, const char *part, const char *name, const char *field, const char *text,
                       struct metadata_violations *ret);
/* Takes over all that a file says. Wrong types, unknown names and unreadable times become violations and stay
 * out of the draft; what the values may be is metadata_check()'s business. */
void yt_draft_read_file(json_t *draft, const json_t *file, struct metadata_violations *ret);

#endif
