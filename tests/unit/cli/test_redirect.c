#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "cli/loopback.h"

#define HOST  "127.0.0.1:4711"
#define STATE "s-t_4te"

static enum loopback_verdict read_head(const char *head, struct loopback_answer *answer)
{
    return loopback_read_request(head, strlen(head), HOST, STATE, answer);
}

/* A request for `target` as a browser sends it. */
static enum loopback_verdict request(const char *target, struct loopback_answer *answer)
{
    char head[4096];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: " HOST "\r\nAccept: */*\r\n\r\n", target);
    return read_head(head, answer);
}

static void assert_verdict(const char *target, enum loopback_verdict expected)
{
    struct loopback_answer answer = {0};
    enum loopback_verdict verdict = request(target, &answer);
    bool has_answer = answer.code.data || answer.refusal[0];
    loopback_answer_release(&answer);
    if (verdict != expected || has_answer != (expected == LOOPBACK_TAKEN))
        fail_msg("%s: verdict %d, expected %d, answer %d", target, verdict, expected, has_answer);
}

static void a_code_is_taken_and_decoded(void **state)
{
    struct loopback_answer answer = {0};
    (void)state;
    assert_int_equal(request("/?state=" STATE "&code=4%2F0Ab%2bC&scope=a+b", &answer), LOOPBACK_TAKEN);
    assert_string_equal(answer.code.data, "4/0Ab+C");
    assert_string_equal(answer.refusal, "");
    loopback_answer_release(&answer);
}

static void a_refusal_is_taken(void **state)
{
    struct loopback_answer answer = {0};
    (void)state;
    assert_int_equal(request("/?error=access_denied&state=" STATE, &answer), LOOPBACK_TAKEN);
    assert_null(answer.code.data);
    assert_string_equal(answer.refusal, "access_denied");
    loopback_answer_release(&answer);
}

static void a_wrong_state_is_refused(void **state)
{
    (void)state;
    assert_verdict("/?code=x&state=other", LOOPBACK_WRONG_STATE);
    assert_verdict("/?code=x&state=s-t_4t", LOOPBACK_WRONG_STATE);
    assert_verdict("/?code=x&state=s-t_4teX", LOOPBACK_WRONG_STATE);
    assert_verdict("/?code=x", LOOPBACK_WRONG_STATE);
    assert_verdict("/?error=access_denied", LOOPBACK_WRONG_STATE);
}

static void what_is_doubled_or_malformed_is_refused(void **state)
{
    (void)state;
    assert_verdict("/?code=x&code=y&state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?code=x&state=" STATE "&state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?code=x&error=y&state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?code=%4&state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?code=%zz&state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?code=%0d%0aX&state=" STATE, LOOPBACK_BAD);
    assert_verdict("/?code=%00&state=" STATE, LOOPBACK_BAD);
}

static void other_paths_are_nothing(void **state)
{
    (void)state;
    assert_verdict("/favicon.ico", LOOPBACK_OTHER);
    assert_verdict("/", LOOPBACK_OTHER);
    assert_verdict("/x?code=x&state=" STATE, LOOPBACK_OTHER);
    assert_verdict("/?utm=1", LOOPBACK_OTHER);
}

static void a_request_in_pieces_is_waited_for(void **state)
{
    static const char head[] = "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\n\r\n";
    (void)state;
    for (size_t len = 0; len < sizeof(head) - 1; len++) {
        struct loopback_answer answer = {0};
        assert_int_equal(loopback_read_request(head, len, HOST, STATE, &answer), LOOPBACK_MORE);
    }
    struct loopback_answer answer = {0};
    assert_int_equal(read_head(head, &answer), LOOPBACK_TAKEN);
    loopback_answer_release(&answer);
}

/* A page of another site that points a name of its own at 127.0.0.1 must learn nothing here. */
static void another_host_is_refused(void **state)
{
    static const char *const heads[] = {
        "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: evil.example:4711\r\n\r\n",
        "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: 127.0.0.1:47110\r\n\r\n",
        "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\nHost: " HOST "\r\n\r\n",
        "GET /?code=x&state=" STATE " HTTP/1.1\r\nX: Host: " HOST "\r\n\r\n",
        "GET /?code=x&state=" STATE " HTTP/1.1\r\n\r\n",
        "POST /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\n\r\n",
        "GET /?code=x&state=" STATE "\r\nHost: " HOST "\r\n\r\n",
        "GET http://" HOST "/?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct loopback_answer answer = {0};
        assert_int_equal(read_head(heads[i], &answer), LOOPBACK_BAD);
        assert_null(answer.code.data);
    }
}

static void a_pasted_url_is_read(void **state)
{
    struct loopback_answer answer = {0};
    (void)state;
    assert_int_equal(
        loopback_read_url("http://127.0.0.1:4711/?code=4%2Fx&state=" STATE "#frag \r", STATE, &answer),
        LOOPBACK_TAKEN);
    assert_string_equal(answer.code.data, "4/x");
    loopback_answer_release(&answer);
    assert_int_equal(loopback_read_url("https://accounts.google.com/", STATE, &answer), LOOPBACK_OTHER);
    assert_int_equal(loopback_read_url("", STATE, &answer), LOOPBACK_OTHER);
    assert_int_equal(loopback_read_url("http://127.0.0.1:4711/?code=x&state=no", STATE, &answer),
                     LOOPBACK_WRONG_STATE);
    assert_null(answer.code.data);
}

/* Bytes of the pieces that matter, in any order: no crash, and never a code without the right state. */
static void random_requests_never_pass_without_the_state(void **state)
{
    static const char *const pieces[] = {"GET /", "?",        "code=",  "state=", "x",      "&",
                                         "%",     "%2",       "=",      "\r\n",   "Host: ", HOST,
                                         " ",     "HTTP/1.1", "error=", "\n"};
    (void)state;
    uint64_t seed = random_u64(), bits = seed;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 20000; round++) {
        char head[512] = "GET /?";
        struct loopback_answer answer = {0};
        for (int i = 0; i < 14; i++) {
            bits = bits * 6364136223846793005u + 1442695040888963407u;
            strncat(head, pieces[bits >> 60], sizeof(head) - strlen(head) - 1);
        }
        strncat(head, "\r\n\r\n", sizeof(head) - strlen(head) - 1);
        assert_int_not_equal(read_head(head, &answer), LOOPBACK_TAKEN);
        assert_null(answer.code.data);
    }
}

static int start_vault(void **state)
{
    (void)state;
    vault_start();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_code_is_taken_and_decoded, start_vault),
        cmocka_unit_test(a_refusal_is_taken),
        cmocka_unit_test(a_wrong_state_is_refused),
        cmocka_unit_test(what_is_doubled_or_malformed_is_refused),
        cmocka_unit_test(other_paths_are_nothing),
        cmocka_unit_test(a_request_in_pieces_is_waited_for),
        cmocka_unit_test(another_host_is_refused),
        cmocka_unit_test(a_pasted_url_is_read),
        cmocka_unit_test(random_requests_never_pass_without_the_state),
    };
    return RUN_UNIT_TESTS(tests);
}
