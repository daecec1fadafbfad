/* Inside src/media: what a root and an open file are. */
#ifndef MEDIA_ROOM_H
#define MEDIA_ROOM_H

#include <sys/stat.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h> /* the same functions, in the widest instructions that the processor has */
#else
#include <xxhash.h>
#endif

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
/* The same, but never waits for the disk: preadv2() with RWF_NOWAIT. What is not in the page cache, or on a
 * file system that can't tell (NFS, FUSE), fails with EAGAIN or EOPNOTSUPP. */
extern media_pread_function *media_pread_cached;

/* Reads all of `len` bytes unless the file ends before: `ret_len` says how many came. ERR_IO. Any thread. */
int media_read_at(const struct media_file *file, void *data, size_t len, uint64_t first_byte, size_t *ret_len,
                  struct err *err) MUST_CHECK;

/* The digest of what was added to `state`, in the order of bytes that is the same on every machine. */
void media_digest_end(const XXH3_state_t *state, unsigned char ret[MEDIA_DIGEST_SIZE]);

static inline int64_t media_mtime_ns(const struct stat *stat)
{
    return (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec;
}

static inline int64_t media_ctime_ns(const struct stat *stat)
{
    return (int64_t)stat->st_ctim.tv_sec * 1000000000 + stat->st_ctim.tv_nsec;
}

#endif
