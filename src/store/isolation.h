/*
 * Whether the database itself keeps a login to its tenants (docs/tenants.md): asked when a worker and a
 * broker start, and by `sluice check`. Postgres only; of SQLite there is one thing to say, that it cannot.
 */
#ifndef STORE_ISOLATION_H
#define STORE_ISOLATION_H

#include "store/store.h"

enum store_user {
    STORE_AS_WORKER, /* of `store`: may not read a secret; operators' logins are judged as it is */
    STORE_AS_BROKER, /* of `broker_store`: may, of its tenants */
};

/* Both texts live as long as the callback. */
struct store_finding {
    const char *what;
    const char *mend;
};

/* Calls `found` for everything that is wrong; a non-zero return ends the search and is returned. `tenants`:
 * "a,b", those that the login is to serve and no others; "" : whichever it reaches. 0: all was looked at. */
int store_isolation(struct store *store, enum store_user user, const char *tenants,
                    int (*found)(void *ctx, const struct store_finding *finding), void *ctx,
                    struct err *err) MUST_CHECK;
/* ERR_AUTH with the first finding and what to do about it. */
int store_require_isolation(struct store *store, enum store_user user, const char *tenants,
                            struct err *err) MUST_CHECK;

#endif
