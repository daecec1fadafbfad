#include "cli/job_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/output.h"

enum { EXIT_AUTH = 5, EXIT_LIMIT = 6, EXIT_FAILED = 7, EXIT_NOT_YET = 75 };

/* What people are told. In `next`, {job} and {channel} are replaced. */
struct advice {
    const char *why;
    const char *next;
};

static const struct advice by_cause[CAUSE_COUNT] = {
    [CAUSE_NONE] = {"", ""},
    [CAUSE_QUOTA] =
        {"Today's quota of the channel's OAuth client is used up.",
         "Nothing: it goes on by itself after midnight Pacific time. `sluice status` shows what is "
         "left; Google's console has a form for more."},
    [CAUSE_UPLOAD_LIMIT] =
        {"YouTube takes no more uploads for this channel for now.",
         "Nothing: it is tried again about a day after the limit was met. A channel with a "
         "verified phone number may upload more."},
    [CAUSE_CHANNEL_PAUSED] = {"The channel is paused.", "sluice channel resume {channel}"},
    [CAUSE_CHANNEL_AUTH] = {"The channel has no usable login: it was revoked, it has expired, or it lacks a "
                            "permission.",
                            "sluice channel login {channel} (where a token service keeps the logins: mend it "
                            "there, then sluice channel import {channel})"},
    [CAUSE_CHANNEL_FROZEN] = {"The channel is frozen, or its OAuth client.",
                              "`sluice channel show {channel}` tells which, and why. Where YouTube or Google "
                              "refuses it, look at the "
                              "channel in YouTube Studio and at the client in Google's console. Once mended: "
                              "sluice channel unfreeze "
                              "{channel}, or sluice client unfreeze and the client's name"},
    [CAUSE_AMBIGUOUS] =
        {"The connection to YouTube was lost at the very end, and it is not known whether the "
         "video came into being. Uploading again could make it twice.",
         "Look for it in YouTube Studio. If it is there: sluice job resolve {job} --video ID. If "
         "it is not: sluice job resolve {job} --restart"},
    [CAUSE_SOURCE_CHANGED] =
        {"The file is not the one that was added.",
         "Bring the old file back and run `sluice job retry {job}`; or cancel this job and "
         "add the new file."},
    [CAUSE_SOURCE_MISSING] =
        {"The file cannot be opened any more.",
         "Bring it back and run `sluice job retry {job}`, or `sluice job cancel {job}`."},
    [CAUSE_CDN_MISMATCH] = {"What the CDN has is not the file that was added.",
                            "Compare the two, then run `sluice job retry {job}`."},
    [CAUSE_CORRUPT] = {"A stored value of this job cannot be used; most often the key file is another one.",
                       "Run `sluice check`; once mended: sluice job retry {job}"},
};

static const struct advice by_state[JOB_STATE_COUNT] = {
    [JOB_QUEUED] =
        {"Waits for a worker.",
         "If no worker runs (`sluice status` shows them): sluice worker, or sluice worker --drain"},
    [JOB_UPLOADING] = {"A worker is at it.", ""},
    [JOB_WAITING] = {"It is tried again at the time shown.", ""},
    [JOB_HELD] = {"", ""},
    [JOB_FINISHING] = {"The video exists; a worker still has to confirm it.", ""},
    [JOB_COMPLETED] = {"", ""},
    [JOB_FAILED] = {"It failed for good.",
                    "Mend the reason, then run `sluice job retry {job}`, or add the file anew with another "
                    "--key."},
    [JOB_CANCELLED] = {"It was cancelled.", "To upload it after all: sluice job retry {job}"},
};

static const struct advice *advice_for(const struct store_job *job)
{
    return job->state == JOB_HELD ? &by_cause[job->cause] : &by_state[job->state];
}

static void put_filled_in(struct buf *ret, const char *text, const struct store_job *job)
{
    while (*text) {
        if (text_starts_with(text, "{job}")) {
            buf_puts(ret, job->id.text);
            text += strlen("{job}");
        } else if (text_starts_with(text, "{channel}")) {
            buf_puts(ret, job->channel);
            text += strlen("{channel}");
        } else {
            buf_putc(ret, *text++);
        }
    }
}

void job_state_line(const struct store_job *job, struct buf *ret)
{
    buf_puts(ret, job_state_text(job->state));
    if (job->cause != CAUSE_NONE)
        buf_printf(ret, ": %s", job_cause_text(job->cause));
    if (job->cancel_wanted && !job_state_is_terminal(job->state))
        buf_puts(ret, " (being cancelled)");
}

