#include "vault/harden.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/sanitizer.h"

void forbid_looks(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void allow_leak_check(void)
{
    if (HAS_ADDRESS_SANITIZER)
        prctl(PR_SET_DUMPABLE, 1);
}

/* The terminal's Ctrl-C and a service manager's SIGTERM go to the whole group: the parent decides what they
 * mean, and may need tokens for what it still finishes. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        signal(signals[i], SIG_IGN);
}

/* What the parent had open without O_CLOEXEC (X10), and what a shell left. */
static void close_others(int fd)
{
    if (fd > 3)
        close_range(3, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0U, 0);
}

void harden(const char *name, int fd)
{
    forbid_looks();
    ignore_signals();
    close_others(fd);
    umask(077);
    /* Beside the socket's end, should someone else hold a copy of the parent's descriptor. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name);
}
