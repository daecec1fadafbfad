/* The audit trail, read. */
#include "fixture.h"

static void the_trail_is_read_page_by_page(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_many(fix, channel, "J", 1200);
    assert_int_equal(count_events(fix, NULL, "job added"), 1200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_trail_is_read_page_by_page),
    };
    return RUN_UNIT_TESTS(tests);
}
