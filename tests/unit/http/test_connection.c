/* Faults of the connection (docs/faults.md group C): what was sent is counted exactly. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Runs one PUT against a script, in the clear and with TLS, and leaves its outcome. */
static int put_against(enum peer_certificate certificate, peer_script *script, const void *ctx)
{
    struct peer_server *server = peer_start(certificate, NULL, script, ctx);
    source_init(&source, BODY_BYTES);
    client_open(&client);
    client_put(&client, certificate == PEER_PLAIN ? "http" : "https", peer_port(server), &source, &outcome);
    client_close(&client);
    int accepted = peer_accepted(server);
    peer_stop(server);
    assert_int_equal(outcome.reply.sent_bytes, source.given_bytes);
    return accepted;
}

static void check_broken(peer_script *script, const void *ctx)
{
    static const enum peer_certificate both[] = {PEER_PLAIN, PEER_GOOD};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(put_against(both[i], script, ctx), 1);
        assert_int_equal(outcome.reply.end, HTTP_BROKEN);
        assert_int_equal(outcome.reply.status, 0);
    }
}

static void c01_refused_sends_nothing(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, NULL, NULL);
    int port = peer_port(server);
    peer_stop(server);
    client_open(&client);
    client_put(&client, "https", port, &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    assert_int_equal(outcome.reply.sent_bytes, 0);
    assert_int_equal(source.given_bytes, 0);
    assert_string_equal(outcome.reply.message, "127.0.0.1: Couldn't connect to server: Connection refused");
    client_close(&client);
}

/* A listener whose queue is full swallows a SYN. */
static void c02_a_swallowed_syn_is_no_connection(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), filler[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (int i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (struct sockaddr *)&address, size);
    }
    client.config.connect_timeout_ms = 300;
    client_open(&client);
    client_put(&client, "https", ntohs(address.sin_port), &source, &outcome);
    client_close(&client);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    assert_int_equal(source.given_bytes, 0);
    for (int i = 0; i < 4; i++)
        close(filler[i]);
    close(listener);
}

static void reset_at_once(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_reset(peer);
}

static void c03_reset_before_the_head(void **state)
{
    (void)state;
    check_broken(reset_at_once, NULL);
}

static void reset_after_head(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    char head[4096];
    peer_read_head(peer, head, sizeof head);
    peer_reset(peer);
}

static void c03_reset_after_the_head(void **state)
{
    (void)state;
    check_broken(reset_after_head, NULL);
}

static void reset_after_bytes(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char head[4096];
    peer_read_head(peer, head, sizeof head);
    peer_read_bytes(peer, *(uint64_t *)ctx);
    peer_reset(peer);
}

static void c03_reset_in_mid_body(void **state)
{
    (void)state;
    uint64_t at = 300000;
    check_broken(reset_after_bytes, &at);
    assert_true(outcome.reply.sent_bytes >= at);
}

static void c03_reset_after_the_last_byte(void **state)
{
    (void)state;
    uint64_t at = BODY_BYTES;
    check_broken(reset_after_bytes, &at);
    assert_int_equal(outcome.reply.sent_bytes, BODY_BYTES);
}

static void cut_after_bytes(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char head[4096];
    peer_read_head(peer, head, sizeof head);
    peer_read_bytes(peer, *(uint64_t *)ctx);
    peer_cut(peer);
}

static void c04_closed_in_mid_body(void **state)
{
    (void)state;
    uint64_t at = 300000;
    check_broken(cut_after_bytes, &at);
}

static void c04_closed_after_the_last_byte(void **state)
{
    (void)state;
    uint64_t at = BODY_BYTES;
    check_broken(cut_after_bytes, &at);
    assert_int_equal(outcome.reply.sent_bytes, BODY_BYTES);
}

static void write_and_cut(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    if (peer_serve(peer, ctx) >= 0)
        peer_cut(peer);
}

static void c05_closed_in_the_replys_body(void **state)
{
    (void)state;
    static const enum peer_certificate both[] = {PEER_PLAIN, PEER_GOOD};
    for (int i = 0; i < 2; i++) {
        put_against(both[i], write_and_cut, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":");
        assert_int_equal(outcome.reply.end, HTTP_BROKEN);
        assert_int_equal(outcome.reply.status, 200);
        put_against(both[i], write_and_cut,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"id\":\r\n");
        assert_int_equal(outcome.reply.end, HTTP_BROKEN);
    }
}

static void c05_closed_in_the_replys_head(void **state)
{
    (void)state;
    put_against(PEER_PLAIN, write_and_cut, "HTTP/1.1 200 OK\r\nContent-Le");
    assert_int_equal(outcome.reply.end, HTTP_BROKEN);
}

static void stall_after_bytes(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char head[4096];
    peer_read_head(peer, head, sizeof head);
    peer_read_bytes(peer, *(uint64_t *)ctx);
    peer_stall(peer);
}

