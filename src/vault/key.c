/*
 * The key file: one line, "sluice-key-1 " and 64 hexadecimal digits (docs/vault.md). Text, so that it
 * survives secret stores, environment files and copy and paste.
 */
#include "vault/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "vault/secret_file.h"

#define KEY_FILE_HEAD "sluice-key-1 "

enum {
    HEAD_LEN = sizeof(KEY_FILE_HEAD) - 1,
    LINE_LEN = HEAD_LEN + 2 * KEY_ROOT_BYTES,
    READ_LEN = LINE_LEN + 2, /* a newline, and one byte more to see that nothing follows */
};

/* libsodium wants eight characters of context a purpose. */
static void derive(unsigned char *ret, size_t len, uint64_t number, const unsigned char root[KEY_ROOT_BYTES])
{
    crypto_kdf_derive_from_key(ret, len, number, "sluice01", root);
}

struct vault_key *vault_key_new(const unsigned char root[KEY_ROOT_BYTES])
{
    struct vault_key *key = sodium_malloc(sizeof(*key));
    if (!key)
        return NULL;
    unsigned char id[crypto_kdf_BYTES_MIN];
    derive(key->sealing, sizeof(key->sealing), 1, root);
    derive(key->digest, sizeof(key->digest), 2, root);
    derive(id, sizeof(id), 3, root);
    memcpy(key->id, id, KEY_ID_BYTES);
    text_hex(key->id_text, key->id, KEY_ID_BYTES);
    return key;
}

void vault_key_free(struct vault_key *key)
{
    sodium_free(key); /* wipes; NULL is fine */
}

const char *vault_key_id(const struct vault_key *key)
{
    return key->id_text;
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

static int write_new(const char *path, const struct secret *line, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "making the key file %s", path);
    int bad = fchmod(fd, 0400) != 0 || write_all(fd, line->data, line->len) != 0 || fsync(fd) != 0;
    int why = errno;
    close(fd);
    if (bad) {
        unlink(path);
        return err_set_errno(err, ERR_IO, why, "writing the key file %s", path);
    }
    return 0;
}

/* What was named must still be there after a power cut: the store's values would be lost without it. */
static int sync_parent(const char *path, struct err *err)
{
    char *dir AUTO_FREE = mem_dup(path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    const char *name = slash ? dir : ".";
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return bad ? err_set_errno(err, ERR_IO, why, "storing the directory entry of %s", path) : 0;
}

/* Writes beside and links: the name is never seen with half a key, and never replaces a key that is there. */
static int publish(const char *path, const struct secret *line, struct err *err)
{
    char *beside AUTO_FREE = mem_printf("%s.new-%016llx", path, (unsigned long long)random_u64());
    int code = write_new(beside, line, err);
    if (code != 0)
        return code;
    if (link(beside, path) != 0)
        code = errno == EEXIST ? err_set(err, ERR_EXISTS, "the key file %s is there already", path)
                               : err_set_errno(err, ERR_IO, errno, "naming the key file %s", path);
    unlink(beside);
    return code != 0 ? code : sync_parent(path, err);
}

int vault_key_create(const char *path, struct err *err)
{
    struct stat there;
    if (lstat(path, &there) == 0)
        return err_set(err, ERR_EXISTS, "the key file %s is there already", path);
    int code = make_parents(path, err);
    if (code != 0)
        return code;
    struct secret root AUTO_SECRET = {0};
    struct secret line AUTO_SECRET = {0};
    secret_reserve(&root, KEY_ROOT_BYTES);
    secret_reserve(&line, LINE_LEN + 1);
    random_bytes(root.data, KEY_ROOT_BYTES);
    memcpy(line.data, KEY_FILE_HEAD, HEAD_LEN);
    text_hex(line.data + HEAD_LEN, root.data, KEY_ROOT_BYTES);
    line.data[LINE_LEN] = '\n';
    return publish(path, &line, err);
}

/* ---- loading one ---- */

static int open_checked(const char *path, struct err *err)
{
    int fd = secret_file_open(path, "key file", err);
    if (fd == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no key file %s: run `sluice init`, or bring back the key "
                       "that this store was made with",
                       path);
    return fd;
}

static int read_line(int fd, const char *path, struct secret *line, struct err *err)
{
    size_t len = 0;
    secret_reserve(line, READ_LEN);
    int code = secret_file_read(fd, path, "key file", line, &len, err);
    if (code != 0)
        return code;
    bool has_newline = len == LINE_LEN + 1 && line->data[LINE_LEN] == '\n';
    if (len != LINE_LEN && !has_newline)
        len = 0;
    line->data[len ? LINE_LEN : 0] = '\0';
    return 0;
}

int vault_key_load(const char *path, struct vault_key **ret, struct err *err)
{
    int fd = open_checked(path, err);
    if (fd < 0)
        return fd;
    struct secret line AUTO_SECRET = {0};
    struct secret root AUTO_SECRET = {0};
    int code = read_line(fd, path, &line, err);
    close(fd);
    if (code != 0)
        return code;
    secret_reserve(&root, KEY_ROOT_BYTES);
    if (!text_starts_with(line.data, KEY_FILE_HEAD) ||
        !text_unhex(root.data, KEY_ROOT_BYTES, line.data + HEAD_LEN))
        return err_set(err, ERR_AUTH, "%s is not a key file of sluice", path);
    struct vault_key *key = vault_key_new((const unsigned char *)root.data);
    if (!key)
        return err_set(err, ERR_INTERNAL, "no guarded memory for the key");
    *ret = key;
    return 0;
}
