/* Bandwidth between groups of exchanges, over real connections: what each had when one of them was done. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "peer.h"
#include "unit.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

enum { NOISY_COUNT = 8, QUIET_BYTES = 1500000, SLACK_BYTES = 600000 };

static struct client client;
static struct outcome noisy[NOISY_COUNT], quiet;
static struct source noisy_sources[NOISY_COUNT], quiet_source;

static int set_up(void **state)
{
    (void)state;
    client_init(&client);
    return 0;
}

static void serve_all(struct peer *peer, int connection, void *ctx)
{
    (void)connection, (void)ctx;
    while (peer_serve(peer, OK_REPLY) >= 0)
        ;
}

static void put(const char *url, uint64_t group, uint64_t size_bytes, struct source *source,
                struct outcome *outcome)
{
    source_init(source, size_bytes);
    struct http_exchange exchange = {
        .method = "PUT", .url = url, .stream = &source->body, .rate_group = group};
    source->outcome = outcome;
    client_start_exchange(&client, &exchange, outcome);
}

static uint64_t noise_bytes(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < NOISY_COUNT; i++)
        sum += noisy_sources[i].given_bytes;
    return sum;
}

/* What the noisy ones had when the quiet one's first byte was taken, and when its last one was. */
static uint64_t noise_at_first, noise_at_last;
static int64_t (*read_source)(void *ctx, void *data, size_t len);

static int64_t read_and_look(void *ctx, void *data, size_t len)
{
    const struct source *source = ctx;
    if (source->given_bytes == 0)
        noise_at_first = noise_bytes();
    noise_at_last = noise_bytes();
    return read_source(ctx, data, len);
}

static void put_quiet(const char *url, uint64_t group)
{
    source_init(&quiet_source, QUIET_BYTES);
    read_source = quiet_source.body.read;
    quiet_source.body.read = read_and_look;
    struct http_exchange exchange = {
        .method = "PUT", .url = url, .stream = &quiet_source.body, .rate_group = group};
    client_start_exchange(&client, &exchange, &quiet);
    client_run(&client, &quiet);
    assert_int_equal(quiet.reply.end, HTTP_OK);
}

/* One transfer of group 2 against eight of group 1; returns what those had while the one was under way. */
static uint64_t run_against_noise(void)
{
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client_open(&client);
    for (int i = 0; i < NOISY_COUNT; i++)
        put(url, 1, UINT64_C(1) << 30, &noisy_sources[i], &noisy[i]);
    put_quiet(url, 2);
    client_close(&client);
    peer_stop(server);
    return noise_at_last - noise_at_first;
}

static void assert_alike(uint64_t a, uint64_t b)
{
    if (a > b + SLACK_BYTES || b > a + SLACK_BYTES)
        fail_msg("%llu and %llu", (unsigned long long)a, (unsigned long long)b);
}

static void l05_a_noisy_group_has_no_more_than_a_quiet_one(void **state)
{
    (void)state;
    client.config.rate_max = 3000000;
    assert_alike(run_against_noise(), QUIET_BYTES);
}

static void l05_a_group_has_a_limit_of_its_own(void **state)
{
    (void)state;
    client.config.group_rate_max = 1500000;
    assert_alike(run_against_noise(), QUIET_BYTES);
}

/* A group that may have nothing for now stands in nobody's way: the global limit is shared by the others. */
static void l05_both_limits_hold(void **state)
{
    (void)state;
    client.config.rate_max = 20000000;
    client.config.group_rate_max = 1500000;
    assert_alike(run_against_noise(), QUIET_BYTES);
}

/* Within a group all come along alike. */
static void one_group_is_shared_by_its_transfers(void **state)
{
    (void)state;
    struct peer_server *server = peer_start(PEER_PLAIN, NULL, serve_all, NULL);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(server));
    client.config.rate_max = 4000000;
    client_open(&client);
    for (int i = 0; i < NOISY_COUNT; i++)
        source_init(&noisy_sources[i], 0);
    for (int i = 0; i < 3; i++)
        put(url, 1, UINT64_C(1) << 30, &noisy_sources[i], &noisy[i]);
    put_quiet(url, 1);
    assert_alike(noise_at_last - noise_at_first, 3 * QUIET_BYTES);
    client_close(&client);
    peer_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(l05_a_noisy_group_has_no_more_than_a_quiet_one, set_up),
        cmocka_unit_test_setup(l05_a_group_has_a_limit_of_its_own, set_up),
        cmocka_unit_test_setup(l05_both_limits_hold, set_up),
        cmocka_unit_test_setup(one_group_is_shared_by_its_transfers, set_up),
    };
    return RUN_UNIT_TESTS(tests);
}
