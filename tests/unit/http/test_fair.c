/* Shares of the bandwidth in virtual time: ratios within one run. */
#include <stdio.h>
#include <stdlib.h>

#include "http/fair.h"
#include "unit.h"

enum { PIECE_BYTES = 65536, PARTIES_MAX = 8 };

struct http_request {
    TAILQ_ENTRY(http_request) link;
};

/* One who always wants more, in pieces of its own size. */
struct party {
    struct fair_group *group;
    struct http_request transfer; /* one in line stands for all: turns go to groups */
    uint64_t piece_bytes, got_bytes;
};

struct run {
    struct fair fair;
    int64_t now_ms;
    struct party parties[PARTIES_MAX];
    int count;
};

static void begin(struct run *run, uint64_t bytes_per_s, uint64_t group_bytes_per_s)
{
    *run = (struct run){.now_ms = 1000};
    fair_init(&run->fair, bytes_per_s, group_bytes_per_s, run->now_ms);
}

static void want(struct run *run, struct party *party)
{
    fair_wants(&run->fair, party->group);
    TAILQ_INSERT_TAIL(&party->group->line, &party->transfer, link);
}

static void rest(struct party *party)
{
    TAILQ_REMOVE(&party->group->line, &party->transfer, link);
}

static struct party *add(struct run *run, uint64_t piece_bytes)
{
    struct party *party = &run->parties[run->count++];
    party->group = fair_join(&run->fair, (uint64_t)run->count, run->now_ms);
    party->piece_bytes = piece_bytes;
    party->got_bytes = 0;
    want(run, party);
    return party;
}

static struct party *party_of(struct run *run, const struct fair_group *group)
{
    for (int i = 0; i < run->count; i++)
        if (run->parties[i].group == group)
            return &run->parties[i];
    fail_msg("a group that nobody has");
    return NULL;
}

static void go_on(struct run *run, int64_t for_ms)
{
    int64_t end_ms = run->now_ms + for_ms;
    struct fair_group *group;
    while (run->now_ms < end_ms) {
        while ((group = fair_next(&run->fair, run->now_ms))) {
            struct party *party = party_of(run, group);
            uint64_t got = fair_take(&run->fair, group, party->piece_bytes, run->now_ms);
            assert_true(got > 0 && got <= party->piece_bytes);
            party->got_bytes += got;
        }
        int64_t wait_ms = fair_wait_ms(&run->fair, run->now_ms);
        assert_true(wait_ms > 0);
        run->now_ms += wait_ms;
    }
}

static void end(struct run *run)
{
    for (int i = 0; i < run->count; i++) {
        if (!TAILQ_EMPTY(&run->parties[i].group->line))
            rest(&run->parties[i]);
        fair_leave(&run->fair, run->parties[i].group, run->now_ms + 2000); /* all buckets are full by then */
    }
    assert_true(TAILQ_EMPTY(&run->fair.groups));
}

static void assert_alike(uint64_t a, uint64_t b, uint64_t slack)
{
    if (a > b + slack || b > a + slack)
        fail_msg("%llu and %llu", (unsigned long long)a, (unsigned long long)b);
}

static const uint64_t rates[] = {20000, 1000000, 1700000, 125000000};
enum { RATE_COUNT = sizeof(rates) / sizeof(rates[0]) };

static void l05_groups_have_equal_shares(void **state)
{
    (void)state;
    for (int i = 0; i < RATE_COUNT; i++) {
        struct run run;
        begin(&run, rates[i], 0);
        for (int party = 0; party < PARTIES_MAX; party++)
            add(&run, PIECE_BYTES);
        go_on(&run, 60000);
        for (int party = 0; party < PARTIES_MAX; party++)
            assert_alike(run.parties[party].got_bytes, rates[i] * 60 / PARTIES_MAX,
                         2 * PIECE_BYTES + rates[i] / 10);
        for (int party = 1; party < PARTIES_MAX; party++)
            assert_alike(run.parties[party].got_bytes, run.parties[0].got_bytes, PIECE_BYTES);
        end(&run);
    }
}

static void l05_small_pieces_are_no_disadvantage(void **state)
{
    (void)state;
    for (int i = 0; i < RATE_COUNT; i++) {
        struct run run;
        begin(&run, rates[i], 0);
        struct party *small = add(&run, 1000), *large = add(&run, PIECE_BYTES);
        go_on(&run, 10000);
        assert_alike(small->got_bytes, large->got_bytes, PIECE_BYTES);
        end(&run);
    }
}

static void l05_each_group_has_its_own_limit(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 10000000, 1000000);
    struct party *a = add(&run, PIECE_BYTES), *b = add(&run, PIECE_BYTES);
    go_on(&run, 20000);
    assert_alike(a->got_bytes, 20000000, 200000);
    assert_alike(b->got_bytes, 20000000, 200000);
    end(&run);
    begin(&run, 0, 1000000);
    a = add(&run, PIECE_BYTES);
    go_on(&run, 20000);
    assert_alike(a->got_bytes, 20000000, 200000);
    end(&run);
}

static void l05_less_than_the_groups_may_have_is_shared(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 1500000, 1000000);
    struct party *a = add(&run, PIECE_BYTES), *b = add(&run, PIECE_BYTES);
    go_on(&run, 20000);
    assert_alike(a->got_bytes, b->got_bytes, PIECE_BYTES);
    assert_alike(a->got_bytes + b->got_bytes, 30000000, 200000);
    end(&run);
}

static void what_one_does_not_want_the_other_gets(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 1000000, 0);
    struct party *a = add(&run, PIECE_BYTES), *b = add(&run, PIECE_BYTES);
    rest(b);
    go_on(&run, 20000);
    assert_alike(a->got_bytes, 20000000, 200000);
    end(&run);
}

