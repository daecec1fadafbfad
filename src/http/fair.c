#include "http/fair.h"

#include <assert.h>

#include "base/mem.h"

void fair_init(struct fair *fair, uint64_t bytes_per_s, uint64_t group_bytes_per_s, int64_t now_ms)
{
    *fair = (struct fair){.group_bytes_per_s = group_bytes_per_s};
    rate_init(&fair->rate, bytes_per_s, now_ms);
    TAILQ_INIT(&fair->groups);
}

bool fair_has_limit(const struct fair *fair)
{
    return fair->rate.bytes_per_s > 0 || fair->group_bytes_per_s > 0;
}

void fair_set_rates(struct fair *fair, uint64_t bytes_per_s, uint64_t group_bytes_per_s, int64_t now_ms)
{
    struct fair_group *group;
    rate_init(&fair->rate, bytes_per_s, now_ms);
    fair->group_bytes_per_s = group_bytes_per_s;
    TAILQ_FOREACH(group, &fair->groups, link)
    rate_init(&group->rate, group_bytes_per_s, now_ms);
}

/* ---- groups ---- */

static struct fair_group *find(const struct fair *fair, uint64_t id)
{
    struct fair_group *group;
    TAILQ_FOREACH(group, &fair->groups, link)
    if (group->id == id)
        return group;
    return NULL;
}

static void drop(struct fair *fair, struct fair_group *group)
{
    assert(TAILQ_EMPTY(&group->line));
    TAILQ_REMOVE(&fair->groups, group, link);
    mem_free(group);
}

static void drop_rested(struct fair *fair, int64_t now_ms)
{
    struct fair_group *group, *next;
    for (group = TAILQ_FIRST(&fair->groups); group; group = next) {
        next = TAILQ_NEXT(group, link);
        if (group->users == 0 && rate_is_full(&group->rate, now_ms))
            drop(fair, group);
    }
}

void fair_release(struct fair *fair)
{
    while (!TAILQ_EMPTY(&fair->groups))
        drop(fair, TAILQ_FIRST(&fair->groups));
}

struct fair_group *fair_join(struct fair *fair, uint64_t id, int64_t now_ms)
{
    drop_rested(fair, now_ms);
    struct fair_group *group = find(fair, id);
    if (!group) {
        group = mem_alloc(sizeof(*group));
        group->id = id;
        rate_init(&group->rate, fair->group_bytes_per_s, now_ms);
        rate_fill(&group->rate);
        TAILQ_INIT(&group->line);
        TAILQ_INSERT_TAIL(&fair->groups, group, link);
    }
    group->users++;
    return group;
}

void fair_leave(struct fair *fair, struct fair_group *group, int64_t now_ms)
{
    group->users--;
    drop_rested(fair, now_ms);
}

/* ---- turns ---- */

static void forget_credit(const struct fair *fair, struct fair_group *group)
{
    if (group->served_bytes < fair->served_bytes)
        group->served_bytes = fair->served_bytes;
}

void fair_wants(struct fair *fair, struct fair_group *group)
{
    if (TAILQ_EMPTY(&group->line))
        forget_credit(fair, group);
}

/* A group that waits for its own bucket gains nothing over the others by it. */
static bool is_ready(const struct fair *fair, struct fair_group *group, int64_t now_ms)
{
    if (TAILQ_EMPTY(&group->line))
        return false;
    if (rate_wait_ms(&group->rate, now_ms) == 0)
        return true;
    forget_credit(fair, group);
    return false;
}

struct fair_group *fair_next(struct fair *fair, int64_t now_ms)
{
    struct fair_group *group, *next = NULL;
    if (rate_wait_ms(&fair->rate, now_ms) > 0)
        return NULL;
    TAILQ_FOREACH(group, &fair->groups, link)
    if (is_ready(fair, group, now_ms) && (!next || group->served_bytes < next->served_bytes))
        next = group;
    return next;
}

uint64_t fair_take(struct fair *fair, struct fair_group *group, uint64_t wanted, int64_t now_ms)
{
    if (rate_wait_ms(&fair->rate, now_ms) > 0 || rate_wait_ms(&group->rate, now_ms) > 0)
        return 0; /* many small pieces cost more than they move */
    uint64_t own = rate_take(&group->rate, wanted, now_ms);
    uint64_t granted = rate_take(&fair->rate, own, now_ms);
    rate_give_back(&group->rate, own - granted);
    forget_credit(fair, group);
    fair->served_bytes = group->served_bytes;
    group->served_bytes += granted;
    return granted;
}

void fair_give_back(struct fair *fair, struct fair_group *group, uint64_t bytes)
{
    rate_give_back(&group->rate, bytes);
    rate_give_back(&fair->rate, bytes);
    group->served_bytes -= bytes < group->served_bytes ? bytes : group->served_bytes;
}

int64_t fair_wait_ms(struct fair *fair, int64_t now_ms)
{
    struct fair_group *group;
    int64_t shortest_ms = -1, all_ms = rate_wait_ms(&fair->rate, now_ms);
    TAILQ_FOREACH(group, &fair->groups, link)
    {
        if (TAILQ_EMPTY(&group->line))
            continue;
        int64_t own_ms = rate_wait_ms(&group->rate, now_ms);
        int64_t wait_ms = own_ms > all_ms ? own_ms : all_ms;
        if (shortest_ms < 0 || wait_ms < shortest_ms)
            shortest_ms = wait_ms;
    }
    return shortest_ms;
}
