/*
 * Landlock: a process gives up files and network for good, for itself and for all that it starts. What is not
 * allowed here is refused by the kernel with EACCES from then on. What is open already stays usable.
 *
 *     struct landlock *rules = landlock_new();
 *     landlock_allow(rules, "/etc", LANDLOCK_READ);
 *     landlock_enforce(rules, &err);
 *     landlock_free(rules);
 *
 * It holds for the calling thread and for threads made later: call it while there is one. Rules go with
 * files, not with names: a file that is replaced later is covered by its folder's rule alone. Kernels without
 * it (before 5.13, or not switched on) give ABI 0, and nothing is enforced. Not shared between threads.
 */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum landlock_right {
    LANDLOCK_READ = 1,  /* files, and names in folders */
    LANDLOCK_WRITE = 2, /* files that are there */
    LANDLOCK_LIST = 8,  /* names in folders only */
    LANDLOCK_MAKE = 4,  /* and remove: regular files in this folder */
};

struct landlock;

int landlock_abi(void); /* of the running kernel; 0: none */
bool landlock_has_network(int abi);

/* TCP: where the kernel can, listening is refused unless allowed; connecting only once a port was allowed. */
struct landlock *landlock_new(void);
void landlock_free(struct landlock *rules);
/* A file or a folder with all beneath it. What is not there is left out. */
void landlock_allow(struct landlock *rules, const char *path, unsigned rights);
/* All of `folder` but the file `except` where that lies beneath it: then what is there now is allowed name by
 * name along the way to it, and what comes into those folders later is not. */
void landlock_allow_except(struct landlock *rules, const char *folder, const char *except, unsigned rights);
/* What libc, the resolver and TLS read: system libraries and settings, but never `except` (NULL: nothing is
 * left out). */
void landlock_allow_system(struct landlock *rules, const char *except);
/* TCP connections to this port, wherever; once one is named, others are refused. */
void landlock_allow_connect(struct landlock *rules, uint16_t port);
void landlock_allow_listen(struct landlock *rules); /* at any port */
/* Also gives up gaining privileges. 0, also where the kernel has none; ERR_INTERNAL: the kernel refused. */
int landlock_enforce(struct landlock *rules, struct err *err) MUST_CHECK;

#endif