static void l05_who_was_away_has_no_credit(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 1000000, 0);
    struct party *a = add(&run, PIECE_BYTES), *b = add(&run, PIECE_BYTES);
    rest(b);
    go_on(&run, 600000);
    want(&run, b);
    uint64_t before_bytes = a->got_bytes;
    go_on(&run, 10000);
    assert_alike(a->got_bytes - before_bytes, b->got_bytes, 2 * PIECE_BYTES);
    end(&run);
}

static void l05_who_comes_late_is_not_behind(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 1000000, 0);
    struct party *a = add(&run, PIECE_BYTES);
    go_on(&run, 600000);
    struct party *b = add(&run, PIECE_BYTES);
    uint64_t before_bytes = a->got_bytes;
    go_on(&run, 10000);
    assert_alike(a->got_bytes - before_bytes, b->got_bytes, 2 * PIECE_BYTES);
    end(&run);
}

static void what_was_not_used_counts_for_nobody(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 1000000, 500000);
    struct party *a = add(&run, PIECE_BYTES);
    run.now_ms += 1000;
    uint64_t got = fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms);
    assert_int_equal(got, 25000); /* the group's depth */
    assert_int_equal(fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms), 0);
    fair_give_back(&run.fair, a->group, got);
    assert_int_equal(fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms), 25000);
    end(&run);
}

static void what_all_may_not_have_the_group_keeps(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 100000, 1000000);
    struct party *a = add(&run, PIECE_BYTES);
    run.now_ms += 1000;
    assert_int_equal(fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms), 5000); /* the depth of all */
    assert_int_equal(a->group->rate.has_mbytes, 45000000);
    end(&run);
}

static void a_few_bytes_are_not_worth_it(void **state)
{
    (void)state;
    struct run run;
    begin(&run, 0, 1000000);
    struct party *a = add(&run, PIECE_BYTES);
    assert_int_equal(fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms), 50000);
    assert_int_equal(fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms + 24), 0);
    assert_int_equal(fair_take(&run.fair, a->group, PIECE_BYTES, run.now_ms + 25), 25000);
    assert_null(fair_next(&run.fair, run.now_ms + 25));
    assert_int_equal(fair_wait_ms(&run.fair, run.now_ms + 25), 25);
    end(&run);
}

static void going_away_and_coming_back_gains_nothing(void **state)
{
    (void)state;
    struct fair fair;
    uint64_t got = 0;
    fair_init(&fair, 0, 1000000, 0);
    for (int64_t now_ms = 0; now_ms < 10000; now_ms += 40) {
        struct fair_group *group = fair_join(&fair, 7, now_ms);
        got += fair_take(&fair, group, PIECE_BYTES, now_ms);
        got += fair_take(&fair, group, PIECE_BYTES, now_ms + 39);
        fair_leave(&fair, group, now_ms + 39);
    }
    assert_true(got <= 10000000 + 50000);
    fair_release(&fair);
    assert_true(TAILQ_EMPTY(&fair.groups));
}

static uint64_t take_alone(struct fair *fair, int64_t now_ms)
{
    struct fair_group *group = fair_join(fair, 7, now_ms);
    uint64_t got = fair_take(fair, group, PIECE_BYTES, now_ms);
    fair_leave(fair, group, now_ms);
    return got;
}

static void l05_who_comes_after_a_rest_need_not_wait(void **state)
{
    (void)state;
    struct fair fair;
    fair_init(&fair, 0, 1000000, 0);
    assert_int_equal(take_alone(&fair, 0), 50000);
    assert_int_equal(take_alone(&fair, 10), 0);
    assert_int_equal(take_alone(&fair, 30), 30000);
    assert_int_equal(take_alone(&fair, 90), 50000);
    fair_release(&fair);
}

static void a_group_lives_as_long_as_its_users(void **state)
{
    (void)state;
    struct fair fair;
    fair_init(&fair, 1000, 0, 0);
    assert_true(fair_has_limit(&fair));
    struct fair_group *group = fair_join(&fair, 7, 0);
    assert_ptr_equal(fair_join(&fair, 7, 0), group);
    assert_ptr_not_equal(fair_join(&fair, 8, 0), group);
    fair_leave(&fair, group, 0);
    assert_ptr_equal(TAILQ_FIRST(&fair.groups), group);
    fair_leave(&fair, group, 0);
    fair_leave(&fair, TAILQ_FIRST(&fair.groups), 0);
    assert_true(TAILQ_EMPTY(&fair.groups));
    assert_null(fair_next(&fair, 1000));
    assert_int_equal(fair_wait_ms(&fair, 1000), -1);
    fair_init(&fair, 0, 0, 0);
    assert_false(fair_has_limit(&fair));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(l05_groups_have_equal_shares),
        cmocka_unit_test(l05_small_pieces_are_no_disadvantage),
        cmocka_unit_test(l05_each_group_has_its_own_limit),
        cmocka_unit_test(l05_less_than_the_groups_may_have_is_shared),
        cmocka_unit_test(what_one_does_not_want_the_other_gets),
        cmocka_unit_test(l05_who_was_away_has_no_credit),
        cmocka_unit_test(l05_who_comes_late_is_not_behind),
        cmocka_unit_test(what_was_not_used_counts_for_nobody),
        cmocka_unit_test(what_all_may_not_have_the_group_keeps),
        cmocka_unit_test(a_few_bytes_are_not_worth_it),
        cmocka_unit_test(l05_who_comes_after_a_rest_need_not_wait),
        cmocka_unit_test(going_away_and_coming_back_gains_nothing),
        cmocka_unit_test(a_group_lives_as_long_as_its_users),
    };
    return RUN_UNIT_TESTS(tests);
}
