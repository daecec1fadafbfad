/*
 * What every reply of the API has in common: status, and where it is an error its reason and message
 * [errors]. Any thread.
 */
#ifndef YOUTUBE_REPLY_H
#define YOUTUBE_REPLY_H

#include "youtube/json.h"
#include "youtube/youtube.h"

/* The body as a JSON object; NULL: it is none, or was cut. The caller owns it. */
json_t *yt_reply_body(const struct yt_http *http);
/*
 * Fills status, reason and message of `ret`; `body` may be NULL.
 * reason: error.errors[0].reason, else the first error.details[].reason (ErrorInfo), else error.status, else
 * error where it is a text (OAuth); "" where none of them is a plain word that fits.
 * message: error.message, else error.errors[0].message, else error_description, else the body's first
 * printable line.
 */
void yt_reply_read_error(const struct yt_http *http, const json_t *body, struct reply *ret);

#endif
