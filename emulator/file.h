/* Small whole files: certificates and client secrets. */
#ifndef EMULATOR_FILE_H
#define EMULATOR_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

int MUST_CHECK file_write(const char *path, mode_t mode, const void *data, size_t len, struct err *err);
/* At most 1 MiB; NUL-terminated; the caller frees it. */
int MUST_CHECK file_read(const char *path, char **ret, struct err *err);

#endif
