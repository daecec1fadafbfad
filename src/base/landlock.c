#include "base/landlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* The kernel's interface is stable; headers of the system we build on may be older than the kernel we run on.
 */
#define FS_TRUNCATE     (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV    (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND        (UINT64_C(1) << 0)  /* ABI 4 */
#define NET_CONNECT     (UINT64_C(1) << 1)
#define SCOPE_SIGNAL    (UINT64_C(1) << 1) /* ABI 6; abstract sockets are bit 0 */
#define SCOPE_ABSTRACT  (UINT64_C(1) << 0)
#define RULE_NET_PORT   2
#define ABI_TRUNCATE    3
#define ABI_NETWORK     4
#define ABI_IOCTL       5
#define ABI_SCOPES      6
#define FS_ALL_OF_ABI_1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER_ABI_2  (UINT64_C(1) << 13)
#define FS_OF_FILES     (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};
struct net_attr {
    uint64_t allowed_access;
    uint64_t port;
};

struct path_rule {
    char *path;
    unsigned rights;
};

struct landlock {
    struct path_rule *paths;
    size_t path_count;
    uint16_t *ports;
    size_t port_count;
    bool may_listen;
};

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

bool landlock_has_network(int abi)
{
    return abi >= ABI_NETWORK;
}

struct landlock *landlock_new(void)
{
    return mem_alloc(sizeof(struct landlock));
}

void landlock_free(struct landlock *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->path_count; i++)
        mem_free(rules->paths[i].path);
    mem_free(rules->paths);
    mem_free(rules->ports);
    mem_free(rules);
}

void landlock_allow(struct landlock *rules, const char *path, unsigned rights)
{
    rules->paths = mem_grow(rules->paths, rules->path_count + 1, sizeof(*rules->paths));
    rules->paths[rules->path_count++] = (struct path_rule){.path = mem_dup(path), .rights = rights};
}

static bool is_beneath(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    while (len > 0 && folder[len - 1] == '/')
        len--;
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

void landlock_allow_except(struct landlock *rules, const char *folder, const char *except, unsigned rights)
{
    struct dirent *entry;
    if (!except || !is_beneath(except, folder)) {
        landlock_allow(rules, folder, rights);
        return;
    }
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *path AUTO_FREE = mem_printf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, entry->d_name);
        if (strcmp(path, except) != 0)
            landlock_allow_except(rules, path, except, rights);
    }
    if (dir)
        closedir(dir);
}

void landlock_allow_system(struct landlock *rules, const char *except)
{
    static const char *const folders[] = {"/etc",
                                          "/usr",
                                          "/lib",
                                          "/lib64",
                                          "/run/systemd/resolve",
                                          "/run/resolvconf",
                                          "/run/NetworkManager",
                                          "/run/nscd",
                                          "/dev/urandom",
                                          "/dev/random",
                                          "/sys/devices/system/cpu"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        landlock_allow_except(rules, folders[i], except, LANDLOCK_READ);
    landlock_allow(rules, "/dev/null", LANDLOCK_READ | LANDLOCK_WRITE);
}

void landlock_allow_connect(struct landlock *rules, uint16_t port)
{
    rules->ports = mem_grow(rules->ports, rules->port_count + 1, sizeof(*rules->ports));
    rules->ports[rules->port_count++] = port;
}

void landlock_allow_listen(struct landlock *rules)
{
    rules->may_listen = true;
}

/* ---- for the kernel ---- */

static uint64_t handled_fs(int abi)
{
    uint64_t all = FS_ALL_OF_ABI_1;
    if (abi >= 2)
        all |= FS_REFER_ABI_2;
    if (abi >= ABI_TRUNCATE)
        all |= FS_TRUNCATE;
    if (abi >= ABI_IOCTL)
        all |= FS_IOCTL_DEV;
    return all;
}

static uint64_t access_of(unsigned rights)
{
    uint64_t access = 0;
    if (rights & LANDLOCK_READ)
        access |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    if (rights & LANDLOCK_LIST)
        access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (rights & LANDLOCK_WRITE)
        access |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
    if (rights & LANDLOCK_MAKE)
        access |= LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    return access;
}

static int make_ruleset(const struct landlock *rules, int abi)
{
    struct ruleset_attr attr = {.handled_access_fs = handled_fs(abi)};
    size_t size = sizeof(attr.handled_access_fs);
    if (abi >= ABI_NETWORK) {
        attr.handled_access_net =
            (rules->may_listen ? 0 : NET_BIND) | (rules->port_count > 0 ? NET_CONNECT : 0);
        size = offsetof(struct ruleset_attr, scoped);
    }
    if (abi >= ABI_SCOPES) {
        attr.scoped = SCOPE_SIGNAL | SCOPE_ABSTRACT;
        size = sizeof(attr);
    }
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

static int add_path(int ruleset, int abi, const struct path_rule *rule)
{
    struct stat status;
    int fd = open(rule->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -1;
    uint64_t access = access_of(rule->rights) & handled_fs(abi);
    if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
        access &= FS_OF_FILES;
    struct landlock_path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};
    long rc = access ? syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) : 0;
    int why = errno;
    close(fd);
    errno = why;
    return (int)rc;
}

static int add_all(const struct landlock *rules, int ruleset, int abi)
{
    for (size_t i = 0; i < rules->path_count; i++)
        if (add_path(ruleset, abi, &rules->paths[i]) != 0)
            return -1;
    for (size_t i = 0; i < rules->port_count && abi >= ABI_NETWORK; i++) {
        struct net_attr attr = {.allowed_access = NET_CONNECT, .port = rules->ports[i]};
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) != 0)
            return -1;
    }
    return 0;
}

int landlock_enforce(struct landlock *rules, struct err *err)
{
    int abi = landlock_abi();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set_errno(err, ERR_INTERNAL, errno, "giving up gaining privileges");
    if (abi == 0)
        return 0;
    int ruleset = make_ruleset(rules, abi);
    bool is_good = ruleset >= 0 && add_all(rules, ruleset, abi) == 0 &&
                   syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    int why = errno;
    if (ruleset >= 0)
        close(ruleset);
    return is_good ? 0 : err_set_errno(err, ERR_INTERNAL, why, "Landlock (ABI %d)", abi);
}
