/* A folder of one test program, or of one test, with files made on the spot. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <sys/types.h>

extern char scratch[64]; /* its path */

/* cmocka's set-up and tear-down; beneath $TMPDIR. */
int scratch_open(void **state);
int scratch_close(void **state);
int scratch_open_beneath(const char *folder);

/* The caller frees; a whole path stays as it is. */
char *in_scratch(const char *name);
/* Replaces what is there; the folders above it are made. */
void put_file(const char *name, const char *text, mode_t mode);
/* 0 or the errno. */
int try_open(const char *name, int flags);

/* With all that is in it; not 0: something is left. */
int remove_folder(const char *path);

#endif
