/*
 * A streaming parser of multipart bodies (RFC 2046, 5.1). Lines end as the first one does: CRLF, or a bare
 * LF, which Google's Python client sends. One thread.
 */
#ifndef EMULATOR_MULTIPART_H
#define EMULATOR_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum multipart_state {
    MULTIPART_BEGIN,
    MULTIPART_LINE_END, /* behind a boundary */
    MULTIPART_HEADERS,
    MULTIPART_DATA,
    MULTIPART_END,
    MULTIPART_BROKEN
};

struct multipart {
    enum multipart_state state;
    unsigned part; /* 1 is the first */
    char *boundary;
    const char *line_end;
    char *delimiter; /* line end and boundary */
    struct buf held; /* came, but may be the beginning of a delimiter */
    /* Called for each part: first its headers, as text, then its bytes in pieces. */
    void (*on_headers)(void *ctx, unsigned part, const char *headers);
    void (*on_data)(void *ctx, unsigned part, const char *data, size_t len);
    void *ctx;
};

/* `content_type` is the header of the whole body; false if it names no boundary. Callbacks and ctx are set by
 * the caller afterwards. */
bool multipart_init(struct multipart *multipart, const char *content_type);
void multipart_release(struct multipart *multipart);
void multipart_feed(struct multipart *multipart, const char *data, size_t len);
/* The closing boundary was seen. */
bool multipart_is_complete(const struct multipart *multipart);

#endif
