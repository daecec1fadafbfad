/* What differs between a job that is there and one that was to be added under the same idempotency key. */
#ifndef CLI_DIFFERENCES_H
#define CLI_DIFFERENCES_H

#include "cli/submit.h"

/* "path, title, privacyStatus"; never empty. */
void differences_list(const struct store_job *job, const struct submit_item *item,
                      const struct submit *submit, struct buf *ret);
/* Names of the metadata fields whose values differ, appended ("snippet.title"). */
void differences_metadata(const char *stored, const char *wanted, struct buf *ret);

#endif
