/*
 * The access tokens that the broker holds, one entry a channel, and the flights that renew them. For
 * src/vault alone.
 */
#ifndef VAULT_TOKENS_H
#define VAULT_TOKENS_H

#include "vault/child.h"

/* A login or a client that was refused is tried again after this, or when its row changed. */
enum { REFUSED_MS = 600000 };
/* Lines of the trail, in such a time, about tokens that were asked for without a lease: more than enough for
 * an alarm (core/misuse.h), and too few to fill a disk. */
enum { LEASELESS_LINES_MAX = 120, LEASELESS_MS = 60000 };

struct tokens *tokens_new(struct child *child);
void tokens_free(struct tokens *tokens); /* after http_close(): no flight may be aloft */
void tokens_ask(struct tokens *tokens, const struct message *ask);
/* After a login or a removal in this process: what was known of the channel does not hold. */
void tokens_forget(struct tokens *tokens, int64_t channel_id);
/* Once a second: answers those who waited too long, drops what was not used for an hour. */
void tokens_tick(struct tokens *tokens, int64_t now_mono_ms);
bool tokens_is_busy(const struct tokens *tokens);

/* ---- pauses after passing failures (K02) ---- */

struct pause {
    uint32_t failures; /* in a row */
    int64_t until_mono_ms;
};
/* Full jitter with a cap; a Retry-After (-1: none) is the lower bound, and capped, too. */
void pause_extend(struct pause *pause, int64_t now_mono_ms, int64_t retry_after_ms);
int64_t pause_left_ms(const struct pause *pause, int64_t now_mono_ms);

/* ---- clients ---- */

/* What was learned about an OAuth client: refused for good (K04), or its endpoint is in trouble (K02). A
 * token service is in trouble for all clients alike: its gate has the id 0. */
struct gate {
    struct gate *next;
    int64_t client_id;
    struct pause pause;
    bool is_probing; /* one flight tries whether the trouble is over */
    int64_t refused_until_mono_ms;
    unsigned char refused_secret[ROW_DIGEST_BYTES];
    char refused_message[MESSAGE_SIZE];
};
struct gate *gate_of(struct tokens *tokens, int64_t client_id);
/* Whether a flight may start. If not, *ret_result, the message and *ret_wait_ms say why; if yes, and its
 * pause was on, this flight is the probe: gate_passed() or gate_failed() ends it. */
bool gate_may_pass(struct gate *gate, const unsigned char secret_digest[ROW_DIGEST_BYTES],
                   int64_t now_mono_ms, enum token_result *ret_result, const char **ret_message,
                   int64_t *ret_wait_ms);
void gate_refused(struct gate *gate, const unsigned char secret_digest[ROW_DIGEST_BYTES], int64_t now_mono_ms,
                  const char *message);
void gate_failed(struct gate *gate, int64_t now_mono_ms, int64_t retry_after_ms);
void gate_passed(struct gate *gate);

/* ---- entries ---- */

enum { HANDOUTS_MAX = 16 };

struct token_entry {
    struct token_entry *next; /* in its bucket */
    struct tokens *tokens;
    int64_t channel_id;
    int64_t tenant_id;
    int64_t used_at_mono_ms;

    struct secret access; /* none: no token */
    uint64_t serial;      /* grows with each access token */
    int64_t renew_at_mono_ms;
    int64_t expires_at_mono_ms;
    /* Who got which, so that ten jobs that meet the same 401 cause one refresh. */
    struct {
        uint64_t job; /* digest */
        uint64_t serial;
    } handouts[HANDOUTS_MAX];
    uint32_t handout_count;
    int64_t look_at_mono_ms; /* not before: videos_look() */

    struct token_waiter *waiters;
    bool in_flight;   /* or waiting for its start */
    bool wants_fresh; /* one of them met a 401 with `access`; the next flight to start takes note */
    struct token_entry *next_to_start;
    bool is_forgotten; /* drop what the present flight brings */

    struct secret unsaved; /* a new refresh token that the store did not take yet (K06) … */
    unsigned char unsaved_for[ROW_DIGEST_BYTES]; /* … and what it is to replace: login_digest() */
    struct pause pause;
    bool is_verified;                         /* K09 */
    unsigned char verified[ROW_DIGEST_BYTES]; /* what was: flight->login */
    /* A refusal that only another login lifts; TOKEN_OK: none. */
    enum token_result refused;
    int64_t refused_until_mono_ms;
    unsigned char refused_row[ROW_DIGEST_BYTES];
    char refused_message[MESSAGE_SIZE];
};

/* ---- what else a token is good for (broker_videos.c) ---- */

/* Looks at the uploads of the channel, if that is wanted and due; at once or not at all. */
void videos_look(struct child *child, struct token_entry *entry);

/* ---- flights ---- */

/* What a flight brought. */
struct landing {
    enum token_result result;
    const char *message; /* for people; no secret */
    int64_t retry_after_ms;
    struct secret *access;    /* OK: taken */
    int64_t life_ms;          /* OK: from now on */
    const unsigned char *row; /* digest of the sealed refresh token; NULL: not read */
    bool is_fresh;            /* OK: nobody had this token before */
    bool is_early;            /* TRANSIENT: nothing failed, it is only not the time yet */
};
/* Loads, refreshes, stores a new refresh token, checks whose channel it is; ends in tokens_landed() exactly
 * once, perhaps from within. */
void flight_start(struct child *child, struct token_entry *entry);
void tokens_landed(struct token_entry *entry, const struct landing *landing);

#endif
