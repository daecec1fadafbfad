/* The CDN's copy is compared before anything is spent. */
#include <stdio.h>

#include "harness.h"

static struct harness *harness_at_cdn(void)
{
    struct harness *h = harness_new();
    struct job_claim claim = claim_of(1000);
    claim.has_cdn = true;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_source(h, SOURCE_OK);
    EXPECT(h, "token", "check source", "check CDN");
    return h;
}

static struct reply reply_size(int status, uint64_t size_bytes)
{
    struct reply reply = reply_of(status);
    reply.has_content_bytes = true;
    reply.content_bytes = size_bytes;
    return reply;
}

static void the_same_size_goes_on(void **state)
{
    (void)state;
    for (int status = 200; status <= 206; status += 6) {
        struct harness *h = harness_at_cdn();
        answer(h, reply_size(status, 1000));
        EXPECT(h, "store attempt uploads+1");
        harness_free(h);
    }
}

static void another_size_is_held_and_nothing_is_spent(void **state)
{
    (void)state;
    struct harness *h = harness_at_cdn();
    answer(h, reply_size(200, 1001));
    EXPECT(h, "store -> held cdn_mismatch release (cdnSizeDiffers)");
    assert_string_equal(h->write.note.message, "the CDN's copy has 1001 bytes, the file has 1000");
    harness_free(h);
}

static void a_cdn_that_tells_no_size_or_refuses_is_held(void **state)
{
    (void)state;
    static const int refusals[] = {301, 400, 401, 403, 404, 410, 204};
    struct harness *h = harness_at_cdn();
    answer(h, reply_of(200));
    EXPECT(h, "store -> held cdn_mismatch release (cdnSizeUnknown)");
    harness_free(h);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        h = harness_at_cdn();
        answer(h, reply_of(refusals[i]));
        EXPECT(h, "store -> held cdn_mismatch release (cdnRefused)");
        harness_free(h);
    }
}

static void a_url_that_may_not_be_asked_is_held(void **state)
{
    (void)state;
    struct harness *h = harness_at_cdn();
    struct reply reply = reply_of(0);
    reply.transport = TRANSPORT_LOCAL;
    reply.cdn_url_refused = true;
    snprintf(reply.message, sizeof(reply.message), "a private address");
    answer(h, reply);
    EXPECT(h, "store -> held cdn_mismatch release (cdnUrlRefused)");
    assert_string_equal(h->write.note.message, "a private address");
    harness_free(h);
}

static void an_unreachable_cdn_is_waited_for(void **state)
{
    (void)state;
    struct reply troubles[] = {reply_of(503), reply_of(429), reply_of(408), reply_of(0)};
    troubles[3].transport = TRANSPORT_CONNECT;
    for (int i = 0; i < 4; i++) {
        struct harness *h = harness_at_cdn();
        answer(h, troubles[i]);
        harness_wait(h, RETRY_BASE_MS);
        EXPECT(h, "check CDN");
        answer(h, reply_size(200, 1000));
        EXPECT(h, "store attempt uploads+1");
        harness_free(h);
    }
}

static void one_that_stays_away_gives_the_lease_back(void **state)
{
    (void)state;
    struct harness *h = harness_at_cdn();
    struct reply reply = reply_of(503);
    reply.retry_after_ms = RETRY_AFTER_KEEP_MS + 1;
    answer(h, reply);
    EXPECT(h, "store -> waiting release waits 1 (http 503)");
    assert_int_equal(h->write.feedback, FEEDBACK_NONE); /* not the channel's fault */
    harness_free(h);
}

static void a_session_that_is_open_does_not_ask_again(void **state)
{
    (void)state;
    struct harness *h = harness_new();
    struct job_claim claim = claim_with_session(1000, 0);
    claim.has_cdn = true;
    harness_claim(h, &claim);
    answer_token(h, TOKEN_OK);
    answer_opened(h, OPEN_OK);
    EXPECT(h, "token", "open session", "query");
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_size_goes_on),
        cmocka_unit_test(another_size_is_held_and_nothing_is_spent),
        cmocka_unit_test(a_cdn_that_tells_no_size_or_refuses_is_held),
        cmocka_unit_test(a_url_that_may_not_be_asked_is_held),
        cmocka_unit_test(an_unreachable_cdn_is_waited_for),
        cmocka_unit_test(one_that_stays_away_gives_the_lease_back),
        cmocka_unit_test(a_session_that_is_open_does_not_ask_again),
    };
    return RUN_UNIT_TESTS(tests);
}
