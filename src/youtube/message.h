/*
 * Text from a reply, made fit for a log, a row and a person: one line of valid UTF-8 without control
 * characters and without what may be a secret. Google's own 404 pages repeat the URL that was asked for, and
 * a session URL is a credential [gcs]. Any thread.
 */
#ifndef YOUTUBE_MESSAGE_H
#define YOUTUBE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* One message: blanks run together, secrets replaced by "…". Where it is longer than `size` allows, the part
 * from `limit '` on is what is kept, if there is one: it tells a day's quota from a short rate limit
 * (google-api-python-client issue #2753). */
void yt_message_from_text(char *ret, size_t size, const char *text, size_t len);
/* The first line of a body that has anything printable on it; of HTML, of its text. "" if there is none. */
void yt_message_from_body(char *ret, size_t size, const char *body, uint64_t len);

#endif
