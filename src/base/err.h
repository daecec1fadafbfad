/*
 * Errors of our own: a negative code from one table and a message for people.
 *
 * What YouTube or the world does to us is an event, never an error code. Functions that can fail return 0 or
 * a negative `enum err_code`, take a last argument `struct err *` (may be NULL) and set it once, where it
 * went wrong; callers may put context before the message with err_wrap(). They do not log: the top of the
 * program does. Any thread; a struct err belongs to its caller.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

/* name, exit code of the command line, text where a failure has no message of its own */
#define ERR_TABLE(X)                                                                                         \
    X(INTERNAL, 1, "internal error")                                                                         \
    X(IO, 1, "input/output error")                                                                           \
    X(TIMEOUT, 1, "timed out")                                                                               \
    X(USAGE, 2, "wrong usage")                                                                               \
    X(INVALID, 3, "invalid input")                                                                           \
    X(EXISTS, 3, "already there")                                                                            \
    X(NOT_FOUND, 4, "not found")                                                                             \
    X(AUTH, 5, "credentials refused")                                                                        \
    X(CORRUPT, 5, "a sealed value does not open")                                                            \
    X(LIMIT, 6, "a limit is reached")                                                                        \
    X(UPLOAD, 7, "the upload failed")                                                                        \
    X(STORE, 8, "the store is unavailable")                                                                  \
    X(BUSY, 8, "the store is busy")                                                                          \
    X(SCHEMA, 8, "the store has another version")                                                            \
    X(NOT_YET, 75, "not yet")

enum err_code {
    ERR_OK = 0,
    ERR_BEFORE_FIRST_ = -1000,
#define X(name, exit_code, text) ERR_##name,
    ERR_TABLE(X)
#undef X
};

struct err {
    int code;           /* 0 or an enum err_code */
    char message[1024]; /* one line, for people: what, to which thing, why, what to do; never a secret */
};

/* Sets code and message; returns `code`, so that `return err_set(...)` reads well. `err` may be NULL. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Puts "context: " before the message; returns the code already there. */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* As err_set, with ": strerror(errno_value)" after the message. */
int err_set_errno(struct err *err, int code, int errno_value, const char *format, ...) PRINTF_LIKE(4, 5);
/* "INVALID" for ERR_INVALID … ; "OK" for 0. */
const char *err_name(int code);
int err_exit_code(int code);

#endif
