/*
 * Authorization in progress: consent pages not yet answered, codes not yet exchanged, devices that wait, and
 * the answers that tests give in advance. Used under the state's lock.
 */
#ifndef EMULATOR_OAUTH_H
#define EMULATOR_OAUTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "channels.h"
#include "clients.h"
#include "map.h"

/* An authorization request that passed all checks: a consent page, and then its code. */
struct consent {
    struct client *client;
    struct channel *channel; /* once chosen */
    unsigned scopes;
    char *redirect_uri;
    char *state;          /* may be NULL */
    char *code_challenge; /* may be NULL */
    bool challenge_is_plain;
    bool offline;
    bool forces_prompt; /* prompt has `consent`: a refresh token comes each time [oauth] */
    int64_t expires_at_ms;
};

struct device {
    char *user_code;
    struct client *client;
    struct channel *channel; /* once approved */
    unsigned scopes;
    bool is_denied;
    int64_t expires_at_ms;
    int64_t polled_at_ms;
};

struct oauth {
    struct map pages;   /* by page id: struct consent, owned */
    struct map codes;   /* by code: struct consent, owned */
    struct map devices; /* by device code: struct device, owned */
    json_t *approvals;  /* list of answers to coming consent pages, first in first out; owned, may be NULL */
};

void oauth_clear(struct oauth *oauth);
void consent_free(void *consent); /* NULL is fine */

#endif
