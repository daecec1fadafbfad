/* Makes job ids: 26 characters of Crockford's base 32, 48 bits of time and 80 of chance, so that ids sort by
 * time as text and two never meet. Pure. */
#ifndef CLI_JOB_ID_H
#define CLI_JOB_ID_H

#include "core/job.h"

enum { JOB_ID_RANDOM_BYTES = 10 };

void job_id_make(int64_t wall_ms, const unsigned char random[JOB_ID_RANDOM_BYTES], struct job_id *ret);

#endif
