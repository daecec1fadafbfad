/*
 * The daily quota of one Google Cloud project, in buckets [quota]. Charged when a request arrives, also for a
 * request that is then refused as invalid; a request that finds its bucket spent is not charged.
 */
#ifndef EMULATOR_QUOTA_H
#define EMULATOR_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

/* id, name in the control API, default limit a day [quota] */
#define QUOTA_TABLE(X)                                                                                       \
    X(UPLOADS, "uploads", 100)                                                                               \
    X(SEARCH, "search", 100)                                                                                 \
    X(UNITS, "units", 10000)                                                                                 \
    X(BATCH_STATS, "batchGetStats", 10000)

enum quota_bucket {
    QUOTA_NONE = -1,
#define X(id, name, limit) QUOTA_##id,
    QUOTA_TABLE(X)
#undef X
        QUOTA_COUNT_
};

/* What a spent bucket answers: Google shows all three. reason, HTTP status */
#define QUOTA_ERROR_TABLE(X)                                                                                 \
    X(RATE_LIMIT_EXCEEDED, "rateLimitExceeded") /* 429, and only its message says that it is for the day */  \
    X(QUOTA_EXCEEDED, "quotaExceeded")          /* 403 */                                                    \
    X(DAILY_LIMIT_EXCEEDED, "dailyLimitExceeded") /* 403 */

enum quota_error {
#define X(id, reason) QUOTA_ERROR_##id,
    QUOTA_ERROR_TABLE(X)
#undef X
};

struct quota {
    int64_t day_start_ms;
    struct {
        uint64_t limit;
        uint64_t used;    /* this Pacific day */
        uint64_t charged; /* since the start or the last reset, over all days */
        uint64_t refused;
    } buckets[QUOTA_COUNT_];
};

void quota_init(struct quota *quota);
bool quota_charge(struct quota *quota, enum quota_bucket bucket, uint64_t units, int64_t now_ms);
/* Begins a new day if `now_ms` is in another one. */
void quota_roll(struct quota *quota, int64_t now_ms);
const char *quota_bucket_name(enum quota_bucket bucket);
bool quota_error_parse(const char *reason, enum quota_error *ret); /* false if unknown */

#endif
