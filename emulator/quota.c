#include "quota.h"

#include <string.h>

#include "base/attr.h"
#include "pacific.h"

void quota_init(struct quota *quota)
{
    *quota = (struct quota){0};
#define X(id, name, limit_) quota->buckets[QUOTA_##id].limit = limit_;
    QUOTA_TABLE(X)
#undef X
}

void quota_roll(struct quota *quota, int64_t now_ms)
{
    int64_t day_start_ms = pacific_day_start_ms(now_ms);
    if (day_start_ms == quota->day_start_ms)
        return;
    quota->day_start_ms = day_start_ms;
    for (int i = 0; i < QUOTA_COUNT_; i++)
        quota->buckets[i].used = 0;
}

bool quota_charge(struct quota *quota, enum quota_bucket bucket, uint64_t units, int64_t now_ms)
{
    if (bucket == QUOTA_NONE)
        return true;
    quota_roll(quota, now_ms);
    if (quota->buckets[bucket].used + units > quota->buckets[bucket].limit) {
        quota->buckets[bucket].refused++;
        return false;
    }
    quota->buckets[bucket].used += units;
    quota->buckets[bucket].charged += units;
    return true;
}

const char *quota_bucket_name(enum quota_bucket bucket)
{
    static const char *const names[] = {
#define X(id, name, limit) [QUOTA_##id] = name,
        QUOTA_TABLE(X)
#undef X
    };
    return bucket == QUOTA_NONE ? "none" : names[bucket];
}

static const char *const error_reasons[] = {
#define X(id, reason) [QUOTA_ERROR_##id] = reason,
    QUOTA_ERROR_TABLE(X)
#undef X
};

bool quota_error_parse(const char *reason, enum quota_error *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(error_reasons); i++) {
        if (strcmp(error_reasons[i], reason) == 0) {
            *ret = (enum quota_error)i;
            return true;
        }
    }
    return false;
}
