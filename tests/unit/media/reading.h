/* Readers on a loop, and reading them out, for tests. */
#ifndef TESTS_MEDIA_READING_H
#define TESTS_MEDIA_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "media/room.h"

extern uv_loop_t loop;
extern int more_count, closed_count;
extern int stuck_more_count; /* of readers from open_stuck_reader() */

/* Where the bytes come from: the page cache, the pool, or now one, then the other. */
enum { WAYS = 3 };
extern media_pread_function *const ways[WAYS];
ssize_t never_cached(int fd, void *data, size_t len, off_t offset);

/* cmocka's set-up and tear-down: a folder and a loop */
int reading_open(void **state);
int reading_close(void **state);

void count_more(void *ctx);
void count_closed(void *ctx); /* for media_reader_close(): ctx is the file, which it closes */
/* Windows of 64 KiB. */
struct media_reader *open_reader(struct media_file *file, uint64_t first_byte, uint64_t size_bytes,
                                 bool guard_end, int64_t deadline_ms);
/* One that is already at its first read, in the pool. */
struct media_reader *open_stuck_reader(struct media_file *file, int64_t deadline_ms);
void close_reader(struct media_reader *reader, struct media_file *file);
/* Reads until `count` bytes are out, the end, or trouble; checks each byte. Returns how many came. */
uint64_t read_out(struct media_reader *reader, uint64_t first_byte, uint64_t count, size_t piece);
/* The reader's digest is that of exactly these bytes. */
void check_digest(struct media_reader *reader, uint64_t first_byte, uint64_t count);
/* Opens, reads out and closes a reader of "clip.mp4". */
void check_range(uint64_t first_byte, uint64_t size_bytes, size_t piece, bool guard_end);

#endif
