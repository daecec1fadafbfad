/* Deadlines and low speed in virtual time. */
#include "http/watch.h"
#include "unit.h"

static struct watch new_watch(void)
{
    struct watch watch;
    watch_init(&watch, 1000);
    watch.low_speed_ms = 10000;
    watch.low_speed_bytes = 1000;
    return watch;
}

/* Moves `bytes` at the end of each of `count` steps of step_ms; the verdict that ended it, or WATCH_FINE. */
static enum watch_verdict move(struct watch *watch, int64_t *now_ms, uint64_t *moved, int count,
                               int64_t step_ms, uint64_t bytes, enum watch_phase phase)
{
    for (int i = 0; i < count; i++) {
        *now_ms += step_ms;
        *moved += bytes;
        enum watch_verdict verdict = watch_step(watch, *now_ms, phase, *moved);
        if (verdict != WATCH_FINE)
            return verdict;
    }
    return WATCH_FINE;
}

static void c06_nothing_moves(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    assert_int_equal(move(&watch, &now_ms, &moved, 9, 1000, 0, WATCH_SENDING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 1, 1000, 0, WATCH_SENDING), WATCH_SLOW);
}

static void c06_a_trickle_under_the_floor(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    assert_int_equal(move(&watch, &now_ms, &moved, 99, 100, 90, WATCH_SENDING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 1, 100, 90, WATCH_SENDING), WATCH_SLOW);
}

static void c08_just_above_the_floor_goes_on(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    assert_int_equal(move(&watch, &now_ms, &moved, 100000, 100, 100, WATCH_SENDING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 1000, 9000, 64000, WATCH_SENDING),
                     WATCH_FINE); /* in bursts */
}

static void a_fast_past_does_not_pay_for_a_stall(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    assert_int_equal(move(&watch, &now_ms, &moved, 1000, 100, 10000000, WATCH_SENDING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 100, 100, 0, WATCH_SENDING), WATCH_SLOW);
}

static void our_own_pauses_do_not_count(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(move(&watch, &now_ms, &moved, 9, 1000, 0, WATCH_SENDING), WATCH_FINE);
        assert_int_equal(move(&watch, &now_ms, &moved, 1, 60000, 0, WATCH_HELD), WATCH_FINE);
    }
    assert_int_equal(move(&watch, &now_ms, &moved, 1, 100000, 0, WATCH_CONNECTING), WATCH_FINE);
}

static void c07_the_reply_has_its_own_deadline(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    watch.reply_deadline_ms = 30000;
    assert_int_equal(move(&watch, &now_ms, &moved, 100, 1000, 5000, WATCH_SENDING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 30, 1000, 1, WATCH_REPLYING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 1, 1000, 1, WATCH_REPLYING), WATCH_REPLY);
}

/* Bytes that still sit in the kernel's queue are not the server's time. */
static void c07_the_reply_begins_when_all_has_left(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    watch.reply_deadline_ms = 2000;
    assert_int_equal(move(&watch, &now_ms, &moved, 1, 1000, 0, WATCH_REPLYING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 60, 1000, 5000, WATCH_SENDING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 2, 1000, 0, WATCH_REPLYING), WATCH_FINE);
    assert_int_equal(move(&watch, &now_ms, &moved, 1, 1000, 0, WATCH_REPLYING), WATCH_REPLY);
}

static void without_any_deadline_low_speed_rules_the_reply(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    int64_t now_ms = 1000;
    uint64_t moved = 0;
    assert_int_equal(move(&watch, &now_ms, &moved, 20, 1000, 0, WATCH_REPLYING), WATCH_SLOW);
}

static void the_total_deadline_counts_all_phases(void **state)
{
    (void)state;
    for (int phase = WATCH_CONNECTING; phase <= WATCH_REPLYING; phase++) {
        struct watch watch = new_watch();
        int64_t now_ms = 1000;
        uint64_t moved = 0;
        watch.deadline_ms = 5000;
        assert_int_equal(move(&watch, &now_ms, &moved, 4, 1000, 5000, (enum watch_phase)phase), WATCH_FINE);
        assert_int_equal(move(&watch, &now_ms, &moved, 1, 1000, 5000, (enum watch_phase)phase), WATCH_TOTAL);
    }
}

static void p13_an_early_reply_gets_two_seconds(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    watch.early_at_ms = 3000;
    assert_int_equal(watch_step(&watch, 4999, WATCH_SENDING, 0), WATCH_FINE);
    assert_int_equal(watch_step(&watch, 5000, WATCH_SENDING, 0), WATCH_EARLY);
}

static void a_count_that_goes_back_is_another_connection(void **state)
{
    (void)state;
    struct watch watch = new_watch();
    assert_int_equal(watch_step(&watch, 2000, WATCH_SENDING, 5000000), WATCH_FINE);
    assert_int_equal(watch_step(&watch, 3000, WATCH_SENDING, 100), WATCH_FINE);
    assert_int_equal(watch_step(&watch, 12999, WATCH_SENDING, 100), WATCH_FINE);
    assert_int_equal(watch_step(&watch, 13000, WATCH_SENDING, 100), WATCH_SLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c06_nothing_moves),
        cmocka_unit_test(c06_a_trickle_under_the_floor),
        cmocka_unit_test(c08_just_above_the_floor_goes_on),
        cmocka_unit_test(a_fast_past_does_not_pay_for_a_stall),
        cmocka_unit_test(our_own_pauses_do_not_count),
        cmocka_unit_test(c07_the_reply_has_its_own_deadline),
        cmocka_unit_test(c07_the_reply_begins_when_all_has_left),
        cmocka_unit_test(without_any_deadline_low_speed_rules_the_reply),
        cmocka_unit_test(the_total_deadline_counts_all_phases),
        cmocka_unit_test(p13_an_early_reply_gets_two_seconds),
        cmocka_unit_test(a_count_that_goes_back_is_another_connection),
    };
    return RUN_UNIT_TESTS(tests);
}
