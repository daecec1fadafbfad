#include "unit.h"

#include <string.h>

#include "cli/progress.h"

enum { MIB = 1048576 };

static void assert_bar(const struct progress *progress, uint32_t width, int64_t mono_ms, const char *expected)
{
    struct buf out AUTO_BUF;
    buf_init(&out, 1000);
    progress_bar(progress, width, mono_ms, &out);
    assert_string_equal(out.data, expected);
}

static void assert_line(const struct progress *progress, int64_t mono_ms, const char *expected)
{
    struct buf out AUTO_BUF;
    buf_init(&out, 1000);
    progress_line(progress, mono_ms, &out);
    assert_string_equal(out.data, expected);
}

static void speed_is_that_of_the_last_seconds(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "a.mp4", 1000 * (uint64_t)MIB);
    for (int64_t second = 0; second <= 20; second++)
        progress_update(&progress, 0, (uint64_t)second * MIB, "sending", second * 1000);
    assert_int_equal(progress_speed(&progress, 20000), MIB);
    for (int64_t second = 21; second <= 40; second++)
        progress_update(&progress, 0, 20 * (uint64_t)MIB + (uint64_t)(second - 20) * 3 * MIB, "sending",
                        second * 1000);
    assert_int_equal(progress_speed(&progress, 40000), 3 * MIB);
}

static void speed_falls_to_nothing_when_nothing_moves(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "a.mp4", 1000 * (uint64_t)MIB);
    progress_update(&progress, 0, 0, NULL, 0);
    progress_update(&progress, 0, 10 * MIB, NULL, 1000);
    assert_true(progress_speed(&progress, 1000) > 0);
    assert_int_equal(progress_speed(&progress, 30000), 0);
}

static void a_rewind_makes_no_negative_speed(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "a.mp4", 1000 * (uint64_t)MIB);
    progress_update(&progress, 0, 80 * MIB, NULL, 0);
    progress_update(&progress, 16 * MIB, 0, "asking", 1000);
    assert_int_equal(progress_speed(&progress, 2000), 0);
    progress_update(&progress, 16 * MIB, 2 * MIB, "sending", 2000);
    assert_int_equal(progress_speed(&progress, 2000), 2 * MIB);
}

static void a_bar_shows_confirmed_and_sent(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "holiday.mp4", 100 * MIB);
    progress_update(&progress, 50 * MIB, 10 * MIB, "sending", 0);
    assert_bar(&progress, 80, 0, "holiday.mp4          [#####-    ]  50 %  50 MiB/100 MiB  sending");
    progress_update(&progress, 60 * MIB, 20 * MIB, "sending", 2000);
    assert_bar(&progress, 98, 2000,
               "holiday.mp4          [############----    ]  60 %  60 MiB/100 MiB  10 MiB/s  2 s left");
    progress_update(&progress, 60 * MIB, 0, "again in 8 s: backendError", 3000);
    assert_bar(&progress, 80, 3000,
               "holiday.mp4          [######    ]  60 %  60 MiB/100 MiB  again in 8 s: backendEr");
}

static void a_bar_fits_its_width(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "\xc3\xa4 very long name of a file that never ends.mp4", 100 * MIB);
    progress_update(&progress, 50 * MIB, 10 * MIB, "waiting 8 s: 503 backendError, tried twice", 0);
    for (uint32_t width = 1; width < 140; width++) {
        struct buf out AUTO_BUF;
        buf_init(&out, 1000);
        progress_bar(&progress, width, 0, &out);
        size_t columns = 0;
        for (const char *at = out.data; *at; at++)
            columns += (*at & 0xc0) != 0x80;
        assert_true(columns <= width);
    }
}

static void a_line_says_it_in_words(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "holiday.mp4", 100 * MIB);
    assert_line(&progress, 0, "holiday.mp4: 0 % (0 B of 100 MiB), queued");
    progress_update(&progress, 50 * MIB, 0, "sending", 0);
    progress_update(&progress, 60 * MIB, 0, "sending", 1000);
    assert_line(&progress, 1000, "holiday.mp4: 60 % (60 MiB of 100 MiB), 10 MiB/s, 4 s left, sending");
    progress_update(&progress, 100 * MIB, 0, "completed", 20000);
    assert_line(&progress, 20000, "holiday.mp4: 100 % (100 MiB of 100 MiB), completed");
}

/* A title or name must not be able to move the cursor. */
static void names_are_escaped(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "a\x1b[2Jb", MIB);
    progress_update(&progress, 0, 0, "x\ry", 0);
    assert_line(&progress, 0, "a\\u{1b}[2Jb: 0 % (0 B of 1.0 MiB), x\\u{d}y");
}

static void the_largest_file_overflows_nothing(void **state)
{
    struct progress progress;
    (void)state;
    progress_init(&progress, "big.mp4", 274877906944u);
    progress_update(&progress, 274877906943u, 0, "sending", 0);
    assert_line(&progress, 0, "big.mp4: 99 % (255 GiB of 256 GiB), sending");
    progress_update(&progress, 274877906944u, 0, "sending", INT64_MAX / 2);
    assert_line(&progress, INT64_MAX / 2, "big.mp4: 100 % (256 GiB of 256 GiB), sending");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speed_is_that_of_the_last_seconds),
        cmocka_unit_test(speed_falls_to_nothing_when_nothing_moves),
        cmocka_unit_test(a_rewind_makes_no_negative_speed),
        cmocka_unit_test(a_bar_shows_confirmed_and_sent),
        cmocka_unit_test(a_bar_fits_its_width),
        cmocka_unit_test(a_line_says_it_in_words),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(the_largest_file_overflows_nothing),
    };
    return RUN_UNIT_TESTS(tests);
}
