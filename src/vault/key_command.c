/*
 * A program that prints the key: one of a secret manager, an HSM, a KMS. It runs without a shell, with PATH
 * alone in its environment, in a process group of its own; its errors go to our standard error. It has a
 * bounded time, after which the group is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "vault/ring_inside.h"

enum { COMMAND_MS = 20000, WORDS_MAX = 32 };

/* ---- words ---- */

static size_t split(char *line, char *words[WORDS_MAX + 1])
{
    size_t count = 0;
    for (char *at = line; *at;) {
        at += strspn(at, " \t");
        if (!*at || count == WORDS_MAX)
            break;
        words[count++] = at;
        at += strcspn(at, " \t");
        if (*at)
            *at++ = '\0';
    }
    words[count] = NULL;
    return count;
}

/* ---- the process ---- */

static int spawn(char *const words[], int out, pid_t *ret, struct err *err)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *const environment[] = {path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    int why = posix_spawn(ret, words[0], &files, &how, words, environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return why == 0 ? 0 : err_set_errno(err, ERR_AUTH, why, "starting key_command %s", words[0]);
}

/* Until its output ends; false: its time is over. */
static bool read_output(int fd, struct secret *ret, size_t *ret_len, int64_t until_mono_ms)
{
    for (;;) {
        int64_t left_ms = until_mono_ms - clock_mono_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0)
            return false;
        if (poll(&poll_fd, 1, (int)left_ms) <= 0)
            continue;
        char more[4096];
        bool is_full = *ret_len == ret->len;
        ssize_t got =
            is_full ? read(fd, more, sizeof(more)) : read(fd, ret->data + *ret_len, ret->len - *ret_len);
        secret_wipe(more, is_full && got > 0 ? (size_t)got : 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        *ret_len += is_full ? 0 : (size_t)got;
    }
}

/* False: its time is over. */
static bool await_end(pid_t pid, int64_t until_mono_ms, int *ret_status)
{
    const struct timespec step = {.tv_nsec = 5000000};
    while (waitpid(pid, ret_status, WNOHANG) == 0) {
        if (clock_mono_ms() >= until_mono_ms)
            return false;
        nanosleep(&step, NULL);
    }
    return true;
}

static int too_long(const char *program, pid_t pid, struct err *err)
{
    int ignored;
    kill(-pid, SIGKILL);
    waitpid(pid, &ignored, 0);
    return err_set(err, ERR_AUTH, "key_command %s has not ended within %d s", program, COMMAND_MS / 1000);
}

static int judge(const char *program, int status, struct err *err)
{
    if (WIFSIGNALED(status))
        return err_set(err, ERR_AUTH, "key_command %s was ended by signal %d", program, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_AUTH, "key_command %s has failed with exit code %d", program,
                       WEXITSTATUS(status));
    return 0;
}

static int run(char *const words[], struct secret *ret, size_t *ret_len, struct err *err)
{
    int64_t until_mono_ms = clock_mono_ms() + COMMAND_MS;
    int ends[2], status = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set_errno(err, ERR_IO, errno, "a pipe for key_command");
    int code = spawn(words, ends[1], &pid, err);
    close(ends[1]);
    if (code == 0) {
        bool is_over =
            read_output(ends[0], ret, ret_len, until_mono_ms) && await_end(pid, until_mono_ms, &status);
        code = is_over ? judge(words[0], status, err) : too_long(words[0], pid, err);
    }
    close(ends[0]);
    return code;
}

int key_command_read(const char *text, struct secret *ret, size_t *ret_len, struct err *err)
{
    char *line AUTO_FREE = mem_dup(text);
    char *words[WORDS_MAX + 1];
    if (split(line, words) == 0 || words[0][0] != '/')
        return err_set(err, ERR_INVALID, "key_command must begin with the whole path of a program");
    secret_reserve(ret, KEY_TEXT_MAX + 1);
    *ret_len = 0;
    int code = run(words, ret, ret_len, err);
    if (*ret_len > KEY_TEXT_MAX)
        *ret_len = 0;
    return code;
}
