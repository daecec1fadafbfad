/*
 * Fingerprints and digests. A fingerprint is "v1:size:mtime_ns:ctime_ns:dev:ino:DIGEST"; the digest is over
 * SAMPLES blocks of SAMPLE_BYTES, the first at the start, the last at the end, the others evenly between: a
 * file that is not larger than all of them together is read whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "media/room.h"

enum { SAMPLES = 16, SAMPLE_BYTES = 65536, DIGEST_BLOCK_BYTES = 262144 };

struct fingerprint {
    uint64_t size_bytes;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t dev;
    uint64_t ino;
    unsigned char digest[MEDIA_DIGEST_SIZE];
};

static void release_state(XXH3_state_t **state)
{
    XXH3_freeState(*state);
}

/* Room is taken once for a block, whatever the file's size. */
static int add_range(const struct media_file *file, XXH3_state_t *state, uint64_t first_byte,
                     uint64_t size_bytes, struct err *err)
{
    char *block AUTO_FREE = mem_alloc(DIGEST_BLOCK_BYTES);
    while (size_bytes) {
        size_t len = size_bytes < DIGEST_BLOCK_BYTES ? (size_t)size_bytes : DIGEST_BLOCK_BYTES;
        size_t got = 0;
        int code = media_read_at(file, block, len, first_byte, &got, err);
        if (code)
            return code;
        if (got < len)
            return err_set(err, ERR_IO, "%s ends at byte %" PRIu64 ": it was cut", file->shown,
                           first_byte + got);
        XXH3_128bits_update(state, block, len);
        first_byte += len;
        size_bytes -= len;
    }
    return 0;
}

void media_digest_end(const XXH3_state_t *state, unsigned char ret[MEDIA_DIGEST_SIZE])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(ret, canonical.digest, MEDIA_DIGEST_SIZE);
}

int media_digest(struct media_file *file, uint64_t first_byte, uint64_t size_bytes,
                 unsigned char ret[MEDIA_DIGEST_SIZE], struct err *err)
{
    XXH3_state_t *state CLEANUP(release_state) = XXH3_createState();
    if (!state)
        return err_set(err, ERR_INTERNAL, "no memory for a digest");
    XXH3_128bits_reset(state);
    int code = add_range(file, state, first_byte, size_bytes, err);
    if (code == 0)
        media_digest_end(state, ret);
    return code;
}

/* ---- samples ---- */

static uint64_t sample_at(uint64_t size_bytes, unsigned i)
{
    uint64_t last = size_bytes - SAMPLE_BYTES;
    return last / (SAMPLES - 1) * i + last % (SAMPLES - 1) * i / (SAMPLES - 1);
}

static int add_samples(const struct media_file *file, XXH3_state_t *state, uint64_t size_bytes,
                       struct err *err)
{
    if (size_bytes <= (uint64_t)SAMPLES * SAMPLE_BYTES)
        return add_range(file, state, 0, size_bytes, err);
    int code = 0;
    for (unsigned i = 0; i < SAMPLES && code == 0; i++)
        code = add_range(file, state, sample_at(size_bytes, i), SAMPLE_BYTES, err);
    return code;
}

static int digest_samples(const struct media_file *file, uint64_t size_bytes,
                          unsigned char ret[MEDIA_DIGEST_SIZE], struct err *err)
{
    XXH3_state_t *state CLEANUP(release_state) = XXH3_createState();
    if (!state)
        return err_set(err, ERR_INTERNAL, "no memory for a digest");
    XXH3_128bits_reset(state);
    int code = add_samples(file, state, size_bytes, err);
    if (code == 0)
        media_digest_end(state, ret);
    return code;
}

static int identify(const struct media_file *file, struct fingerprint *ret, struct err *err)
{
    struct stat now;
    if (fstat(file->fd, &now))
        return err_set(err, ERR_IO, "%s: fstat: %m", file->shown);
    *ret = (struct fingerprint){.size_bytes = (uint64_t)now.st_size,
                                .mtime_ns = media_mtime_ns(&now),
                                .ctime_ns = media_ctime_ns(&now),
                                .dev = (uint64_t)now.st_dev,
                                .ino = (uint64_t)now.st_ino};
    return 0;
}

