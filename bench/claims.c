/*
 * How long a claim takes, on a store that has its jobs already (bench/claim makes them).
 *
 *     claims --store URL [--count N] [--batch N] [--workers N]
 *
 * Each claim is a transaction of its own, timed from its begin to its commit; then its jobs are given back,
 * so that the queue stays as long as it is. Several workers claim at once, as processes. Prints one JSON
 * object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/parse.h"
#include "store/store.h"

enum { LEASE_MS = 45000, WARM_UP = 20, COUNT_MAX = 100000, BATCH_MAX = 256, WORKERS_MAX = 64 };

struct options {
    const char *store;
    uint64_t count, batch, workers;
};

static void fail(const char *what, const struct err *err)
{
    fprintf(stderr, "claims: %s: %s\n", what, err->message);
    exit(1);
}

static int64_t mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void give_back(struct store *store, const char *name, struct store_work *works, uint32_t count)
{
    static struct store_write_item items[BATCH_MAX];
    static struct job_write writes[BATCH_MAX];
    struct err err = {0};
    for (uint32_t i = 0; i < count; i++) {
        writes[i] = (struct job_write){.id = works[i].claim.id,
                                       .lease_epoch = works[i].claim.lease_epoch,
                                       .set_state = true,
                                       .state = JOB_QUEUED,
                                       .release_lease = true};
        items[i] = (struct store_write_item){.write = &writes[i]};
        store_work_release(&works[i]);
    }
    if (store_write_many(store, name, items, count, &err) < 0)
        fail("write", &err);
}

static int64_t time_claim(struct store *store, const char *name, uint32_t batch)
{
    static const struct store_reach reach = {.region = "", .per_channel_max = 16};
    static struct store_work works[BATCH_MAX];
    struct err err = {0};
    uint32_t count = 0;
    int64_t begun_us = mono_us();
    if (store_claim(store, name, &reach, batch, LEASE_MS, works, &count, &err) < 0)
        fail("claim", &err);
    int64_t took_us = mono_us() - begun_us;
    if (count != batch) {
        fprintf(stderr, "claims: %u jobs instead of %u\n", count, batch);
        exit(1);
    }
    give_back(store, name, works, count);
    return took_us;
}

static void run_worker(const struct options *options, uint64_t number, int report)
{
    struct err err = {0};
    struct store *store;
    char name[32];
    snprintf(name, sizeof(name), "w%" PRIu64 "-%d", number, (int)getpid());
    if (store_open(options->store, STORE_USE, &store, &err) < 0)
        fail("open", &err);
    for (uint64_t i = 0; i < options->count + WARM_UP; i++) {
        int64_t took_us = time_claim(store, name, (uint32_t)options->batch);
        if (i >= WARM_UP && write(report, &took_us, sizeof(took_us)) != sizeof(took_us))
            exit(1);
    }
    store_close(store);
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return one < other ? -1 : one > other;
}

/* Until all workers have closed their ends. */
static uint64_t collect(int from, int64_t *took_us, uint64_t max)
{
    uint64_t count = 0;
    while (count < max && read(from, &took_us[count], sizeof(*took_us)) == sizeof(*took_us))
        count++;
    qsort(took_us, count, sizeof(*took_us), compare);
    return count;
}

static bool parse_options(int argc, char **argv, struct options *ret)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "--count") == 0     ? &ret->count
                           : strcmp(argv[i], "--batch") == 0   ? &ret->batch
                           : strcmp(argv[i], "--workers") == 0 ? &ret->workers
                                                               : NULL;
        if (strcmp(argv[i], "--store") == 0)
            ret->store = argv[i + 1];
        else if (!number || !parse_u64(argv[i + 1], number))
            return false;
    }
    return argc % 2 == 1 && ret->store && ret->count > 0 && ret->count <= COUNT_MAX && ret->batch > 0 &&
           ret->batch <= BATCH_MAX && ret->workers > 0 && ret->workers <= WORKERS_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {.count = 500, .batch = 1, .workers = 1};
    int pipes[2];
    if (!parse_options(argc, argv, &options)) {
        fprintf(stderr, "usage: claims --store URL [--count N] [--batch N] [--workers N]\n");
        return 2;
    }
    if (pipe(pipes) != 0)
        return 1;
    for (uint64_t i = 0; i < options.workers; i++) {
        if (fork() == 0) {
            run_worker(&options, i, pipes[1]);
            _exit(0);
        }
    }
    close(pipes[1]);
    uint64_t total = options.count * options.workers;
    int64_t *took_us = mem_alloc_array(total, sizeof(*took_us));
    if (collect(pipes[0], took_us, total) != total)
        return 1;
    printf("{\"claims\": %" PRIu64 ", \"batch\": %" PRIu64 ", \"workers\": %" PRIu64 ", \"p50_ms\": %.2f,"
           " \"p99_ms\": %.2f, \"max_ms\": %.2f}\n",
           total, options.batch, options.workers, (double)took_us[total / 2] / 1000,
           (double)took_us[total * 99 / 100] / 1000, (double)took_us[total - 1] / 1000);
    mem_free(took_us);
    return 0;
}
