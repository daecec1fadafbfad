#include "vault/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(const char *path, const char *what, const struct stat *file, struct err *err)
{
    uid_t me = geteuid();
    mode_t mode = file->st_mode & 07777;
    if (!S_ISREG(file->st_mode))
        return err_set(err, ERR_AUTH, "the %s %s is not a regular file", what, path);
    if (file->st_uid != me && file->st_uid != 0 && me != 0)
        return err_set(err, ERR_AUTH, "the %s %s belongs to another user (uid %u)", what, path,
                       (unsigned)file->st_uid);
    mode_t allowed = file->st_uid == 0 && me != 0 ? 0740 : 0700;
    if (mode & ~allowed & 0777)
        return err_set(err, ERR_AUTH, "the %s %s may be read by others (mode %04o): chmod 0400 %s", what,
                       path, (unsigned)mode, path);
    return 0;
}

int secret_file_open(const char *path, const char *what, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "there is no %s %s", what, path);
    if (fd < 0)
        return err_set_errno(err, ERR_AUTH, errno, "opening the %s %s", what, path);
    struct stat file;
    if (fstat(fd, &file) != 0) {
        int why = errno;
        close(fd);
        return err_set_errno(err, ERR_IO, why, "looking at the %s %s", what, path);
    }
    int code = check_file(path, what, &file, err);
    if (code != 0)
        close(fd);
    return code != 0 ? code : fd;
}

int secret_file_read(int fd, const char *path, const char *what, struct secret *ret, size_t *ret_len,
                     struct err *err)
{
    *ret_len = 0;
    while (*ret_len < ret->len) {
        ssize_t got = read(fd, ret->data + *ret_len, ret->len - *ret_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, ERR_IO, errno, "reading the %s %s", what, path);
        if (got == 0)
            break;
        *ret_len += (size_t)got;
    }
    return 0;
}
