/*
 * jansson, with manners: values released at the end of their scope, and getters for replies that answer
 * NULL for all that is missing, of another type or not fit to be a C string. Any thread.
 */
#ifndef YOUTUBE_JSON_H
#define YOUTUBE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

void yt_json_release_at(json_t **json); /* for AUTO_JSON */
#define AUTO_JSON CLEANUP(yt_json_release_at)

/* How everything of ours is written: compact, in the order it was made; numbers as short as they were. */
#define JSON_WRITE_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

/* A reply's body, leniently: any number, "\u0000" allowed. NULL unless it is one JSON object. */
json_t *yt_json_load_reply(const char *body, uint64_t len);
/* A file of ours, strictly: one object, no name twice, at most len_max bytes; a byte order mark is skipped.
 * NULL and ERR_INVALID with line and column, never with the text, which may be a secret. */
json_t *yt_json_load_file_text(const char *text, size_t len, size_t len_max, struct err *err);

/* The text of a member; NULL if absent, not a string, or one with a NUL inside. */
const char *yt_json_text(const json_t *object, const char *key);
/* The member's text where it fits and consists of letters, digits, '_', '-' and '.'; else false and "". */
bool yt_json_word(const json_t *object, const char *key, char *ret, size_t size);
/* The member's text where it fits and is visible ASCII without blanks, at least one character; else false and
 * "". For what goes into headers, forms and terminals. */
bool yt_json_visible(const json_t *object, const char *key, char *ret, size_t size);
/* Appends a value as text; false: it did not fit. */
bool yt_json_put(struct buf *out, const json_t *value) MUST_CHECK;
/* A number that is written as a string (as Google writes 64-bit ones) or as a number; false: neither. */
bool yt_json_number_u64(const json_t *object, const char *key, uint64_t *ret);

#endif
