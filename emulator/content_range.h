/* The Content-Range of an upload request, as the resumable protocol uses it [guide]. */
#ifndef EMULATOR_CONTENT_RANGE_H
#define EMULATOR_CONTENT_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "bytes FIRST-LAST/TOTAL", "bytes * /TOTAL" (without the blank) and, as Google's other services take them
 * [gcs], a
 * `*` for a total or a last byte that is not known yet.
 */
struct content_range {
    bool is_query; /* no bytes: asks what is stored */
    uint64_t first;
    bool has_last;
    uint64_t last; /* inclusive, at least `first` */
    bool has_total;
    uint64_t total;
};

/* False, and `ret` untouched, if the text is anything else. Numbers are below 2^63. */
bool content_range_parse(const char *text, struct content_range *ret);

#endif
