/*
 * Who gets how much of the bandwidth: one token bucket over all, one for each group (a tenant's transfers),
 * and turns between the groups that want more than there is. Pure: time is given.
 *
 * Of the groups that wait, the one that has been given least is next, however many transfers each has. So a
 * group's share depends on how many groups there are, never on how many transfers (docs/faults.md L05). What
 * a group does not want, or may not have, goes to the others; it is no credit for later.
 */
#ifndef HTTP_FAIR_H
#define HTTP_FAIR_H

#include <stdbool.h>
#include <sys/queue.h>

#include "http/rate.h"

struct http_request;
TAILQ_HEAD(fair_line, http_request); /* those of a group that wait; whoever uses this keeps it */

struct fair_group {
    TAILQ_ENTRY(fair_group) link;
    uint64_t id;
    uint32_t users;
    struct rate rate;
    uint64_t served_bytes; /* as if it had always wanted its share */
    struct fair_line line;
};
TAILQ_HEAD(fair_groups, fair_group);

struct fair {
    struct rate rate;
    uint64_t group_bytes_per_s; /* 0: no limit */
    uint64_t served_bytes;      /* of the group served last, before it was */
    struct fair_groups groups;  /* those with users, and those whose buckets are not full again yet */
};

void fair_init(struct fair *fair, uint64_t bytes_per_s, uint64_t group_bytes_per_s, int64_t now_ms);
/* Other limits from now on; turns and what was granted stay. */
void fair_set_rates(struct fair *fair, uint64_t bytes_per_s, uint64_t group_bytes_per_s, int64_t now_ms);
bool fair_has_limit(const struct fair *fair);

/* A user more or less; with the last one its line must be empty. The group stays until its bucket is full
 * again, and one that is not there begins with a full bucket: going away gains nothing, and whoever comes
 * after a rest need not wait for its first bytes. */
struct fair_group *fair_join(struct fair *fair, uint64_t id, int64_t now_ms);
void fair_leave(struct fair *fair, struct fair_group *group, int64_t now_ms);
void fair_release(struct fair *fair); /* nobody is in it any more */

/* Before its first one stands in line: time spent without wanting anything is no credit. */
void fair_wants(struct fair *fair, struct fair_group *group);
/* The group in whose line the next one is; NULL: nobody waits, or nobody may have anything yet. */
struct fair_group *fair_next(struct fair *fair, int64_t now_ms);
/* Up to `wanted` bytes; 0: not worth it yet. */
uint64_t fair_take(struct fair *fair, struct fair_group *group, uint64_t wanted, int64_t now_ms);
void fair_give_back(struct fair *fair, struct fair_group *group, uint64_t bytes);
/* Milliseconds until fair_next() has somebody; -1: nobody waits. */
int64_t fair_wait_ms(struct fair *fair, int64_t now_ms);

#endif
