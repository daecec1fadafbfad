/*
 * An answer being made, and the ways to send it: properly through libmicrohttpd, or as only a broken server
 * would.
 */
#ifndef EMULATOR_REPLY_H
#define EMULATOR_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum delivery {
    DELIVER_WELL,
    DELIVER_THEN_CLOSE, /* well, with the promise of keep-alive, and then the connection ends */
    DELIVER_CUT,        /* all headers and half of the body, then the end of the connection */
    DELIVER_NOTHING,    /* the connection ends without a reply */
    DELIVER_RESET       /* the connection is reset without a reply */
};

enum { REPLY_HEADERS_MAX = 16 };

struct reply_header {
    char *name;
    char *value;
};

struct reply {
    int status; /* 0: none yet */
    enum delivery delivery;
    uint64_t bytes_per_s; /* 0: as fast as it goes */
    int64_t delay_ms;     /* before the first byte */
    size_t header_count;
    struct reply_header headers[REPLY_HEADERS_MAX];
    struct buf raw_headers; /* lines as they are, with CRLF: for what no library would send */
    struct buf body;
};

/* One of Google's errors: what `errors[0]` holds [errors]. */
struct api_error {
    int status;
    const char *domain;
    const char *reason;
    const char *message;
    const char *location; /* may be NULL */
    const char *location_type;
};

void reply_init(struct reply *reply);
void reply_release(struct reply *reply);
/* Adds a header or replaces it; NULL takes it away. */
void reply_set_header(struct reply *reply, const char *name, const char *value);
void reply_empty(struct reply *reply, int status);
void reply_text(struct reply *reply, int status, const char *content_type, const char *text);
void reply_json(struct reply *reply, int status, const json_t *json);
/* As reply_json, but takes over the reference. */
void reply_take_json(struct reply *reply, int status, json_t *json);
/* {"error":{"code","message","errors":[{"message","domain","reason","location","locationType"}]}} [errors] */
void reply_api_error(struct reply *reply, const struct api_error *error);
/* {"error","error_description"}, as the token endpoint answers [oauth]. `description` may be NULL. */
void reply_oauth_error(struct reply *reply, int status, const char *error, const char *description);

#endif
