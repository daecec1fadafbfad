/* How a job is shown: as JSON, as an exit code, and in words: why it stands where it stands, and what to do.
 * Pure but for the allocations of JSON. */
#ifndef CLI_JOB_VIEW_H
#define CLI_JOB_VIEW_H

#include <jansson.h>

#include "base/buf.h"
#include "store/store.h"

/* A new object. Never has the session's URL in it. */
json_t *job_json(const struct store_job *job);
/* 0 completed; 7 failed or cancelled; 6, 5 or 75 held, by cause; 75 all others. */
int job_exit_code(enum job_state state, enum job_cause cause);
/* The code to end with after several jobs: the one that asks most of a person. */
int job_worse_exit_code(int a, int b);
/* "held: quota", "uploading". */
void job_state_line(const struct store_job *job, struct buf *ret);
/* A sentence on why the job is in its state, with the stored reason where there is one. */
void job_why(const struct store_job *job, struct buf *ret);
/* What a person can do now; "" : nothing needs doing. */
void job_next(const struct store_job *job, struct buf *ret);
/* "https://youtu.be/ID" */
void job_video_url(const struct store_job *job, struct buf *ret);
/* The last part of the source's path. */
const char *job_file_name(const struct store_job *job);

#endif
