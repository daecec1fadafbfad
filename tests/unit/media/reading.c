#include "reading.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "unit.h"

enum { WATCHDOG_MS = 60000 };

static media_pread_function *cached;

ssize_t never_cached(int fd, void *data, size_t len, off_t offset)
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

media_pread_function *const ways[WAYS] = {pread, never_cached, cached_up_to_150000};
uv_loop_t loop;
static uv_timer_t watchdog;
int more_count, stuck_more_count, closed_count;

static void bark(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the test hangs");
}

int reading_open(void **state)
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

int reading_close(void **state)
{
    uv_close((uv_handle_t *)&watchdog, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return folder_close(state);
}

void count_more(void *ctx)
{
    (*(int *)ctx)++;
}

void count_closed(void *ctx)
{
    media_close(ctx);
    closed_count++;
}

struct media_reader *open_stuck_reader(struct media_file *file, int64_t deadline_ms)
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

struct media_reader *open_reader(struct media_file *file, uint64_t first_byte, uint64_t size_bytes,
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

void close_reader(struct media_reader *reader, struct media_file *file)
{
    media_reader_close(reader, count_closed, file);
    assert_int_equal(closed_count, 0); /* never from within */
    while (!closed_count && uv_run(&loop, UV_RUN_ONCE))
        ;
    assert_int_equal(closed_count, 1);
}

uint64_t read_out(struct media_reader *reader, uint64_t first_byte, uint64_t count, size_t piece)
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

void check_digest(struct media_reader *reader, uint64_t first_byte, uint64_t count)
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

void check_range(uint64_t first_byte, uint64_t size_bytes, size_t piece, bool guard_end)
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