/* A PUT of a GB to a reader that stops after `at` bytes, until it is given up. */
static void put_until_stalled(peer_script *script, uint64_t at)
{
    struct peer_server *server = peer_start(PEER_GOOD, NULL, script, &at);
    client.config.low_speed_ms = 400;
    client_open(&client);
    source_init(&source, 1000000000);
    client_put(&client, "https", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_TIMEOUT);
    client_close(&client);
    peer_stop(server);
}

static void c06_a_stalled_reader_is_given_up(void **state)
{
    (void)state;
    put_until_stalled(stall_after_bytes, 100000);
    assert_true(outcome.reply.sent_bytes < 1000000000);
    assert_string_equal(outcome.reply.message, "127.0.0.1: less than 100 bytes a second for 400 ms");
}

static void stall_with_a_window(struct peer *peer, int connection, void *ctx)
{
    peer_window(peer, 262144);
    stall_after_bytes(peer, connection, ctx);
}

/* Where the kernel has its way, it takes a MiB or two more: it goes by what the path has taken before. */
static void little_waits_in_a_connection(void **state)
{
    (void)state;
    uint64_t at = 20000000;
    put_until_stalled(stall_with_a_window, at);
    assert_in_range(source.given_bytes, at, at + 1200000);
}

/* All is sent, nothing comes back. */
static void c07_no_reply_at_all(void **state)
{
    (void)state;
    uint64_t at = 1000;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, stall_after_bytes, &at);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    source_init(&source, 1000);
    struct http_exchange exchange = {
        .method = "PUT", .url = url, .stream = &source.body, .reply_deadline_ms = 300};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_TIMEOUT);
    assert_int_equal(outcome.reply.sent_bytes, 1000);
    client_close(&client);
    peer_stop(server);
}

static void dribble(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    if (peer_serve(peer, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n") < 0)
        return;
    while (peer_pause(peer, 20) && peer_write(peer, "x"))
        ;
}

static void c07_a_reply_in_drops_is_given_up(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, dribble, NULL);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    source_init(&source, 1000);
    struct http_exchange exchange = {
        .method = "PUT", .url = url, .stream = &source.body, .reply_deadline_ms = 500};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_TIMEOUT);
    assert_int_equal(outcome.reply.status, 200);
    client_close(&client);
    peer_stop(server);
}

static void c07_the_total_deadline_holds(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, dribble, NULL);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    struct http_exchange exchange = {.method = "GET", .url = url, .deadline_ms = 500};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_TIMEOUT);
    client_close(&client);
    peer_stop(server);
}

/* Reads a little now and then: slow, but above the floor. Much of the body sits in the kernel's queue. */
static void read_slowly(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    char head[4096];
    peer_window(peer, 8192);
    peer_read_head(peer, head, sizeof head);
    for (uint64_t left = peer_body_length(head); left && peer_pause(peer, 10);)
        left -= peer_read_bytes(peer, left < 1000 ? left : 1000);
    peer_write(peer, OK_REPLY);
    peer_stall(peer);
}

static void c08_a_slow_reader_above_the_floor_is_served(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, read_slowly, NULL);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(server));
    client.config.low_speed_ms = 2000;
    client.config.low_speed_bytes = 1000;
    client_open(&client);
    source_init(&source, 250000);
    struct http_exchange exchange = {
        .method = "PUT", .url = url, .stream = &source.body, .reply_deadline_ms = 2000};
    client_start_exchange(&client, &exchange, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    assert_int_equal(outcome.reply.sent_bytes, 250000);
    client_close(&client);
    peer_stop(server);
}

static void serve_one(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    peer_serve(peer, OK_REPLY);
}

static void c11_an_unknown_name_is_no_connection(void **state)
{
    (void)state;
    client_open(&client);
    client_start(&client, "GET", "https://no-such-host.invalid/", NULL, NULL, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    client_close(&client);
}

/* libcurl knows every name under localhost without asking DNS: for us it is a name like others. */
static void get_private(const char *host, bool allow, int accepted)
{
    char url[96];
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_one, NULL);
    snprintf(url, sizeof url, "https://%s:%d/", host, peer_port(server));
    client_init(&client);
    client.config.allow_private_hosts = allow;
    client_open(&client);
    client_start(&client, "GET", url, NULL, NULL, &outcome);
    client_run(&client, &outcome);
    client_close(&client);
    assert_int_equal(peer_accepted(server), accepted);
    peer_stop(server);
}

static void c11_a_name_that_leads_to_a_private_address_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        get_private("sluice.localhost", i, 0);
        assert_int_equal(outcome.reply.end, HTTP_CONNECT);
        assert_memory_equal(outcome.reply.message, "sluice.localhost: ", 18);
        assert_non_null(strstr(outcome.reply.message, "1 is no public address: refused; check the DNS"));
    }
}

static void c11_a_private_address_must_be_named_and_allowed(void **state)
{
    (void)state;
    get_private("127.0.0.1", true, 1);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    get_private("localhost", true, 1);
    assert_int_equal(outcome.reply.end, HTTP_OK);
    get_private("127.0.0.1", false, 0);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    assert_non_null(strstr(outcome.reply.message, "127.0.0.1 is no public address"));
}

