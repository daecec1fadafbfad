/* Inside src/media: what a root and an open file are. */
#ifndef MEDIA_ROOM_H
#define MEDIA_ROOM_H

#include <sys/stat.h>

#include "media/media.h"

/* "256GB" in the documentation of videos.insert [insert]. */
#define MEDIA_SIZE_BYTES_MAX 274877906944u

struct media_root {
    int fd;     /* O_PATH */
    char *path; /* absolute, without links; for messages */
};

struct media_file {
    int fd;
    int root_fd;    /* a duplicate: the file outlives the root's handle */
    char *relative; /* beneath the root */
    char *shown;    /* the whole path, for messages */
    struct stat at_open;
};

/* What reads a file: pread(). Tests put a failing or a hanging one in its place (F03, F08), before any file
 * is opened. */
typedef ssize_t media_pread_function(int fd, void *data, size_t len, off_t offset);
extern media_pread_function *media_pread;

/* Reads all of `len` bytes unless the file ends before: `ret_len` says how many came. ERR_IO. Any thread. */
int media_read_at(const struct media_file *file, void *data, size_t len, uint64_t first_byte, size_t *ret_len,
                  struct err *err) MUST_CHECK;

static inline int64_t media_mtime_ns(const struct stat *stat)
{
    return (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec;
}

static inline int64_t media_ctime_ns(const struct stat *stat)
{
    return (int64_t)stat->st_ctim.tv_sec * 1000000000 + stat->st_ctim.tv_nsec;
}

#endif
