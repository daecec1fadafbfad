/*
 * Inside the store: workers' writes, many at once (write.c), and the statements that carry them out
 * (write_rows.c), each over all jobs of a batch.
 */
#ifndef STORE_WRITE_H
#define STORE_WRITE_H

#include "store/internal.h"

/* The job's row as the write finds it, and then as the write leaves it. */
struct write_row {
    int64_t tenant_id, client_id, channel_id, size_bytes;
    enum job_state from;
    enum job_cause from_cause;
    int64_t cancel_wanted; /* CANCEL_… */
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms;
    bool release;
    char video_id[VIDEO_ID_SIZE];
    char error_reason[REASON_SIZE], error_message[MESSAGE_SIZE];
    int64_t waits;
};

/* A write on its way. */
struct one_write {
    struct store_write_item *item;
    struct write_row row;
    bool is_live; /* it is under its fence and nothing has refused it: it will be written */
    bool is_full;
};

/* By job id, each job once. */
struct write_batch {
    struct store *store;
    const char *worker;
    struct one_write *items;
    uint32_t count;
};

/* Locks the rows and fills them in; those that are another's now are WRITE_LEASE_LOST. */
int batch_read_rows(const struct write_batch *batch, struct err *err) MUST_CHECK;
/* Sessions and progress, digests of chunks, audit lines. */
int batch_write_uploads(const struct write_batch *batch, struct err *err) MUST_CHECK;
int batch_write_chunks(const struct write_batch *batch, struct err *err) MUST_CHECK;
int batch_write_trail(const struct write_batch *batch, struct err *err) MUST_CHECK;
int batch_write_jobs(const struct write_batch *batch, struct err *err) MUST_CHECK;

#endif
