/*
 * A reply's head, line by line, and what makes it unacceptable: over the cap, doubled or doubtful lengths,
 * folded or broken lines (docs/faults.md P12). curl has parsed the same lines; this refuses what curl lets
 * pass.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { HEAD_BYTES_MAX = 32768 }; /* of all responses to one request, interim ones included */

struct head {
    struct buf lines; /* "Name: value\n" of the latest response */
    size_t total_bytes;
    int status;   /* of the latest status line */
    bool is_done; /* the final response's empty line was seen */
    bool has_length;
    bool is_chunked;
    uint64_t length_bytes;
    const char *trouble; /* static text; NULL: none */
};

void head_init(struct head *head);
void head_release(struct head *head);
/* Takes one line as received, with its line end. False: `trouble` says what is wrong. */
bool head_take(struct head *head, const char *line, size_t len);

#endif
