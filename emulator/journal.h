/*
 * What happened: every request, and every try to use a token where it does not belong. Holds no secret: paths
 * are kept without credentials, sessions as digests. Used under the state's lock.
 */
#ifndef EMULATOR_JOURNAL_H
#define EMULATOR_JOURNAL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "channels.h"

enum { DIGEST_LEN = 12, OP_NAME_SIZE = 32, METHOD_SIZE = 12 };

struct journal_entry {
    uint64_t number; /* 1, 2, 3 … in the order of arrival */
    int64_t at_ms;   /* the emulator's clock */
    char op[OP_NAME_SIZE];
    char method[METHOD_SIZE];
    char *path;
    char *query;                      /* without secrets; may be NULL */
    char *content_range;              /* may be NULL */
    char *fault;                      /* the word that was applied; may be NULL */
    char channel[CHANNEL_ID_LEN + 1]; /* of the token; may be "" */
    char session[DIGEST_LEN + 1];     /* may be "" */
    uint64_t received_bytes;          /* of the body */
    int status;                       /* 0: still running, or ended without a reply */
    int64_t stored_before;            /* bytes of the session; -1: no session */
    int64_t stored_after;
};

struct journal {
    struct journal_entry *entries;
    size_t count;
    uint64_t forgotten; /* entries dropped from the front: at most ENTRIES_MAX are kept */
    json_t *violations; /* list, owned */
};

void journal_init(struct journal *journal);
void journal_release(struct journal *journal);
void journal_clear(struct journal *journal); /* numbers go on */
/* A new entry; write to it through journal_at(). */
uint64_t journal_add(struct journal *journal, int64_t at_ms);
struct journal_entry *journal_at(struct journal *journal, uint64_t number); /* NULL if forgotten */
/* The entries after `since`, only those of `op` and `session` if these are not NULL. */
json_t *journal_list(const struct journal *journal, uint64_t since, const char *op, const char *session);
/* A token used where it does not belong. */
void journal_violation(struct journal *journal, int64_t at_ms, const char *kind, const char *op,
                       const char *token_channel, const char *owner_channel, const char *session);

#endif
