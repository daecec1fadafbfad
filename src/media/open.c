/*
 * Opening beneath a root. The kernel walks the path (openat2): no link is followed, nothing outside of the
 * root is reached, also when someone renames directories meanwhile. A path is first opened without touching
 * what it names (O_PATH), so that a device or a FIFO is refused without being opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "media/room.h"

static ssize_t pread_cached(int fd, void *data, size_t len, off_t offset)
{
    struct iovec part = {data, len};
    return preadv2(fd, &part, 1, offset, RWF_NOWAIT);
}

media_pread_function *media_pread = pread;
media_pread_function *media_pread_cached = pread_cached;

/* ---- messages ---- */

static char *shown_path(const char *root, const char *relative)
{
    struct buf text;
    buf_init(&text, 4 * PATH_MAX);
    text_escape(&text, root, false);
    if (strcmp(root, "/"))
        buf_putc(&text, '/');
    text_escape(&text, relative, false);
    return buf_take_text(&text);
}

static int set_denied(struct err *err, const char *shown)
{
    char space[4096];
    struct passwd entry, *found = NULL;
    bool is_known = !getpwuid_r(geteuid(), &entry, space, sizeof space, &found) && found;
    return err_set(err, ERR_INVALID, "%s: permission denied to user %s (uid %u)", shown,
                   is_known ? entry.pw_name : "without a name", (unsigned)geteuid());
}

static int set_open_error(struct err *err, int errno_value, const char *shown)
{
    switch (errno_value) {
    case ENOENT:
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", shown);
    case ENOTDIR:
        return err_set(err, ERR_NOT_FOUND, "%s: a part of the path is not a directory", shown);
    case EACCES:
    case EPERM:
        return set_denied(err, shown);
    case ELOOP:
        return err_set(err, ERR_INVALID, "%s: the path goes through a symbolic link", shown);
    case EXDEV:
        return err_set(err, ERR_INVALID, "%s: the path leaves the media root", shown);
    case ENAMETOOLONG:
        return err_set(err, ERR_INVALID, "%s: the path is too long", shown);
    case ENOSYS:
        return err_set(err, ERR_IO,
                       "%s: this kernel or container has no openat2 (Linux 5.6 or newer is needed)", shown);
    default:
        return err_set_errno(err, ERR_IO, errno_value, "%s", shown);
    }
}

/* ---- the kernel's walk ---- */

/* EAGAIN: something was renamed under the walk, the kernel asks to try again. */
static int open_beneath(int root_fd, const char *relative, uint64_t flags)
{
    enum { TRIES_MAX = 16 };
    struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    for (int i = 0; i < TRIES_MAX; i++) {
        fd = syscall(SYS_openat2, root_fd, relative, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return (int)fd;
}

/* ---- roots ---- */

int media_root_open(const char *path, struct media_root **ret, struct err *err)
{
    if (path[0] != '/')
        return err_set(err, ERR_INVALID, "media root %s: not an absolute path", path);
    char *real = realpath(path, NULL);
    if (!real)
        return err_set_errno(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, errno,
                             "media root %s", path);
    int fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        int saved = errno;
        mem_free(real);
        return err_set_errno(err, saved == ENOENT || saved == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, saved,
                             "media root %s", path);
    }
    struct media_root *root = mem_alloc(sizeof *root);
    *root = (struct media_root){.fd = fd, .path = real};
    *ret = root;
    return 0;
}

void media_root_close(struct media_root *root)
{
    if (!root)
        return;
    close(root->fd);
    mem_free(root->path);
    mem_free(root);
}

/* The part of `real` behind the root's path; NULL: it is not beneath. */
static const char *part_beneath(const char *root, const char *real)
{
    size_t len = strlen(root);
    if (!strcmp(root, "/"))
        return real[1] ? real + 1 : NULL;
    return text_starts_with(real, root) && real[len] == '/' && real[len + 1] ? real + len + 1 : NULL;
}

int media_root_relative(struct media_root *root, const char *path, char **ret, struct err *err)
{
    char *shown AUTO_FREE = shown_path("", path);
    const char *named = shown + 1; /* without the slash between root and path */
    char *real AUTO_FREE = path[0] ? realpath(path, NULL) : NULL;
    if (!path[0])
        return err_set(err, ERR_INVALID, "an empty path");
    if (!real)
        return set_open_error(err, errno, named);
    const char *relative = part_beneath(root->path, real);
    if (!relative)
        return err_set(err, ERR_INVALID, "%s lies outside of the media root %s", named, root->path);
    *ret = mem_dup(relative);
    return 0;
}

/* ---- files ---- */

static bool has_dotdot(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2]))
            return true;
    }
    return false;
}

static const char *kind_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFLNK:
        return "a symbolic link";
    default:
        return "a device";
    }
}

