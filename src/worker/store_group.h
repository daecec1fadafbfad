/*
 * Inside the store thread: requests, and what is done with a group of them in its transaction
 * (store_group.c).
 */
#ifndef WORKER_STORE_GROUP_H
#define WORKER_STORE_GROUP_H

#include "store/store.h"
#include "worker/store_thread.h"

enum { GROUP_MAX = 256 };

enum request_type {
    REQUEST_CLAIM,
    REQUEST_WRITE,
    REQUEST_RENEW,
    REQUEST_CHUNKS,
    REQUEST_FINGERPRINT,
    REQUEST_BACKLOG,
    REQUEST_QUEUE,
    REQUEST_ALARMS,
    REQUEST_UNTOLD,
    REQUEST_TOLD,
    REQUEST_SEEN
};

/* What became of a group; its first request brings it to the loop. */
struct group {
    uint32_t count; /* of requests; 0: this one is not the first */
    bool ok;
    bool reopened;
    int64_t took_ms;
};

struct request {
    enum request_type type;
    void *ctx;
    uint64_t op;
    bool ok; /* the transaction was committed */
    struct group group;
    union {
        struct {
            uint32_t max, count;
            int64_t per_channel_max, per_tenant_max;
            struct store_work *works; /* owned */
            void (*done)(void *ctx, uint64_t op, bool ok, struct store_work *works, uint32_t count);
        } claim;
        struct {
            struct job_write write;
            void *sealed; /* owned */
            size_t sealed_len;
            enum write_result result;
            void (*done)(void *ctx, uint64_t op, const struct job_write *write, enum write_result result);
        } write;
        struct {
            struct job_id job;
            int64_t lease_epoch;
            struct store_renewal renewal;
            void (*done)(void *ctx, uint64_t op, const struct store_renewal *renewal);
        } renew;
        struct {
            struct job_id job;
            struct chunk_digest *chunks; /* owned */
            uint32_t count, size;
            void (*done)(void *ctx, uint64_t op, bool ok, const struct chunk_digest *chunks, uint32_t count);
        } chunks;
        struct {
            struct job_id job;
            int64_t lease_epoch;
            char *text; /* owned */
            enum write_result result;
            void (*done)(void *ctx, uint64_t op, enum write_result result);
        } fingerprint;
        struct {
            struct store_backlog backlog;
            void (*done)(void *ctx, bool ok, const struct store_backlog *backlog);
        } backlog;
        struct {
            struct queue *queue; /* owned */
            void (*done)(void *ctx, bool ok, struct queue *queue);
        } queue;
        struct {
            int64_t every_ms;
            uint32_t raised;
            void (*done)(void *ctx, bool ok, uint32_t raised);
        } alarms;
        struct {
            int64_t within_ms;
            struct store_alarm alarm;
            void (*done)(void *ctx, bool ok, const struct store_alarm *alarm);
        } untold;
        struct {
            int64_t alarm;
            void (*done)(void *ctx, bool ok);
        } told;
        struct {
            uint32_t active_count;
        } seen;
    };
};

/* What all requests of a thread share. */
struct store_group {
    const struct store_thread_config *config;
    struct store *store;
    struct store_write_item *writes; /* room for GROUP_MAX */
    struct store_renew_item *renewals;
};

/* In a transaction that has begun, or for looks in none. A request that is refused by itself has
 * `ok` unset; on error nothing of the group may be kept. */
int store_group_run(const struct store_group *run, struct request **requests, uint32_t count,
                    struct err *err) MUST_CHECK;
/* Nothing of a group that was not committed may be believed. */
void request_disbelieve(struct request *request);

#endif
