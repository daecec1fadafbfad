/* What jansson lacks for us: a cleanup attribute, and writing into a buf. */
#ifndef EMULATOR_JSON_H
#define EMULATOR_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void json_release_at(json_t **json);
#define AUTO_JSON CLEANUP(json_release_at)

void buf_put_json(struct buf *buf, const json_t *json);
/* The text at `key`, or NULL if it is absent or no text. Lives as long as the object. */
const char *json_text_at(const json_t *object, const char *key);
/* The number at `key`; false if it is absent or no whole number of at least 0. */
bool json_count_at(const json_t *object, const char *key, uint64_t *ret);

#endif
