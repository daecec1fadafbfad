/* Fingerprints: what they notice, what they cost. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/text.h"
#include "folder.h"
#include "media/room.h"
#include "unit.h"

static atomic_int reads;
static atomic_long bytes_read;

static ssize_t counted_pread(int fd, void *data, size_t len, off_t offset)
{
    ssize_t got = pread(fd, data, len, offset);
    atomic_fetch_add(&reads, 1);
    atomic_fetch_add(&bytes_read, got > 0 ? got : 0);
    return got;
}

static void take(const char *name, char ret[MEDIA_FINGERPRINT_SIZE])
{
    struct err err = {0};
    struct media_file *file = open_file(name);
    if (media_fingerprint(file, ret, &err))
        fail_msg("%s", err.message);
    media_close(file);
}

static enum media_change compare(const char *name, const char *fingerprint)
{
    struct err err = {0};
    enum media_change change;
    struct media_file *file = open_file(name);
    if (media_compare(file, fingerprint, &change, &err))
        fail_msg("%s", err.message);
    media_close(file);
    return change;
}

static void the_form_is_as_promised(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE], expected[MEDIA_FINGERPRINT_SIZE], hex[33], content[1000];
    struct stat stat_now;
    make_file("clip.mp4", 1000);
    restore_mtime("clip.mp4", 1234567890987654321);
    for (int i = 0; i < 1000; i++)
        content[i] = content_byte((uint64_t)i);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(content, sizeof content));
    text_hex(hex, canonical.digest, 16);
    assert_int_equal(stat(in_folder("clip.mp4"), &stat_now), 0);
    take("clip.mp4", fingerprint);
    snprintf(expected, sizeof expected, "v1:1000:1234567890987654321:%lld%09ld:%llu:%llu:%s",
             (long long)stat_now.st_ctim.tv_sec, stat_now.st_ctim.tv_nsec,
             (unsigned long long)stat_now.st_dev, (unsigned long long)stat_now.st_ino, hex);
    assert_string_equal(fingerprint, expected);
    snprintf(expected, sizeof expected, "1000-%s", hex);
    char key[MEDIA_FINGERPRINT_SIZE];
    media_content_key(fingerprint, key);
    assert_string_equal(key, expected);
    assert_int_equal(media_fingerprint_mtime_ns(fingerprint), 1234567890987654321);
}

static void a_copy_has_the_same_content_key(void **state)
{
    (void)state;
    char one[MEDIA_FINGERPRINT_SIZE], two[MEDIA_FINGERPRINT_SIZE];
    char key_one[MEDIA_FINGERPRINT_SIZE], key_two[MEDIA_FINGERPRINT_SIZE];
    make_file("one", 3000000);
    make_file("two", 3000000);
    take("one", one);
    take("two", two);
    assert_string_not_equal(one, two);
    media_content_key(one, key_one);
    media_content_key(two, key_two);
    assert_string_equal(key_one, key_two);
}

static void count_reads(uint64_t size_bytes, int *ret_reads, long *ret_bytes)
{
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_sparse("sparse", size_bytes);
    atomic_store(&reads, 0);
    atomic_store(&bytes_read, 0);
    media_pread = counted_pread;
    take("sparse", fingerprint);
    media_pread = pread;
    *ret_reads = atomic_load(&reads);
    *ret_bytes = atomic_load(&bytes_read);
}

static void f11_256_gib_cost_no_more_than_1_mib(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1048577, 2147483648u, 4294967297u, 274877906944u};
    int read_count;
    long byte_count;
    count_reads(1048576, &read_count, &byte_count);
    assert_int_equal(byte_count, 1048576);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        count_reads(sizes[i], &read_count, &byte_count);
        assert_int_equal(byte_count, 1048576);
        assert_int_equal(read_count, 16);
    }
    count_reads(1, &read_count, &byte_count);
    assert_int_equal(byte_count, 1);
}

/* First, last, and every sixteenth part between: a change of any sampled block shows. */
static void samples_cover_both_ends(void **state)
{
    (void)state;
    char before[MEDIA_FINGERPRINT_SIZE], after[MEDIA_FINGERPRINT_SIZE];
    char key_before[MEDIA_FINGERPRINT_SIZE], key_after[MEDIA_FINGERPRINT_SIZE];
    uint64_t size = 274877906944u;
    uint64_t places[] = {0, 65535, size - 65536, size - 1, (size - 65536) / 15 * 7 + 5};
    make_sparse("sparse", size);
    take("sparse", before);
    media_content_key(before, key_before);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        write_at("sparse", places[i], "x");
        take("sparse", after);
        media_content_key(after, key_after);
        assert_string_not_equal(key_before, key_after);
        memcpy(key_before, key_after, sizeof key_before);
    }
}

