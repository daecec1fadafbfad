/* What the processes beside the worker do first of all: nobody looks into them, and nothing of their parent's
 * is left in them. For src/vault alone. */
#ifndef VAULT_HARDEN_H
#define VAULT_HARDEN_H

/* `fd`: the one descriptor beside standard ones that stays open. */
void harden(const char *name, int fd);
/* No core file, no ptrace and no /proc/PID/mem by others of the same user. */
void forbid_looks(void);
/* At the very end: LeakSanitizer looks with ptrace; by then every secret is wiped. */
void allow_leak_check(void);

#endif
