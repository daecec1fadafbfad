/* What an exchange does when nothing goes wrong, or when we ourselves want it to stop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "peer.h"
#include "unit.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Test: yes\r\n\r\nhi"

static struct client client;
static struct outcome outcome, second;
static struct source source;

static int set_up(void **state)
{
    (void)state;
    memset(&outcome, 0, sizeof outcome);
    memset(&second, 0, sizeof second);
    client_init(&client);
    return 0;
}

static void serve_all(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    while (peer_serve(peer, OK_REPLY) >= 0)
        ;
}

static void a_reply_comes_whole(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_all, NULL);
    client_open(&client);
    client_get(&client, "https", peer_port(server), &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.status, 200);
    assert_string_equal(outcome.body, "hi");
    assert_string_equal(outcome.headers, "Content-Length: 2\nX-Test: yes\n");
    assert_true(outcome.reply.connect_ms > 0);
    client_close(&client);
    peer_stop(server);
}

struct received {
    char head[4096];
    char body[300000];
    size_t len;
};

static void keep_request(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    struct received *received = ctx;
    if (!peer_read_head(peer, received->head, sizeof received->head))
        return;
    size_t len = (size_t)peer_body_length(received->head);
    received->len = peer_read_text(peer, received->body, len);
    peer_write(peer, OK_REPLY);
}

static void a_request_is_what_was_asked_for(void **state)
{
    (void)state;
    static struct received received;
    const char *headers[] = {"Authorization: Bearer planted", "Content-Range: bytes 0-299999/300000",
                             "Content-Length: 300000", NULL};
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, keep_request, &received);
    char url[100];
    client_open(&client);
    source_init(&source, sizeof received.body);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/a/../b?c=%%2F", peer_port(server));
    client_start(&client, "PUT", url, headers, &source, &outcome);
    client_run(&client, &outcome);
    client_close(&client);
    peer_stop(server);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.sent_bytes, sizeof received.body);
    assert_int_equal(received.len, sizeof received.body);
    for (size_t i = 0; i < received.len; i++)
        assert_int_equal(received.body[i], source_byte(i));
    assert_int_equal(strncmp(received.head, "PUT /a/../b?c=%2F HTTP/1.1\r\n", 28), 0);
    assert_non_null(strstr(received.head, "\r\nAuthorization: Bearer planted\r\n"));
    assert_non_null(strstr(received.head, "\r\nContent-Range: bytes 0-299999/300000\r\n"));
    assert_non_null(strstr(received.head, "\r\nUser-Agent: sluice-test\r\n"));
    assert_null(strcasestr(received.head, "\r\nExpect:"));
    assert_null(strcasestr(received.head, "\r\nAccept-Encoding:"));
    assert_null(strcasestr(received.head, "\r\nTransfer-Encoding:"));
    const char *length = strcasestr(received.head, "\r\nContent-Length: 300000\r\n");
    assert_non_null(length);
    assert_null(strcasestr(length + 2, "\r\nContent-Length:"));
}

static void check_empty_body(const char *method)
{
    static struct received received;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, keep_request, &received);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client_init(&client);
    client_open(&client);
    client_start(&client, method, url, NULL, NULL, &outcome);
    client_run(&client, &outcome);
    client_close(&client);
    peer_stop(server);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_false(outcome.reply.early);
    assert_non_null(strcasestr(received.head, "\r\nContent-Length: 0\r\n"));
    assert_int_equal(strncmp(received.head, method, strlen(method)), 0);
}

static void an_empty_body_has_a_length(void **state)
{
    (void)state;
    check_empty_body("PUT");
    check_empty_body("POST");
    check_empty_body("DELETE");
}

static void head_has_no_body_in_its_reply(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    client_start(&client, "HEAD", url, NULL, NULL, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.body_len, 0);
    client_close(&client);
    peer_stop(server);
}

static void a_small_body_is_copied(void **state)
{
    (void)state;
    static struct received received;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, keep_request, &received);
    char url[100], body[] = "{\"a\":1}";
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    struct http_exchange exchange = {.method = "POST", .url = url, .body = body, .body_len = sizeof body - 1};
    client_start_exchange(&client, &exchange, &outcome);
    memset(body, 'x', sizeof body);
    memset(url, 'x', sizeof url - 1);
    client_run(&client, &outcome);
    client_close(&client);
    peer_stop(server);
    assert_int_equal(received.len, 7);
    assert_memory_equal(received.body, "{\"a\":1}", 7);
}

/* Chunk after chunk on one connection: the handshake is paid once. */
static void a_connection_is_kept_across_chunks(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_all, NULL);
    client_open(&client);
    for (int i = 0; i < 5; i++) {
        source_init(&source, 262144);
        client_put(&client, "https", peer_port(server), &source, &outcome);
        assert_int_equal(outcome.reply.end, HTTP_OK);
        assert_int_equal(outcome.reply.connect_ms > 0, i == 0);
    }
    assert_int_equal(peer_accepted(server), 1);
    client_close(&client);
    peer_stop(server);
}

