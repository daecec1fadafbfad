/*
 * The simulator: the very engine of src/core in virtual time, with a model store, a model YouTube and workers
 * that may die at any step. Everything that happens is drawn from one seed.
 *
 * world.c   virtual time: one queue of things due, delivered in order
 * store.c   the model store: job_write as docs/store.md says, fenced, with the lifecycle checked
 * youtube.c the model YouTube: sessions, offsets, videos, lists; loses requests and replies, lies, is late
 * worker.c  the shell: carries out actions against the two, with delays, crashes and stops
 * people.c  owners and operators: cancel, pause, log in again
 * check.c   the promises, checked at every step and at the end
 */
#ifndef SIM_H
#define SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/engine.h"

enum {
    JOBS_MAX = 400,
    WORKERS_MAX = 4,
    SLOTS_A_WORKER = 8,
    CHANNELS_MAX = 8,
    SESSIONS_MAX = 8192,
    STANDING_MAX = 100000, /* things that happen in one millisecond */
    QUOTA_DAYS_MAX = 64
};
#define SIM_EPOCH_MS 1790000000000 /* wall time at virtual time 0: 2026-09-21 */

/* What goes wrong, and how often at most where it may: parts of 10,000 of the occasions; drawn for each seed.
 */
#define FAULT_TABLE(X)                                                                                       \
    X(LOST_REQUEST, 300)                                                                                     \
    X(LOST_REPLY, 300)                                                                                       \
    X(LATE_EFFECT, 5000) /* of a lost request: it arrives after the client gave up */                        \
    X(PARTIAL, 1000)                                                                                         \
    X(STALL, 200)                                                                                            \
    X(BAD_RANGE, 100)                                                                                        \
    X(LYING_RANGE, 100)                                                                                      \
    X(NO_RANGE, 100)                                                                                         \
    X(HIGH_RANGE, 100)                                                                                       \
    X(STATUS_5XX, 300)                                                                                       \
    X(STATUS_429, 100)                                                                                       \
    X(STATUS_401, 100)                                                                                       \
    X(STATUS_404, 60)                                                                                        \
    X(STATUS_ODD, 50) /* 409, 412, 416 */                                                                    \
    X(RETRY_AFTER, 3000)                                                                                     \
    X(DAY_QUOTA, 100)                                                                                        \
    X(CHANNEL_LIMIT, 50)                                                                                     \
    X(COMMIT_THEN_ERROR, 3000) /* of the refusals */                                                         \
    X(NO_ID, 300)                                                                                            \
    X(LAZY_FINAL, 1000) /* everything stored, not finalised: a query completes it */                         \
    X(NEW_LOCATION, 100)                                                                                     \
    X(BAD_LOCATION, 50)                                                                                      \
    X(OTHER_VIDEO, 20)                                                                                       \
    X(STORE_FAILED, 100)                                                                                     \
    X(STORE_UNKNOWN, 100) /* committed, but nobody says so */                                                \
    X(RENEW_FAILED, 200)                                                                                     \
    X(TOKEN_TRANSIENT, 200)                                                                                  \
    X(TOKEN_REVOKED, 20)                                                                                     \
    X(SOURCE_ERROR, 50)                                                                                      \
    X(SOURCE_CHANGES, 300)                                                                                   \
    X(CDN_DOWN, 500)                                                                                         \
    X(CDN_DIFFERS, 100)                                                                                      \
    X(CRASH, 30)                                                                                             \
    X(STOP, 20) /* SIGSTOP for up to 3 minutes */                                                            \
    X(DRAIN, 100)                                                                                            \
    X(WALL_JUMP, 100)                                                                                        \
    X(CANCEL, 500)                                                                                           \
    X(PAUSE, 300)                                                                                            \
    X(VAGUE_LIST, 2000)                                                                                      \
    X(HIDDEN_VIDEO, 3000) /* listed up to 25 minutes late */                                                 \
    X(EXPIRE, 50)

enum fault {
#define X(name, usual) FAULT_##name,
    FAULT_TABLE(X)
#undef X
        FAULT_COUNT
};

struct model_job {
    struct job_id id;
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms;
    uint32_t channel;
    int priority;
    bool has_cdn;
    bool cdn_differed; /* it was said once */
    uint64_t size_bytes;
    int64_t lease_epoch, lease_until_ms; /* 0: not leased */
    bool cancel_wanted;
    uint32_t session; /* the stored one; 0: none */
    bool finalizing, session_dead;
    uint64_t confirmed_bytes;
    int64_t session_at_ms, reconcile_from_ms;
    uint32_t reconcile_looks, check_looks, waits;
    char video_id[VIDEO_ID_SIZE];
    char told[MESSAGE_SIZE]; /* the last line of the trail that names a token */
    /* the source */
    uint32_t version; /* 0 as added; another: it was overwritten */
    bool twin;        /* same size and title as the job before it */
    bool cancelled_by_owner;
    uint32_t requests; /* sent to YouTube for it */
    uint64_t bytes_sent;
};

struct session {
    uint32_t job, channel;
    uint64_t stored_bytes;
    uint64_t told_bytes; /* the most that any reply told */
    bool finished, dead, lazy;
    uint32_t versions; /* bit mask of source versions among its bytes */
    uint32_t video;    /* index + 1 */
};