static void the_same_file_is_the_same(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_file("clip.mp4", 5000000);
    take("clip.mp4", fingerprint);
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_SAME);
}

static void f04_f05_another_size_is_different(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_file("clip.mp4", 5000000);
    take("clip.mp4", fingerprint);
    assert_int_equal(truncate(in_folder("clip.mp4"), 4999999), 0);
    restore_mtime("clip.mp4", media_fingerprint_mtime_ns(fingerprint));
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_DIFFERENT);
    assert_int_equal(truncate(in_folder("clip.mp4"), 5000001), 0);
    restore_mtime("clip.mp4", media_fingerprint_mtime_ns(fingerprint));
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_DIFFERENT);
}

static void f06_an_overwrite_is_different(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_file("clip.mp4", 5000000);
    restore_mtime("clip.mp4", 1000000000);
    take("clip.mp4", fingerprint);
    write_at("clip.mp4", 100000, "x"); /* not in a sample: the time tells */
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_DIFFERENT);
}

/* Whoever puts the mtime back cannot put the ctime back: then digests of what was sent decide. */
static void f06_an_overwrite_with_its_time_put_back_is_touched(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    unsigned char before[MEDIA_DIGEST_SIZE], after[MEDIA_DIGEST_SIZE];
    struct err err = {0};
    make_file("clip.mp4", 5000000);
    take("clip.mp4", fingerprint);
    struct media_file *file = open_file("clip.mp4");
    assert_int_equal(media_digest(file, 65536, 300000, before, &err), 0);
    write_at("clip.mp4", 100000, "x");
    restore_mtime("clip.mp4", media_fingerprint_mtime_ns(fingerprint));
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_TOUCHED);
    assert_int_equal(media_digest(file, 65536, 300000, after, &err), 0);
    assert_memory_not_equal(before, after, MEDIA_DIGEST_SIZE);
    write_at("clip.mp4", 0, "x"); /* in a sample */
    restore_mtime("clip.mp4", media_fingerprint_mtime_ns(fingerprint));
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_DIFFERENT);
    media_close(file);
}

static void f07_a_copy_in_its_place_is_touched(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_file("clip.mp4", 5000000);
    take("clip.mp4", fingerprint);
    make_file("copy.mp4", 5000000);
    restore_mtime("copy.mp4", media_fingerprint_mtime_ns(fingerprint));
    assert_int_equal(rename(in_folder("copy.mp4"), in_folder("clip.mp4")), 0);
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_TOUCHED);
}

static void other_rights_are_a_touch(void **state)
{
    (void)state;
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_file("clip.mp4", 5000000);
    take("clip.mp4", fingerprint);
    chmod(in_folder("clip.mp4"), 0600);
    assert_int_equal(compare("clip.mp4", fingerprint), MEDIA_TOUCHED);
}

