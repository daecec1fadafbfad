/* Key files: made once, read, and changed by rotations of the root key. Text, so that keys survive secret
 * stores and copy and paste. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "vault/ring_inside.h"
#include "vault/secret_file.h"

/* ---- reading ---- */

int key_file_read(const char *path, const char *what, struct secret *ret, size_t *ret_len, struct err *err)
{
    int fd = secret_file_open(path, what, err);
    if (fd < 0)
        return fd;
    secret_reserve(ret, KEY_TEXT_MAX + 1); /* one byte more to see that nothing follows */
    int code = secret_file_read(fd, path, what, ret, ret_len, err);
    close(fd);
    if (code == 0 && *ret_len > KEY_TEXT_MAX)
        *ret_len = 0; /* not a key file */
    return code;
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t wrote = write(fd, data, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return -1;
        data += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

/* `like`: whose owner and mode it gets; NULL: ours alone. */
static int write_new(const char *path, const char *text, size_t len, const struct stat *like, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "making the key file %s", path);
    bool is_others = like && (like->st_uid != geteuid() || like->st_gid != getegid());
    int bad = (is_others && fchown(fd, like->st_uid, like->st_gid) != 0) ||
              fchmod(fd, like ? like->st_mode & 07777 : 0400) != 0 || write_all(fd, text, len) != 0 ||
              fsync(fd) != 0;
    int why = errno;
    close(fd);
    if (bad) {
        unlink(path);
        return err_set_errno(err, ERR_IO, why, "writing the key file %s", path);
    }
    return 0;
}

static char *name_beside(const char *path)
{
    return mem_printf("%s.new-%016llx", path, (unsigned long long)random_u64());
}

/* ---- making one ---- */

/* Makes the directories that are missing above `path`, for their owner alone. */
static int make_parents(const char *path, struct err *err)
{
    char *dir AUTO_FREE = mem_dup(path);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(dir, 0700) != 0 && errno != EEXIST)
            return err_set_errno(err, ERR_IO, errno, "making the directory %s for the key", dir);
        *slash = '/';
    }
    return 0;
}

static void new_line(struct secret *ret)
{
    struct secret root AUTO_SECRET = {0};
    secret_reserve(&root, KEY_ROOT_BYTES);
    random_bytes(root.data, KEY_ROOT_BYTES);
    secret_reserve(ret, KEY_LINE_LEN + 1); /* text_hex() ends it */
    memcpy(ret->data, KEY_LINE_HEAD, KEY_HEAD_LEN);
    text_hex(ret->data + KEY_HEAD_LEN, root.data, KEY_ROOT_BYTES);
}

/* Writes beside and links: the name is never seen with half a key, and never replaces a key that is there. */
static int publish(const char *path, const struct secret *line, struct err *err)
{
    char *beside AUTO_FREE = name_beside(path);
    int code = write_new(beside, line->data, line->len, NULL, err);
    if (code != 0)
        return code;
    if (link(beside, path) != 0)
        code = errno == EEXIST ? err_set(err, ERR_EXISTS, "the key file %s is there already", path)
                               : err_set_errno(err, ERR_IO, errno, "naming the key file %s", path);
    unlink(beside);
    /* It must still be there after a power cut: the store's values would be lost without it. */
    return code != 0 ? code : file_sync_name(path, err);
}

int vault_key_create(const char *path, struct err *err)
{
    struct stat there;
    if (lstat(path, &there) == 0)
        return err_set(err, ERR_EXISTS, "the key file %s is there already", path);
    int code = make_parents(path, err);
    if (code != 0)
        return code;
    struct secret line AUTO_SECRET = {0};
    new_line(&line);
    line.data[KEY_LINE_LEN] = '\n';
    return publish(path, &line, err);
}

/* ---- changing one ---- */

/* A key file as it is, and as it is to be. */
struct change {
    char *path; /* what links lead to */
    struct stat file;
    struct secret old, fresh, line;
    size_t len; /* of `fresh` */
    struct key_lines lines;
};

static void change_release(struct change *change)
{
    mem_free(change->path);
    secret_release(&change->old);
    secret_release(&change->fresh);
    secret_release(&change->line);
}

