/* This side of a connection, for tests: one http handle on a loop, exchanges whose end is kept. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include "http/http.h"

struct client {
    uv_loop_t loop;
    uv_timer_t watchdog; /* a test that hangs fails */
    struct http_config config;
    struct http *http;
};

/* The end of one exchange. */
struct outcome {
    struct client *client;
    struct http_request *request;
    int done_count;
    int progress_count;
    uint64_t progress_bytes;
    struct http_reply reply; /* headers and body point into the copies */
    char headers[40000];
    char body[70000];
    void (*then)(struct outcome *outcome); /* called from within `done`; NULL: nothing */
};

/* A body of size_bytes that is made as it is read. */
struct source {
    struct http_body body;
    uint64_t given_bytes;
    uint64_t later_at; /* says LATER once when this much is out; 0: never */
    uint64_t fail_at;  /* fails when this much is out; 0: never */
    size_t piece_max;  /* gives no more at once; 0: what is asked for */
    struct outcome *outcome;
    int later_count;
    bool waits; /* LATER for good */
};

void client_open(struct client *client); /* config may have been set before: client_init() */
void client_init(struct client *client);
void client_close(struct client *client);

void source_init(struct source *source, uint64_t size_bytes);
char source_byte(uint64_t at); /* what the body has at this place */

/* Starts and returns; the outcome is there after client_run(). */
void client_start(struct client *client, const char *method, const char *url, const char *const *headers,
                  struct source *source, struct outcome *outcome);
void client_start_exchange(struct client *client, struct http_exchange *exchange, struct outcome *outcome);
void client_run(struct client *client, struct outcome *outcome);
/* Both, for one exchange against 127.0.0.1:port. */
void client_put(struct client *client, const char *scheme, int port, struct source *source,
                struct outcome *outcome);
void client_get(struct client *client, const char *scheme, int port, struct outcome *outcome);
int count_descriptors(void);

#endif