static atomic_bool proxy_saw_token;

static void answer_connect(struct peer *peer, int connection, void *ctx)
{
    (void)connection;
    char head[4096];
    peer_read_head(peer, head, sizeof head);
    if (strstr(head, "planted"))
        atomic_store(&proxy_saw_token, true);
    if (ctx)
        peer_write(peer, ctx);
    peer_stall(peer);
}

static void check_proxy(const char *reply)
{
    const char *headers[] = {"Authorization: Bearer planted", NULL};
    char proxy[64];
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, answer_connect, reply);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", peer_port(server));
    client_init(&client);
    client.config.proxy = proxy;
    client.config.allow_private_hosts = false; /* a proxy may be anywhere (C11) */
    client.config.connect_timeout_ms = 500;
    client_open(&client);
    source_init(&source, BODY_BYTES);
    client_start(&client, "PUT", "https://upload.invalid/", headers, &source, &outcome);
    client_run(&client, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_CONNECT);
    assert_int_equal(outcome.reply.status, 0);
    assert_int_equal(source.given_bytes, 0);
    assert_int_equal(peer_accepted(server), 1);
    client_close(&client);
    peer_stop(server);
}

static void c12_a_failing_proxy_sends_nothing(void **state)
{
    (void)state;
    check_proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    check_proxy("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad");
    check_proxy(NULL); /* hangs */
    assert_false(atomic_load(&proxy_saw_token));
}

static void limit_descriptors(int left, struct rlimit *ret_before)
{
    int lowest_free = dup(0);
    close(lowest_free);
    getrlimit(RLIMIT_NOFILE, ret_before);
    struct rlimit few = {(rlim_t)(lowest_free + left), ret_before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

/* The server's side of the connection is of this process, too: it is accepted after the limit is lifted. */
static void check_few_descriptors(int left)
{
    struct rlimit before;
    struct peer_server *server = peer_start(PEER_GOOD, NULL, serve_one, NULL);
    client_open(&client);
    uv_run(&client.loop, UV_RUN_NOWAIT);
    limit_descriptors(left, &before);
    client_put(&client, "https", peer_port(server), &source, &outcome);
    setrlimit(RLIMIT_NOFILE, &before);
    if (outcome.reply.end != HTTP_LOCAL || !strstr(outcome.reply.message, "Too many open files"))
        fail_msg("ended as %d: %s", (int)outcome.reply.end, outcome.reply.message);
    assert_int_equal(source.given_bytes, 0);
    client_put(&client, "https", peer_port(server), &source, &outcome);
    assert_int_equal(outcome.reply.end, HTTP_OK); /* what comes after is not harmed */
    client_close(&client);
    peer_stop(server);
}

static void c13_no_descriptor_is_our_own_lack(void **state)
{
    (void)state;
    check_few_descriptors(0);
}

/* The connection took the last one. */
static void c13_no_descriptor_for_the_certificates_is_our_own_lack(void **state)
{
    (void)state;
    check_few_descriptors(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(c01_refused_sends_nothing, set_up),
        cmocka_unit_test_setup(c02_a_swallowed_syn_is_no_connection, set_up),
        cmocka_unit_test_setup(c03_reset_before_the_head, set_up),
        cmocka_unit_test_setup(c03_reset_after_the_head, set_up),
        cmocka_unit_test_setup(c03_reset_in_mid_body, set_up),
        cmocka_unit_test_setup(c03_reset_after_the_last_byte, set_up),
        cmocka_unit_test_setup(c04_closed_in_mid_body, set_up),
        cmocka_unit_test_setup(c04_closed_after_the_last_byte, set_up),
        cmocka_unit_test_setup(c05_closed_in_the_replys_body, set_up),
        cmocka_unit_test_setup(c05_closed_in_the_replys_head, set_up),
        cmocka_unit_test_setup(c06_a_stalled_reader_is_given_up, set_up),
        cmocka_unit_test_setup(little_waits_in_a_connection, set_up),
        cmocka_unit_test_setup(c07_no_reply_at_all, set_up),
        cmocka_unit_test_setup(c07_a_reply_in_drops_is_given_up, set_up),
        cmocka_unit_test_setup(c07_the_total_deadline_holds, set_up),
        cmocka_unit_test_setup(c08_a_slow_reader_above_the_floor_is_served, set_up),
        cmocka_unit_test_setup(c11_an_unknown_name_is_no_connection, set_up),
        cmocka_unit_test_setup(c11_a_name_that_leads_to_a_private_address_is_refused, set_up),
        cmocka_unit_test_setup(c11_a_private_address_must_be_named_and_allowed, set_up),
        cmocka_unit_test_setup(c12_a_failing_proxy_sends_nothing, set_up),
        cmocka_unit_test_setup(c13_no_descriptor_is_our_own_lack, set_up),
        cmocka_unit_test_setup(c13_no_descriptor_for_the_certificates_is_our_own_lack, set_up),
    };
    return RUN_UNIT_TESTS(tests);
}
