/* What all three ways of videos.insert check before they take a byte [insert]. */
#ifndef EMULATOR_INSERT_RULES_H
#define EMULATOR_INSERT_RULES_H

#include "request.h"

#define MEDIA_BYTES_MAX UINT64_C(274877906944) /* "256GB" [insert] */

struct insert_terms {
    json_t *metadata; /* accepted; the caller takes the reference */
    unsigned parts;
    bool has_announced; /* X-Upload-Content-Length */
    uint64_t announced_bytes;
};

/* Checks part, metadata, media type, Slug, announced size and the channel's own limit. Answers and returns
 * false if one is wrong. `metadata_text` NULL: none was sent (simple upload), the file name becomes the
 * title. */
bool insert_accept(struct request *request, const struct buf *metadata_text, const char *media_type,
                   struct insert_terms *ret);
/* 413 */
void insert_refuse_size(struct request *request);

#endif
