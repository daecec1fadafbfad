#include "worker/counts.h"

#include "base/attr.h"

const struct buckets buckets_first_byte_ms = {
    12, {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000}};
const struct buckets buckets_job_ms = {
    12, {100, 500, 1000, 5000, 15000, 60000, 300000, 900000, 1800000, 3600000, 14400000, 43200000}};
const struct buckets buckets_commit_ms = {11, {1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000}};
const struct buckets buckets_batch = {9, {1, 2, 4, 8, 16, 32, 64, 128, 256}};

void histogram_add(struct histogram *histogram, const struct buckets *buckets, int64_t value)
{
    uint32_t i = 0;
    while (i < buckets->count && value > buckets->bounds[i])
        i++;
    if (i < buckets->count)
        histogram->in[i]++;
    histogram->count++;
    histogram->sum += value;
}

const char *request_kind_text(enum request_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) text,
        REQUEST_TABLE(X)
#undef X
    };
    return texts[kind];
}

const char *retry_class_text(enum retry_class class)
{
    static const char *const texts[] = {
#define X(name, text) text,
        RETRY_TABLE(X)
#undef X
    };
    return texts[class];
}

/* Returns false for an action that is no request. */
static bool kind_of(enum action_type doing, enum request_kind *ret)
{
    static const enum action_type actions[] = {
#define X(name, text) ACTION_##name,
        REQUEST_TABLE(X)
#undef X
    };
    for (uint32_t i = 0; i < ARRAY_LEN(actions); i++)
        if (actions[i] == doing) {
            *ret = (enum request_kind)i;
            return true;
        }
    return false;
}

void counts_exchange(struct counts *counts, enum action_type doing, enum transport transport, int status)
{
    enum request_kind kind;
    if (!kind_of(doing, &kind))
        return;
    if (transport != TRANSPORT_OK)
        counts->broken[transport]++;
    else if (status >= 200 && status < 600)
        counts->replies[kind][status / 100 - 2]++;
}

/* YouTube's refusal stands in the note; our own ledger's has no status. */
static bool is_drift(const struct job_write *write)
{
    return write->set_state && write->state == JOB_HELD && write->cause == CAUSE_QUOTA &&
           write->note.http_status != 0;
}

bool counts_written(struct counts *counts, const struct job_write *write, enum write_result result)
{
    counts->quota_full += result == WRITE_QUOTA_FULL;
    if (result != WRITE_OK)
        return false;
    counts->quota_charged[write->charge] += write->charge_amount;
    counts->quota_drift += is_drift(write);
    if (!write->release_lease || !write->set_state)
        return false;
    counts->jobs_settled[write->state][write->cause]++;
    return true;
}

static enum retry_class class_of_reply(const struct reply *reply)
{
    switch (reply->transport) {
    case TRANSPORT_OK:
        return reply->status >= 500 ? RETRY_SERVER : reply->status >= 400 ? RETRY_REFUSED : RETRY_PROTOCOL;
    case TRANSPORT_TLS:
        return RETRY_TLS;
    case TRANSPORT_LOCAL:
        return RETRY_LOCAL;
    case TRANSPORT_SOURCE_CHANGED:
    case TRANSPORT_SOURCE_IO:
        return RETRY_SOURCE;
    case TRANSPORT_CONNECT:
    case TRANSPORT_TIMEOUT:
    case TRANSPORT_BROKEN:
    case TRANSPORT_PROTOCOL:
    case TRANSPORT_ABORTED:
        break;
    }
    return RETRY_CONNECTION;
}

void counts_retry(struct counts *counts, const struct event *cause)
{
    if (cause->type == EVENT_REPLY)
        counts->retries[class_of_reply(&cause->reply)]++;
    else if (cause->type == EVENT_TOKEN)
        counts->retries[RETRY_TOKEN]++;
    else if (cause->type == EVENT_SOURCE)
        counts->retries[RETRY_SOURCE]++;
    else if (cause->type == EVENT_OPENED)
        counts->retries[RETRY_BROKER]++;
    else if (cause->type == EVENT_STORED && cause->stored.result == WRITE_FAILED)
        counts->retries[RETRY_STORE]++;
}
