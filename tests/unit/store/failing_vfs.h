/*
 * A layer over SQLite's own file access that counts every write, sync, truncation and deletion, and fails the
 * n-th of them: once, or from then on. It becomes the default VFS of the process.
 */
#ifndef TESTS_STORE_FAILING_VFS_H
#define TESTS_STORE_FAILING_VFS_H

#include <stdbool.h>

void failing_vfs_install(void);
/* The n-th call from now on fails, from 1; 0: none. */
void failing_vfs_arm(long nth, bool for_ever);
/* Calls that were failed since then. */
long failing_vfs_failures(void);

#endif
