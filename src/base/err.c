#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
    int code;
    const char *name;
    int exit_code;
    const char *text;
};

static const struct err_row rows[] = {
#define X(name, exit_code, text) {ERR_##name, #name, exit_code, text},
    ERR_TABLE(X)
#undef X
};

static const struct err_row *find(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            return &rows[i];
    return &rows[0];
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (!err)
        return ERR_INTERNAL;
    char inner[sizeof(err->message)];
    memcpy(inner, err->message, sizeof(inner));
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(err->message))
        snprintf(err->message + used, sizeof(err->message) - (size_t)used, ": %s",
                 inner[0] ? inner : find(err->code)->text);
    return err->code;
}

int err_set_errno(struct err *err, int code, int errno_value, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    int used = vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(err->message))
        snprintf(err->message + used, sizeof(err->message) - (size_t)used, ": %s", strerror(errno_value));
    return code;
}

const char *err_name(int code)
{
    return code == ERR_OK ? "OK" : find(code)->name;
}

int err_exit_code(int code)
{
    return code == ERR_OK ? 0 : find(code)->exit_code;
}