static void what_is_no_fingerprint_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "v1",
                                      "v2:1000:1:1:1:1:00112233445566778899aabbccddeeff",
                                      "v1:1000:1:1:1:00112233445566778899aabbccddeeff",
                                      "v1:1000:1:1:1:1:1:00112233445566778899aabbccddeeff",
                                      "v1:-1:1:1:1:1:00112233445566778899aabbccddeeff",
                                      "v1:1000:x:1:1:1:00112233445566778899aabbccddeeff",
                                      "v1:1000:1:1:1:1:00112233445566778899aabbccddeef",
                                      "v1:1000:1:1:1:1:00112233445566778899aabbccddeefg"};
    make_file("clip.mp4", 1000);
    struct media_file *file = open_file("clip.mp4");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        enum media_change change;
        char key[MEDIA_FINGERPRINT_SIZE];
        assert_int_equal(media_compare(file, bad[i], &change, &err), ERR_INVALID);
        media_content_key(bad[i], key);
        assert_string_equal(key, "");
        assert_int_equal(media_fingerprint_mtime_ns(bad[i]), 0);
    }
    media_close(file);
}

static void a_digest_is_of_exactly_its_range(void **state)
{
    (void)state;
    static char content[700000];
    struct err err = {0};
    unsigned char digest[MEDIA_DIGEST_SIZE];
    XXH128_canonical_t canonical;
    make_file("clip.mp4", 1000000);
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = content_byte(123457 + i);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(content, sizeof content));
    struct media_file *file = open_file("clip.mp4");
    assert_int_equal(media_digest(file, 123457, sizeof content, digest, &err), 0);
    assert_memory_equal(digest, canonical.digest, MEDIA_DIGEST_SIZE);
    assert_int_equal(media_digest(file, 900000, 100001, digest, &err), ERR_IO); /* past the end */
    media_close(file);
}

static ssize_t failing_pread(int fd, void *data, size_t len, off_t offset)
{
    (void)fd, (void)data, (void)len, (void)offset;
    errno = EIO;
    return -1;
}

static void f03_an_unreadable_file_has_no_fingerprint(void **state)
{
    (void)state;
    struct err err = {0};
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    unsigned char digest[MEDIA_DIGEST_SIZE];
    make_file("clip.mp4", 1000000);
    struct media_file *file = open_file("clip.mp4");
    media_pread = failing_pread;
    assert_int_equal(media_fingerprint(file, fingerprint, &err), ERR_IO);
    assert_non_null(strstr(err.message, in_folder("clip.mp4")));
    assert_int_equal(media_digest(file, 0, 10, digest, &err), ERR_IO);
    media_pread = pread;
    media_close(file);
}

static ssize_t pread_while_written(int fd, void *data, size_t len, off_t offset)
{
    restore_mtime("clip.mp4", 77000000000 + offset);
    return pread(fd, data, len, offset);
}

static void a_file_that_is_still_written_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    char fingerprint[MEDIA_FINGERPRINT_SIZE];
    make_file("clip.mp4", 3000000);
    struct media_file *file = open_file("clip.mp4");
    media_pread = pread_while_written;
    assert_int_equal(media_fingerprint(file, fingerprint, &err), ERR_INVALID);
    media_pread = pread;
    media_close(file);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_form_is_as_promised),
        IN_FOLDER(a_copy_has_the_same_content_key),
        IN_FOLDER(f11_256_gib_cost_no_more_than_1_mib),
        IN_FOLDER(samples_cover_both_ends),
        IN_FOLDER(the_same_file_is_the_same),
        IN_FOLDER(f04_f05_another_size_is_different),
        IN_FOLDER(f06_an_overwrite_is_different),
        IN_FOLDER(f06_an_overwrite_with_its_time_put_back_is_touched),
        IN_FOLDER(f07_a_copy_in_its_place_is_touched),
        IN_FOLDER(other_rights_are_a_touch),
        IN_FOLDER(what_is_no_fingerprint_is_refused),
        IN_FOLDER(a_digest_is_of_exactly_its_range),
        IN_FOLDER(f03_an_unreadable_file_has_no_fingerprint),
        IN_FOLDER(a_file_that_is_still_written_is_refused),
    };
    return RUN_UNIT_TESTS(tests);
}
