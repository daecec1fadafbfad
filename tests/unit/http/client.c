#include "client.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"
#include "unit.h"

enum { WATCHDOG_MS = 60000 };

static void bark(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the test hangs");
}

void client_init(struct client *client)
{
    memset(client, 0, sizeof *client);
    client->config = (struct http_config){
        .user_agent = "sluice-test",
        .allow_plain_loopback = true,
        .allow_private_hosts = true,
        .connect_timeout_ms = 20000,
        .low_speed_ms = 30000,
        .low_speed_bytes = 100,
        .connections_max = 16,
        .connects_per_turn_max = 4,
    };
}

void client_open(struct client *client)
{
    struct err err = {0};
    uv_loop_init(&client->loop);
    uv_timer_init(&client->loop, &client->watchdog);
    uv_timer_start(&client->watchdog, bark, WATCHDOG_MS, 0);
    uv_unref((uv_handle_t *)&client->watchdog);
    client->config.ca_file = client->config.ca_file ? client->config.ca_file : peer_ca_file();
    assert_int_equal(http_open(&client->loop, &client->config, &client->http, &err), 0);
}

void client_close(struct client *client)
{
    http_close(client->http);
    uv_close((uv_handle_t *)&client->watchdog, NULL);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&client->loop), 0); /* no handle was left open */
}

char source_byte(uint64_t at)
{
    return (char)(at * 31 + at / 251);
}

static int64_t give(struct source *source, char *data, size_t len)
{
    if (source->piece_max && len > source->piece_max)
        len = source->piece_max;
    for (size_t i = 0; i < len; i++)
        data[i] = source_byte(source->given_bytes + i);
    source->given_bytes += len;
    return (int64_t)len;
}

static int64_t read_source(void *ctx, void *data, size_t len)
{
    struct source *source = ctx;
    if (source->fail_at && source->given_bytes >= source->fail_at)
        return HTTP_BODY_FAILED;
    if (source->later_at && source->given_bytes >= source->later_at) {
        if (!source->waits)
            source->later_at = 0;
        source->later_count++;
        return HTTP_BODY_LATER;
    }
    return give(source, data, len);
}

void source_init(struct source *source, uint64_t size_bytes)
{
    memset(source, 0, sizeof *source);
    source->body = (struct http_body){.size_bytes = size_bytes, .read = read_source, .ctx = source};
}

static void keep_text(char *ret, size_t size, const char *text, size_t len)
{
    assert_true(len < size);
    memcpy(ret, text, len);
    ret[len] = '\0';
}

static void take_reply(void *ctx, const struct http_reply *reply)
{
    struct outcome *outcome = ctx;
    outcome->done_count++;
    outcome->reply = *reply;
    assert_null(strstr(reply->message, "secret"));
    assert_int_equal(reply->end == HTTP_OK, reply->message[0] == '\0');
    keep_text(outcome->headers, sizeof outcome->headers, reply->headers, strlen(reply->headers));
    keep_text(outcome->body, sizeof outcome->body, reply->body, reply->body_len);
    outcome->reply.headers = outcome->headers;
    outcome->reply.body = outcome->body;
    outcome->request = NULL;
    if (outcome->then)
        outcome->then(outcome);
}

static void take_progress(void *ctx, uint64_t sent_bytes)
{
    struct outcome *outcome = ctx;
    assert_true(sent_bytes >= outcome->progress_bytes);
    outcome->progress_bytes = sent_bytes;
    outcome->progress_count++;
}

void client_start_exchange(struct client *client, struct http_exchange *exchange, struct outcome *outcome)
{
    struct err err = {0};
    outcome->client = client;
    outcome->done_count = 0;
    outcome->progress_count = 0;
    outcome->progress_bytes = 0;
    exchange->done = take_reply;
    exchange->progress = take_progress;
    exchange->ctx = outcome;
    if (!exchange->reply_len_max)
        exchange->reply_len_max = 65536;
    if (http_start(client->http, exchange, &outcome->request, &err))
        fail_msg("http_start: %s", err.message);
    assert_int_equal(outcome->done_count, 0);
}

void client_start(struct client *client, const char *method, const char *url, const char *const *headers,
                  struct source *source, struct outcome *outcome)
{
    struct http_exchange exchange = {
        .method = method, .url = url, .headers = headers, .stream = source ? &source->body : NULL};
    if (source)
        source->outcome = outcome;
    client_start_exchange(client, &exchange, outcome);
}

void client_run(struct client *client, struct outcome *outcome)
{
    while (!outcome->done_count && uv_run(&client->loop, UV_RUN_ONCE))
        ;
    assert_int_equal(outcome->done_count, 1);
}

static const char *url_of(const char *scheme, int port)
{
    static char url[128];
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/secret-path?upload_id=secret-query", scheme, port);
    return url;
}

void client_put(struct client *client, const char *scheme, int port, struct source *source,
                struct outcome *outcome)
{
    client_start(client, "PUT", url_of(scheme, port), NULL, source, outcome);
    client_run(client, outcome);
}

void client_get(struct client *client, const char *scheme, int port, struct outcome *outcome)
{
    client_start(client, "GET", url_of(scheme, port), NULL, NULL, outcome);
    client_run(client, outcome);
}

int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}