struct video {
    uint32_t job, channel;
    char id[VIDEO_ID_SIZE];
    int64_t at_ms, listed_at_ms;
    uint32_t versions;
};

struct world;
struct due {
    int64_t at_ms;
    uint64_t order;
    void (*run)(struct world *world, struct due *due);
    uint32_t worker, incarnation;
    struct action action;
    struct event event;
    uint32_t session;
    uint64_t sent_bytes;
    bool answer_only;
};

struct sim_slot {
    uint32_t job;     /* index */
    uint32_t session; /* the plain session: 0 none */
    uint32_t version_seen;
    uint64_t current_op;
    char token_id[TOKEN_ID_SIZE]; /* the last one it was given */
};

struct worker {
    uint32_t index, incarnation;
    bool alive, draining;
    int64_t stopped_until_ms;
    int64_t wall_skew_ms;
    struct engine *engine;
    struct sim_slot slots[SLOTS_A_WORKER];
    int64_t store_free_at_ms;
    uint64_t tick_order;
    int64_t tick_at_ms;
    uint64_t outstanding; /* actions not answered yet */
};

struct channel_model {
    enum channel_state state;
    int64_t until_ms;
    bool revoked;
    struct window window;
};

struct world {
    uint64_t seed, random_state;
    int64_t now_ms;
    uint64_t order;
    struct due **heap;
    uint32_t heap_count, heap_size;
    uint32_t faults[FAULT_COUNT];       /* of 10,000 */
    uint64_t fault_counts[FAULT_COUNT]; /* that struck */
    bool healed;
    bool tracing;
    struct engine_config config;
    uint32_t job_count, worker_count, channel_count, session_count, video_count;
    struct model_job jobs[JOBS_MAX];
    struct session sessions[SESSIONS_MAX];
    struct video videos[SESSIONS_MAX];
    struct worker workers[WORKERS_MAX];
    struct channel_model channels[CHANNELS_MAX];
    uint32_t uploads_per_day;
    struct {
        int32_t day;
        uint32_t ledger, charged;
        bool spent;             /* YouTube refuses whatever our ledger says */
        uint32_t refused_count; /* starts refused although the ledger knew (H05) */
        bool is_known;
    } quota[QUOTA_DAYS_MAX];
    uint64_t fault_count, request_count, event_count, standing_count;
    bool failed;
};

/* world.c */
uint64_t draw(struct world *world);
uint32_t draw_below(struct world *world, uint32_t bound);
int64_t draw_between(struct world *world, int64_t low, int64_t high);
/* A fault's dice; never after the world was healed. */
bool strikes(struct world *world, enum fault fault);
struct due *later(struct world *world, int64_t delay_ms, void (*run)(struct world *world, struct due *due));
bool world_next(struct world *world);
void world_release(struct world *world);
int64_t wall_now(const struct world *world);
void say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A broken promise: says which and ends this seed. */
void broken(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* store.c */
uint32_t store_claim_model(struct world *world, uint32_t max, struct job_claim *ret, uint32_t *ret_jobs);
enum write_result store_write_model(struct world *world, const struct job_write *write, uint32_t session,
                                    uint32_t *ret_job);
void store_renew_model(struct world *world, const struct action *action, struct event *ret);
int64_t store_next_claimable_ms(struct world *world);
void store_set_channel(struct world *world, uint32_t channel, enum channel_state state, int64_t until_ms);
void store_move(struct world *world, struct model_job *job, enum job_state to, enum job_cause cause);
uint32_t store_find(struct world *world, const struct job_id *id);
uint32_t quota_row(struct world *world, int32_t day);

/* youtube.c: at the moment when the request arrives; fills the reply */
void youtube_start(struct world *world, uint32_t job, struct reply *ret, uint32_t *ret_session);
void youtube_put(struct world *world, const struct due *due, struct reply *ret);
void youtube_query(struct world *world, uint32_t session, struct reply *ret);
void youtube_cancel(struct world *world, uint32_t session, struct reply *ret);
void youtube_list(struct world *world, uint32_t job, struct reply *ret);
void youtube_check(struct world *world, uint32_t job, const char *video_id, struct reply *ret);
void youtube_probe(struct world *world, uint32_t job, struct reply *ret);

/* worker.c */
void worker_start(struct world *world, struct worker *worker);
void worker_kill(struct world *world, struct worker *worker);
void worker_drain(struct world *world, struct worker *worker);
void worker_wake_all(struct world *world);

/* people.c */
void people_begin(struct world *world);
void people_mend(struct world *world, struct due *due);
void people_heal(struct world *world);

/* check.c */
void check_fence(struct world *world, const struct job_write *write, int64_t epoch, enum write_result result);
void check_put(struct world *world, const struct due *due, uint32_t job);
void check_told(struct world *world, const struct action *action, const struct sim_slot *slot);
void check_charge_told(struct world *world, const struct job_write *write);
void check_move(struct world *world, const struct model_job *job, enum job_state to);
void check_video(struct world *world, const struct video *video);
void check_confirmed(struct world *world, const struct model_job *job);
bool check_all_settled(struct world *world);
void check_end(struct world *world);

#endif
