/* Replies that lie, overflow or come too early (docs/faults.md P12, P13, H14, H15). */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "peer.h"
#include "unit.h"

#define BODY_BYTES 50000000

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

static void serve_text(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    while (peer_serve(peer, ctx) >= 0)
        ;
}

/* Which end a reply to a GET has; the next request must use another connection if `is_closed`. */
static void check_reply(const char *reply, enum http_end end, bool is_closed)
{
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_text, reply);
    client_init(&client);
    client_open(&client);
    client_get(&client, "http", peer_port(server), &outcome);
    if (outcome.reply.end != end)
        fail_msg("%s\nended as %d (%s)", reply, (int)outcome.reply.end, outcome.reply.message);
    client_get(&client, "http", peer_port(server), &outcome);
    if ((peer_accepted(server) == 2) != is_closed)
        fail_msg("%s\nwrong use of the connection: %d opened", reply, peer_accepted(server));
    client_close(&client);
    peer_stop(server);
}

static void p12_doubtful_lengths_are_refused(void **state)
{
    (void)state;
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", HTTP_OK, false);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 9\r\n\r\nhi", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nhi", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhi", HTTP_PROTOCOL, true);
}

static void p12_broken_heads_are_refused(void **state)
{
    (void)state;
    check_reply("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", HTTP_PROTOCOL, true);
    check_reply("SSH-2.0-OpenSSH_9.2\r\n", HTTP_PROTOCOL, true);
}

static void p12_too_long_a_length_is_a_broken_reply(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(
        PEER_GOOD, NULL, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhi");
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    struct http_exchange exchange = {.method = "GET", .url = url, .reply_deadline_ms = 300};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_TIMEOUT);
    assert_int_equal(outcome.reply.status, 200);
    client_close(&client);
    peer_stop(server);
}

static void p12_what_follows_a_reply_is_not_the_next_one(void **state)
{
    (void)state;
    check_reply(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        HTTP_OK, true);
}

static void interim_replies_are_passed_over(void **state)
{
    (void)state;
    check_reply("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nB: c\r\n\r\nhi",
                HTTP_OK, false);
    assert_string_equal(outcome.headers, "Content-Length: 2\nB: c\n");
    assert_int_equal(outcome.reply.status, 200);
}

static void trailers_are_not_headers(void **state)
{
    (void)state;
    check_reply(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nRange: bytes=0-9\r\n\r\n",
        HTTP_OK, false);
    assert_string_equal(outcome.headers, "Transfer-Encoding: chunked\n");
    assert_string_equal(outcome.body, "hi");
}

/* ---- early replies ---- */

struct early {
    const char *reply;
    enum { STOPS_READING, RESETS, READS_ON } then;
};

