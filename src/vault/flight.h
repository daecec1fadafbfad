/*
 * The inside of a flight, for the two ways to get an access token: from a token endpoint with a sealed
 * refresh token (broker_flight.c), and from a token service (broker_flight_service.c). Whichever it is, no
 * access token leaves this process before channels.list has named the channel (K09).
 */
#ifndef VAULT_FLIGHT_H
#define VAULT_FLIGHT_H

#include "vault/tokens.h"

struct flight {
    struct child *child;
    struct token_entry *entry;
    struct store_channel channel;
    struct store_client client;
    struct gate *gate; /* NULL: not passed */
    /* Digest of what `access` was got with: the sealed refresh token; of a token service's, the token itself,
     * since nobody tells whether another login stands behind the next one. */
    unsigned char row[ROW_DIGEST_BYTES];
    unsigned char secret_row[ROW_DIGEST_BYTES];
    /* Digest of the login that `access` comes from, whatever key its row is sealed with. */
    unsigned char login[ROW_DIGEST_BYTES];
    struct flight *next_waiting;
    int64_t wait_until_mono_ms; /* 0: it has not waited yet */
    bool has_turn;              /* to refresh, among all brokers */
    bool is_shared;             /* `access` is another broker's */
    bool has_row;               /* a refusal can be remembered until the row changes */
    bool is_fresh;              /* the token before was refused; a token service's cache is not to answer */
    char scopes[512];
    struct secret access;
    int64_t expires_at_mono_ms;
};

/* Ends the flight and frees it. */
void flight_land(struct flight *flight, enum token_result result, const char *message, int http_status,
                 int64_t retry_after_ms);
/* Goes on with `access`: asks whose channel it is, unless this row's is known. */
void flight_verify(struct flight *flight);
/* The channel's row, if it is of the tenant that asks. */
int flight_load_channel(struct flight *flight, struct err *err) MUST_CHECK;

/* Lands without a failure: it is only not the time to refresh yet. */
void flight_land_early(struct flight *flight, const char *message, int64_t wait_ms);
/* Once more from the beginning, after a wait. */
void flight_go_on(struct flight *flight);

/* ---- the shared access token (broker_share.c) ---- */

/* Looks for one that another broker, or another process before this one, has left. True: the flight goes on
 * with a turn to refresh; false: it has landed with what was found, or waits. */
bool share_begin(struct flight *flight);
/* Leaves flight->access for the others, sealed, and gives the turn back. */
void share_end(struct flight *flight);
/* Gives the turn back; nobody is to try for so long. */
void share_fail(struct flight *flight, int64_t pause_ms);
/* Those that wait land. */
void share_stop(struct child *child);
/* Once, before the first. */
void share_open(struct child *child);
/* What tells one login from another. */
void login_digest(const struct secret *refresh_token, unsigned char ret[ROW_DIGEST_BYTES]);

/* The two beginnings with a token service: anew, and once more with is_fresh. */
void flight_start_with_service(struct flight *flight);
void flight_ask_service(struct flight *flight);

#endif
