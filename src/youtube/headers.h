/*
 * Looking things up in a reply's header lines ("Name: value\n"), names without regard to case. A value is a
 * slice of the lines, without the blanks around it; nothing is copied. Any thread.
 */
#ifndef YOUTUBE_HEADERS_H
#define YOUTUBE_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *text; /* not terminated */
    size_t len;
};

/* How often the header is there; `ret` is its first value, {"", 0} if none. */
unsigned yt_headers_find(const char *headers, const char *name, struct slice *ret);
/* Copies a value; false, and "" in `ret`, if it does not fit or holds a control character. */
bool yt_slice_copy(struct slice value, char *ret, size_t size);

#endif
