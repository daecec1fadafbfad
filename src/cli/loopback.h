/*
 * The end of an OAuth login on this machine: a listener on a free port of 127.0.0.1 that takes the browser's
 * one redirect with the right state and answers it with a page (RFC 8252 section 7.3). Meanwhile it may watch
 * standard input for a pasted redirect URL.
 *
 * Small on purpose: GET only, requests of at most 16 KiB, few connections at a time, each for a bounded time,
 * the Host header must be its own (against DNS rebinding). What has the wrong state or path is answered and
 * forgotten. Loop's thread.
 */
#ifndef CLI_LOOPBACK_H
#define CLI_LOOPBACK_H

#include <uv.h>

#include "base/err.h"
#include "vault/secret.h"

struct loopback;

/* What a redirect brought. */
struct loopback_answer {
    struct secret code;
    char refusal[128]; /* the error parameter: "access_denied"; "" : a code came */
};
void loopback_answer_release(struct loopback_answer *answer);

/* Listens at once. ERR_IO. `state` is copied. */
int loopback_open(uv_loop_t *loop, const char *state, struct loopback **ret, struct err *err) MUST_CHECK;
/* "http://127.0.0.1:PORT" */
const char *loopback_redirect_uri(const struct loopback *loopback);
/* Also takes the redirect's URL as a line on standard input. */
void loopback_watch_input(struct loopback *loopback);
/* Runs the loop until the answer is there: 0 or ERR_TIMEOUT. The browser still waits for its page then. */
int loopback_wait(struct loopback *loopback, int64_t timeout_ms, struct loopback_answer *ret,
                  struct err *err) MUST_CHECK;
/* Shows the waiting browser, if there is one, a page of a heading and a sentence (plain text). */
void loopback_show(struct loopback *loopback, int status, const char *heading, const char *sentence);
/* Runs the loop until all is sent (bounded) and closed; frees. */
void loopback_close(struct loopback *loopback);

/* ---- the parts without a socket, for tests ---- */

enum loopback_verdict {
    LOOPBACK_MORE,        /* the head is not complete yet */
    LOOPBACK_BAD,         /* not a request that is understood: 400 */
    LOOPBACK_OTHER,       /* a path of no interest: 404 */
    LOOPBACK_WRONG_STATE, /* not of this login: 400 */
    LOOPBACK_TAKEN,       /* the answer is filled in */
};
/* One HTTP request, as far as it has come. */
enum loopback_verdict loopback_read_request(const char *data, size_t len, const char *host, const char *state,
                                            struct loopback_answer *ret);
/* A pasted URL, or a bare query. */
enum loopback_verdict loopback_read_url(const char *url, const char *state, struct loopback_answer *ret);

#endif
