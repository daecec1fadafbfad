#include "base/seccomp.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/sanitizer.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0
#endif

enum {
    FILTER_MAX = 600,
    X32_BIT = 0x40000000,
};

struct filter {
    struct sock_filter lines[FILTER_MAX];
    unsigned count;
};

/* ---- what nobody here ever does ---- */

static const int forbidden[] = {
    SYS_execve,        SYS_execveat,    SYS_ptrace,          SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_mount,         SYS_umount2,     SYS_pivot_root,      SYS_chroot,           SYS_unshare,
    SYS_setns,         SYS_bpf,         SYS_perf_event_open, SYS_init_module,      SYS_finit_module,
    SYS_delete_module, SYS_kexec_load,  SYS_userfaultfd,     SYS_reboot,           SYS_swapon,
    SYS_swapoff,       SYS_acct,        SYS_quotactl,        SYS_settimeofday,     SYS_open_by_handle_at,
    SYS_clock_settime, SYS_sethostname, SYS_setdomainname,   SYS_move_mount,       SYS_open_tree,
    SYS_fsopen,        SYS_pidfd_getfd, SYS_setuid,          SYS_setgid,           SYS_setresuid,
    SYS_setresgid,     SYS_setgroups,   SYS_capset,          SYS_vhangup,
};

/* What a library may try in good faith, and does without: libuv's rings, Kerberos' keyrings. */
static const int unavailable[] = {
    SYS_io_uring_setup, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_personality, SYS_syslog,
};

/* ---- what the broker does ---- */

/* libc, libuv, curl with OpenSSL, SQLite, libpq, the resolver. Those with conditions are below. */
static const int few[] = {
    /* memory, threads, time */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mlock,
    SYS_munlock,
    SYS_mlock2,
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_set_tid_address,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_membarrier,
    SYS_getcpu,
    SYS_restart_syscall,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_times,
    /* itself */
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_umask,
    SYS_getcwd,
    SYS_getpgid,
    SYS_getgroups,
    /* files: which ones is Landlock's to say */
    SYS_openat,
    SYS_close,
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_fstatfs,
    SYS_statfs,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fcntl,
    SYS_flock,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_unlinkat,
    SYS_getdents64,
    SYS_fchmod,
    SYS_fchown,
    SYS_dup,
    SYS_dup3,
    SYS_close_range,
    SYS_fadvise64,
    /* sockets and waiting; socket() is below */
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_pipe2,
#ifdef __x86_64__
    SYS_poll,
    SYS_select,
    SYS_epoll_wait,
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_pipe,
    SYS_dup2,
    SYS_arch_prctl,
    SYS_time,
    SYS_getpgrp,
    SYS_chmod,
    SYS_eventfd,
    SYS_epoll_create,
#endif
};

/* ---- building ---- */

static void put(struct filter *filter, struct sock_filter line)
{
    assert(filter->count < FILTER_MAX);
    filter->lines[filter->count++] = line;
}

static void load(struct filter *filter, size_t offset)
{
    put(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct filter *filter, uint32_t verdict)
{
    put(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

static void answer_if_equal(struct filter *filter, uint32_t value, uint32_t verdict)
{
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    answer(filter, verdict);
}

static void answer_if_any_bit(struct filter *filter, uint32_t bits, uint32_t verdict)
{
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    answer(filter, verdict);
}

static void answer_all(struct filter *filter, const int *calls, size_t count, uint32_t verdict)
{
    for (size_t i = 0; i < count; i++)
        answer_if_equal(filter, (uint32_t)calls[i], verdict);
}

/* The low half of an argument: what is compared here are ints. Both architectures are little endian. */
static void load_argument(struct filter *filter, unsigned number)
{
    load(filter, offsetof(struct seccomp_data, args) + 8 * number);
}

static void load_argument_high(struct filter *filter, unsigned number)
{
    load(filter, offsetof(struct seccomp_data, args) + 8 * number + 4);
}

/* Opens a block for one call; close_block() ends it. */
static unsigned open_block(struct filter *filter, int call)
{
    unsigned at = filter->count;
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 0));
    return at;
}

static void close_block(struct filter *filter, unsigned at, uint32_t verdict)
{
    answer(filter, verdict);
    filter->lines[at].jf = (uint8_t)(filter->count - at - 1);
}

#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

static void begin(struct filter *filter)
{
    load(filter, offsetof(struct seccomp_data, arch));
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    answer(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, offsetof(struct seccomp_data, nr));
    answer_if_equal(filter, UINT32_MAX, SECCOMP_RET_ALLOW); /* no call: a tracer has taken it out */
#ifdef __x86_64__
    put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
    answer(filter, SECCOMP_RET_KILL_PROCESS);
#endif
    answer_all(filter, forbidden, ARRAY_LEN(forbidden), SECCOMP_RET_TRAP);
    answer_all(filter, unavailable, ARRAY_LEN(unavailable), REFUSE(ENOSYS));
}

/* Threads, but no processes. Flags of clone3() are out of a filter's sight: without it libc uses clone(). */
static void allow_threads(struct filter *filter)
{
    unsigned at = open_block(filter, SYS_clone);
    load_argument(filter, 0);
    answer_if_any_bit(filter, CLONE_THREAD, SECCOMP_RET_ALLOW);
    close_block(filter, at, SECCOMP_RET_TRAP);
    answer_if_equal(filter, SYS_clone3, REFUSE(ENOSYS));
}

/* No memory that is written and run. */
static void allow_mapping(struct filter *filter, int call)
{
    unsigned at = open_block(filter, call);
    load_argument(filter, 2);
    put(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC));
    answer_if_equal(filter, PROT_WRITE | PROT_EXEC, REFUSE(EPERM));
    close_block(filter, at, SECCOMP_RET_ALLOW);
}

