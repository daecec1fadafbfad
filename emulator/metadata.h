/* The rules for a video's metadata [insert, videos]. Pure: the emulator's own, written without a look at the
 * product's. */
#ifndef EMULATOR_METADATA_H
#define EMULATOR_METADATA_H

#include <jansson.h>

#include "reply.h"

/* The first rule that `resource` breaks in the named parts, or NULL. Parts not named are ignored, as YouTube
 * does. */
const struct api_error *metadata_check(const json_t *resource, unsigned parts);
/* What YouTube keeps of it: the settable sections among `parts`, with the defaults filled in. The caller owns
 * it. */
json_t *metadata_accepted(const json_t *resource, unsigned parts);

#endif
