/* One call of each function of the store, at what another tenant has. */
#ifndef TESTS_STORE_TENANT_CALLS_H
#define TESTS_STORE_TENANT_CALLS_H

#include "fixture.h"

/* What the tenant b has, made by a handle that reaches all. */
struct theirs {
    struct fixture *fix;
    int64_t tenant, client, channel;
    struct job_id queued, leased;
    struct job_claim claim;
};

struct tenant_call {
    const char *name; /* without store_ */
    /* Whether nothing of theirs came of it. NULL: it is about no tenant */
    bool (*is_refused)(const struct theirs *b, struct fixture *fix);
};
extern const struct tenant_call tenant_calls[];
extern const size_t tenant_call_count;

#endif
