/* The inside of the parent's side, for src/vault alone. Everything belongs to the loop's thread. */
#ifndef VAULT_PARENT_H
#define VAULT_PARENT_H

#include "vault/broker.h"
#include "vault/link.h"

/* One question and what becomes of its answer. */
struct question {
    enum message_type expects; /* or ERROR, for those that message.h says so of */
    /* Once, from the loop. `answer` NULL: there is none, and `why` says why not. */
    void (*answered)(const struct question *question, const struct message *answer, const char *why,
                     int64_t retry_after_ms);
    union {
        void (*token)(void *ctx, const struct broker_token *token);
        void (*seal)(void *ctx, enum open_result result, struct blob sealed);
        void (*open)(void *ctx, enum open_result result, const char *url);
        void (*sign)(void *ctx, const struct broker_signed *answer);
    } done; /* the caller's own */
    void *ctx;
};
/* Takes the message. */
void broker_ask(struct broker *broker, struct message_out *out, const struct question *question);
uv_loop_t *broker_loop(const struct broker *broker);
/* For message_start() of the next question. */
uint64_t broker_next_id(struct broker *broker);
/* The first frame of a broker, with all that it needs to know. False: a text is too long. */
bool broker_build_config(const struct broker_config *config, struct secret *ret, size_t *ret_len);
/* What an ERROR says, as an error of ours. Returns its code. */
int broker_take_error(const struct message *answer, struct err *err);

#endif
