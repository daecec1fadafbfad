#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vault/link.h"

struct side {
    uv_loop_t loop;
    struct link *link;
    int peer; /* the other end, ours to write and read */
    int frame_count;
    size_t len;
    char first, last;
    bool pause_at_each;
    char ended[64];
};

static void on_frame(void *ctx, const void *frame, size_t len)
{
    struct side *side = ctx;
    side->frame_count++;
    side->len = len;
    side->first = len ? ((const char *)frame)[0] : 0;
    side->last = len ? ((const char *)frame)[len - 1] : 0;
    if (side->pause_at_each)
        link_pause(side->link);
}

static void on_ended(void *ctx, const char *why)
{
    struct side *side = ctx;
    assert_string_equal(side->ended, "");
    snprintf(side->ended, sizeof(side->ended), "%s", why);
}

static int setup(void **state)
{
    static struct side side;
    int ends[2];
    memset(&side, 0, sizeof(side));
    uv_loop_init(&side.loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct link_events events = {.frame = on_frame, .ended = on_ended, .ctx = &side};
    assert_int_equal(link_open(&side.loop, ends[0], &events, &side.link, NULL), 0);
    side.peer = ends[1];
    *state = &side;
    return 0;
}

static int teardown(void **state)
{
    struct side *side = *state;
    link_close(side->link);
    uv_run(&side->loop, UV_RUN_DEFAULT);
    close(side->peer);
    return uv_loop_close(&side->loop);
}

static void put(struct side *side, const void *bytes, size_t len)
{
    assert_int_equal(send(side->peer, bytes, len, MSG_NOSIGNAL), len);
    uv_run(&side->loop, UV_RUN_ONCE);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    struct side *side = *state;
    static const char bytes[] = "\0\0\0\5hello";
    for (int i = 0; i < 9; i++) {
        assert_int_equal(side->frame_count, 0);
        put(side, bytes + i, 1);
    }
    assert_int_equal(side->frame_count, 1);
    assert_int_equal(side->len, 5);
    assert_int_equal(side->first, 'h');
    assert_int_equal(side->last, 'o');
}

static void many_frames_may_come_at_once(void **state)
{
    struct side *side = *state;
    static const char bytes[] = "\0\0\0\1a\0\0\0\0\0\0\0\2bc\0\0";
    put(side, bytes, sizeof(bytes) - 1);
    assert_int_equal(side->frame_count, 3);
    assert_int_equal(side->first, 'b');
    put(side, "\0\1d", 3);
    assert_int_equal(side->frame_count, 4);
    assert_int_equal(side->first, 'd');
}

static void the_largest_frame_fits(void **state)
{
    struct side *side = *state;
    static char bytes[4 + MESSAGE_LEN_MAX];
    memset(bytes, 'm', sizeof(bytes));
    memcpy(bytes, "\0\1\0\0", 4); /* 65536 */
    bytes[sizeof(bytes) - 1] = 'z';
    assert_int_equal(send(side->peer, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
    while (side->frame_count == 0)
        uv_run(&side->loop, UV_RUN_ONCE);
    assert_int_equal(side->len, MESSAGE_LEN_MAX);
    assert_int_equal(side->last, 'z');
}

static void x06_a_frame_over_the_limit_ends_it(void **state)
{
    struct side *side = *state;
    put(side, "\0\1\0\1", 4);
    assert_non_null(strstr(side->ended, "limit"));
    assert_int_equal(side->frame_count, 0);
}

static void the_other_sides_end_is_told_once(void **state)
{
    struct side *side = *state;
    put(side, "\0\0\0\5hel", 7);
    close(side->peer);
    uv_run(&side->loop, UV_RUN_ONCE);
    uv_run(&side->loop, UV_RUN_NOWAIT);
    side->peer = dup(0);
    assert_string_equal(side->ended, "closed");
    assert_int_equal(side->frame_count, 0);
}

enum { BIG_COUNT = 40, BIG_LEN = 60000 }; /* together more than a socket takes at once */

static void send_big_frames(struct side *side)
{
    for (int i = 0; i < BIG_COUNT; i++) {
        struct secret frame = {0};
        secret_reserve(&frame, BIG_LEN);
        memset(frame.data, 'a' + i % 26, BIG_LEN);
        link_send(side->link, &frame, BIG_LEN);
        assert_null(frame.data);
    }
    assert_true(link_backlog(side->link) > 0);
}

static void take_big_frames(struct side *side)
{
    static char got[BIG_LEN];
    size_t total = 0;
    while (total < (size_t)BIG_COUNT * BIG_LEN) {
        ssize_t len = recv(side->peer, got, sizeof(got), MSG_DONTWAIT);
        for (ssize_t i = 0; i < len; i++, total++)
            assert_int_equal(got[i], 'a' + (int)(total / BIG_LEN) % 26);
        uv_run(&side->loop, UV_RUN_NOWAIT);
    }
}

static void what_is_sent_arrives_whole(void **state)
{
    struct side *side = *state;
    send_big_frames(side);
    take_big_frames(side);
    assert_int_equal(link_backlog(side->link), 0);
}

static void a_pause_lasts_until_what_was_sent_is_taken(void **state)
{
    struct side *side = *state;
    send_big_frames(side);
    side->pause_at_each = true;
    put(side, "\0\0\0\1a\0\0\0\1b", 10);
    assert_int_equal(side->frame_count, 1);
    assert_int_equal(send(side->peer, "\0\0\0\1c", 5, MSG_NOSIGNAL), 5);
    uv_run(&side->loop, UV_RUN_NOWAIT);
    assert_int_equal(side->frame_count, 1);
    take_big_frames(side);
    while (side->frame_count < 3)
        uv_run(&side->loop, UV_RUN_ONCE);
}

static void a_pause_with_nothing_sent_is_none(void **state)
{
    struct side *side = *state;
    side->pause_at_each = true;
    put(side, "\0\0\0\1a\0\0\0\1b", 10);
    assert_int_equal(side->frame_count, 2);
}

int main(void)
{
    vault_start();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_frame_may_come_byte_by_byte),
        TEST(many_frames_may_come_at_once),
        TEST(the_largest_frame_fits),
        TEST(x06_a_frame_over_the_limit_ends_it),
        TEST(the_other_sides_end_is_told_once),
        TEST(what_is_sent_arrives_whole),
        TEST(a_pause_lasts_until_what_was_sent_is_taken),
        TEST(a_pause_with_nothing_sent_is_none),
    };
    return RUN_UNIT_TESTS(tests);
}
