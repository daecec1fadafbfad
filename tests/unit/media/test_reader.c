/* Reading ahead: order, digests, and the end that is withheld. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "media/room.h"
#include "reading.h"
#include "unit.h"

static void a_range_comes_whole_and_in_order(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 2, 65535, 65536, 65537, 131071, 131072, 131073, 1000000};
    make_file("clip.mp4", 1000003);
    for (size_t i = 0; i < WAYS * sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t size = sizes[i / WAYS];
        media_pread_cached = ways[i % WAYS];
        check_range(0, size, 200000, false);
        check_range(3, size, 16384, true);
        check_range(1000003 - size, size, 65536, true);
    }
}

static atomic_int calls;

static ssize_t counted_pread(int fd, void *data, size_t len, off_t offset)
{
    atomic_fetch_add(&calls, 1);
    return pread(fd, data, len, offset);
}

/* No thread, no second copy; only the guarded end is read in the pool. */
static void what_is_cached_needs_no_pool(void **state)
{
    (void)state;
    make_file("clip.mp4", 1000003);
    media_pread = counted_pread;
    media_pread_cached = pread;
    atomic_store(&calls, 0);
    check_range(0, 1000003, 16384, false);
    assert_int_equal(atomic_load(&calls), 0);
    check_range(0, 1000003, 16384, true);
    assert_int_equal(atomic_load(&calls), 1);
}

/* The kernel's own answer, whatever it is on this file system. */
static void the_real_page_cache_gives_the_same(void **state)
{
    (void)state;
    make_file("clip.mp4", 1000003);
    check_range(0, 1000003, 65536, true);
    sync();
    int fd = open(in_folder("clip.mp4"), O_RDONLY | O_CLOEXEC);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* cold, if the kernel is so kind */
    close(fd);
    check_range(0, 1000003, 65536, true);
}

static ssize_t cached_with_eio(int fd, void *data, size_t len, off_t offset)
{
    never_cached(fd, data, len, offset);
    errno = EIO;
    return -1;
}

/* Trouble in the page cache is looked at in the pool, which has the last word. */
static void trouble_in_the_cache_is_left_to_the_pool(void **state)
{
    (void)state;
    make_file("clip.mp4", 1000003);
    media_pread_cached = cached_with_eio;
    check_range(0, 1000003, 65536, true);
}

static void any_pieces_give_the_same(void **state)
{
    (void)state;
    unsigned seed = (unsigned)getpid();
    print_message("# seed %u\n", seed);
    make_file("clip.mp4", 1000003);
    struct media_file *file = open_file("clip.mp4");
    media_pread_cached = ways[seed % WAYS];
    struct media_reader *reader = open_reader(file, 1, 1000002, true, 0);
    uint64_t done = 0;
    while (done < 1000002) {
        uint64_t wanted = 1 + (uint64_t)rand_r(&seed) % 150000;
        if (wanted > 1000002 - done)
            wanted = 1000002 - done;
        assert_int_equal(read_out(reader, 1 + done, wanted, 1 + (size_t)rand_r(&seed) % 100000), wanted);
        done += wanted;
        check_digest(reader, 1, done); /* at any moment exactly what was handed out */
    }
    close_reader(reader, file);
}

static void a_range_outside_of_the_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, size;
    } bad[] = {{0, 1001}, {1000, 1}, {1001, 1}, {0, 0}, {UINT64_MAX, 2}, {2, UINT64_MAX}};
    make_file("clip.mp4", 1000);
    struct media_file *file = open_file("clip.mp4");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        struct media_reader *reader = NULL;
        struct media_reader_config config = {
            .first_byte = bad[i].first, .size_bytes = bad[i].size, .window_bytes = 100, .more = count_more};
        assert_int_equal(media_reader_open(&loop, file, &config, &reader, &err), ERR_INVALID);
    }
    media_close(file);
}

/* ---- changes ---- */

/* What is left is read to the trouble; `done` bytes were read before. */
static void check_withheld(struct media_reader *reader, struct media_file *file, uint64_t done,
                           uint64_t size_bytes)
{
    const char *message = NULL;
    done += read_out(reader, done, size_bytes - done, 16384);
    assert_true(done < size_bytes);
    assert_int_equal(media_reader_state(reader, &message), MEDIA_READ_CHANGED);
    assert_non_null(strstr(message, in_folder("clip.mp4")));
    check_digest(reader, 0, done);
    close_reader(reader, file);
}

static void f04_a_cut_file_is_noticed(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        media_pread_cached = ways[way];
        make_file("clip.mp4", 1000000);
        closed_count = 0;
        struct media_file *file = open_file("clip.mp4");
        struct media_reader *reader = open_reader(file, 0, 1000000, false, 0);
        assert_int_equal(read_out(reader, 0, 200000, 16384), 200000);
        assert_int_equal(truncate(in_folder("clip.mp4"), 500000), 0);
        check_withheld(reader, file, 200000, 1000000);
    }
}

static void cut(void)
{
    assert_int_equal(truncate(in_folder("clip.mp4"), 299999), 0);
}

static void grow(void)
{
    assert_int_equal(truncate(in_folder("clip.mp4"), 300001), 0);
}

