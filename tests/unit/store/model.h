/*
 * The store once more, as plain arrays: what docs/store.md says, written without looking at the SQL. The
 * random test does everything to both and compares.
 */
#ifndef TESTS_STORE_MODEL_H
#define TESTS_STORE_MODEL_H

#include "core/job.h"

enum { MODEL_JOBS = 40, MODEL_CHANNELS = 4, MODEL_TENANTS = 2, MODEL_DAYS = 3 };

struct model_channel {
    int64_t id; /* in the store */
    int tenant;
    enum channel_state state;
    int64_t until_ms;
};

struct model_job {
    struct job_id id;
    int channel; /* index */
    int priority;
    uint64_t size_bytes;
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms;
    bool is_leased;
    int64_t epoch, lease_until_ms;
    int cancel; /* 0; 1 wanted; 2 its worker knows */
    bool has_session, finalizing, session_dead;
    uint64_t confirmed_bytes;
    uint32_t attempts, waits;
    char video_id[VIDEO_ID_SIZE];
};

struct model {
    int64_t now_ms;
    int job_count;
    struct model_job jobs[MODEL_JOBS];
    struct model_channel channels[MODEL_CHANNELS];
    int64_t used[MODEL_TENANTS][MODEL_DAYS]; /* uploads */
};

/* What the channel lets through now; its time is looked at. */
enum channel_state model_gate(const struct model *model, int channel, int64_t *ret_until_ms);
bool model_is_claimable(const struct model *model, const struct model_job *job);
/* Leases that have not run out. */
int model_leases(const struct model *model, int tenant, int channel);

/* At each claim: limits that are over. */
void model_pass_time(struct model *model);
void model_lease(struct model *model, struct model_job *job, int64_t lease_ms);
/* A job whose worker died, in a channel that may not be sent: a claim may hold it. */
bool model_is_stray(const struct model *model, const struct model_job *job);
void model_hold_stray(struct model *model, struct model_job *job);

/* The others return 0 or the error that the store must give; *job is untouched on error. */
int model_write(struct model *model, struct model_job *job, const struct job_write *write,
                enum write_result *ret_result);
void model_set_channel(struct model *model, int channel, enum channel_state state, int64_t until_ms);
int model_cancel(struct model *model, struct model_job *job, bool *ret_done);
int model_retry(struct model *model, struct model_job *job);
int model_resolve(struct model *model, struct model_job *job, const char *video_id);

#endif
