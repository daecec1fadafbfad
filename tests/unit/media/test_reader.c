/* Reading ahead: order, digests, trouble, and the end that is withheld. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "folder.h"
#include "media/room.h"
#include "unit.h"

enum { WATCHDOG_MS = 60000 };

/* Where the bytes come from: the page cache, the pool, or now one, then the other. */
static media_pread_function *cached;

static ssize_t never_cached(int fd, void *data, size_t len, off_t offset)
{
    (void)fd, (void)data, (void)len, (void)offset;
    errno = EAGAIN;
    return -1;
}

static ssize_t cached_up_to_150000(int fd, void *data, size_t len, off_t offset)
{
    if (offset >= 150000)
        return never_cached(fd, data, len, offset);
    return pread(fd, data, len < 150000 - (size_t)offset ? len : 150000 - (size_t)offset, offset);
}

static media_pread_function *const ways[] = {pread, never_cached, cached_up_to_150000};
enum { WAYS = 3 };

static uv_loop_t loop;
static uv_timer_t watchdog;
static int more_count, stuck_more_count, closed_count;

static void bark(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the test hangs");
}

static int set_up(void **state)
{
    more_count = stuck_more_count = closed_count = 0;
    cached = cached ? cached : media_pread_cached;
    media_pread = pread;
    media_pread_cached = cached;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &watchdog);
    uv_timer_start(&watchdog, bark, WATCHDOG_MS, 0);
    uv_unref((uv_handle_t *)&watchdog);
    return folder_open(state);
}

static int tear_down(void **state)
{
    uv_close((uv_handle_t *)&watchdog, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return folder_close(state);
}

static void count_more(void *ctx)
{
    (*(int *)ctx)++;
}

static void count_closed(void *ctx)
{
    media_close(ctx);
    closed_count++;
}

static struct media_reader *open_stuck_reader(struct media_file *file, int64_t deadline_ms)
{
    struct err err = {0};
    struct media_reader *reader = NULL;
    struct media_reader_config config = {.size_bytes = 300000,
                                         .window_bytes = 65536,
                                         .deadline_ms = deadline_ms,
                                         .more = count_more,
                                         .ctx = &stuck_more_count};
    char byte;
    assert_int_equal(media_reader_open(&loop, file, &config, &reader, &err), 0);
    assert_int_equal(media_reader_read(reader, &byte, 1), 0);
    return reader;
}

static struct media_reader *open_reader(struct media_file *file, uint64_t first_byte, uint64_t size_bytes,
                                        bool guard_end, int64_t deadline_ms)
{
    struct err err = {0};
    struct media_reader *reader = NULL;
    struct media_reader_config config = {.first_byte = first_byte,
                                         .size_bytes = size_bytes,
                                         .window_bytes = 65536,
                                         .guard_end = guard_end,
                                         .deadline_ms = deadline_ms,
                                         .more = count_more,
                                         .ctx = &more_count};
    if (media_reader_open(&loop, file, &config, &reader, &err))
        fail_msg("%s", err.message);
    return reader;
}

static void close_reader(struct media_reader *reader, struct media_file *file)
{
    media_reader_close(reader, count_closed, file);
    assert_int_equal(closed_count, 0); /* never from within */
    while (!closed_count && uv_run(&loop, UV_RUN_ONCE))
        ;
    assert_int_equal(closed_count, 1);
}

/* Reads until `count` bytes are out, the end, or trouble; checks each byte. Returns how many came. */
static uint64_t read_out(struct media_reader *reader, uint64_t first_byte, uint64_t count, size_t piece)
{
    static char data[200000];
    uint64_t done = 0;
    while (done < count) {
        size_t len = count - done < piece ? (size_t)(count - done) : piece;
        int owed = more_count + 1;
        int64_t got = media_reader_read(reader, data, len);
        if (got < 0)
            break;
        for (int64_t i = 0; i < got; i++)
            assert_int_equal(data[i], content_byte(first_byte + done + (uint64_t)i));
        done += (uint64_t)got;
        while (got == 0 && more_count < owed)
            assert_true(uv_run(&loop, UV_RUN_ONCE) || more_count == owed); /* `more` always comes */
        assert_true(more_count <= owed);                                   /* once for each 0 */
    }
    return done;
}

static void check_digest(struct media_reader *reader, uint64_t first_byte, uint64_t count)
{
    static char content[1100000];
    unsigned char digest[MEDIA_DIGEST_SIZE];
    uint64_t bytes;
    XXH128_canonical_t canonical;
    for (uint64_t i = 0; i < count; i++)
        content[i] = content_byte(first_byte + i);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(content, (size_t)count));
    media_reader_digest(reader, digest, &bytes);
    assert_int_equal(bytes, count);
    assert_memory_equal(digest, canonical.digest, MEDIA_DIGEST_SIZE);
}

