/*
 * UTF-8, escaping and small codecs. No allocation except where a buf is given. Any thread.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Decodes one code point at text[0..len); returns its length in bytes, or 0 if it is not valid UTF-8
 * (overlong, surrogate, above U+10FFFF, cut). */
size_t utf8_decode(const char *text, size_t len, uint32_t *ret_code_point);
bool utf8_is_valid(const char *text, size_t len);
/* Code points in valid UTF-8. */
size_t utf8_length(const char *text);

/* Appends `text` for a terminal or a log: control characters, bidirectional marks and bytes that are not
 * UTF-8 become \u{…} or \x…; quotes and backslashes get a backslash if `quoted`. */
void text_escape(struct buf *out, const char *text, bool quoted);
/* The same for a JSON text, which stays one and means the same: they become \uXXXX. Control characters below
 * U+0020 are the serializer's. */
void text_escape_json(struct buf *out, const char *json);

void text_hex(char *ret, const void *data, size_t len); /* ret: 2*len+1 chars */
bool text_unhex(void *ret, size_t len, const char *hex);
/* RFC 4648 §5 without padding; ret needs (len*4+2)/3+1 chars. */
void text_base64url(char *ret, const void *data, size_t len);

/* Copies at most size-1 bytes, cutting at a code point boundary; always terminates. Returns whether all
 * fitted. */
bool text_copy(char *ret, size_t size, const char *text);
/* Makes it valid UTF-8: a letter that is cut at the end goes, other bytes that are none become '?'. */
void text_mend(char *text);
bool text_starts_with(const char *text, const char *prefix);
/* Whether `name` is in "a,b". */
bool text_list_has(const char *list, const char *name);
/* ASCII only. */
bool text_contains_nocase(const char *text, const char *part);

#endif
