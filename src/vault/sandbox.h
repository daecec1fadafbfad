/*
 * What the broker gives up once it has all it needs open: files but for the store's, certificates and key
 * files; TCP ports but for those of its endpoints; system calls but for a list (docs/vault.md). What a kernel
 * cannot take away, or a build with sanitizers needs, is named in one line of the log. For src/vault alone.
 */
#ifndef VAULT_SANDBOX_H
#define VAULT_SANDBOX_H

#include "vault/child.h"

/* Where the child may not do what it must (a port that a client imported since needs), it is to end and be
 * started again: sandbox_may_connect() tells. ERR_INTERNAL: the kernel has it, but refused. */
int sandbox_enter(struct child *child, const struct message *config, struct err *err) MUST_CHECK;
bool sandbox_may_connect(const struct child *child, const char *url);

#endif
