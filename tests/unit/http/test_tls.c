/* Faults of TLS (docs/faults.md group T): never downgraded, never sent; and breaks in mid-stream. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "peer.h"
#include "unit.h"

#define OK_REPLY   "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
#define BODY_BYTES 1000000

static struct client client;
static struct outcome outcome;
static struct source source;

static int set_up(void **state)
{
    (void)state;
    memset(&outcome, 0, sizeof outcome);
    client_init(&client);
    return 0;
}

static void serve_all(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    while (peer_serve(peer, OK_REPLY) >= 0)
        ;
}

static void put_against(enum peer_certificate certificate, const char *priority, peer_script *script,
                        const void *ctx)
{
    struct peer_server *server = peer_start(certificate, priority, script, ctx);
    source_init(&source, BODY_BYTES);
    client_open(&client);
    client_put(&client, "https", peer_port(server), &source, &outcome);
    client_close(&client);
    peer_stop(server);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
}

static void check_refused(enum peer_certificate certificate, const char *priority, const char *said)
{
    put_against(certificate, priority, serve_all, NULL);
    if (outcome.reply.end != HTTP_TLS || !strstr(outcome.reply.message, said))
        fail_msg("ended as %d: %s", (int)outcome.reply.end, outcome.reply.message);
    assert_int_equal(source.given_bytes, 0);
}

static void t01_an_expired_certificate_is_refused(void **state)
{
    (void)state;
    check_refused(PEER_EXPIRED, NULL, "expired");
    assert_non_null(strstr(outcome.reply.message, "clock"));
}

static void t02_a_certificate_for_another_host_is_refused(void **state)
{
    (void)state;
    check_refused(PEER_WRONG_HOST, NULL, "127.0.0.1");
}

static void t03_a_self_signed_certificate_is_refused(void **state)
{
    (void)state;
    check_refused(PEER_SELF_SIGNED, NULL, "certificate");
}

static void t03_an_unknown_ca_is_refused(void **state)
{
    (void)state;
    check_refused(PEER_UNKNOWN_CA, NULL, "certificate");
}

/* A CA file that is given stands alone: the system's own are not added, and none of it is taken for granted.
 */
static void t03_the_systems_cas_do_not_know_the_tests_ca(void **state)
{
    (void)state;
    client.config.ca_file = "/etc/ssl/certs/ca-certificates.crt";
    put_against(PEER_GOOD, NULL, serve_all, NULL);
    assert_int_equal(outcome.reply.end, HTTP_TLS);
}

static void t04_a_ca_file_that_is_missing_is_refused(void **state)
{
    (void)state;
    client.config.ca_file = "/nonexistent/ca.pem";
    put_against(PEER_GOOD, NULL, serve_all, NULL);
    assert_int_equal(outcome.reply.end, HTTP_TLS);
    assert_int_equal(source.given_bytes, 0);
}

static void t05_a_certificate_of_the_future_hints_at_the_clock(void **state)
{
    (void)state;
    check_refused(PEER_NOT_YET_VALID, NULL, "clock");
}

static void say_nothing(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_stall(peer);
}

/* A plain server that never answers the ClientHello. */
static void t06_a_stalled_handshake_is_no_connection(void **state)
{
    (void)state;
    client.config.connect_timeout_ms = 400;
    put_against(PEER_PLAIN, NULL, say_nothing, NULL);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    assert_int_equal(source.given_bytes, 0);
}

static void cut_hello(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char hello[5];
    peer_read_text(peer, hello, sizeof hello);
    if (ctx)
        peer_reset(peer);
    else
        peer_cut(peer);
}

/* No matter of trust: a connection that broke. */
static void c03_a_handshake_that_breaks_is_no_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        client_init(&client);
        put_against(PEER_PLAIN, NULL, cut_hello, i ? &client : NULL);
        if (outcome.reply.end != HTTP_CONNECT)
            fail_msg("ended as %d: %s", (int)outcome.reply.end, outcome.reply.message);
        assert_int_equal(source.given_bytes, 0);
    }
}

static void speak_plainly(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_write(peer, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    peer_stall(peer);
}

static void plain_http_on_a_tls_port_is_refused(void **state)
{
    (void)state;
    put_against(PEER_PLAIN, NULL, speak_plainly, NULL);
    assert_int_equal(outcome.reply.end, HTTP_TLS);
    assert_int_equal(source.given_bytes, 0);
}

static void break_in_mid_body(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char head[4096];
    peer_read_head(peer, head, sizeof head);
    peer_read_bytes(peer, 300000);
    if (ctx) {
        peer_garbage(peer);
        peer_stall(peer);
    } else {
        peer_alert(peer);
    }
}

static void t07_an_alert_in_mid_stream_is_a_broken_connection(void **state)
{
    (void)state;
    put_against(PEER_GOOD, NULL, break_in_mid_body, NULL);
    assert_int_equal(outcome.reply.end, HTTP_BROKEN);
    assert_true(source.given_bytes >= 300000);
}

static void answer_and_cut(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    if (peer_serve(peer, ctx) >= 0)
        peer_cut(peer);
}

static void t08_no_close_notify_after_a_whole_reply_is_fine(void **state)
{
    (void)state;
    put_against(PEER_GOOD, NULL, answer_and_cut, OK_REPLY);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.status, 201);
    assert_string_equal(outcome.body, "{}");
    assert_false(outcome.reply.body_is_cut);
}