static void check_range(uint64_t first_byte, uint64_t size_bytes, size_t piece, bool guard_end)
{
    struct media_file *file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(file, first_byte, size_bytes, guard_end, 0);
    closed_count = 0;
    assert_int_equal(read_out(reader, first_byte, size_bytes, piece), size_bytes);
    check_digest(reader, first_byte, size_bytes);
    char byte;
    assert_int_equal(media_reader_read(reader, &byte, 1), 0); /* the end: no `more` comes of it */
    assert_int_equal(media_reader_state(reader, NULL), MEDIA_READ_OK);
    close_reader(reader, file);
}

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

/* ---- a disk with trouble ---- */

static atomic_long fails_from;

static ssize_t pread_with_eio(int fd, void *data, size_t len, off_t offset)
{
    atomic_fetch_add(&calls, 1);
    if (offset >= atomic_load(&fails_from)) {
        errno = EIO;
        return -1;
    }
    return pread(fd, data, len, offset);
}

static void f03_eio_is_told_and_not_tried_again(void **state)
{
    (void)state;
    const char *message = NULL;
    make_file("clip.mp4", 300000);
    atomic_store(&calls, 0);
    atomic_store(&fails_from, 131072);
    media_pread = pread_with_eio;
    media_pread_cached = never_cached;
    struct media_file *file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(file, 0, 300000, true, 0);
    uint64_t got = read_out(reader, 0, 300000, 16384);
    assert_true(got <= 131072);
    assert_int_equal(media_reader_state(reader, &message), MEDIA_READ_IO);
    assert_non_null(strstr(message, "at byte 131072: Input/output error"));
    char byte;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(media_reader_read(reader, &byte, 1), -1);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(atomic_load(&calls), 3);
    check_digest(reader, 0, got);
    close_reader(reader, file);
}

