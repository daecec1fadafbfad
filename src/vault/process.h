/* Starting and ending the processes beside a worker, without a loop. For src/vault alone. Any thread. */
#ifndef VAULT_PROCESS_H
#define VAULT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Variables of the environment that such a process gets; NULL-terminated, released by
 * process_environment_free(). `name` is the one that holds a key; `key` NULL: none does. */
char **process_environment(const char *name, const char *key);
void process_environment_free(char **environment); /* wipes */

/* `executable SUBCOMMAND` with `fd` as descriptor 3, standard error as it is and nothing else open. 0 or an
 * errno. */
int process_start(const char *executable, const char *subcommand, int fd, char *const *environment,
                  pid_t *ret_pid);
/* Whether the child has ended within the time; it is reaped then. */
bool process_await(pid_t pid, int timeout_ms);
/* Waits, then kills; reaps in any case. */
void process_end(pid_t pid, int timeout_ms);

#endif
