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
    bool has_row;  /* a refusal can be remembered until the row changes */
    bool is_fresh; /* the token before was refused; a token service's cache is not to answer */
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

/* The two beginnings with a token service: anew, and once more with is_fresh. */
void flight_start_with_service(struct flight *flight);
void flight_ask_service(struct flight *flight);

#endif