static int check_kind(const struct stat *stat, const char *shown, struct err *err)
{
    if (!S_ISREG(stat->st_mode))
        return err_set(err, ERR_INVALID, "%s is %s, not a regular file", shown, kind_name(stat->st_mode));
    if (stat->st_size <= 0)
        return err_set(err, ERR_INVALID, "%s is empty", shown);
    if ((uint64_t)stat->st_size > MEDIA_SIZE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "%s has %llu bytes, more than the 256 GiB that YouTube takes", shown,
                       (unsigned long long)stat->st_size);
    return 0;
}

/* Returns a descriptor, or an error with `err` set. */
static int open_checked(int root_fd, const char *relative, uint64_t flags, const char *shown,
                        struct stat *ret, struct err *err)
{
    int fd = open_beneath(root_fd, relative, flags);
    if (fd < 0)
        return set_open_error(err, errno, shown);
    int code = fstat(fd, ret) ? err_set_errno(err, ERR_IO, errno, "%s", shown) : check_kind(ret, shown, err);
    if (code) {
        close(fd);
        return code;
    }
    return fd;
}

static int open_regular(int root_fd, const char *relative, const char *shown, struct stat *ret,
                        struct err *err)
{
    int seen = open_checked(root_fd, relative, O_PATH, shown, ret, err);
    if (seen < 0)
        return seen;
    close(seen);
    return open_checked(root_fd, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY, shown, ret, err);
}

int media_open(struct media_root *root, const char *relative_path, struct media_file **ret, struct err *err)
{
    char *shown AUTO_FREE = shown_path(root->path, relative_path);
    if (!relative_path[0] || relative_path[0] == '/' || has_dotdot(relative_path))
        return err_set(err, ERR_INVALID, "%s: not a path beneath the media root", shown);
    struct stat at_open;
    int fd = open_regular(root->fd, relative_path, shown, &at_open, err);
    if (fd < 0)
        return fd;
    int root_fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 0);
    if (root_fd < 0) {
        int code = err_set_errno(err, ERR_IO, errno, "%s", shown);
        close(fd);
        return code;
    }
    struct media_file *file = mem_alloc(sizeof *file);
    *file = (struct media_file){.fd = fd, .root_fd = root_fd, .at_open = at_open};
    file->relative = mem_dup(relative_path);
    file->shown = mem_dup(shown);
    *ret = file;
    return 0;
}

void media_close(struct media_file *file)
{
    if (!file)
        return;
    close(file->fd);
    close(file->root_fd);
    mem_free(file->relative);
    mem_free(file->shown);
    mem_free(file);
}

uint64_t media_size(const struct media_file *file)
{
    return (uint64_t)file->at_open.st_size;
}

int media_read_at(const struct media_file *file, void *data, size_t len, uint64_t first_byte, size_t *ret_len,
                  struct err *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = media_pread(file->fd, (char *)data + done, len - done, (off_t)(first_byte + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, ERR_IO, errno, "reading %s at byte %llu", file->shown,
                                 (unsigned long long)(first_byte + done));
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_len = done;
    return 0;
}

/* ---- changes ---- */

static const char *difference(const struct stat *before, const struct stat *now)
{
    if (before->st_dev != now->st_dev || before->st_ino != now->st_ino)
        return "is another file now";
    if (before->st_size != now->st_size)
        return "has another size now";
    if (media_mtime_ns(before) != media_mtime_ns(now))
        return "was written to";
    return NULL;
}

/* What the path names now. A path that is gone or was never reachable says nothing about the open file (F12).
 */
static int compare_path(const struct media_file *file, const char **ret_difference, struct err *err)
{
    struct stat now;
    *ret_difference = NULL;
    int fd = open_beneath(file->root_fd, file->relative, O_PATH);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return 0;
    if (fd < 0 && (errno == ELOOP || errno == EXDEV)) {
        *ret_difference = "is a link now";
        return 0;
    }
    int code = fd < 0 || fstat(fd, &now) ? err_set_errno(err, ERR_IO, errno, "%s", file->shown) : 0;
    if (code == 0 && (now.st_dev != file->at_open.st_dev || now.st_ino != file->at_open.st_ino))
        *ret_difference = "was replaced by another file";
    if (fd >= 0)
        close(fd);
    return code;
}

int media_changed_since_open(struct media_file *file, bool *ret_changed, char *message, uint64_t message_size,
                             struct err *err)
{
    struct stat now;
    if (fstat(file->fd, &now))
        return err_set_errno(err, ERR_IO, errno, "%s", file->shown);
    const char *what = difference(&file->at_open, &now);
    int code = what ? 0 : compare_path(file, &what, err);
    if (code)
        return code;
    *ret_changed = what != NULL;
    if (what && message_size) {
        char *text AUTO_FREE = mem_printf("%s %s", file->shown, what);
        text_copy(message, message_size, text);
    }
    return 0;
}
