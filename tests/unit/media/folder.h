/* A folder of one test, with files made on the spot. */
#ifndef TESTS_MEDIA_FOLDER_H
#define TESTS_MEDIA_FOLDER_H

#include <stdint.h>

#include "media/media.h"

extern char folder[64]; /* absolute, without links; removed at the end of the test */
extern struct media_root *root;

/* cmocka's set-up and tear-down */
int folder_open(void **state);
int folder_close(void **state);

char *in_folder(const char *name); /* whole path, in one of a few static buffers */
char content_byte(uint64_t at);
void make_file(const char *name, uint64_t size_bytes); /* filled with content_byte() */
void make_sparse(const char *name, uint64_t size_bytes);
void write_at(const char *name, uint64_t at, const char *text);
void restore_mtime(const char *name, int64_t mtime_ns);
struct media_file *open_file(const char *name); /* fails the test if it can't be opened */
/* Expects a refusal and gives its message. */
const char *open_refused(const char *name, int code);

#endif
