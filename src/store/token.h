/*
 * The access token of a channel, sealed, that all brokers share, and whose turn it is to get the next one:
 * ten workers refresh once (K08). Times are the store's. Errors and threads as in store.h.
 */
#ifndef STORE_TOKEN_H
#define STORE_TOKEN_H

#include "store/store.h"

/* A turn or a pause that seems longer was set by a clock that was wrong. */
enum { REFRESH_WAIT_MS_MAX = 900000 };

struct store_access {
    struct blob sealed; /* len 0: none; caller frees data */
    int64_t serial;     /* grows with each one, and with each login */
    int64_t life_ms;    /* left; 0 and less: it is over */
    int64_t wait_ms;    /* > 0: another has the turn, or nobody, for so long */
    bool is_pause;      /* nobody: the last try failed */
};
int store_access_get(struct store *store, int64_t channel, const char *owner, struct store_access *ret,
                     struct err *err) MUST_CHECK;
/* Takes the turn for `turn_ms`, if nobody has it and `serial` is still the last one. */
int store_refresh_begin(struct store *store, int64_t channel, const char *owner, int64_t serial,
                        int64_t turn_ms, bool *ret_is_mine, struct err *err) MUST_CHECK;
/* Gives the turn back with an access token. *ret_done false: it was not ours any more, nothing is stored. */
int store_refresh_end(struct store *store, int64_t channel, const char *owner, struct blob sealed,
                      int64_t life_ms, bool *ret_done, struct err *err) MUST_CHECK;
/* Gives it back without one; nobody is to try for `pause_ms`. Nothing happens if it is not ours. */
int store_refresh_fail(struct store *store, int64_t channel, const char *owner, int64_t pause_ms,
                       struct err *err) MUST_CHECK;

#endif