static void overwrite(void)
{
    write_at("clip.mp4", 299990, "x"); /* in the part that is withheld */
}

static void replace(void)
{
    make_file("new.mp4", 300000);
    assert_int_equal(rename(in_folder("new.mp4"), in_folder("clip.mp4")), 0);
}

static void unlink_it(void)
{
    unlink(in_folder("clip.mp4"));
}

static void chmod_it(void)
{
    chmod(in_folder("clip.mp4"), 0600);
}

/* The harm is done when `before` bytes are out; the file has 300000, so its last window begins at 234464 or
 * later. */
static struct media_reader *read_and_harm(struct media_file **ret_file, uint64_t before, void (*harm)(void))
{
    make_file("clip.mp4", 300000);
    restore_mtime("clip.mp4", 1000000000);
    closed_count = 0;
    *ret_file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(*ret_file, 0, 300000, true, 0);
    assert_int_equal(read_out(reader, 0, before, 16384), before);
    harm();
    return reader;
}

static void f04_f05_f06_f07_after_a_change_the_last_byte_is_withheld(void **state)
{
    (void)state;
    static void (*const harms[])(void) = {cut, grow, overwrite, replace};
    static const uint64_t places[] = {0, 1, 100000, 234463};
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
            struct media_file *file;
            media_pread_cached = ways[(i + k) % WAYS];
            struct media_reader *reader = read_and_harm(&file, places[k], harms[i]);
            check_withheld(reader, file, places[k], 300000);
        }
    }
}

/* One window holds all of it: then nothing is handed out before the question. */
static void f06_of_a_small_file_nothing_is_handed_out(void **state)
{
    (void)state;
    make_file("clip.mp4", 1000);
    struct media_file *file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(file, 0, 1000, true, 0);
    char data[1000];
    assert_int_equal(media_reader_read(reader, data, sizeof data), 0);
    restore_mtime("clip.mp4", 5);
    check_withheld(reader, file, 0, 1000);
}

static void f12_an_unlinked_file_completes(void **state)
{
    (void)state;
    static void (*const harmless[])(void) = {unlink_it, chmod_it};
    for (size_t i = 0; i < 2; i++) {
        struct media_file *file;
        struct media_reader *reader = read_and_harm(&file, 100000, harmless[i]);
        assert_int_equal(read_out(reader, 100000, 200000, 16384), 200000);
        check_digest(reader, 0, 300000);
        close_reader(reader, file);
    }
}

/* Only the end of the file's last piece is guarded: other pieces are asked about afterwards. */
static void an_unguarded_range_is_not_withheld(void **state)
{
    (void)state;
    make_file("clip.mp4", 300000);
    struct media_file *file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(file, 0, 200000, false, 0);
    restore_mtime("clip.mp4", 5);
    assert_int_equal(read_out(reader, 0, 200000, 16384), 200000);
    close_reader(reader, file);
}

static void closing_at_once_is_fine(void **state)
{
    (void)state;
    char byte;
    make_file("clip.mp4", 300000);
    media_pread_cached = never_cached;
    for (int turns = 0; turns < 5; turns++) {
        struct media_file *file = open_file("clip.mp4");
        struct media_reader *reader = open_reader(file, 0, 300000, true, 1000);
        assert_int_equal(media_reader_read(reader, &byte, 1), 0);
        for (int i = 0; i < turns; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
        closed_count = 0;
        close_reader(reader, file);
    }
    media_reader_close(NULL, NULL, NULL);
}

static void f11_beyond_4_gib_the_places_are_exact(void **state)
{
    (void)state;
    uint64_t size = 4294967297u;
    char data[4096];
    make_sparse("sparse", size);
    write_at("sparse", 4294967290u, "0123456");
    struct media_file *file = open_file("sparse");
    struct media_reader *reader = open_reader(file, 4294963201u, 4096, true, 0);
    int64_t got;
    while ((got = media_reader_read(reader, data, sizeof data)) == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(got, 4096);
    assert_memory_equal(data + 4089, "0123456", 7);
    assert_int_equal(data[4088], 0);
    close_reader(reader, file);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, reading_open, reading_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_range_comes_whole_and_in_order),
        IN_FOLDER(any_pieces_give_the_same),
        IN_FOLDER(what_is_cached_needs_no_pool),
        IN_FOLDER(the_real_page_cache_gives_the_same),
        IN_FOLDER(trouble_in_the_cache_is_left_to_the_pool),
        IN_FOLDER(a_range_outside_of_the_file_is_refused),
        IN_FOLDER(f04_a_cut_file_is_noticed),
        IN_FOLDER(f04_f05_f06_f07_after_a_change_the_last_byte_is_withheld),
        IN_FOLDER(f06_of_a_small_file_nothing_is_handed_out),
        IN_FOLDER(f12_an_unlinked_file_completes),
        IN_FOLDER(an_unguarded_range_is_not_withheld),
        IN_FOLDER(closing_at_once_is_fine),
        IN_FOLDER(f11_beyond_4_gib_the_places_are_exact),
    };
    return RUN_UNIT_TESTS(tests);
}
