/* System calls given up, each in a child, since there is no way back. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/syscalls.h"

/* Which exit code, or 1000 and the signal; what it wrote to standard error. */
static int in_child(int (*give_up)(struct err *err), int (*check)(void), char *ret_said, size_t size)
{
    int said[2];
    assert_int_equal(pipe(said), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(said[1], STDERR_FILENO);
        _exit(give_up(NULL) == 0 ? check() : 100);
    }
    int status;
    close(said[1]);
    ssize_t len = read(said[0], ret_said, size - 1);
    ret_said[len > 0 ? len : 0] = '\0';
    close(said[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define MUST(number, condition)                                                                              \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return number;                                                                                   \
    } while (0)

static int start_a_program(void)
{
    char name[] = "/bin/true";
    char *args[] = {name, NULL};
    execv(name, args);
    return 0;
}

static int look_into_another(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1;
}

static int start_a_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return 0;
}

static void what_is_forbidden_ends_the_process_with_a_word(void **state)
{
    (void)state;
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        skip();
    static const struct {
        int (*give_up)(struct err *err);
        int (*check)(void);
    } cases[] = {{syscalls_forbid, start_a_program},
                 {syscalls_forbid, look_into_another},
                 {syscalls_allow_few, start_a_program},
                 {syscalls_allow_few, look_into_another},
                 {syscalls_allow_few, start_a_process}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char said[256];
        assert_int_equal(in_child(cases[i].give_up, cases[i].check, said, sizeof(said)), 1000 + SIGSYS);
        assert_non_null(strstr(said, "level=error"));
        assert_non_null(strstr(said, "forbidden system call"));
    }
    char said[256], expected[32];
    in_child(syscalls_forbid, start_a_program, said, sizeof(said));
    snprintf(expected, sizeof(expected), "call=%04d\n", (int)SYS_execve);
    assert_non_null(strstr(said, expected));
}

static void *in_thread(void *ctx)
{
    return ctx;
}

static int ordinary_work(void)
{
    pthread_t thread;
    void *returned = NULL;
    struct addrinfo *found = NULL;
    MUST(1, pthread_create(&thread, NULL, in_thread, &found) == 0);
    MUST(2, pthread_join(thread, &returned) == 0 && returned == &found);
    MUST(3, getaddrinfo("localhost", "443", NULL, &found) == 0);
    freeaddrinfo(found);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    MUST(4, fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(5, fd >= 0 && close(fd) == 0);
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(6, memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ) == 0 && munmap(memory, 4096) == 0);
    return 0;
}

static int no_call(void)
{
    MUST(1, syscall(-1) < 0 && errno == ENOSYS);
    return 0;
}

/* strace does so to let a call fail. */
static void what_a_tracer_has_taken_out_is_no_reason_to_die(void **state)
{
    (void)state;
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        skip();
    char said[256];
    assert_int_equal(in_child(syscalls_allow_few, no_call, said, sizeof(said)), 0);
    assert_int_equal(in_child(syscalls_forbid, no_call, said, sizeof(said)), 0);
}

static void ordinary_work_goes_on(void **state)
{
    (void)state;
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        skip();
    char said[256];
    assert_int_equal(in_child(syscalls_allow_few, ordinary_work, said, sizeof(said)), 0);
    assert_int_equal(in_child(syscalls_forbid, ordinary_work, said, sizeof(said)), 0);
}

static int what_is_not_listed(void)
{
    struct rlimit limit = {0, 0};
    MUST(1, syscall(SYS_memfd_create, "x", 0) < 0 && errno == ENOSYS);
    MUST(2, syscall(SYS_keyctl, 0, 0, 0, 0, 0) < 0 && errno == ENOSYS);
    MUST(3, kill(getppid(), 0) < 0 && errno == ENOSYS);
    MUST(4, socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS);
    MUST(5, prctl(PR_SET_DUMPABLE, 1) < 0 && errno == ENOSYS);
    MUST(6, setrlimit(RLIMIT_CORE, &limit) < 0 && errno == EPERM);
    MUST(7, getrlimit(RLIMIT_CORE, &limit) == 0);
    int both = PROT_WRITE | PROT_EXEC;
    MUST(8, mmap(NULL, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM);
    MUST(9, syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 && errno == EPERM);
    /* Where the pointer's low half is zero, the high one counts. */
    void *at_4_gib = (void *)(uintptr_t)(UINT64_C(1) << 32);
    struct rlimit *high = mmap(at_4_gib, 4096, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    MUST(10, high == at_4_gib);
    MUST(11, setrlimit(RLIMIT_CORE, high) < 0 && errno == EPERM);
    return 0;
}

static void what_is_not_listed_is_not_there(void **state)
{
    (void)state;
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        skip();
    char said[256];
    assert_int_equal(in_child(syscalls_allow_few, what_is_not_listed, said, sizeof(said)), 0);
    assert_string_equal(said, "");
}

static int die_of_abort(void)
{
    raise(SIGABRT);
    return 0;
}

static void it_can_still_end_itself(void **state)
{
    (void)state;
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        skip();
    char said[256];
    assert_int_equal(in_child(syscalls_allow_few, die_of_abort, said, sizeof(said)), 1000 + SIGABRT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_forbidden_ends_the_process_with_a_word),
        cmocka_unit_test(what_a_tracer_has_taken_out_is_no_reason_to_die),
        cmocka_unit_test(ordinary_work_goes_on),
        cmocka_unit_test(what_is_not_listed_is_not_there),
        cmocka_unit_test(it_can_still_end_itself),
    };
    return RUN_UNIT_TESTS(tests);
}