static void t08_no_close_notify_in_a_reply_is_a_cut(void **state)
{
    (void)state;
    put_against(PEER_GOOD, NULL, answer_and_cut, "HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{");
    assert_int_equal(outcome.reply.end, HTTP_BROKEN);
}

/* Only the end of the connection ends such a reply: that may be a cut. */
static void t08_a_reply_without_a_length_may_be_cut(void **state)
{
    (void)state;
    put_against(PEER_GOOD, NULL, answer_and_cut, "HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n{}");
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.status, 201);
    assert_true(outcome.reply.body_is_cut);
}

static void t09_old_protocols_are_refused(void **state)
{
    (void)state;
    check_refused(PEER_GOOD, "NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT", "TLS 1.2 is the least");
    client_init(&client);
    check_refused(PEER_GOOD, "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT", "TLS 1.2 is the least");
}

static void t09_weak_ciphers_are_refused(void **state)
{
    (void)state;
    check_refused(PEER_GOOD, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC",
                  "TLS 1.2 is the least");
}

static void read_hello_and_close(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    unsigned char head[5] = {0};
    peer_read_text(peer, (char *)head, sizeof head);
    peer_read_bytes(peer, (uint64_t)head[3] << 8 | head[4]);
    peer_cut(peer);
}

/* As servers do that find no version or cipher they know in our hello, and send no alert. */
static void t09_a_hello_that_is_answered_by_an_end_is_refused(void **state)
{
    (void)state;
    put_against(PEER_PLAIN, NULL, read_hello_and_close, NULL);
    if (outcome.reply.end != HTTP_TLS || !strstr(outcome.reply.message, "TLS 1.2 is the least"))
        fail_msg("ended as %d: %s", (int)outcome.reply.end, outcome.reply.message);
    assert_int_equal(source.given_bytes, 0);
}

static void tls_1_2_is_good_enough(void **state)
{
    (void)state;
    put_against(PEER_GOOD, "NORMAL:-VERS-ALL:+VERS-TLS1.2", serve_all, NULL);
    assert_int_equal(outcome.reply.end, HTTP_OK);
}

static void t10_a_flipped_bit_is_a_broken_connection(void **state)
{
    (void)state;
    put_against(PEER_GOOD, NULL, break_in_mid_body, &client);
    assert_int_equal(outcome.reply.end, HTTP_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(t01_an_expired_certificate_is_refused, set_up),
        cmocka_unit_test_setup(t02_a_certificate_for_another_host_is_refused, set_up),
        cmocka_unit_test_setup(t03_a_self_signed_certificate_is_refused, set_up),
        cmocka_unit_test_setup(t03_an_unknown_ca_is_refused, set_up),
        cmocka_unit_test_setup(t03_the_systems_cas_do_not_know_the_tests_ca, set_up),
        cmocka_unit_test_setup(t04_a_ca_file_that_is_missing_is_refused, set_up),
        cmocka_unit_test_setup(t05_a_certificate_of_the_future_hints_at_the_clock, set_up),
        cmocka_unit_test_setup(t06_a_stalled_handshake_is_no_connection, set_up),
        cmocka_unit_test_setup(c03_a_handshake_that_breaks_is_no_connection, set_up),
        cmocka_unit_test_setup(plain_http_on_a_tls_port_is_refused, set_up),
        cmocka_unit_test_setup(t07_an_alert_in_mid_stream_is_a_broken_connection, set_up),
        cmocka_unit_test_setup(t08_no_close_notify_after_a_whole_reply_is_fine, set_up),
        cmocka_unit_test_setup(t08_no_close_notify_in_a_reply_is_a_cut, set_up),
        cmocka_unit_test_setup(t08_a_reply_without_a_length_may_be_cut, set_up),
        cmocka_unit_test_setup(t09_old_protocols_are_refused, set_up),
        cmocka_unit_test_setup(t09_weak_ciphers_are_refused, set_up),
        cmocka_unit_test_setup(t09_a_hello_that_is_answered_by_an_end_is_refused, set_up),
        cmocka_unit_test_setup(tls_1_2_is_good_enough, set_up),
        cmocka_unit_test_setup(t10_a_flipped_bit_is_a_broken_connection, set_up),
    };
    return RUN_UNIT_TESTS(tests);
}