static ssize_t pread_in_drops(int fd, void *data, size_t len, off_t offset)
{
    if (atomic_fetch_add(&calls, 1) % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    return pread(fd, data, len < 1000 ? len : 1000, offset);
}

static void x10_short_and_interrupted_reads_go_on(void **state)
{
    (void)state;
    make_file("clip.mp4", 1000003);
    media_pread = pread_in_drops;
    media_pread_cached = never_cached;
    check_range(0, 300000, 16384, true);
}

/* The first `hanging` reads wait until they are let go. */
static atomic_int hanging;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static ssize_t pread_that_hangs(int fd, void *data, size_t len, off_t offset)
{
    if (atomic_fetch_sub(&hanging, 1) > 0) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    return pread(fd, data, len, offset);
}

static void f08_a_hanging_read_stalls_only_its_own_reader(void **state)
{
    (void)state;
    const char *message = NULL;
    make_file("clip.mp4", 300000);
    atomic_store(&hanging, 1);
    media_pread = pread_that_hangs;
    media_pread_cached = never_cached;
    pthread_mutex_lock(&gate);
    struct media_file *stuck_file = open_file("clip.mp4"), *file = open_file("clip.mp4");
    struct media_reader *stuck = open_stuck_reader(stuck_file, 200);
    while (atomic_load(&hanging) > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    struct media_reader *reader = open_reader(file, 0, 300000, true, 0);
    assert_int_equal(read_out(reader, 0, 300000, 16384), 300000);
    close_reader(reader, file);
    while (!stuck_more_count)
        uv_run(&loop, UV_RUN_ONCE);
    char byte;
    assert_int_equal(media_reader_read(stuck, &byte, 1), -1);
    assert_int_equal(media_reader_state(stuck, &message), MEDIA_READ_IO);
    assert_non_null(strstr(message, "took longer than 200 ms"));
    closed_count = 0;
    media_reader_close(stuck, count_closed, stuck_file);
    for (int i = 0; i < 100; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(closed_count, 0); /* the pool still has the file and the memory */
    pthread_mutex_unlock(&gate);
    while (!closed_count && uv_run(&loop, UV_RUN_ONCE))
        ;
    assert_int_equal(closed_count, 1);
}

enum { POOL_THREADS = 4 }; /* libuv's default */

static struct media_file *stuck_files[POOL_THREADS];
static struct media_reader *stuck_readers[POOL_THREADS];

static void fill_pool(void)
{
    atomic_store(&hanging, POOL_THREADS);
    media_pread = pread_that_hangs;
    media_pread_cached = never_cached;
    pthread_mutex_lock(&gate);
    for (int i = 0; i < POOL_THREADS; i++) {
        stuck_files[i] = open_file("clip.mp4");
        stuck_readers[i] = open_stuck_reader(stuck_files[i], 0);
    }
    while (atomic_load(&hanging) > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void empty_pool(void)
{
    closed_count = 0;
    for (int i = 0; i < POOL_THREADS; i++)
        media_reader_close(stuck_readers[i], count_closed, stuck_files[i]);
    while (closed_count < POOL_THREADS && uv_run(&loop, UV_RUN_ONCE))
        ;
    assert_int_equal(closed_count, POOL_THREADS);
}

static void open_gate(uv_timer_t *timer)
{
    pthread_mutex_unlock(&gate);
    uv_close((uv_handle_t *)timer, NULL);
}

/* Waiting for a thread of the pool is not the disk's fault. */
static void f08_a_read_in_the_queue_gets_more_time(void **state)
{
    (void)state;
    uv_timer_t timer;
    make_file("clip.mp4", 300000);
    fill_pool();
    struct media_file *file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(file, 0, 300000, false, 1000);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, open_gate, 1500, 0);
    assert_int_equal(read_out(reader, 0, 300000, 16384), 300000);
    close_reader(reader, file);
    empty_pool();
}

/* ... but not for ever; and it is taken back from the queue when its reader is closed. */
static void f08_a_read_that_never_begins_is_given_up(void **state)
{
    (void)state;
    make_file("clip.mp4", 300000);
    fill_pool();
    struct media_file *file = open_file("clip.mp4");
    struct media_reader *reader = open_reader(file, 0, 300000, false, 50);
    assert_int_equal(read_out(reader, 0, 300000, 16384), 0);
    assert_int_equal(media_reader_state(reader, NULL), MEDIA_READ_IO);
    close_reader(reader, file);
    pthread_mutex_unlock(&gate);
    empty_pool();
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

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
        IN_FOLDER(f03_eio_is_told_and_not_tried_again),
        IN_FOLDER(x10_short_and_interrupted_reads_go_on),
        IN_FOLDER(f08_a_hanging_read_stalls_only_its_own_reader),
        IN_FOLDER(f08_a_read_in_the_queue_gets_more_time),
        IN_FOLDER(f08_a_read_that_never_begins_is_given_up),
        IN_FOLDER(closing_at_once_is_fine),
        IN_FOLDER(f11_beyond_4_gib_the_places_are_exact),
    };
    return RUN_UNIT_TESTS(tests);
}
