#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit.h"

char scratch[64];

int scratch_open_beneath(const char *folder)
{
    snprintf(scratch, sizeof(scratch), "%s/sluice-test-XXXXXX", folder);
    return mkdtemp(scratch) ? 0 : -1;
}

int scratch_open(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    return scratch_open_beneath(base ? base : "/tmp");
}

int scratch_close(void **state)
{
    (void)state;
    return remove_folder(scratch);
}

char *in_scratch(const char *name)
{
    return name[0] == '/' ? mem_dup(name) : mem_printf("%s/%s", scratch, name);
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + strlen(scratch) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

void put_file(const char *name, const char *text, mode_t mode)
{
    char *path AUTO_FREE = in_scratch(name);
    make_folders(path);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

int try_open(const char *name, int flags)
{
    char *path AUTO_FREE = in_scratch(name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int code = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return code;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

int remove_folder(const char *path)
{
    return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