static void allow_sockets(struct filter *filter)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    unsigned at = open_block(filter, SYS_socket);
    load_argument(filter, 0);
    answer_all(filter, families, ARRAY_LEN(families), SECCOMP_RET_ALLOW);
    close_block(filter, at, REFUSE(EAFNOSUPPORT));
}

static void allow_settings(struct filter *filter)
{
    static const int ioctls[] = {0x5421 /* FIONBIO */, 0x5451 /* FIOCLEX */, 0x5450 /* FIONCLEX */,
                                 0x541B /* FIONREAD */};
    static const int options[] = {PR_SET_NAME, PR_GET_DUMPABLE, 0x53564d41 /* PR_SET_VMA */};
    unsigned at = open_block(filter, SYS_ioctl);
    load_argument(filter, 1);
    answer_all(filter, ioctls, ARRAY_LEN(ioctls), SECCOMP_RET_ALLOW);
    close_block(filter, at, REFUSE(ENOTTY));
    at = open_block(filter, SYS_prctl);
    load_argument(filter, 0);
    answer_all(filter, options, ARRAY_LEN(options), SECCOMP_RET_ALLOW);
    close_block(filter, at, REFUSE(EINVAL));
    /* A limit is asked for, never set. */
    at = open_block(filter, SYS_prlimit64);
    load_argument(filter, 2);
    answer_if_any_bit(filter, UINT32_MAX, REFUSE(EPERM));
    load_argument_high(filter, 2);
    answer_if_any_bit(filter, UINT32_MAX, REFUSE(EPERM));
    close_block(filter, at, SECCOMP_RET_ALLOW);
}

/* abort() and raise(): signals to itself alone. */
static void allow_own_signals(struct filter *filter)
{
    unsigned at = open_block(filter, SYS_tgkill);
    load_argument(filter, 0);
    answer_if_equal(filter, (uint32_t)getpid(), SECCOMP_RET_ALLOW);
    close_block(filter, at, REFUSE(EPERM));
}

/* ---- enforcing ---- */

/* Nothing but what may be called in a handler. */
static void on_forbidden(int number, siginfo_t *info, void *context)
{
    char line[] = "level=error msg=\"a forbidden system call was tried; this process ends\" call=0000\n";
    int call = info->si_syscall;
    (void)context;
    for (size_t at = sizeof(line) - 3; at > sizeof(line) - 7; at--, call /= 10)
        line[at] = (char)('0' + call % 10);
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        line[0] = '\0'; /* it ends in any case */
    signal(number, SIG_DFL);
    raise(number); /* when this handler returns */
}

static int enforce(const struct filter *filter, struct err *err)
{
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
    struct sock_fprog program = {.len = (unsigned short)filter->count,
                                 .filter = (struct sock_filter *)filter->lines};
    sigaction(SIGSYS, &action, NULL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        return err_set_errno(err, ERR_INTERNAL, errno, "seccomp");
    return 0;
}

bool seccomp_is_known(void)
{
    return ARCH != 0 && !HAS_SANITIZER;
}

bool seccomp_is_there(void)
{
    uint32_t action = SECCOMP_RET_TRAP;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int seccomp_forbid(struct err *err)
{
    struct filter filter = {.count = 0};
    if (!seccomp_is_known() || !seccomp_is_there())
        return 0;
    begin(&filter);
    answer(&filter, SECCOMP_RET_ALLOW);
    return enforce(&filter, err);
}

int seccomp_allow_few(struct err *err)
{
    struct filter filter = {.count = 0};
    if (!seccomp_is_known() || !seccomp_is_there())
        return 0;
    begin(&filter);
    answer_all(&filter, few, ARRAY_LEN(few), SECCOMP_RET_ALLOW);
    allow_threads(&filter);
    allow_mapping(&filter, SYS_mmap);
    allow_mapping(&filter, SYS_mprotect);
    allow_sockets(&filter);
    allow_settings(&filter);
    allow_own_signals(&filter);
    answer(&filter, REFUSE(ENOSYS));
    return enforce(&filter, err);
}
