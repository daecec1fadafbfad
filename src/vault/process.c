#include "vault/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "vault/secret.h"

enum { SOCKET_FD = 3 };

/* All that the child needs from the outside, beside a key that is kept in a variable: where its standard
 * error leads (base/log.h), and in a build for tests how to report what it finds. */
static const char *const passed_on[] = {
    "JOURNAL_STREAM",
#if HAS_SANITIZER
    "ASAN_OPTIONS",   "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS",
#endif
};

char **process_environment(const char *name, const char *key)
{
    char **environment = mem_alloc_array(ARRAY_LEN(passed_on) + 2, sizeof(*environment));
    size_t count = 0;
    if (key)
        environment[count++] = mem_printf("%s=%s", name, key);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        if (value)
            environment[count++] = mem_printf("%s=%s", passed_on[i], value);
    }
    return environment;
}

void process_environment_free(char **environment)
{
    for (char **variable = environment; *variable; variable++) {
        secret_wipe(*variable, strlen(*variable));
        mem_free(*variable);
    }
    mem_free(environment);
}

static int prepare(posix_spawn_file_actions_t *actions, int fd)
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, fd, SOCKET_FD);
    return error == 0 ? posix_spawn_file_actions_addclosefrom_np(actions, SOCKET_FD + 1) : error;
}

int process_start(const char *executable, const char *subcommand, int fd, char *const *environment,
                  pid_t *ret_pid)
{
    char program[] = "sluice";
    char *word AUTO_FREE = mem_dup(subcommand);
    char *args[] = {program, word, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = prepare(&actions, fd);
    if (error == 0)
        error = posix_spawn(ret_pid, executable, &actions, NULL, args, environment);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

bool process_await(pid_t pid, int timeout_ms)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    int64_t until_mono_ms = clock_mono_ms() + timeout_ms;
    int64_t left_ms = timeout_ms;
    while (pidfd >= 0 && left_ms > 0 && poll(&end, 1, (int)left_ms) < 0 && errno == EINTR)
        left_ms = until_mono_ms - clock_mono_ms();
    if (pidfd >= 0)
        close(pidfd);
    return waitpid(pid, NULL, WNOHANG) != 0;
}

void process_end(pid_t pid, int timeout_ms)
{
    if (timeout_ms > 0 && process_await(pid, timeout_ms))
        return;
    /* A worker that gave up sending signals does not wait: what it leaves dies with it. */
    if (kill(pid, SIGKILL) == 0)
        waitpid(pid, NULL, 0);
}
