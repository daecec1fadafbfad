/* Connections that are kept and die meanwhile (docs/faults.md C10, I8): nothing is sent twice that may not
 * be. */
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "client.h"
#include "peer.h"
#include "unit.h"

#define OK_REPLY   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define BODY_BYTES 1000000

static struct client client;
static struct outcome outcome;
static struct source source;

static int set_up(void **state)
{
    (void)state;
    memset(&outcome, 0, sizeof outcome);
    client_init(&client);
    source_init(&source, BODY_BYTES);
    return 0;
}

/* The first request is served; the connection dies when the second one's head is there. */
static void die_when_used_again(struct peer *peer, int connection, void *ctx)
{
    char head[4096];
    if (peer_serve(peer, OK_REPLY) < 0)
        return;
    if (connection > 0) {
        while (peer_serve(peer, OK_REPLY) >= 0)
            ;
        return;
    }
    peer_read_head(peer, head, sizeof head);
    peer_read_bytes(peer, *(uint64_t *)ctx);
    peer_reset(peer);
}

/* A connection is kept and dies under the next request, which has no body, or one of 0 bytes. */
static int use_a_dead_connection(const char *method, bool is_repeatable)
{
    uint64_t none = 0;
    char url[64];
    struct peer_server *server = peer_start(PEER_GOOD, NULL, die_when_used_again, &none);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_init(&client);
    client_open(&client);
    client_get(&client, "https", peer_port(server), &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    struct http_exchange exchange = {.method = method, .url = url, .is_repeatable = is_repeatable};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    int accepted = peer_accepted(server);
    client_close(&client);
    peer_stop(server);
    return accepted;
}

static void c10_without_a_body_one_silent_retry(void **state)
{
    (void)state;
    static const char *const methods[] = {"PUT", "DELETE", "GET"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        assert_int_equal(use_a_dead_connection(methods[i], true), 2);
        assert_int_equal(outcome.reply.end, HTTP_OK);
    }
}

/* The server may have read and charged it: whoever sends it again must count it again. */
static void i8_what_costs_quota_is_never_sent_twice(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "POST"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        assert_int_equal(use_a_dead_connection(methods[i], false), 1);
        assert_int_equal(outcome.reply.end, HTTP_BROKEN);
        assert_string_equal(outcome.reply.message,
                            "127.0.0.1: a kept connection was dead when it was used again");
    }
}

static void c10_a_body_that_began_is_not_started_over(void **state)
{
    (void)state;
    uint64_t some = 100000;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, die_when_used_again, &some);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    client_get(&client, "https", peer_port(server), &outcome);
    struct http_exchange exchange = {
        .method = "PUT", .url = url, .stream = &source.body, .is_repeatable = true};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_BROKEN);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
    assert_true(source.given_bytes >= some);
    client_close(&client);
    peer_stop(server);
}

/* Also not a small one: the server may have read all of it, and a second POST is a second session. */
static void c10_a_small_body_is_not_sent_twice(void **state)
{
    (void)state;
    uint64_t all = 10;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, die_when_used_again, &all);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    client_get(&client, "http", peer_port(server), &outcome);
    struct http_exchange exchange = {
        .method = "POST", .url = url, .body = "0123456789", .body_len = 10, .is_repeatable = true};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_BROKEN);
    assert_int_equal(outcome.reply.sent_bytes, 10);
    client_close(&client);
    peer_stop(server);
}

static void serve_one(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_serve(peer, OK_REPLY);
}

/* The far end closed while idle, as servers do: nothing is sent there. The next body goes on a fresh
 * connection, whole, although it may not be sent twice. */
static void c10_a_connection_closed_while_idle_is_replaced(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_one, NULL);
    client_open(&client);
    client_get(&client, "https", peer_port(server), &outcome);
    peer_await_closed(server, 1);
    client_put(&client, "https", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(source.given_bytes, BODY_BYTES);
    assert_int_equal(peer_accepted(server), 2);
    client_close(&client);
    peer_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(c10_without_a_body_one_silent_retry, set_up),
        cmocka_unit_test_setup(i8_what_costs_quota_is_never_sent_twice, set_up),
        cmocka_unit_test_setup(c10_a_body_that_began_is_not_started_over, set_up),
        cmocka_unit_test_setup(c10_a_small_body_is_not_sent_twice, set_up),
        cmocka_unit_test_setup(c10_a_connection_closed_while_idle_is_replaced, set_up),
    };
    return RUN_UNIT_TESTS(tests);
}
