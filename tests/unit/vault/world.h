/*
 * A world for the broker's tests: a folder with a store and a key, the endpoint process, a broker child whose
 * standard error is kept, and short ways to ask.
 */
#ifndef TESTS_VAULT_WORLD_H
#define TESTS_VAULT_WORLD_H

#include "endpoint.h"
#include "plant.h"
#include "unit.h"
#include "vault/broker.h"

struct world {
    char dir[64];
    char store_url[96];
    char key_file[96];
    char log_file[96];
    int stderr_was;
    struct store *store;
    uv_loop_t loop;
    struct broker *broker;
    struct store_client client;
    int job_count;
    struct err err;
};

/* What was answered, copied. */
struct got_token {
    bool is_done;
    enum token_result result;
    char access[128];
    int64_t expires_at_mono_ms;
    int64_t retry_after_ms;
    char message[1024];
};

extern struct endpoint *endpoint; /* world_main() starts it */

/* cmocka setup: everything up to an imported client, *state is the world. The teardown closes the broker and
 * fails if a planted secret or an access token stands in what the child wrote. */
int world_setup(void **state);
int world_teardown(void **state);
/* Runs the group with an endpoint process around it. */
int world_main(int (*run)(void));

struct broker_config world_config(const struct world *world);
void world_open_broker(struct world *world);
void world_open_broker_elsewhere(struct world *world); /* as another worker's */
void world_close_broker(struct world *world);          /* and runs the loop until its handles are gone */
/* Fails the test, telling the last error. */
void world_print_failure(struct world *world, const char *what, int code);
bool world_log_has(const struct world *world, const char *text);
uint32_t world_log_count(const struct world *world, const char *text);

/* A client_secret.json with the planted secret. */
int import_client(struct world *world, const char *name, struct store_client *ret);
/* A login to the channel that the endpoint names. */
int login_as(struct world *world, const char *name, const char *expect, struct store_channel *ret);
struct store_channel must_login(struct world *world, const char *name);

/* A job of the channel, leased. */
struct job_claim leased_job(struct world *world, const struct store_channel *channel);
/* Asks, and runs the loop until the answer is there. */
struct got_token ask(struct world *world, const struct job_claim *job);
struct got_token ask_fresh(struct world *world, const struct job_claim *job);
/* Asks only; run_until_done() waits. */
void ask_later(struct world *world, const struct job_claim *job, struct got_token *ret);
void run_until_done(struct world *world, const struct got_token *tokens, int count);

uint32_t count_events(struct world *world, const char *what);
uint32_t count_refreshed(struct world *world, const char *access); /* lines that name it as a worker would */
uint32_t units_used(struct world *world);

#define assert_ok(expression, world)                                                                         \
    do {                                                                                                     \
        int assert_code = (expression);                                                                      \
        if (assert_code != 0)                                                                                \
            world_print_failure(world, #expression, assert_code);                                            \
    } while (0)
#define assert_says(world, part)                                                                             \
    do {                                                                                                     \
        if (!strstr((world)->err.message, part))                                                             \
            world_print_failure(world, "it does not say " part, (world)->err.code);                          \
    } while (0)

#endif
