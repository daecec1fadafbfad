/*
 * Preloaded into sluice by tests.
 *
 * Lets the n-th allocation of a process fail, whoever asks for it, our own code or a library other than libc
 * and libseccomp (X04):
 *
 *   FAIL_ALLOCATION=N  which one, counted from 1; 0: none
 *   FAIL_IN=ROLE       in which process: the first argument of its command line ("worker", "broker", …)
 *   FAIL_COUNT=PATH    a file of an unsigned long in which those processes count together: one that is
 *                      started again goes on where the one before has failed
 *
 * Makes the kernel's Landlock an older one, which a system call filter cannot:
 *
 *   LANDLOCK_ABI=N     its version, as the kernel tells it
 *
 * It also hands these variables, LD_PRELOAD and those of libfaketime on to what is started with another
 * environment, as the broker is.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic unsigned long own_count, *count = &own_count;
static unsigned long failing; /* 0: none */
static long landlock_abi;     /* 0: the kernel's own */

/* glibc's own name service and libseccomp end with SIGSEGV where they get no memory; so what these ask for
 * themselves is left alone. */
static struct range {
    uintptr_t first, end;
} libc, libseccomp;

struct search {
    void *inside; /* NULL: it is not there */
    struct range *ret;
};

static int find_library(struct dl_phdr_info *object, size_t size, void *ctx)
{
    struct search *search = ctx;
    uintptr_t inside = (uintptr_t)search->inside;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t first = object->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && inside >= first && inside < first + part->p_memsz) {
            *search->ret = (struct range){.first = first, .end = first + part->p_memsz};
            return 1;
        }
    }
    return 0;
}

static bool has_role(const char *role)
{
    char line[512] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (fd >= 0)
        close(fd);
    size_t first = strlen(line) + 1;
    return len > (ssize_t)first && strcmp(line + first, role) == 0;
}

/* Mapped at once: later the process may have closed its descriptors, and given up its files. */
static void share_count(const char *path)
{
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (map != MAP_FAILED)
        count = map;
}

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("FAIL_ALLOCATION"), *in = getenv("FAIL_IN"), *abi = getenv("LANDLOCK_ABI");
    landlock_abi = abi ? strtol(abi, NULL, 10) : 0;
    dl_iterate_phdr(find_library, &(struct search){dlsym(RTLD_NEXT, "strdup"), &libc});
    dl_iterate_phdr(find_library, &(struct search){dlsym(RTLD_NEXT, "seccomp_load"), &libseccomp});
    if (number && in && has_role(in)) {
        share_count(getenv("FAIL_COUNT"));
        failing = strtoul(number, NULL, 10);
    }
}

static bool is_in(const struct range *range, const void *code)
{
    return (uintptr_t)code >= range->first && (uintptr_t)code < range->end;
}

static bool fails(const void *caller)
{
    if (is_in(&libc, caller) || is_in(&libseccomp, caller))
        return false;
    if (atomic_fetch_add(count, 1) + 1 != failing)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(number, size);
}

void *realloc(void *block, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *block = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
    if (block)
        *ret = block;
    return block ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

long syscall(long number, ...)
{
    long (*real)(long, ...);
    long in[6];
    va_list args;
    va_start(args, number);
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        in[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_landlock_create_ruleset && !in[0] && landlock_abi)
        return landlock_abi;
    *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, in[0], in[1], in[2], in[3], in[4], in[5]);
}

static char **hand_on(char *const *environment)
{
    static const char *const kept[] = {"LD_PRELOAD=",   "FAIL_ALLOCATION=", "FAIL_IN=", "FAIL_COUNT=",
                                       "LANDLOCK_ABI=", "DONT_FAKE_MONO",   "FAKETIME"};
    static char before[8192];
    static char *variables[256];
    size_t used = 0;
    int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, before, sizeof before - 1) : 0;
    if (fd >= 0)
        close(fd);
    for (char *const *old = environment; *old && used < 200; old++)
        variables[used++] = *old;
    for (char *at = before; at < before + len && used < 255; at += strlen(at) + 1)
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (strncmp(at, kept[i], strlen(kept[i])) == 0)
                variables[used++] = at;
    variables[used] = NULL;
    return variables;
}

/* libuv starts programs with this one, after it has replaced the environment. */
int execvp(const char *file, char *const args[])
{
    return execvpe(file, args, hand_on(environ));
}

/* And we with this one. */
int posix_spawn(pid_t *ret, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *how, char *const args[], char *const environment[])
{
    int (*real)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                char *const[], char *const[]);
    *(void **)&real = dlsym(RTLD_NEXT, "posix_spawn");
    return real(ret, path, actions, how, args, hand_on(environment));
}
