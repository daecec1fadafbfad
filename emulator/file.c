#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

int file_write(const char *path, mode_t mode, const void *data, size_t len, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    int failed = write_all(fd, data, len) != 0 ? errno : 0;
    if (close(fd) != 0 && failed == 0)
        failed = errno;
    return failed ? err_set_errno(err, ERR_IO, failed, "cannot write %s", path) : 0;
}

int file_read(const char *path, char **ret, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    AUTO_BUF struct buf text;
    buf_init(&text, 1 << 20);
    char piece[4096];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_append(&text, piece, (size_t)n);
    int failed = n < 0 ? errno : 0;
    close(fd);
    if (failed)
        return err_set_errno(err, ERR_IO, failed, "cannot read %s", path);
    if (text.overflowed)
        return err_set(err, ERR_LIMIT, "%s is larger than 1 MiB", path);
    *ret = buf_take_text(&text);
    return 0;
}
