#include "unit.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "web/metrics.h"

enum { NOW = 1000000 };

static struct buf text;
static struct view *view;

static int setup(void **state)
{
    (void)state;
    buf_init(&text, METRICS_BYTES_MAX);
    view = view_new();
    view->started_at_mono_ms = view->at_mono_ms = NOW;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_release(&text);
    view_drop(view);
    return 0;
}

static void assert_line(const char *line)
{
    char *whole AUTO_FREE = mem_printf("\n%s\n", line);
    buf_clear(&text);
    buf_putc(&text, '\n');
    metrics_write(&text, view, NOW);
    if (!strstr(text.data, whole))
        fail_msg("no line %s in %s", line, text.data);
}

static void assert_no(const char *part)
{
    buf_clear(&text);
    metrics_write(&text, view, NOW);
    if (strstr(text.data, part))
        fail_msg("%s in %s", part, text.data);
}

static void names_are_ours_and_of_their_kind(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < metric_count; i++) {
        const char *name = metrics[i].name;
        bool is_total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
        assert_true(text_starts_with(name, "sluice_"));
        assert_int_equal(is_total, metrics[i].type == METRIC_COUNTER);
        assert_null(strpbrk(metrics[i].help, "\n\\"));
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(name, metrics[k].name);
    }
}

static void counters_are_told_as_they_are(void **state)
{
    (void)state;
    view->counts.jobs_claimed = 18446744073709551615u;
    view->counts.jobs_settled[JOB_HELD][CAUSE_QUOTA] = 7;
    view->counts.retries[RETRY_SERVER] = 3;
    view->counts.broken[TRANSPORT_SOURCE_IO] = 2;
    view->counts.replies[REQUEST_PUT_KIND][1] = 5;
    assert_line("sluice_jobs_claimed_total 18446744073709551615");
    assert_line("sluice_jobs_settled_total{state=\"held\",cause=\"quota\"} 7");
    assert_line("sluice_retries_total{class=\"http_5xx\"} 3");
    assert_line("sluice_http_failures_total{kind=\"source_io\"} 2");
    assert_line("sluice_http_replies_total{request=\"put\",class=\"3xx\"} 5");
}

static void a_histogram_is_cumulative_and_in_seconds(void **state)
{
    (void)state;
    struct histogram *histogram = &view->counts.first_byte_ms;
    histogram_add(histogram, &buckets_first_byte_ms, 7);
    histogram_add(histogram, &buckets_first_byte_ms, 2500);
    histogram_add(histogram, &buckets_first_byte_ms, 3600000);
    assert_line("sluice_first_byte_seconds_bucket{le=\"0.01\"} 1");
    assert_line("sluice_first_byte_seconds_bucket{le=\"1\"} 1");
    assert_line("sluice_first_byte_seconds_bucket{le=\"2.5\"} 2");
    assert_line("sluice_first_byte_seconds_bucket{le=\"60\"} 2");
    assert_line("sluice_first_byte_seconds_bucket{le=\"+Inf\"} 3");
    assert_line("sluice_first_byte_seconds_sum 3602.507");
    assert_line("sluice_first_byte_seconds_count 3");
    assert_line("sluice_store_batch_requests_bucket{le=\"256\"} 0");
}

static void put_queue(const char *tenant, int64_t taken_at_mono_ms)
{
    view->queue = queue_new();
    view->queue->depths = mem_alloc(sizeof(*view->queue->depths));
    view->queue->depth_count = 1;
    view->queue->taken_at_mono_ms = taken_at_mono_ms;
    view->queue->depths[0] = (struct store_queue){
        .region = "eu", .state = JOB_HELD, .cause = CAUSE_QUOTA, .count = 12, .bytes = 34};
    text_copy(view->queue->depths[0].tenant, NAME_SIZE, tenant);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    put_queue("a\"b\\c\nd\xFF"
              "\xC3\xA9",
              NOW);
    assert_line(
        "sluice_queue_depth{region=\"eu\",tenant=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\xC3\xA9\",state=\"held\","
        "cause=\"quota\"} 12");
}

static void what_rests_is_told_from_what_can_be_taken(void **state)
{
    (void)state;
    put_queue("t", NOW);
    view->queue->depths[0] =
        (struct store_queue){.tenant = "t", .region = "eu", .state = JOB_QUEUED, .rests = true, .count = 5};
    assert_line("sluice_queue_depth{region=\"eu\",tenant=\"t\",state=\"queued\",cause=\"resting\"} 5");
    view->queue->depths[0].rests = false;
    assert_line("sluice_queue_depth{region=\"eu\",tenant=\"t\",state=\"queued\",cause=\"\"} 5");
}

static void the_queue_shows_its_age(void **state)
{
    (void)state;
    put_queue("t", NOW - QUEUE_STALE_MS);
    assert_line("sluice_queue_bytes{region=\"eu\",tenant=\"t\",state=\"held\",cause=\"quota\"} 34");
    assert_line("sluice_queue_age_seconds 600");
}

static void a_queue_from_long_ago_or_none_is_left_out(void **state)
{
    (void)state;
    assert_no("sluice_queue_depth{");
    assert_no("\nsluice_queue_age_seconds ");
    put_queue("t", NOW - QUEUE_STALE_MS - 1);
    assert_no("sluice_queue_depth{");
    assert_line("sluice_queue_age_seconds 600.001");
}

static void a_view_goes_with_the_last_who_holds_it(void **state)
{
    (void)state;
    struct board *board = board_new();
    assert_null(board_take(board));
    struct view *first = view_new();
    first->active = 1;
    board_put(board, first);
    struct view *held = board_take(board);
    board_put(board, view_new());
    assert_int_equal(held->active, 1); /* the sanitizer would tell if it were gone */
    view_drop(held);
    assert_int_equal(board_asked_at_mono_ms(board), 0);
    board_ask(board, 5);
    assert_int_equal(board_asked_at_mono_ms(board), 5);
    board_free(board);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_ours_and_of_their_kind),          TEST(counters_are_told_as_they_are),
        TEST(a_histogram_is_cumulative_and_in_seconds),  TEST(label_values_are_escaped),
        TEST(what_rests_is_told_from_what_can_be_taken), TEST(the_queue_shows_its_age),
        TEST(a_queue_from_long_ago_or_none_is_left_out), TEST(a_view_goes_with_the_last_who_holds_it),
    };
    return RUN_UNIT_TESTS(tests);
}
