#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/random.h"
#include "vault/message.h"

static void put_token_ask(struct message_out *out, const char *job)
{
    message_start(out, MESSAGE_TOKEN, 77);
    message_put_number(out, 1);
    message_put_number(out, -2);
    message_put_text(out, job);
    message_put_number(out, INT64_MAX);
    message_put_number(out, INT64_MIN);
}

/* The frame without its length. */
static struct secret token_ask(size_t *ret_len)
{
    struct message_out out;
    struct secret frame = {0};
    put_token_ask(&out, "01JABC");
    assert_true(message_finish(&out, &frame, ret_len));
    assert_int_equal((unsigned char)frame.data[3], *ret_len - 4);
    *ret_len -= 4;
    memmove(frame.data, frame.data + 4, *ret_len);
    return frame;
}

static int parse(const void *frame, size_t len, struct message *ret)
{
    return message_parse(frame, len, ret, NULL);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    size_t len;
    struct secret frame AUTO_SECRET = token_ask(&len);
    struct message message;
    assert_int_equal(parse(frame.data, len, &message), 0);
    assert_int_equal(message.type, MESSAGE_TOKEN);
    assert_int_equal(message.id, 77);
    assert_int_equal(message.fields[ASK_TENANT_ID].number, 1);
    assert_int_equal(message.fields[ASK_CHANNEL_ID].number, -2);
    assert_string_equal(message.fields[ASK_JOB].text, "01JABC");
    assert_int_equal(message.fields[ASK_JOB].len, 6);
    assert_true(message.fields[ASK_EPOCH].number == INT64_MAX);
    assert_true(message.fields[ASK_FRESH].number == INT64_MIN);
}

static void x06_every_truncation_is_refused(void **state)
{
    (void)state;
    size_t len;
    struct secret frame AUTO_SECRET = token_ask(&len);
    struct message message = {.id = 4711};
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(parse(frame.data, cut, &message), ERR_INVALID);
    assert_int_equal(message.id, 4711); /* untouched */
}

static void x06_a_byte_too_many_is_refused(void **state)
{
    (void)state;
    size_t len;
    struct secret frame AUTO_SECRET = token_ask(&len);
    struct secret longer AUTO_SECRET = {0};
    struct message message;
    secret_reserve(&longer, len + 1);
    memcpy(longer.data, frame.data, len);
    assert_int_equal(parse(longer.data, len + 1, &message), ERR_INVALID);
}

static void x06_every_other_kind_or_length_is_refused(void **state)
{
    (void)state;
    size_t len;
    struct secret frame AUTO_SECRET = token_ask(&len);
    struct message message;
    /* type and id, then per field: kind, four bytes of length, data */
    static const size_t heads[] = {9, 22, 35, 47, 60};
    for (size_t field = 0; field < ARRAY_LEN(heads); field++)
        for (size_t at = heads[field]; at < heads[field] + 5; at++)
            for (int other = 1; other < 256; other++) {
                frame.data[at] = (char)(frame.data[at] ^ other);
                assert_int_equal(parse(frame.data, len, &message), ERR_INVALID);
                frame.data[at] = (char)(frame.data[at] ^ other);
            }
    assert_int_equal(parse(frame.data, len, &message), 0);
}

static void x06_a_nul_inside_a_text_is_refused(void **state)
{
    (void)state;
    size_t len;
    struct secret frame AUTO_SECRET = token_ask(&len);
    struct message message;
    char *text = memmem(frame.data, len, "01JABC", 7);
    text[2] = '\0';
    assert_int_equal(parse(frame.data, len, &message), ERR_INVALID);
    text[2] = 'J';
    text[6] = 'x'; /* and none at its end */
    assert_int_equal(parse(frame.data, len, &message), ERR_INVALID);
}

static void x06_noise_never_parses_as_something_else(void **state)
{
    (void)state;
    unsigned char noise[256];
    struct message message;
    for (int turn = 0; turn < 20000; turn++) {
        random_bytes(noise, sizeof(noise));
        size_t len = noise[255];
        noise[0] %= MESSAGE_TYPE_COUNT;
        if (parse(noise, len, &message) == 0)
            fail_msg("%zu bytes of noise are a '%s' message", len, message_name(message.type));
    }
}

static void a_text_over_its_limit_is_not_sent(void **state)
{
    (void)state;
    struct message_out out;
    struct secret frame AUTO_SECRET = {0};
    size_t len;
    char job[64];
    memset(job, 'x', sizeof(job));
    job[32] = '\0';
    put_token_ask(&out, job);
    assert_true(message_finish(&out, &frame, &len));
    secret_release(&frame);
    job[32] = 'x';
    job[33] = '\0';
    put_token_ask(&out, job);
    assert_false(message_finish(&out, &frame, &len));
    assert_null(frame.data);
}

static void no_text_is_an_empty_one(void **state)
{
    (void)state;
    struct message_out out;
    struct secret frame AUTO_SECRET = {0};
    struct message message;
    size_t len;
    put_token_ask(&out, NULL);
    assert_true(message_finish(&out, &frame, &len));
    assert_int_equal(parse(frame.data + 4, len - 4, &message), 0);
    assert_string_equal(message.fields[ASK_JOB].text, "");
}

int main(void)
{
    vault_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(x06_every_truncation_is_refused),
        cmocka_unit_test(x06_a_byte_too_many_is_refused),
        cmocka_unit_test(x06_every_other_kind_or_length_is_refused),
        cmocka_unit_test(x06_a_nul_inside_a_text_is_refused),
        cmocka_unit_test(x06_noise_never_parses_as_something_else),
        cmocka_unit_test(a_text_over_its_limit_is_not_sent),
        cmocka_unit_test(no_text_is_an_empty_one),
    };
    return RUN_UNIT_TESTS(tests);
}