static void resume_later(uv_timer_t *timer)
{
    struct outcome *target = timer->data;
    if (target->request)
        http_resume(target->request);
}

static void a_body_may_come_later(void **state)
{
    (void)state;
    uv_timer_t timer;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_all, NULL);
    client_open(&client);
    uv_timer_init(&client.loop, &timer);
    timer.data = &outcome;
    uv_timer_start(&timer, resume_later, 50, 10);
    source_init(&source, 1000000);
    source.later_at = 500000;
    source.piece_max = 10000;
    client_put(&client, "https", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(source.later_count, 1);
    assert_int_equal(outcome.reply.sent_bytes, 1000000);
    uv_close((uv_handle_t *)&timer, NULL);
    client_close(&client);
    peer_stop(server);
}

static void a_body_that_fails_ends_the_exchange(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_all, NULL);
    client_open(&client);
    source_init(&source, 1000000);
    source.fail_at = 300000;
    source.piece_max = 100000;
    client_put(&client, "https", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_SOURCE);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
    client_close(&client);
    peer_stop(server);
}

static void stall(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_stall(peer);
}

static void abort_now(uv_timer_t *timer)
{
    struct outcome *target = timer->data;
    if (!target->request)
        return;
    http_abort(target->request);
    http_abort(target->request); /* once more changes nothing */
    assert_int_equal(target->done_count, 0);
}

static void an_abort_ends_in_a_later_turn(void **state)
{
    (void)state;
    uv_timer_t timer;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, stall, NULL);
    client_open(&client);
    uv_timer_init(&client.loop, &timer);
    timer.data = &outcome;
    uv_timer_start(&timer, abort_now, 100, 0);
    source_init(&source, 100000000);
    client_put(&client, "https", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_ABORTED);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
    uv_close((uv_handle_t *)&timer, NULL);
    client_close(&client);
    peer_stop(server);
}

static void an_abort_before_the_first_turn_is_fine(void **state)
{
    (void)state;
    client_open(&client);
    client_start(&client, "GET", "https://127.0.0.1:1/", NULL, NULL, &outcome);
    http_abort(outcome.request);
    assert_int_equal(outcome.done_count, 0);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_ABORTED);
    assert_int_equal(outcome.reply.status, 0);
    client_close(&client);
}

static void closing_ends_everything_once(void **state)
{
    (void)state;
    static struct outcome outcomes[8];
    struct peer_server *server = peer_start(PEER_GOOD, NULL, stall, NULL);
    char url[100];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client.config.connections_max = 3;
    client_open(&client);
    for (int i = 0; i < 8; i++)
        client_start(&client, "GET", url, NULL, NULL, &outcomes[i]);
    while (peer_accepted(server) < 3)
        uv_run(&client.loop, UV_RUN_ONCE);
    client_close(&client);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(outcomes[i].done_count, 1);
        assert_int_equal(outcomes[i].reply.end, HTTP_ABORTED);
    }
    assert_int_equal(peer_accepted(server), 3);
    peer_stop(server);
}

static void close_client(struct outcome *ended)
{
    http_close(ended->client->http);
}

static void closing_from_within_done_is_fine(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    client_open(&client);
    outcome.then = close_client;
    client_start(&client, "GET", "https://127.0.0.1:1/", NULL, NULL, &second);
    client_get(&client, "http", peer_port(server), &outcome);
    uv_run(&client.loop, UV_RUN_NOWAIT);
    assert_int_equal(second.done_count, 1);
    uv_close((uv_handle_t *)&client.watchdog, NULL);
    uv_run(&client.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&client.loop), 0);
    peer_stop(server);
}

static void put_again(struct outcome *ended)
{
    static struct source next;
    ended->then = NULL;
    source_init(&next, 1000);
    client_start(ended->client, "PUT", "http://localhost:1/", NULL, &next, &second);
    assert_int_equal(second.done_count, 0);
}

