#include "base/syscalls.h"

#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/sanitizer.h"

/* The kernel's, in headers of the system we build on only since 5.17. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

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

/* ---- rules ---- */

static int add(scmp_filter_ctx filter, uint32_t action, int call)
{
    return seccomp_rule_add(filter, action, call, 0);
}

static int add_if(scmp_filter_ctx filter, uint32_t action, int call, struct scmp_arg_cmp condition)
{
    return seccomp_rule_add(filter, action, call, 1, condition);
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add(filter, action, calls[i]);
    return rc;
}

/* One rule for each value that an argument may have. */
static int allow_values(scmp_filter_ctx filter, int call, unsigned argument, const int *values, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_if(filter, SCMP_ACT_ALLOW, call, SCMP_CMP32(argument, SCMP_CMP_EQ, (uint32_t)values[i]));
    return rc;
}

/* The rest is refused as a lack of rights, not as unknown. */
static int allow_one_value(scmp_filter_ctx filter, int call, unsigned argument, scmp_datum_t value)
{
    int rc = add_if(filter, SCMP_ACT_ALLOW, call, SCMP_CMP64(argument, SCMP_CMP_EQ, value));
    return rc == 0 ? add_if(filter, SCMP_ACT_ERRNO(EPERM), call, SCMP_CMP64(argument, SCMP_CMP_NE, value))
                   : rc;
}

/* Threads, but no processes. Flags of clone3() are out of a filter's sight: without it libc uses clone(). */
static int allow_threads(scmp_filter_ctx filter)
{
    int rc = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone),
                    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (rc == 0)
        rc = add_if(filter, SCMP_ACT_TRAP, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return rc;
}

/* No memory that is written and run. */
static int allow_mapping(scmp_filter_ctx filter, int call)
{
    static const scmp_datum_t allowed[] = {0, PROT_WRITE, PROT_EXEC};
    const scmp_datum_t both = PROT_WRITE | PROT_EXEC;
    int rc = add_if(filter, SCMP_ACT_ERRNO(EPERM), call, SCMP_A2(SCMP_CMP_MASKED_EQ, both, both));
    for (size_t i = 0; i < ARRAY_LEN(allowed) && rc == 0; i++)
        rc = add_if(filter, SCMP_ACT_ALLOW, call, SCMP_A2(SCMP_CMP_MASKED_EQ, both, allowed[i]));
    return rc;
}

static int allow_settings(scmp_filter_ctx filter)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    static const int ioctls[] = {FIONBIO, FIOCLEX, FIONCLEX, FIONREAD};
    static const int options[] = {PR_SET_NAME, PR_GET_DUMPABLE, PR_SET_VMA};
    int rc = allow_values(filter, SCMP_SYS(socket), 0, families, ARRAY_LEN(families));
    if (rc == 0)
        rc = allow_values(filter, SCMP_SYS(ioctl), 1, ioctls, ARRAY_LEN(ioctls));
    if (rc == 0)
        rc = allow_values(filter, SCMP_SYS(prctl), 0, options, ARRAY_LEN(options));
    if (rc == 0) /* a limit is asked for, never set */
        rc = allow_one_value(filter, SCMP_SYS(prlimit64), 2, 0);
    if (rc == 0) /* abort() and raise(): signals to itself alone */
        rc = allow_one_value(filter, SCMP_SYS(tgkill), 0, (scmp_datum_t)getpid());
    return rc;
}

static int refuse_unavailable(scmp_filter_ctx filter)
{
    return add_all(filter, SCMP_ACT_ERRNO(ENOSYS), unavailable, ARRAY_LEN(unavailable));
}

static int allow_few(scmp_filter_ctx filter)
{
    int rc = add_all(filter, SCMP_ACT_ALLOW, few, ARRAY_LEN(few));
    if (rc == 0)
        rc = allow_threads(filter);
    if (rc == 0)
        rc = allow_mapping(filter, SCMP_SYS(mmap));
    if (rc == 0)
        rc = allow_mapping(filter, SCMP_SYS(mprotect));
    return rc == 0 ? allow_settings(filter) : rc;
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

/* The number -1 is no call: a tracer has taken it out. */
static int set_up(scmp_filter_ctx filter)
{
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_API_TSKIP, 1);
    return rc;
}

/* Everything else is answered with `others`. */
static int enforce(uint32_t others, int (*more)(scmp_filter_ctx filter), struct err *err)
{
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        return 0;
    scmp_filter_ctx filter = seccomp_init(others);
    if (!filter)
        return err_set(err, ERR_INTERNAL, "seccomp: no filter");
    int rc = set_up(filter);
    if (rc == 0)
        rc = add_all(filter, SCMP_ACT_TRAP, forbidden, ARRAY_LEN(forbidden));
    if (rc == 0)
        rc = more(filter);
    sigaction(SIGSYS, &action, NULL);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc == 0 ? 0 : err_set_errno(err, ERR_INTERNAL, -rc, "seccomp");
}

bool syscalls_filter_is_known(void)
{
    return !HAS_SANITIZER && seccomp_arch_native() != 0;
}

bool syscalls_filter_is_there(void)
{
    uint32_t action = SECCOMP_RET_TRAP;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int syscalls_forbid(struct err *err)
{
    return enforce(SCMP_ACT_ALLOW, refuse_unavailable, err);
}

int syscalls_allow_few(struct err *err)
{
    return enforce(SCMP_ACT_ERRNO(ENOSYS), allow_few, err);
}
