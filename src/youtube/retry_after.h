/*
 * Retry-After and the dates of HTTP: RFC 9110 sections 5.6.7 and 10.2.3. Any thread.
 */
#ifndef YOUTUBE_RETRY_AFTER_H
#define YOUTUBE_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

/* Longest wait that is told; the engine cuts at an hour anyway. */
#define RETRY_AFTER_TOLD_MAX_MS INT64_C(31536000000) /* 365 days */

/* IMF-fixdate and the two obsolete forms; `wall_ms` decides the century of a two-digit year. The day's name
 * must be one, but need not be that date's. */
bool yt_http_date_parse(const char *text, int64_t wall_ms, int64_t *ret_wall_ms);
/* Milliseconds to wait: seconds or a date, 0 where past or negative, at most RETRY_AFTER_TOLD_MAX_MS; -1 if
 * absent or not understood. Doubled: the longer one cannot be told, so -1. */
int64_t yt_retry_after_ms(const char *headers, int64_t wall_ms);
/* The same without a clock: a date counts against the reply's own Date header, and without one is -1. */
int64_t yt_retry_after_by_date_header_ms(const char *headers);

#endif