static void starting_from_within_done_is_fine(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    client_open(&client);
    outcome.then = put_again;
    client_get(&client, "http", peer_port(server), &outcome);
    client_run(&client, &second);
    assert_int_equal(second.reply.end, HTTP_CONNECT);
    client_close(&client);
    peer_stop(server);
}

/* More exchanges than connections: all end, never more than allowed at a time. */
static void connections_stay_within_their_limit(void **state)
{
    (void)state;
    static struct outcome outcomes[40];
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client.config.connections_max = 4;
    client.config.connects_per_turn_max = 1;
    client_open(&client);
    for (int i = 0; i < 40; i++)
        client_start(&client, "GET", url, NULL, NULL, &outcomes[i]);
    for (int i = 0; i < 40; i++) {
        client_run(&client, &outcomes[i]);
        assert_int_equal(outcomes[i].reply.end, HTTP_OK);
    }
    assert_true(peer_accepted(server) <= 4);
    client_close(&client);
    peer_stop(server);
}

static void progress_tells_what_was_sent(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    client.config.rate_max = 4000000;
    client_open(&client);
    source_init(&source, 2000000);
    client_put(&client, "http", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_true(outcome.progress_count >= 2);
    assert_true(outcome.progress_count <= outcome.reply.elapsed_ms / 90 + 1);
    assert_true(outcome.progress_bytes <= 2000000);
    client_close(&client);
    peer_stop(server);
}

/* A floor on time is no timing assertion: a limit that is kept cannot be faster, on no machine. */
static void the_bandwidth_limit_holds_over_all(void **state)
{
    (void)state;
    static struct outcome outcomes[3];
    static struct source sources[3];
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_all, NULL);
    char url[100];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client.config.rate_max = 6000000;
    client_open(&client);
    for (int i = 0; i < 3; i++) {
        source_init(&sources[i], 2000000);
        client_start(&client, "PUT", url, NULL, &sources[i], &outcomes[i]);
    }
    int64_t slowest_ms = 0;
    for (int i = 0; i < 3; i++) {
        client_run(&client, &outcomes[i]);
        assert_int_equal(outcomes[i].reply.end, HTTP_OK);
        if (outcomes[i].reply.elapsed_ms > slowest_ms)
            slowest_ms = outcomes[i].reply.elapsed_ms;
    }
    assert_true(slowest_ms >= 940); /* 1000 ms less the bucket's depth */
    client_close(&client);
    peer_stop(server);
}

/* A limit far under the low-speed floor is our own doing: nobody is blamed. */
static void a_limited_body_is_never_too_slow(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    client.config.rate_max = 20000;
    client.config.low_speed_bytes = 1000000;
    client.config.low_speed_ms = 250;
    client_open(&client);
    source_init(&source, 20000);
    client_put(&client, "http", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    client_close(&client);
    peer_stop(server);
}

static void a_waiting_body_is_never_too_slow(void **state)
{
    (void)state;
    uv_timer_t timer;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    client.config.low_speed_ms = 200;
    client_open(&client);
    uv_timer_init(&client.loop, &timer);
    timer.data = &outcome;
    uv_timer_start(&timer, resume_later, 1000, 0);
    source_init(&source, 200000);
    source.later_at = 1;
    client_put(&client, "http", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    uv_close((uv_handle_t *)&timer, NULL);
    client_close(&client);
    peer_stop(server);
}

static void what_may_not_be_sent_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *url, *header;
    } bad[] = {
        {"GET", "http://192.0.2.1/", NULL},
        {"GET", "http://www.googleapis.com/", NULL},
        {"GET", "http://127.0.0.1.example/", NULL},
        {"GET", "ftp://127.0.0.1/", NULL},
        {"GET", "file:///etc/passwd", NULL},
        {"GET", "https://user:pass@127.0.0.1/", NULL},
        {"GET", "https://127.0.0.1/\r\nX: y", NULL},
        {"GET", "https://127.0.0.1/", "X: a\r\nEvil: b"},
        {"GET", "https://127.0.0.1/", "X: a\nEvil: b"},
        {"GET", "https://127.0.0.1/", "X: a\x7f"},
        {"GET", "https://127.0.0.1/", "no colon"},
        {"GET", "https://127.0.0.1/", "X Y: z"},
        {"GET", "https://127.0.0.1/", ": z"},
        {"GET", "https://127.0.0.1/", "Empty:"},
        {"GET", "https://127.0.0.1/", "Host: elsewhere"},
        {"GET", "https://127.0.0.1/", "Transfer-Encoding: chunked"},
        {"PUT", "https://127.0.0.1/", "Content-Length: 7"},
        {"PATCH", "https://127.0.0.1/", NULL},
        {"GET / HTTP/1.1\r\nX:", "https://127.0.0.1/", NULL},
    };
    client_open(&client);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        const char *headers[] = {bad[i].header, NULL};
        struct http_exchange exchange = {.method = bad[i].method, .url = bad[i].url, .headers = headers};
        struct http_request *request = NULL;
        assert_int_equal(http_start(client.http, &exchange, &request, &err), ERR_INVALID);
        assert_null(request);
        assert_true(err.message[0]);
    }
    client_close(&client);
}