void job_why(const struct store_job *job, struct buf *ret)
{
    buf_puts(ret, advice_for(job)->why);
    if (job->state == JOB_HELD && job->cause == CAUSE_CHANNEL_FROZEN && *job->channel_reason)
        buf_printf(ret, " It says: %s", job->channel_reason);
    bool has_reason = *job->error_reason, has_message = *job->error_message;
    if (job->state == JOB_COMPLETED || (!has_reason && !has_message))
        return;
    buf_printf(ret, "%sReason: %s%s%s", ret->len ? " " : "", job->error_reason,
               has_reason && has_message ? ": " : "", job->error_message);
}

void job_next(const struct store_job *job, struct buf *ret)
{
    put_filled_in(ret, advice_for(job)->next, job);
}

void job_video_url(const struct store_job *job, struct buf *ret)
{
    if (*job->video_id)
        buf_printf(ret, "https://youtu.be/%s", job->video_id);
}

const char *job_file_name(const struct store_job *job)
{
    return job->storage_path ? file_name(job->storage_path) : "";
}

/* ---- exit codes ---- */

static int exit_code_of_hold(enum job_cause cause)
{
    if (cause == CAUSE_QUOTA || cause == CAUSE_UPLOAD_LIMIT)
        return EXIT_LIMIT;
    return cause == CAUSE_CHANNEL_AUTH ? EXIT_AUTH : EXIT_NOT_YET;
}

int job_exit_code(enum job_state state, enum job_cause cause)
{
    if (state == JOB_COMPLETED)
        return 0;
    if (state == JOB_FAILED || state == JOB_CANCELLED)
        return EXIT_FAILED;
    return state == JOB_HELD ? exit_code_of_hold(cause) : EXIT_NOT_YET;
}

int job_worse_exit_code(int a, int b)
{
    static const int order[] = {EXIT_FAILED, EXIT_AUTH, EXIT_LIMIT, EXIT_NOT_YET};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return a ? a : b;
}

/* ---- JSON ---- */

static json_t *metadata_json(const char *text)
{
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    return object ? object : json_null();
}

static void set_text(json_t *object, const char *name, const struct buf *text)
{
    json_object_set_new(object, name, json_text(text->data));
}

static void add_words(json_t *object, const struct store_job *job)
{
    struct buf why AUTO_BUF = BUF_INIT(2048);
    struct buf next AUTO_BUF = BUF_INIT(2048);
    struct buf url AUTO_BUF = BUF_INIT(128);
    job_why(job, &why);
    job_next(job, &next);
    job_video_url(job, &url);
    set_text(object, "why", &why);
    set_text(object, "next", &next);
    set_text(object, "url", &url);
}

static void add_source(json_t *object, const struct store_job *job)
{
    json_object_set_new(object, "file", json_text(job->storage_path));
    json_object_set_new(object, "size_bytes", json_integer((json_int_t)job->size_bytes));
    json_object_set_new(object, "fingerprint", json_text(job->fingerprint));
    json_object_set_new(object, "title", json_text(job->title));
    json_object_set_new(object, "metadata", metadata_json(job->metadata));
    json_object_set_new(object, "key", json_text(job->idempotency_key));
    json_object_set_new(object, "cdn_url", json_text(job->cdn_url));
}

static void add_upload(json_t *object, const struct store_job *job)
{
    json_object_set_new(object, "confirmed_bytes", json_integer((json_int_t)job->confirmed_bytes));
    json_object_set_new(object, "attempts", json_integer(job->upload_attempts));
    json_object_set_new(object, "has_session", json_boolean(job->has_session));
    json_object_set_new(object, "finalizing", json_boolean(job->finalizing));
    json_object_set_new(object, "cancel_wanted", json_boolean(job->cancel_wanted));
    json_object_set_new(object, "lease_owner", json_text(job->lease_owner));
    json_object_set_new(object, "lease_epoch", json_integer(job->lease_epoch));
    json_object_set_new(object, "lease_until", json_time(job->lease_until_ms));
    json_object_set_new(object, "video_id", json_text(job->video_id));
    json_object_set_new(object, "etag", json_text(job->etag));
}

static void add_times(json_t *object, const struct store_job *job)
{
    json_object_set_new(object, "next_at", json_time(job->next_at_ms));
    json_object_set_new(object, "added_at", json_time(job->added_at_ms));
    json_object_set_new(object, "changed_at", json_time(job->changed_at_ms));
    json_object_set_new(object, "finished_at", json_time(job->finished_at_ms));
}

json_t *job_json(const struct store_job *job)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:i, s:s, s:o, s:o, s:o}", "id", job->id.text, "tenant",
                               job->tenant, "channel", job->channel, "region", json_text(job->region),
                               "priority", job->priority, "state", job_state_text(job->state), "cause",
                               json_text(job_cause_text(job->cause)), "error_reason",
                               json_text(job->error_reason), "error_message", json_text(job->error_message));
    add_source(object, job);
    add_upload(object, job);
    add_times(object, job);
    add_words(object, job);
    return object;
}
