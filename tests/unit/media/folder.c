#include "folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "scratch.h"
#include "unit.h"

char folder[64];
struct media_root *root;

int folder_open(void **state)
{
    (void)state;
    struct err err = {0};
    snprintf(folder, sizeof folder, "/tmp/sluice-media-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return media_root_open(folder, &root, &err);
}

int folder_close(void **state)
{
    (void)state;
    media_root_close(root);
    root = NULL;
    return remove_folder(folder);
}

char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

char content_byte(uint64_t at)
{
    return (char)(at * 131 + at / 241 + at / 65521);
}

void make_file(const char *name, uint64_t size_bytes)
{
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    char block[16384];
    for (uint64_t at = 0; at < size_bytes;) {
        size_t len = size_bytes - at < sizeof block ? (size_t)(size_bytes - at) : sizeof block;
        for (size_t i = 0; i < len; i++)
            block[i] = content_byte(at + i);
        assert_int_equal(write(fd, block, len), len);
        at += len;
    }
    close(fd);
}

void make_sparse(const char *name, uint64_t size_bytes)
{
    make_file(name, 0);
    assert_int_equal(truncate(in_folder(name), (off_t)size_bytes), 0);
}

void write_at(const char *name, uint64_t at, const char *text)
{
    int fd = open(in_folder(name), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), (off_t)at), strlen(text));
    close(fd);
}

void restore_mtime(const char *name, int64_t mtime_ns)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = mtime_ns / 1000000000, .tv_nsec = mtime_ns % 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, in_folder(name), times, 0), 0);
}

struct media_file *open_file(const char *name)
{
    struct media_file *file = NULL;
    struct err err = {0};
    if (media_open(root, name, &file, &err))
        fail_msg("%s", err.message);
    return file;
}

const char *open_refused(const char *name, int code)
{
    static struct err err;
    struct media_file *file = NULL;
    err = (struct err){0};
    int got = media_open(root, name, &file, &err);
    if (got != code)
        fail_msg("%s: %d instead of %d: %s", name, got, code, err.message);
    assert_null(file);
    assert_true(err.message[0]);
    return err.message;
}
