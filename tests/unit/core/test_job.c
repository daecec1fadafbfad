#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "core/job.h"

/* Written down a second time, on purpose: row = from, column = to, in the order of the states. */
static const char *const moves[JOB_STATE_COUNT] = {
    /*             q u w h f C F X */
    /* queued    */ "xx.xx.xx",
    /* uploading */ "xxxxxxxx",
    /* waiting   */ "xxxx..xx",
    /* held      */ "xx.xxxxx",
    /* finishing */ "...xxx..",
    /* completed */ "........",
    /* failed    */ "x.......",
    /* cancelled */ "x.......",
};

static void every_move_is_allowed_or_forbidden_as_written_here(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++) {
            bool expected = moves[from][to] == 'x';
            if (job_move_is_allowed((enum job_state)from, (enum job_state)to) != expected)
                fail_msg("%s -> %s must be %s", job_state_text((enum job_state)from),
                         job_state_text((enum job_state)to), expected ? "allowed" : "forbidden");
        }
}

static void a_video_that_exists_is_never_uploaded_again(void **state)
{
    (void)state;
    assert_false(job_move_is_allowed(JOB_FINISHING, JOB_UPLOADING));
    assert_false(job_move_is_allowed(JOB_FINISHING, JOB_QUEUED));
    for (int to = 0; to < JOB_STATE_COUNT; to++)
        assert_false(job_move_is_allowed(JOB_COMPLETED, (enum job_state)to));
}

static void states_and_causes_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        enum job_state read;
        assert_true(job_state_parse(job_state_text((enum job_state)i), &read));
        assert_int_equal(read, i);
    }
    for (int i = 0; i < CAUSE_COUNT; i++) {
        enum job_cause read;
        assert_true(job_cause_parse(job_cause_text((enum job_cause)i), &read));
        assert_int_equal(read, i);
    }
    for (int i = 0; i < CHANNEL_STATE_COUNT; i++) {
        enum channel_state read;
        assert_true(channel_state_parse(channel_state_text((enum channel_state)i), &read));
        assert_int_equal(read, i);
    }
}

static void other_words_are_no_states_and_no_causes(void **state)
{
    (void)state;
    enum job_state job;
    enum job_cause cause;
    enum channel_state channel;
    assert_false(job_state_parse("", &job));
    assert_false(job_state_parse("Queued", &job));
    assert_false(job_state_parse("queued ", &job));
    assert_false(job_cause_parse("quotas", &cause));
    assert_false(channel_state_parse("", &channel));
}

static void three_states_are_terminal_and_two_causes_pass_with_time(void **state)
{
    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(job_state_is_terminal((enum job_state)i),
                         i == JOB_COMPLETED || i == JOB_FAILED || i == JOB_CANCELLED);
    for (int i = 0; i < CAUSE_COUNT; i++)
        assert_int_equal(job_cause_is_timed((enum job_cause)i), i == CAUSE_QUOTA || i == CAUSE_UPLOAD_LIMIT);
}

static void a_channels_state_gives_its_jobs_their_cause(void **state)
{
    (void)state;
    assert_int_equal(channel_state_cause(CHANNEL_ACTIVE), CAUSE_NONE);
    assert_int_equal(channel_state_cause(CHANNEL_LIMITED), CAUSE_UPLOAD_LIMIT);
    assert_int_equal(channel_state_cause(CHANNEL_PAUSED), CAUSE_CHANNEL_PAUSED);
    assert_int_equal(channel_state_cause(CHANNEL_AUTH), CAUSE_CHANNEL_AUTH);
    assert_int_equal(channel_state_cause(CHANNEL_FROZEN), CAUSE_CHANNEL_FROZEN);
}

static void a_clients_states_have_their_words(void **state)
{
    (void)state;
    enum client_state found;
    for (int i = 0; i < CLIENT_STATE_COUNT; i++) {
        assert_true(client_state_parse(client_state_text((enum client_state)i), &found));
        assert_int_equal(found, i);
    }
    assert_false(client_state_parse("thawed", &found));
}

/* The table of docs/lifecycle.md: `| from \ to | queued | … |`, then one row a state with `yes` or `-`. */
static int read_row(const char *line, char cells[][32], int max)
{
    int count = 0;
    for (const char *at = strchr(line, '|'); at && count < max; count++) {
        const char *end = strchr(at + 1, '|');
        if (!end)
            break;
        const char *first = at + 1 + strspn(at + 1, " `");
        size_t length = strcspn(first, " `|");
        snprintf(cells[count], 32, "%.*s", (int)length, first);
        at = end;
    }
    return count;
}

static void the_table_of_the_documentation_is_this_one(void **state)
{
    (void)state;
    FILE *file = fopen(DOCS_LIFECYCLE, "r");
    if (!file)
        fail_msg("no %s", DOCS_LIFECYCLE);
    char line[512], cells[JOB_STATE_COUNT + 1][32];
    int rows = 0;
    enum job_state from, to;
    while (fgets(line, sizeof(line), file)) {
        if (read_row(line, cells, JOB_STATE_COUNT + 1) != JOB_STATE_COUNT + 1 ||
            !job_state_parse(cells[0], &from))
            continue;
        rows++;
        for (to = JOB_QUEUED; to < JOB_STATE_COUNT; to++) {
            const char *expected = from == to ? job_state_is_terminal(from) ? "-" : "stays"
                                   : job_move_is_allowed(from, to) ? "yes"
                                                                   : "-";
            if (strcmp(cells[to + 1], expected) != 0)
                fail_msg("%s -> %s is documented as '%s', but is '%s'", job_state_text(from),
                         job_state_text(to), cells[to + 1], expected);
        }
    }
    fclose(file);
    assert_int_equal(rows, JOB_STATE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_move_is_allowed_or_forbidden_as_written_here),
        cmocka_unit_test(a_video_that_exists_is_never_uploaded_again),
        cmocka_unit_test(states_and_causes_are_read_as_they_are_written),
        cmocka_unit_test(other_words_are_no_states_and_no_causes),
        cmocka_unit_test(three_states_are_terminal_and_two_causes_pass_with_time),
        cmocka_unit_test(a_channels_state_gives_its_jobs_their_cause),
        cmocka_unit_test(a_clients_states_have_their_words),
        cmocka_unit_test(the_table_of_the_documentation_is_this_one),
    };
    return RUN_UNIT_TESTS(tests);
}