static void answer_early(struct peer *peer, int connection, void *ctx)
{
    const struct early *early = ctx;
    char head[4096];
    if (connection > 0) {
        peer_serve(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    peer_read_head(peer, head, sizeof head);
    peer_read_bytes(peer, 100000);
    peer_write(peer, early->reply);
    if (early->then == RESETS)
        peer_reset(peer);
    else if (early->then == READS_ON)
        peer_read_bytes(peer, BODY_BYTES);
    else
        peer_stall(peer);
}

static void check_early(enum peer_certificate certificate, struct early early, int status, const char *body)
{
    const char *scheme = certificate == PEER_PLAIN ? "http" : "https";
    struct peer_server *server = peer_start(certificate, NULL, answer_early, &early);
    client_init(&client);
    client_open(&client);
    source_init(&source, BODY_BYTES);
    client_put(&client, scheme, peer_port(server), &source, &outcome);
    if (outcome.reply.end != HTTP_OK)
        fail_msg("%s\nended as %d (%s)", early.reply, (int)outcome.reply.end, outcome.reply.message);
    assert_int_equal(outcome.reply.status, status);
    assert_true(outcome.reply.early);
    assert_string_equal(outcome.body, body);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
    assert_true(source.given_bytes < BODY_BYTES);
    client_get(&client, scheme, peer_port(server), &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(peer_accepted(server), 2);
    client_close(&client);
    peer_stop(server);
}

static void check_early_both(const char *reply, int status, const char *body)
{
    check_early(PEER_PLAIN, (struct early){reply, STOPS_READING}, status, body);
    check_early(PEER_GOOD, (struct early){reply, STOPS_READING}, status, body);
    check_early(PEER_GOOD, (struct early){reply, READS_ON}, status, body);
}

static void p13_an_early_error_stops_the_body(void **state)
{
    (void)state;
    check_early_both("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy",
                     503, "busy");
    check_early_both("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnope", 401,
                     "nope");
    check_early_both("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", 417, "");
}

static void p13_an_early_308_stops_the_body(void **state)
{
    (void)state;
    check_early_both("HTTP/1.1 308 Resume Incomplete\r\nRange: bytes=0-99999\r\nContent-Length: 0\r\n\r\n",
                     308, "");
}

static void p13_an_early_success_stops_the_body(void **state)
{
    (void)state;
    check_early_both("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}");
    check_early_both("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 201,
                     "{}");
}

/* The rest of the reply never comes: its status is known, and that is what counts. */
static void p13_an_early_reply_may_stay_cut(void **state)
{
    (void)state;
    check_early_both("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000\r\n\r\nbu", 503, "bu");
}

static void p13_an_early_reply_survives_a_reset(void **state)
{
    (void)state;
    struct early early = {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", RESETS};
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, answer_early, &early);
    client_open(&client);
    source_init(&source, BODY_BYTES);
    client_put(&client, "http", peer_port(server), &source, &outcome);
    /* A reset may overtake the reply; whichever came, the count is exact and the end is no success. */
    if (outcome.reply.end == HTTP_OK)
        assert_int_equal(outcome.reply.status, 503);
    else
        assert_int_equal(outcome.reply.end, HTTP_BROKEN);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
    client_close(&client);
    peer_stop(server);
}

/* The body waits for the disk when the answer comes: it must not wait on. */
static void p13_an_early_reply_ends_a_waiting_body(void **state)
{
    (void)state;
    static const struct early replies[] = {
        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", STOPS_READING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n", STOPS_READING},
    };
    for (size_t i = 0; i < 2; i++) {
        struct peer_server *server = peer_start(PEER_GOOD, NULL, answer_early, &replies[i]);
        client_init(&client);
        client_open(&client);
        source_init(&source, BODY_BYTES);
        source.later_at = 100000;
        source.waits = true;
        source.piece_max = 10000;
        client_put(&client, "https", peer_port(server), &source, &outcome);
        assert_int_equal(outcome.reply.end, HTTP_OK);
        assert_true(outcome.reply.early);
        assert_string_equal(outcome.body, "busy");
        client_close(&client);
        peer_stop(server);
    }
}

static void read_all_and_answer(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_serve(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void p13_the_body_does_not_wait_for_a_100(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, read_all_and_answer, NULL);
    client_open(&client);
    source_init(&source, 3000000); /* curl would ask above 1 MiB */
    client_put(&client, "http", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_false(outcome.reply.early);
    client_close(&client);
    peer_stop(server);
}

/* ---- redirects ---- */

static void redirect(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char reply[200];
    snprintf(reply, sizeof reply,
             "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://localhost:%d/\r\n"
             "Content-Length: 0\r\n\r\n",
             *(int *)ctx);
    peer_serve(peer, reply);
}

static void h14_a_redirect_is_not_followed(void **state)
{
    (void)state;
    const char *headers[] = {"Authorization: Bearer planted", NULL};
    struct peer_server *elsewhere = peer_start(PEER_GOOD, NULL, read_all_and_answer, NULL);
    int port = peer_port(elsewhere);
    struct peer_server *server = peer_start(PEER_GOOD, NULL, redirect, &port);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    source_init(&source, 1000);
    client_start(&client, "PUT", url, headers, &source, &outcome);
    client_run(&client, &outcome);
    client_close(&client);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.status, 307);
    assert_true(http_has_header(outcome.headers, "location"));
    assert_int_equal(peer_accepted(elsewhere), 0);
    peer_stop(server);
    peer_stop(elsewhere);
}

/* ---- caps ---- */

static void send_much(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char block[16384];
    memset(block, 'x', sizeof block);
    if (peer_serve(peer, ctx) < 0)
        return;
    for (int i = 0; i < 640 && peer_write_n(peer, block, sizeof block); i++)
        ;
}

static void check_much(const char *head, int status)
{
    struct peer_server *server = peer_start(PEER_GOOD, NULL, send_much, head);
    client_init(&client);
    client_open(&client);
    client_get(&client, "https", peer_port(server), &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.status, status);
    assert_int_equal(outcome.reply.body_len, 65536);
    assert_true(outcome.reply.body_is_cut);
    client_get(&client, "https", peer_port(server), &outcome);
    assert_int_equal(peer_accepted(server), 2);
    client_close(&client);
    peer_stop(server);
}

static void h15_a_large_body_is_cut(void **state)
{
    (void)state;
    check_much("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 10485760\r\n\r\n", 502);
    check_much("HTTP/1.1 502 Bad Gateway\r\n\r\n", 502);
    check_much("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10485760\r\n\r\n", 200);
}

struct endless {
    const char *begin, *piece;
};

static void send_headers_for_ever(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    if (peer_serve(peer, "HTTP/1.1 ") < 0)
        return;
    const struct endless *endless = ctx;
    peer_write(peer, endless->begin);
    while (peer_write(peer, endless->piece))
        ;
}

static void check_endless(const char *begin, const char *piece)
{
    struct endless endless = {begin, piece};
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, send_headers_for_ever, &endless);
    client_init(&client);
    client_open(&client);
    client_get(&client, "http", peer_port(server), &outcome);
    assert_int_equal(outcome.reply.end, HTTP_PROTOCOL);
    client_close(&client);
    peer_stop(server);
}

static void h15_endless_headers_are_given_up(void **state)
{
    (void)state;
    check_endless("200 OK\r\n",
                  "X-Filler: 0123456789012345678901234567890123456789012345678901234567890\r\n");
    check_endless("200 OK\r\n", "0123456789012345678901234567890123456789");
    check_endless("", "0123456789012345678901234567890123456789");
    check_endless("100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(p12_doubtful_lengths_are_refused, set_up),
        cmocka_unit_test_setup(p12_broken_heads_are_refused, set_up),
        cmocka_unit_test_setup(p12_too_long_a_length_is_a_broken_reply, set_up),
        cmocka_unit_test_setup(p12_what_follows_a_reply_is_not_the_next_one, set_up),
        cmocka_unit_test_setup(interim_replies_are_passed_over, set_up),
        cmocka_unit_test_setup(trailers_are_not_headers, set_up),
        cmocka_unit_test_setup(p13_an_early_error_stops_the_body, set_up),
        cmocka_unit_test_setup(p13_an_early_308_stops_the_body, set_up),
        cmocka_unit_test_setup(p13_an_early_success_stops_the_body, set_up),
        cmocka_unit_test_setup(p13_an_early_reply_may_stay_cut, set_up),
        cmocka_unit_test_setup(p13_an_early_reply_survives_a_reset, set_up),
        cmocka_unit_test_setup(p13_an_early_reply_ends_a_waiting_body, set_up),
        cmocka_unit_test_setup(p13_the_body_does_not_wait_for_a_100, set_up),
        cmocka_unit_test_setup(h14_a_redirect_is_not_followed, set_up),
        cmocka_unit_test_setup(h15_a_large_body_is_cut, set_up),
        cmocka_unit_test_setup(h15_endless_headers_are_given_up, set_up),
    };
    return RUN_UNIT_TESTS(tests);
}
