/*
 * seccomp: a process gives up system calls for good, for all its threads and all that it starts. libseccomp
 * makes the filters (decision 0011).
 *
 * Two kinds of filters. One that forbids lets all pass but what no part of sluice ever does: start programs,
 * look into other processes, mount, load into the kernel. One that allows lets pass what is listed, and
 * answers ENOSYS to the rest, which a newer libc takes for an older kernel and does without. What is
 * forbidden ends the process in both, after a line on standard error: there is no honest way to get there.
 *
 * In builds with sanitizers, which need more, syscalls_filter_is_known() is false and nothing is enforced.
 */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

bool syscalls_filter_is_known(void);
/* Whether the running kernel takes filters. */
bool syscalls_filter_is_there(void);
/* Forbids only. ERR_INTERNAL: the kernel refused. Also gives up gaining privileges. */
int syscalls_forbid(struct err *err) MUST_CHECK;
/* Forbids, and lets pass only what a process needs that talks over sockets, keeps a store and makes threads.
 */
int syscalls_allow_few(struct err *err) MUST_CHECK;

#endif
