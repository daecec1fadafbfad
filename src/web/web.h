/*
 * A worker's web endpoint: metrics and health, over plain http, read-only. It has a thread of its own and
 * sees nothing of the worker but the views on its board, so whatever is asked of it, jobs go on as before.
 *
 *     GET /metrics   Prometheus' text format 0.0.4
 *     GET /healthz   200 while the process lives, else 503 and why
 *     GET /readyz    200 while it can work, else 503 and why
 *
 * GET and HEAD only, no bodies, bounded headers, connections and idle times. No secret ever reaches a view.
 * Where only this machine is served, so are only requests for it by its own names.
 */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/err.h"
#include "worker/board.h"

struct web;

enum {
    WEB_CONNECTIONS_MAX = 32,
    WEB_IDLE_S = 10,
    WEB_REQUEST_BYTES_MAX = 16384, /* memory of a connection: request line, headers, reply headers */
};

/* `listen` as in web/address.h; `board` outlives the endpoint. ERR_INVALID, or ERR_IO where the address
 * cannot be had. */
int web_open(const char *listen, struct board *board, struct web **ret, struct err *err) MUST_CHECK;
/* Where it listens, with the port that was taken. */
const char *web_address(const struct web *web);
void web_close(struct web *web); /* NULL is fine; waits for its thread */

#endif
