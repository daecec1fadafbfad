/*
 * Source files: opened beneath a root, fingerprinted, read in pieces off the loop, watched for change.
 *
 * A source is opened with openat2 beneath the media root, without following any link (docs/faults.md F10),
 * and the one descriptor is kept while the job is worked on. It is never mapped (F09). Digests are XXH3-128
 * (libxxhash): they find accidental and careless change; they are not a defence against someone who can forge
 * both content and inode times.
 *
 * The functions of the first two groups block on the disk: call them from the command line or a pool thread.
 * A media_file may be used by one thread at a time. media_reader belongs to the loop's thread; its reads run
 * in libuv's pool; only what the page cache has already is copied on the loop (that waits for no disk).
 */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

enum { MEDIA_DIGEST_SIZE = 16, MEDIA_FINGERPRINT_SIZE = 200 };

struct media_root;
struct media_file;

/* ---- opening and comparing ---- */

/* `path`: an existing directory, absolute. "/" is allowed. ERR_NOT_FOUND, ERR_IO. */
int media_root_open(const char *path, struct media_root **ret, struct err *err) MUST_CHECK;
void media_root_close(struct media_root *root);
/* Turns what a person typed (relative to the working directory, through links) into the path beneath the root
 * that is stored. ERR_INVALID where it lies outside of the root. `ret`: caller frees. */
int media_root_relative(struct media_root *root, const char *path, char **ret, struct err *err) MUST_CHECK;

/* ERR_NOT_FOUND (missing), ERR_INVALID (not a regular file, link, 0 bytes, over 256 GiB, outside of the root,
 * EACCES: names path and user), ERR_IO (EIO, ESTALE: may pass). */
int media_open(struct media_root *root, const char *relative_path, struct media_file **ret,
               struct err *err) MUST_CHECK;
void media_close(struct media_file *file); /* NULL is fine */
uint64_t media_size(const struct media_file *file);

/* "v1:size:mtime_ns:ctime_ns:dev:ino:XXH3-128 of sampled blocks". The samples are a fixed number of blocks
 * (first, last, evenly between), so 256 GB take no longer than 1 MB. */
int media_fingerprint(struct media_file *file, char ret[MEDIA_FINGERPRINT_SIZE], struct err *err) MUST_CHECK;
/* "size-hexdigest": the part of a fingerprint that a copy of the file shares. */
void media_content_key(const char *fingerprint, char ret[MEDIA_FINGERPRINT_SIZE]);
/* Its time of change, for telling two versions with equal samples apart. */
int64_t media_fingerprint_mtime_ns(const char *fingerprint);

enum media_change {
    MEDIA_SAME,    /* identity and samples are those of the fingerprint */
    MEDIA_TOUCHED, /* size, mtime and samples agree, but ctime, inode or device differ: compare what was sent
                      (chmod, unlink while open, restored from a copy) */
    MEDIA_DIFFERENT,
};
/* Compares the open file (fstat and samples) with the fingerprint taken at `add`. ERR_IO if it can't be read.
 */
int media_compare(struct media_file *file, const char *fingerprint, enum media_change *ret,
                  struct err *err) MUST_CHECK;
/* XXH3-128 of [first_byte, first_byte + size_bytes). */
int media_digest(struct media_file *file, uint64_t first_byte, uint64_t size_bytes,
                 unsigned char ret[MEDIA_DIGEST_SIZE], struct err *err) MUST_CHECK;
/* Since media_open(): fstat differs in size, mtime, inode or device; or the path now names another file
 * (F07). A path that is gone is no change (F12); ctime alone is none either (chmod, link). `message` says
 * what changed. */
int media_changed_since_open(struct media_file *file, bool *ret_changed, char *message, uint64_t message_size,
                             struct err *err) MUST_CHECK;

/* ---- reading for an upload, on the loop ---- */

struct media_reader;

enum media_read {
    MEDIA_READ_OK,
    MEDIA_READ_CHANGED, /* found changed before the last byte of a guarded read was handed out: it was
                           withheld */
    MEDIA_READ_IO,      /* EIO, ESTALE, or a pool read that took longer than the deadline (F03, F08) */
};

/* Reads [first_byte, first_byte + size_bytes): from the page cache directly, otherwise ahead of the consumer
 * in two windows of window_bytes each, which are allocated only then. `guard_end`: before the last window is
 * handed out, media_changed_since_open() is asked in the pool; changed: nothing of it is handed out. `more`
 * is called on the loop when data (or an end with trouble) is there after media_reader_read() said 0. The
 * file must outlive the reader; the reader's end is asynchronous: `closed` says when the file is no longer
 * touched. */
struct media_reader_config {
    uint64_t first_byte;
    uint64_t size_bytes;
    uint32_t window_bytes; /* 256 KiB is usual */
    bool guard_end;
    int64_t deadline_ms; /* of one pool read */
    void (*more)(void *ctx);
    void *ctx;
};
int media_reader_open(uv_loop_t *loop, struct media_file *file, const struct media_reader_config *config,
                      struct media_reader **ret, struct err *err) MUST_CHECK;
/* Copies up to len bytes; 0: nothing there yet (`more` will come); -1: trouble, see media_reader_state(). */
int64_t media_reader_read(struct media_reader *reader, void *data, uint64_t len);
enum media_read media_reader_state(const struct media_reader *reader, const char **ret_message);
/* Digest of all bytes handed out so far. */
void media_reader_digest(const struct media_reader *reader, unsigned char ret[MEDIA_DIGEST_SIZE],
                         uint64_t *ret_bytes);
/* A read that hangs in the pool keeps the reader's memory and the file until it returns; `closed` comes then.
 */
void media_reader_close(struct media_reader *reader, void (*closed)(void *ctx), void *ctx);

#endif
