/* A disk that fails, hangs, or gives a little at a time. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "media/room.h"
#include "reading.h"
#include "unit.h"

static atomic_int calls;
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

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, reading_open, reading_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(f03_eio_is_told_and_not_tried_again),
        IN_FOLDER(x10_short_and_interrupted_reads_go_on),
        IN_FOLDER(f08_a_hanging_read_stalls_only_its_own_reader),
        IN_FOLDER(f08_a_read_in_the_queue_gets_more_time),
        IN_FOLDER(f08_a_read_that_never_begins_is_given_up),
    };
    return RUN_UNIT_TESTS(tests);
}