static void plain_http_needs_leave(void **state)
{
    (void)state;
    struct err err = {0};
    struct http_request *request;
    client.config.allow_plain_loopback = false;
    client_open(&client);
    struct http_exchange exchange = {.method = "GET", .url = "http://127.0.0.1:1/"};
    assert_int_equal(http_start(client.http, &exchange, &request, &err), ERR_INVALID);
    client_close(&client);
}

/* Whoever asked it for a proxy would find one there. No proxy is asked on the way to this machine itself, so
 * it is a name elsewhere. */
static void the_environment_is_not_asked_for_a_proxy(void **state)
{
    (void)state;
    static const char *const variables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY"};
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", peer_port(server));
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        setenv(variables[i], proxy, 1);
    client_open(&client);
    client_start(&client, "GET", "https://upload.invalid/", NULL, NULL, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    client_close(&client);
    assert_int_equal(peer_accepted(server), 0);
    peer_stop(server);
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        unsetenv(variables[i]);
}

static void x10_no_descriptor_is_left(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_all, NULL);
    struct peer_server *stalling = peer_start(PEER_GOOD, NULL, stall, NULL);
    int before = 0;
    for (int round = 0; round < 3; round++) {
        client_init(&client);
        client_open(&client);
        source_init(&source, 100000);
        client_put(&client, "https", peer_port(server), &source, &outcome);
        client_start(&client, "GET", "https://127.0.0.1:1/", NULL, NULL, &second);
        client_close(&client);
        if (round == 0)
            before = count_descriptors();
    }
    peer_stop(stalling);
    assert_true(before > 0);
    peer_stop(server);
    assert_true(count_descriptors() <= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_reply_comes_whole, set_up),
        cmocka_unit_test_setup(a_request_is_what_was_asked_for, set_up),
        cmocka_unit_test_setup(an_empty_body_has_a_length, set_up),
        cmocka_unit_test_setup(head_has_no_body_in_its_reply, set_up),
        cmocka_unit_test_setup(a_small_body_is_copied, set_up),
        cmocka_unit_test_setup(a_connection_is_kept_across_chunks, set_up),
        cmocka_unit_test_setup(a_body_may_come_later, set_up),
        cmocka_unit_test_setup(a_body_that_fails_ends_the_exchange, set_up),
        cmocka_unit_test_setup(an_abort_ends_in_a_later_turn, set_up),
        cmocka_unit_test_setup(an_abort_before_the_first_turn_is_fine, set_up),
        cmocka_unit_test_setup(closing_ends_everything_once, set_up),
        cmocka_unit_test_setup(closing_from_within_done_is_fine, set_up),
        cmocka_unit_test_setup(starting_from_within_done_is_fine, set_up),
        cmocka_unit_test_setup(connections_stay_within_their_limit, set_up),
        cmocka_unit_test_setup(progress_tells_what_was_sent, set_up),
        cmocka_unit_test_setup(the_bandwidth_limit_holds_over_all, set_up),
        cmocka_unit_test_setup(a_limited_body_is_never_too_slow, set_up),
        cmocka_unit_test_setup(a_waiting_body_is_never_too_slow, set_up),
        cmocka_unit_test_setup(what_may_not_be_sent_is_refused, set_up),
        cmocka_unit_test_setup(plain_http_needs_leave, set_up),
        cmocka_unit_test_setup(the_environment_is_not_asked_for_a_proxy, set_up),
        cmocka_unit_test_setup(x10_no_descriptor_is_left, set_up),
    };
    return RUN_UNIT_TESTS(tests);
}