int media_fingerprint(struct media_file *file, char ret[MEDIA_FINGERPRINT_SIZE], struct err *err)
{
    struct fingerprint before, after;
    int code = identify(file, &before, err);
    if (code == 0)
        code = digest_samples(file, before.size_bytes, before.digest, err);
    if (code == 0)
        code = identify(file, &after, err);
    if (code)
        return code;
    if (before.size_bytes != after.size_bytes || before.mtime_ns != after.mtime_ns)
        return err_set(err, ERR_INVALID, "%s is still being written: add it when it is finished",
                       file->shown);
    char hex[2 * MEDIA_DIGEST_SIZE + 1];
    text_hex(hex, before.digest, MEDIA_DIGEST_SIZE);
    snprintf(ret, MEDIA_FINGERPRINT_SIZE, "v1:%" PRIu64 ":%" PRId64 ":%" PRId64 ":%" PRIu64 ":%" PRIu64 ":%s",
             before.size_bytes, before.mtime_ns, before.ctime_ns, before.dev, before.ino, hex);
    return 0;
}

/* ---- reading one ---- */

enum { FIELDS = 7 };

/* Cuts `text` at its colons; false unless there are exactly FIELDS parts. */
static bool split(char *text, char *parts[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        parts[i] = text;
        char *colon = strchr(text, ':');
        if ((colon != NULL) != (i < FIELDS - 1))
            return false;
        if (colon) {
            *colon = '\0';
            text = colon + 1;
        }
    }
    return true;
}

static bool parse(const char *text, struct fingerprint *ret)
{
    char copy[MEDIA_FINGERPRINT_SIZE];
    char *parts[FIELDS];
    struct fingerprint read;
    if (!text_copy(copy, sizeof copy, text) || !split(copy, parts) || strcmp(parts[0], "v1"))
        return false;
    if (!parse_u64(parts[1], &read.size_bytes) || !parse_i64(parts[2], &read.mtime_ns) ||
        !parse_i64(parts[3], &read.ctime_ns) || !parse_u64(parts[4], &read.dev) ||
        !parse_u64(parts[5], &read.ino) || !text_unhex(read.digest, MEDIA_DIGEST_SIZE, parts[6]))
        return false;
    *ret = read;
    return true;
}

void media_content_key(const char *fingerprint, char ret[MEDIA_FINGERPRINT_SIZE])
{
    struct fingerprint read;
    char hex[2 * MEDIA_DIGEST_SIZE + 1];
    ret[0] = '\0';
    if (!parse(fingerprint, &read))
        return;
    text_hex(hex, read.digest, MEDIA_DIGEST_SIZE);
    snprintf(ret, MEDIA_FINGERPRINT_SIZE, "%" PRIu64 "-%s", read.size_bytes, hex);
}

int64_t media_fingerprint_mtime_ns(const char *fingerprint)
{
    struct fingerprint read;
    return parse(fingerprint, &read) ? read.mtime_ns : 0;
}

static bool is_same_file(const struct fingerprint *a, const struct fingerprint *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->ctime_ns == b->ctime_ns;
}

int media_compare(struct media_file *file, const char *fingerprint, enum media_change *ret, struct err *err)
{
    struct fingerprint then, now;
    if (!parse(fingerprint, &then))
        return err_set(err, ERR_INVALID, "%s: its stored fingerprint is not one", file->shown);
    int code = identify(file, &now, err);
    if (code)
        return code;
    *ret = MEDIA_DIFFERENT;
    if (now.size_bytes != then.size_bytes || now.mtime_ns != then.mtime_ns)
        return 0;
    code = digest_samples(file, now.size_bytes, now.digest, err);
    if (code == 0 && !memcmp(now.digest, then.digest, MEDIA_DIGEST_SIZE))
        *ret = is_same_file(&now, &then) ? MEDIA_SAME : MEDIA_TOUCHED;
    return code;
}
