#include "unit.h"

#include <string.h>

#include "base/mem.h"
#include "cli/browser.h"
#include "cli/differences.h"
#include "cli/job_id.h"
#include "cli/job_view.h"

/* ---- ids ---- */

static void an_id_is_time_and_chance(void **state)
{
    static const unsigned char none[JOB_ID_RANDOM_BYTES] = {0};
    unsigned char all[JOB_ID_RANDOM_BYTES];
    struct job_id id;
    (void)state;
    memset(all, 0xff, sizeof(all));
    job_id_make(0, none, &id);
    assert_string_equal(id.text, "00000000000000000000000000");
    job_id_make(0xffffffffffff, all, &id);
    assert_string_equal(id.text, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    /* The example of the ULID specification. */
    job_id_make(1469918176385, none, &id);
    assert_memory_equal(id.text, "01ARYZ6S41", 10);
    static const unsigned char bits[JOB_ID_RANDOM_BYTES] = {0x08, 0x42, 0x10, 0x84, 0x21,
                                                            0x00, 0x44, 0x32, 0x14, 0xc7};
    job_id_make(0, bits, &id);
    assert_string_equal(id.text + 10, "1111111101234567");
}

static void ids_sort_by_time(void **state)
{
    static const unsigned char high[JOB_ID_RANDOM_BYTES] = {0xff, 0xff}, low[JOB_ID_RANDOM_BYTES] = {0};
    struct job_id earlier, later;
    (void)state;
    for (int64_t at = 1; at < INT64_C(1) << 47; at *= 3) {
        job_id_make(at - 1, high, &earlier);
        job_id_make(at, low, &later);
        assert_true(strcmp(earlier.text, later.text) < 0);
    }
}

/* ---- exit codes and advice ---- */

static void exit_codes_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(job_exit_code(JOB_COMPLETED, CAUSE_NONE), 0);
    assert_int_equal(job_exit_code(JOB_FAILED, CAUSE_NONE), 7);
    assert_int_equal(job_exit_code(JOB_CANCELLED, CAUSE_NONE), 7);
    assert_int_equal(job_exit_code(JOB_HELD, CAUSE_QUOTA), 6);
    assert_int_equal(job_exit_code(JOB_HELD, CAUSE_UPLOAD_LIMIT), 6);
    assert_int_equal(job_exit_code(JOB_HELD, CAUSE_CHANNEL_AUTH), 5);
    assert_int_equal(job_exit_code(JOB_HELD, CAUSE_AMBIGUOUS), 75);
    assert_int_equal(job_exit_code(JOB_WAITING, CAUSE_NONE), 75);
    assert_int_equal(job_exit_code(JOB_QUEUED, CAUSE_NONE), 75);
    assert_int_equal(job_worse_exit_code(0, 0), 0);
    assert_int_equal(job_worse_exit_code(75, 0), 75);
    assert_int_equal(job_worse_exit_code(6, 75), 6);
    assert_int_equal(job_worse_exit_code(6, 5), 5);
    assert_int_equal(job_worse_exit_code(5, 7), 7);
}

static void every_hold_has_a_reason_and_a_way_out(void **state)
{
    (void)state;
    for (int cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++) {
        struct store_job job = {.state = JOB_HELD, .cause = (enum job_cause)cause, .channel = "main"};
        struct buf why AUTO_BUF, next AUTO_BUF;
        strcpy(job.id.text, "01ARYZ6S410000000000000000");
        buf_init(&why, 2000);
        buf_init(&next, 2000);
        job_why(&job, &why);
        job_next(&job, &next);
        assert_true(why.len > 10);
        assert_true(next.len > 10);
        assert_null(strchr(next.data, '{'));
    }
}

static void a_reason_is_told_with_its_message(void **state)
{
    struct store_job job = {
        .state = JOB_FAILED, .error_reason = "invalidTitle", .error_message = "Bad title"};
    struct buf why AUTO_BUF;
    (void)state;
    buf_init(&why, 2000);
    job_why(&job, &why);
    assert_string_equal(why.data, "It failed for good. Reason: invalidTitle: Bad title");
}

static void a_job_as_json_has_no_secret_and_any_path(void **state)
{
    struct store_job job = {.state = JOB_COMPLETED, .video_id = "abc", .storage_path = mem_dup("a\xff.mp4")};
    (void)state;
    json_t *object = job_json(&job);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "file")), "a\\xff.mp4");
    assert_string_equal(json_string_value(json_object_get(object, "url")), "https://youtu.be/abc");
    assert_true(json_is_null(json_object_get(object, "cause")));
    assert_null(json_object_get(object, "session_url"));
    json_decref(object);
    store_job_release(&job);
}

/* ---- what differs ---- */

static void assert_differs(const char *a, const char *b, const char *expected)
{
    struct buf out AUTO_BUF;
    buf_init(&out, 1000);
    differences_metadata(a, b, &out);
    assert_string_equal(out.data, expected);
}

static void differing_fields_are_named(void **state)
{
    (void)state;
    assert_differs("{\"snippet\":{\"title\":\"a\"}}", "{\"snippet\":{\"title\":\"a\"}}", "");
    assert_differs("{\"snippet\":{\"title\":\"a\",\"tags\":[\"x\"]}}", "{\"snippet\":{\"title\":\"b\"}}",
                   "snippet.title, snippet.tags");
    assert_differs("{\"status\":{\"privacyStatus\":\"private\"}}",
                   "{\"status\":{\"privacyStatus\":\"private\",\"publishAt\":\"x\"}}", "status.publishAt");
    assert_differs("{}", "{\"notifySubscribers\":false,\"localizations\":{\"de\":{\"title\":\"t\"}}}",
                   "notifySubscribers, localizations.de");
    assert_differs("{\"localizations\":{\"de\":{}}}", "{}", "localizations.de");
}

/* ---- the browser ---- */

static void a_browser_is_started_without_a_shell(void **state)
{
    char command[] = "firefox -P work  %s --new-tab:w3m", plain[] = "w3m", none[] = "  ";
    char *words[BROWSER_WORDS_MAX + 1];
    (void)state;
    assert_int_equal(browser_words(command, "https://x/?a=1&b=$(rm)", words), 5);
    assert_string_equal(words[2], "work");
    assert_string_equal(words[3], "https://x/?a=1&b=$(rm)");
    assert_string_equal(words[4], "--new-tab");
    assert_null(words[5]);
    assert_int_equal(browser_words(plain, "u", words), 2);
    assert_string_equal(words[1], "u");
    assert_int_equal(browser_words(none, "u", words), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_time_and_chance),
        cmocka_unit_test(ids_sort_by_time),
        cmocka_unit_test(exit_codes_are_those_of_the_manual),
        cmocka_unit_test(every_hold_has_a_reason_and_a_way_out),
        cmocka_unit_test(a_reason_is_told_with_its_message),
        cmocka_unit_test(a_job_as_json_has_no_secret_and_any_path),
        cmocka_unit_test(differing_fields_are_named),
        cmocka_unit_test(a_browser_is_started_without_a_shell),
    };
    return RUN_UNIT_TESTS(tests);
}
