/* One HTTP request on its way through the emulator, and what its handlers may do with it. */
#ifndef EMULATOR_REQUEST_H
#define EMULATOR_REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "faults.h"
#include "reply.h"
#include "state.h"

struct put;    /* resumable.c */
struct insert; /* insert.c */

enum op_style { OP_API, OP_OAUTH, OP_CONTROL }; /* decides the shape of errors */

/* An operation: what a method on a path is called in the journal, in faults and in the table of costs. */
struct op {
    const char *name;
    enum op_style style;
    unsigned scopes; /* one of these is enough; 0: needs no token */
    enum quota_bucket bucket;
    unsigned units;
    size_t body_bytes_max; /* of a collected body; 0: 64 KiB */
    /* Looks at the headers, under the lock; may answer already, then the body is dropped. May be NULL. */
    void (*admit)(struct request *request);
    /* Takes a piece of the body, without the lock. NULL: the body is collected in request->body. */
    void (*take)(struct request *request, const char *data, size_t len);
    /* Answers, under the lock, once the body is complete. */
    void (*end)(struct request *request);
};

/* Whom the access token belongs to. */
enum caller_kind { CALLER_NONE, CALLER_UNKNOWN, CALLER_EXPIRED, CALLER_KNOWN };

struct caller {
    enum caller_kind kind;
    struct channel *channel; /* CALLER_EXPIRED, CALLER_KNOWN */
    struct client *client;
    unsigned scopes;
};

struct request {
    struct state *state;
    struct MHD_Connection *connection;
    const char *method;
    const char *path;
    const struct op *op;
    struct caller caller;
    struct fault_plan plan;
    struct reply reply; /* answered once reply.status is set */
    struct buf body;
    uint64_t received_bytes; /* of the body */
    uint64_t dropped_bytes;  /* of the body too, but they came after an early reply */
    uint64_t counted_bytes;  /* of both, already in the session's sum */
    int64_t stall_ms;        /* a fault asks to read nothing for so long */
    uint64_t journal_number;
    bool quota_is_spent;
    bool is_delivered;
    struct session *session; /* a reference; NULL if this is no request on a session */
    struct put *put;         /* owned */
    struct insert *insert;   /* owned */
    struct video *video;     /* the one the reply shows; only under the lock that end() runs in */
};

const char *request_header(const struct request *request, const char *name); /* NULL if absent */
/* A query parameter, decoded; NULL if absent. "" if it has no value. */
const char *request_param(const struct request *request, const char *name);
/* All values of a parameter that may be repeated or have commas (`part=a&part=b` is what Google's Node.js
 * client sends), joined with commas; NULL if absent. The caller frees it. */
char *request_list_param(const struct request *request, const char *name);
/* Content-Length; false if there is none, as in a chunked body. */
bool request_content_length(const struct request *request, uint64_t *ret);
bool request_is_answered(const struct request *request);
/* A field of a posted form; the caller frees it. */
char *request_form(const struct request *request, const char *name);
/* The collected body as a JSON object; NULL if it is none. The caller releases it. */
struct json_t *request_json(const struct request *request);
/* "https://HOST:PORT" as the client called the emulator: a proxy in between stays in between. */
char *request_origin(const struct request *request);

/* Answers with one of Google's errors. */
void refuse(struct request *request, const struct api_error *error);
/* 400 with this reason and message. */
void refuse_bad(struct request *request, const char *reason, const char *message, const char *parameter);

#endif
