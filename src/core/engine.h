/*
 * The heart: decides everything that can be decided, does nothing itself.
 *
 * Events go in with their time and entropy inside, actions come out; the shell carries them out and reports
 * what came of them, once each. No clock, no randomness, no allocation, no I/O in here, so the simulator runs
 * the very same code.
 *
 * Ownership: the caller owns the engine's memory for its life. One thread at a
 * time. Contract: engine_step() never emits an action whose effect YouTube can see before the row that lets
 * us recover from it is stored (docs/architecture.md, "Durable before visible").
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "core/event.h"

enum chunk_mode {
    CHUNK_MODE_CHUNKED, /* PUTs of chunk_bytes */
    CHUNK_MODE_WHOLE,   /* one PUT for all that is left */
    CHUNK_MODE_AUTO,    /* chunked until waiting for replies takes over a tenth of the time, then whole */
};

struct engine_config {
    uint64_t chunk_bytes; /* multiple of CHUNK_GRANULE_BYTES, at most CHUNK_BYTES_MAX */
    enum chunk_mode chunk_mode;
    int64_t lease_ms;
    int64_t retry_base_ms;
    int64_t retry_cap_ms;
    uint32_t retry_tries_max;
    int64_t job_life_ms;
    uint32_t quota_soft_percent; /* 1 to 100: jobs of usual priority may use this part of the day's uploads */
    int64_t progress_every_ms; /* progress is stored at most this often, unless many chunks were sent since */
    bool reconcile_restarts;   /* absence believed: true = new session, false (default) = hold `ambiguous` */
    bool check_video;          /* confirm each new video with videos.list (1 unit) before `completed` */
};
void engine_config_defaults(struct engine_config *config);

struct engine;
/* Bytes needed for an engine with this many slots; the memory must be aligned as for any object. */
uint64_t engine_size(uint32_t slot_count);
struct engine *engine_init(void *memory, const struct engine_config *config, uint32_t slot_count);

/* Feeds one event; `ret_actions` is emptied first. */
void engine_step(struct engine *engine, const struct event *event, struct actions *ret_actions);
/* Monotonic time of the next EVENT_TICK that is wanted; INT64_MAX: none. */
int64_t engine_next_tick_mono_ms(const struct engine *engine);

/* The slot that the next EVENT_JOB will take: the shell puts what belongs to the job there. */
uint32_t engine_next_slot(const struct engine *engine);
/* How a slot's job stands, for people; false: the slot is free. Texts belong to the engine and live until its
 * next step. */
struct engine_view {
    struct job_id job;
    uint64_t size_bytes;
    uint64_t confirmed_bytes;
    const char *doing;        /* "put", "store", … ; "" while it backs off */
    int64_t retry_at_mono_ms; /* while it backs off; 0 otherwise */
    uint32_t pauses;          /* how often it has backed off in this lease, be it for no time at all */
    const char *reason;       /* of the last trouble; "" */
};
bool engine_look(const struct engine *engine, uint32_t slot, struct engine_view *ret);
uint32_t engine_active_count(const struct engine *engine);
/* Draining and nothing left to do. */
bool engine_is_idle(const struct engine *engine);

#endif
