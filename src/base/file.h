/*
 * Files on disk: small ones read whole (configuration, metadata, client secrets), and their folders. Blocks
 * on the disk. Any thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Adds the file's bytes to `ret`, whose len_max is the limit. ERR_NOT_FOUND; ERR_INVALID: a directory, not
 * permitted, or too large; ERR_IO. A pipe is read to its end. */
int file_read(const char *path, struct buf *ret, struct err *err) MUST_CHECK;

/* The folder that the file is in, by its path alone: "/" and "." where no other is named. The caller frees
 * it.
 */
char *file_folder(const char *path);
/* What follows the path's last slash; points into `path`. */
const char *file_name(const char *path);
/* After the file was named or renamed: its name, too, is on the disk. ERR_IO. */
int file_sync_name(const char *path, struct err *err) MUST_CHECK;

#endif
