/* Virtual time: a heap of things due, run in order of time, then of their making. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

uint64_t draw(struct world *world)
{
    uint64_t z = world->random_state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint32_t draw_below(struct world *world, uint32_t bound)
{
    return (uint32_t)(draw(world) % bound);
}

int64_t draw_between(struct world *world, int64_t low, int64_t high)
{
    return low + (int64_t)(draw(world) % (uint64_t)(high - low + 1));
}

bool strikes(struct world *world, enum fault fault)
{
    bool hit = draw(world) % 10000 < world->faults[fault] && !world->healed;
    world->fault_counts[fault] += hit;
    world->fault_count += hit;
    return hit;
}

static bool before(const struct due *a, const struct due *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct world *world, uint32_t a, uint32_t b)
{
    struct due *due = world->heap[a];
    world->heap[a] = world->heap[b];
    world->heap[b] = due;
}

struct due *later(struct world *world, int64_t delay_ms, void (*run)(struct world *world, struct due *due))
{
    if (world->heap_count == world->heap_size) {
        world->heap_size = world->heap_size ? world->heap_size * 2 : 1024;
        world->heap = realloc(world->heap, world->heap_size * sizeof(*world->heap));
    }
    struct due *due = calloc(1, sizeof(*due));
    due->at_ms = world->now_ms + (delay_ms > 0 ? delay_ms : 0);
    due->order = ++world->order;
    due->run = run;
    uint32_t at = world->heap_count++;
    world->heap[at] = due;
    for (; at > 0 && before(world->heap[at], world->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(world, at, (at - 1) / 2);
    return due;
}

static struct due *take_first(struct world *world)
{
    struct due *first = world->heap[0];
    world->heap[0] = world->heap[--world->heap_count];
    for (uint32_t at = 0;;) {
        uint32_t least = at, left = 2 * at + 1;
        for (uint32_t child = left; child <= left + 1 && child < world->heap_count; child++)
            if (before(world->heap[child], world->heap[least]))
                least = child;
        if (least == at)
            return first;
        swap(world, at, least);
        at = least;
    }
}

bool world_next(struct world *world)
{
    if (world->heap_count == 0 || world->failed)
        return false;
    struct due *due = take_first(world);
    world->standing_count = due->at_ms == world->now_ms ? world->standing_count + 1 : 0;
    if (world->standing_count > STANDING_MAX)
        broken(world, "I7: time stands still: something is done again and again without a pause");
    world->now_ms = due->at_ms;
    world->event_count++;
    due->run(world, due);
    free(due);
    return !world->failed;
}

void world_release(struct world *world)
{
    for (uint32_t i = 0; i < world->heap_count; i++)
        free(world->heap[i]);
    free(world->heap);
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        free(world->workers[i].engine);
}

int64_t wall_now(const struct world *world)
{
    return SIM_EPOCH_MS + world->now_ms;
}

void say(struct world *world, const char *format, ...)
{
    if (!world->tracing)
        return;
    printf("%10lld.%03lld ", (long long)(world->now_ms / 1000), (long long)(world->now_ms % 1000));
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void broken(struct world *world, const char *format, ...)
{
    if (world->failed)
        return;
    world->failed = true;
    printf("# seed %llu at %lld ms: BROKEN: ", (unsigned long long)world->seed, (long long)world->now_ms);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}