static int change_begin(const char *path, struct change *ret, struct err *err)
{
    char real[PATH_MAX];
    size_t len = 0;
    if (!realpath(path, real) || stat(real, &ret->file) != 0)
        return err_set_errno(err, ERR_IO, errno, "looking at the key file %s", path);
    ret->path = mem_dup(real);
    int code = key_file_read(real, "key file", &ret->old, &len, err);
    if (code == 0 && !key_lines_parse(ret->old.data, len, &ret->lines))
        code = err_set(err, ERR_AUTH, "the key file %s is not a key of sluice", path);
    secret_reserve(&ret->fresh, KEY_TEXT_MAX);
    return code;
}

static void put_line(struct change *change, const char *line, bool is_next)
{
    memcpy(change->fresh.data + change->len, line, KEY_LINE_LEN);
    change->len += KEY_LINE_LEN;
    if (is_next)
        memcpy(change->fresh.data + change->len, KEY_LINE_NEXT, KEY_NEXT_LEN);
    change->len += is_next ? KEY_NEXT_LEN : 0;
    change->fresh.data[change->len++] = '\n';
}

static int change_end(struct change *change, struct err *err)
{
    char *beside AUTO_FREE = name_beside(change->path);
    int code = write_new(beside, change->fresh.data, change->len, &change->file, err);
    if (code != 0)
        return code;
    if (rename(beside, change->path) != 0) {
        code = err_set_errno(err, ERR_IO, errno, "replacing the key file %s", change->path);
        unlink(beside);
        return code;
    }
    return file_sync_name(change->path, err);
}

static int check_room(const struct change *change, struct err *err)
{
    if (change->lines.count < VAULT_RING_MAX)
        return 0;
    return err_set(err, ERR_INVALID, "the key file %s holds %d keys already: end the rotation first",
                   change->path, VAULT_RING_MAX);
}

static size_t find_next(const struct change *change)
{
    size_t at = 0;
    while (at < change->lines.count && !change->lines.lines[at].is_next)
        at++;
    return at;
}

static int add(struct change *change, struct err *err)
{
    if (find_next(change) < change->lines.count)
        return err_set(err, ERR_EXISTS, "the key file %s holds a next key already", change->path);
    int code = check_room(change, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < change->lines.count; i++)
        put_line(change, change->lines.lines[i].text, false);
    new_line(&change->line);
    put_line(change, change->line.data, true);
    return 0;
}

static int promote(struct change *change, struct err *err)
{
    size_t next = find_next(change);
    bool is_there = next < change->lines.count;
    int code = is_there ? 0 : check_room(change, err);
    if (code != 0)
        return code;
    if (!is_there)
        new_line(&change->line);
    put_line(change, is_there ? change->lines.lines[next].text : change->line.data, false);
    for (size_t i = 0; i < change->lines.count; i++)
        if (i != next)
            put_line(change, change->lines.lines[i].text, false);
    return 0;
}

static bool is_key(const char *line, const char *id)
{
    struct vault_key *key = key_of_line(line);
    bool is_it = strcmp(key->id_text, id) == 0;
    vault_key_free(key);
    return is_it;
}

static void drop(struct change *change, const char *id)
{
    for (size_t i = 0; i < change->lines.count; i++)
        if (i == 0 || change->lines.lines[i].is_next || !is_key(change->lines.lines[i].text, id))
            put_line(change, change->lines.lines[i].text, change->lines.lines[i].is_next);
}

int vault_key_file_add(const char *path, struct err *err)
{
    struct change change = {.len = 0};
    int code = change_begin(path, &change, err);
    if (code == 0)
        code = add(&change, err);
    if (code == 0)
        code = change_end(&change, err);
    change_release(&change);
    return code;
}

int vault_key_file_promote(const char *path, struct err *err)
{
    struct change change = {.len = 0};
    int code = change_begin(path, &change, err);
    if (code == 0)
        code = promote(&change, err);
    if (code == 0)
        code = change_end(&change, err);
    change_release(&change);
    return code;
}

int vault_key_file_drop(const char *path, const char *id, struct err *err)
{
    struct change change = {.len = 0};
    int code = change_begin(path, &change, err);
    if (code == 0) {
        drop(&change, id);
        code = change_end(&change, err);
    }
    change_release(&change);
    return code;
}
