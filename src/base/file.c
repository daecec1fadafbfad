#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static int read_all(int fd, const char *path, struct buf *ret, struct err *err)
{
    char piece[16384];
    for (;;) {
        ssize_t len = read(fd, piece, sizeof(piece));
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return err_set_errno(err, errno == EISDIR ? ERR_INVALID : ERR_IO, errno, "reading %s", path);
        if (len == 0)
            break;
        bool fits = buf_append(ret, piece, (size_t)len);
        explicit_bzero(piece, (size_t)len); /* it may have been a client secret */
        if (!fits)
            return err_set(err, ERR_INVALID, "%s: too large: at most %zu bytes are allowed", path,
                           ret->len_max);
    }
    return 0;
}

int file_read(const char *path, struct buf *ret, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
                   : errno == EACCES                   ? ERR_INVALID
                                                       : ERR_IO;
        return err_set_errno(err, code, errno, "opening %s", path);
    }
    int code = read_all(fd, path, ret, err);
    close(fd);
    return code;
}

char *file_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_dup(".");
    return mem_dup_n(path, slash == path ? 1 : (size_t)(slash - path));
}

const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int file_sync_name(const char *path, struct err *err)
{
    char *folder AUTO_FREE = file_folder(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool bad = fd < 0 || fsync(fd) != 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return bad ? err_set_errno(err, ERR_IO, why, "storing the directory entry of %s", path) : 0;
}
