#include "web/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"

/* ---- samples ---- */

/* The metric whose samples are being written, and where to. */
struct sample {
    struct buf *out;
    const struct metric *metric;
    int64_t now_mono_ms;
};

/* Label values may be anything that the format can say: backslash, quote and line break are escaped; what is
 * no UTF-8 would make the whole reply unreadable. */
static void put_label_value(struct buf *out, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t code_point;
        size_t len = utf8_decode(text, left, &code_point);
        if (len == 0)
            buf_puts(out, "\xEF\xBF\xBD");
        else if (*text == '\\' || *text == '"')
            buf_printf(out, "\\%c", *text);
        else if (*text == '\n')
            buf_puts(out, "\\n");
        else
            buf_append(out, text, len);
        text += len ? len : 1;
        left -= len ? len : 1;
    }
}

/* `name{label="…",…} `; as many values as the metric has labels. */
static void put_name(const struct sample *sample, const char *const values[])
{
    const char *label = sample->metric->labels;
    buf_puts(sample->out, sample->metric->name);
    for (int i = 0; *label; i++) {
        size_t len = strcspn(label, " ");
        buf_printf(sample->out, "%s%.*s=\"", i == 0 ? "{" : ",", (int)len, label);
        put_label_value(sample->out, values[i]);
        buf_putc(sample->out, '"');
        label += len + (label[len] == ' ');
    }
    buf_puts(sample->out, *sample->metric->labels ? "} " : " ");
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

static void put(const struct sample *sample, const char *const values[], uint64_t value)
{
    put_name(sample, values);
    buf_printf(sample->out, "%" PRIu64 "\n", value);
}

/* 2500 is "2.5": bounds are labels, which people write down. */
static void put_seconds_text(char ret[32], int64_t ms)
{
    int len = snprintf(ret, 32, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    while (ret[len - 1] == '0')
        len--;
    ret[ret[len - 1] == '.' ? len - 1 : len] = '\0';
}

static void put_seconds(const struct sample *sample, int64_t ms)
{
    char text[32];
    put_seconds_text(text, ms);
    put_name(sample, NULL);
    buf_printf(sample->out, "%s\n", text);
}

/* `scale_ms`: the values are milliseconds and told as seconds. */
static void put_histogram(const struct sample *sample, const struct histogram *histogram,
                          const struct buckets *buckets, bool scale_ms)
{
    const char *name = sample->metric->name;
    uint64_t below = 0;
    char text[32];
    for (uint32_t i = 0; i < buckets->count; i++) {
        below += histogram->in[i];
        snprintf(text, sizeof(text), "%" PRId64, buckets->bounds[i]);
        if (scale_ms)
            put_seconds_text(text, buckets->bounds[i]);
        buf_printf(sample->out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, text, below);
    }
    snprintf(text, sizeof(text), "%" PRId64, histogram->sum);
    if (scale_ms)
        put_seconds_text(text, histogram->sum);
    buf_printf(sample->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %s\n%s_count %" PRIu64 "\n", name,
               histogram->count, name, text, name, histogram->count);
}

/* The names of C's tables, as labels: "SOURCE_IO" is "source_io". */
static void put_lower(const struct sample *sample, const char *name, uint64_t value)
{
    char label[32];
    size_t i = 0;
    for (; name[i] && i < sizeof(label) - 1; i++)
        label[i] = (char)tolower((unsigned char)name[i]);
    label[i] = '\0';
    put(sample, LABELS(label), value);
}

/* ---- the process ---- */

static void write_build_info(const struct sample *sample, const struct view *view)
{
    (void)view;
    put(sample, LABELS(SLUICE_VERSION), 1);
}

static void write_worker_info(const struct sample *sample, const struct view *view)
{
    put(sample, LABELS(view->worker, view->region), 1);
}

static void write_up(const struct sample *sample, const struct view *view)
{
    put_seconds(sample, sample->now_mono_ms - view->started_at_mono_ms);
}

/* Second field of statm: resident pages. Left out where it can't be read. */
static void write_resident(const struct sample *sample, const struct view *view)
{
    struct buf text AUTO_BUF = BUF_INIT(4096);
    uint64_t pages;
    (void)view;
    if (file_read("/proc/self/statm", &text, NULL) != 0)
        return;
    char *field = strchr(text.data, ' ');
    if (!field)
        return;
    field++;
    field[strcspn(field, " \n")] = '\0';
    if (parse_u64(field, &pages))
        put(sample, NULL, pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void write_draining(const struct sample *sample, const struct view *view)
{
    put(sample, NULL, view->is_draining);
}

static void write_store_up(const struct sample *sample, const struct view *view)
{
    put(sample, NULL, view->has_store);
}

static void write_broker_up(const struct sample *sample, const struct view *view)
{
    put(sample, NULL, view->has_broker);
}

static void write_slots(const struct sample *sample, const struct view *view)
{
    put(sample, NULL, view->slots);
}

static void write_active(const struct sample *sample, const struct view *view)
{
    put(sample, NULL, view->active);
}

static void write_transfers(const struct sample *sample, const struct view *view)
{
    put(sample, NULL, view->transfers);
}

/* ---- the queue and the quota ---- */

/* No value is better than one from long ago. */
static const struct queue *queue_of(const struct sample *sample, const struct view *view)
{
    static const struct queue none;
    bool is_stale = !view->queue || sample->now_mono_ms - view->queue->taken_at_mono_ms > QUEUE_STALE_MS;
    return is_stale ? &none : view->queue;
}

static const char *queue_cause(const struct store_queue *queue)
{
    return queue->rests ? "resting" : job_cause_text(queue->cause);
}

static void write_queue_depth(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    for (uint32_t i = 0; i < queue->depth_count; i++) {
        const struct store_queue *at = &queue->depths[i];
        put(sample, LABELS(at->region, at->tenant, job_state_text(at->state), queue_cause(at)), at->count);
    }
}

static void write_queue_bytes(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    for (uint32_t i = 0; i < queue->depth_count; i++) {
        const struct store_queue *at = &queue->depths[i];
        put(sample, LABELS(at->region, at->tenant, job_state_text(at->state), queue_cause(at)), at->bytes);
    }
}

static void write_queue_age(const struct sample *sample, const struct view *view)
{
    if (view->queue)
        put_seconds(sample, sample->now_mono_ms - view->queue->taken_at_mono_ms);
}

static void write_workers(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    if (queue->taken_at_mono_ms)
        put(sample, NULL, queue->worker_count);
}

static void write_alarms(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    for (int i = 0; i < MISUSE_COUNT && queue->taken_at_mono_ms; i++) {
        const struct misuse_rule *rule = misuse_rule((enum misuse_signal)i);
        put(sample, LABELS(rule->name, misuse_severity(rule)), queue->alarms[i]);
    }
}

static void write_quota_used(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    for (uint32_t i = 0; i < queue->quota_count; i++) {
        const struct store_quota *at = &queue->quotas[i];
        put(sample, LABELS(at->tenant, at->client, quota_bucket_text(at->bucket)), at->used);
    }
}

static void write_quota_limit(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    for (uint32_t i = 0; i < queue->quota_count; i++) {
        const struct store_quota *at = &queue->quotas[i];
        put(sample, LABELS(at->tenant, at->client, quota_bucket_text(at->bucket)), at->limit);
    }
}

static void write_quota_unforeseen(const struct sample *sample, const struct view *view)
{
    const struct queue *queue = queue_of(sample, view);
    for (uint32_t i = 0; i < queue->quota_count; i++) {
        const struct store_quota *at = &queue->quotas[i];
        put(sample, LABELS(at->tenant, at->client, quota_bucket_text(at->bucket)), at->drift);
    }
}

/* ---- jobs ---- */

/* Every outcome that a lease can have is there from the beginning, so that a rate sees its first. */
static void write_settled(const struct sample *sample, const struct view *view)
{
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        for (int cause = 0; cause < CAUSE_COUNT; cause++)
            if (state != JOB_UPLOADING && (state == JOB_HELD) == (cause != CAUSE_NONE))
                put(sample,
                    LABELS(job_state_text((enum job_state)state), job_cause_text((enum job_cause)cause)),
                    view->counts.jobs_settled[state][cause]);
}

static void write_first_byte(const struct sample *sample, const struct view *view)
{
    put_histogram(sample, &view->counts.first_byte_ms, &buckets_first_byte_ms, true);
}

static void write_job(const struct sample *sample, const struct view *view)
{
    put_histogram(sample, &view->counts.job_ms, &buckets_job_ms, true);
}

/* ---- YouTube ---- */

static void write_replies(const struct sample *sample, const struct view *view)
{
    static const char *const classes[STATUS_CLASS_COUNT] = {"2xx", "3xx", "4xx", "5xx"};
    for (int kind = 0; kind < REQUEST_KIND_COUNT; kind++)
        for (int class = 0; class < STATUS_CLASS_COUNT; class ++)
            put(sample, LABELS(request_kind_text((enum request_kind)kind), classes[class]),
                view->counts.replies[kind][class]);
}

static void write_broken(const struct sample *sample, const struct view *view)
{
#define X(name, text) #name,
    static const char *const names[] = {TRANSPORT_TABLE(X)};
#undef X
    for (int i = TRANSPORT_OK + 1; i < TRANSPORT_COUNT; i++)
        put_lower(sample, names[i], view->counts.broken[i]);
}

static void write_retries(const struct sample *sample, const struct view *view)
{
    for (int class = 0; class < RETRY_CLASS_COUNT; class ++)
        put(sample, LABELS(retry_class_text((enum retry_class) class)), view->counts.retries[class]);
}

static void write_tokens(const struct sample *sample, const struct view *view)
{
#define X(name, text) #name,
    static const char *const names[] = {TOKEN_RESULT_TABLE(X)};
#undef X
    for (int i = 0; i < TOKEN_RESULT_COUNT; i++)
        put_lower(sample, names[i], view->counts.tokens[i]);
}

static void write_charged(const struct sample *sample, const struct view *view)
{
    for (int bucket = BUCKET_UPLOADS; bucket <= BUCKET_UNITS; bucket++)
        put(sample, LABELS(quota_bucket_text((enum quota_bucket)bucket)), view->counts.quota_charged[bucket]);
}

/* ---- the store ---- */

static void write_commit(const struct sample *sample, const struct view *view)
{
    put_histogram(sample, &view->counts.commit_ms, &buckets_commit_ms, true);
}

static void write_batch(const struct sample *sample, const struct view *view)
{
    put_histogram(sample, &view->counts.batch, &buckets_batch, false);
}

/* ---- the table ---- */

#define COUNT_OF(field) .offset = offsetof(struct view, counts.field)

/* clang-format off */
const struct metric metrics[] = {
    {"sluice_build_info", METRIC_GAUGE, "version", "Always 1: which version runs.", .write = write_build_info},
    {"sluice_worker_info", METRIC_GAUGE, "worker region",
     "Always 1: the worker's name, as in `sluice status` and the audit trail, and its region.",
     .write = write_worker_info},
    {"sluice_up_seconds", METRIC_GAUGE, "", "How long the worker has run.", .write = write_up},
    {"sluice_resident_memory_bytes", METRIC_GAUGE, "", "Memory of the worker's process, without the broker's.",
     .write = write_resident},
    {"sluice_draining", METRIC_GAUGE, "", "1 while the worker gives its jobs back to leave.",
     .write = write_draining},
    {"sluice_store_up", METRIC_GAUGE, "", "1 while the store answers and takes what is to be stored.",
     .write = write_store_up},
    {"sluice_broker_up", METRIC_GAUGE, "", "1 while the token broker lives; 0 while it is replaced.",
     .write = write_broker_up},

    {"sluice_slots", METRIC_GAUGE, "", "How many jobs the worker may have under way at once.",
     .write = write_slots},
    {"sluice_slots_active", METRIC_GAUGE, "", "How many it has.", .write = write_active},
    {"sluice_transfers_open", METRIC_GAUGE, "", "How many of them are sending their file.",
     .write = write_transfers},

    {"sluice_queue_depth", METRIC_GAUGE, "region tenant state cause",
     "Jobs of the whole store that are not done. Every worker of a store tells the same: take the maximum, not "
     "the sum. Region empty: any worker may take them. Cause: what they are held for; of queued ones "
     "`resting`, if their channel takes no more for a while after failures; empty: workers can take them.",
     .write = write_queue_depth},
    {"sluice_queue_bytes", METRIC_GAUGE, "region tenant state cause", "The size of their files.",
     .write = write_queue_bytes},
    {"sluice_queue_age_seconds", METRIC_GAUGE, "",
     "How long ago queue, workers and quota were counted: every 5 s while somebody asks, more rarely where "
     "counting takes long.", .write = write_queue_age},
    {"sluice_workers", METRIC_GAUGE, "", "Workers alive, of the whole store.", .write = write_workers},
    {"sluice_quota_used", METRIC_GAUGE, "tenant client bucket",
     "Of the present day (Pacific time), as charged in the store.", .write = write_quota_used},
    {"sluice_quota_limit", METRIC_GAUGE, "tenant client bucket", "What may be used in a day.",
     .write = write_quota_limit},
    {"sluice_quota_unforeseen", METRIC_GAUGE, "tenant client bucket",
     "Of what is used: what YouTube had counted and our own count had not.", .write = write_quota_unforeseen},

    {"sluice_alarms", METRIC_GAUGE, "signal severity",
     "Open alarms of the whole store: what looks like misuse or was stopped, see `sluice alarm list`.", .write = write_alarms},

    {"sluice_jobs_claimed_total", METRIC_COUNTER, "", "Jobs that this worker took.", COUNT_OF(jobs_claimed)},
    {"sluice_jobs_settled_total", METRIC_COUNTER, "state cause",
     "Jobs that this worker was done with, by what they are since. A job that waits or is held comes back and "
     "counts again.", .write = write_settled},
    {"sluice_leases_lost_total", METRIC_COUNTER, "",
     "Jobs that another worker took over, or whose lease could not be renewed in time.", COUNT_OF(leases_lost)},
    {"sluice_first_byte_seconds", METRIC_HISTOGRAM, "",
     "From taking a job to the first byte of its file on the way.", .write = write_first_byte},
    {"sluice_job_seconds", METRIC_HISTOGRAM, "", "From taking a job to completing it, where that went in one go.",
     .write = write_job},

    {"sluice_sent_bytes_total", METRIC_COUNTER, "", "Bytes of files that were sent.", COUNT_OF(sent_bytes)},
    {"sluice_confirmed_bytes_total", METRIC_COUNTER, "",
     "Bytes of files that YouTube confirmed. What was sent beyond them was sent in vain, or is on its way.",
     COUNT_OF(confirmed_bytes)},
    {"sluice_http_replies_total", METRIC_COUNTER, "request class",
     "Replies of YouTube, and of the CDN (`check_cdn`). 3xx to put and query is the usual answer: send on.", .write = write_replies},
    {"sluice_http_failures_total", METRIC_COUNTER, "kind",
     "Requests without a whole reply. `aborted`: the worker itself broke them off.", .write = write_broken},
    {"sluice_retries_total", METRIC_COUNTER, "class", "Pauses before another try, by what had gone wrong.",
     .write = write_retries},
    {"sluice_token_answers_total", METRIC_COUNTER, "result", "The broker's answers to jobs that need a token.",
     .write = write_tokens},

    {"sluice_quota_charged_total", METRIC_COUNTER, "bucket", "Quota that this worker's jobs were charged.",
     .write = write_charged},
    {"sluice_quota_full_total", METRIC_COUNTER, "",
     "Starts that the store refused because the client's day was spent.", COUNT_OF(quota_full)},
    {"sluice_quota_drift_total", METRIC_COUNTER, "",
     "Times that YouTube refused for quota what our own count had let through: somebody else spends it, or the "
     "limits are set too high.", COUNT_OF(quota_drift)},

    {"sluice_store_commits_total", METRIC_COUNTER, "", "Transactions.", COUNT_OF(store_commits)},
    {"sluice_store_failures_total", METRIC_COUNTER, "", "Transactions that the store did not take.",
     COUNT_OF(store_failures)},
    {"sluice_store_reopened_total", METRIC_COUNTER, "", "Times that the store was connected to anew.",
     COUNT_OF(store_reopened)},
    {"sluice_store_commit_seconds", METRIC_HISTOGRAM, "", "How long a transaction took, with its commit.",
     .write = write_commit},
    {"sluice_store_batch_requests", METRIC_HISTOGRAM, "", "How many requests shared a transaction.",
     .write = write_batch},
    {"sluice_broker_restarts_total", METRIC_COUNTER, "", "Times that the token broker had to be replaced.",
     COUNT_OF(broker_restarts)},
};
/* clang-format on */
const uint32_t metric_count = ARRAY_LEN(metrics);

const char *metric_type_text(enum metric_type type)
{
    static const char *const texts[] = {"counter", "gauge", "histogram"};
    return texts[type];
}

static uint64_t value_at(const struct view *view, uint16_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)view + offset, sizeof(value));
    return value;
}

void metrics_write(struct buf *ret, const struct view *view, int64_t now_mono_ms)
{
    for (const struct metric *metric = metrics; metric < metrics + metric_count; metric++) {
        struct sample sample = {.out = ret, .metric = metric, .now_mono_ms = now_mono_ms};
        buf_printf(ret, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                   metric_type_text(metric->type));
        if (metric->write)
            metric->write(&sample, view);
        else
            put(&sample, NULL, value_at(view, metric->offset));
    }
}
