/*
 * Log lines on standard error: one line an occurrence, as logfmt or JSON, with the priority prefix that
 * journald knows
 * (`<6>`) when standard error is its socket. Values are escaped (control characters, bidirectional marks, bad
 * UTF-8), so a title cannot forge a line. Never pass a secret: no token, no session URL, at no level. Any
 * thread; a line is one write().
 *
 *     LOG(LOG_INFO, "upload started", F_STR("job", id), F_U64("bytes", size));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_INFO = 6, LOG_DEBUG = 7 }; /* syslog's numbers */
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_I64, LOG_FIELD_U64 } type;
    union {
        const char *text; /* NULL: the field is left out */
        int64_t i64;
        uint64_t u64;
    };
};

#define F_STR(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_TEXT, .text = (v)})
#define F_I64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_I64, .i64 = (v)})
#define F_U64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_U64, .u64 = (v)})

void log_setup(enum log_level level_max, enum log_format format);
/* A copy of every line for a test or a progress bar that must not be torn; NULL restores standard error. */
void log_set_sink(void (*sink)(void *ctx, const char *line, size_t len), void *ctx);
void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);

#define LOG(level, message, ...)                                                                             \
    log_write(level, message, (struct log_field[]){{.key = NULL}, ##__VA_ARGS__},                            \
              ARRAY_LEN(((struct log_field[]){{.key = NULL}, ##__VA_ARGS__})))

#endif
