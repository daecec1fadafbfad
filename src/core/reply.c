/*
 * What an answer changes: facts, or the end of the lease. Nothing is started here; upload_next() does that.
 */
#include <stdio.h>
#include <string.h>

#include "core/classify.h"
#include "core/slot.h"

/* ---- token, source, session ---- */

/* A job that is to be cancelled, and whose video cannot exist, needs neither token nor session for that:
 * deleting the session is a courtesy. Returns whether that settled it. */
static bool is_cancelled_without(struct slot *slot)
{
    bool can = slot->job.cancel_wanted && !slot->last_byte_may_be_out && !slot->job.video_id[0];
    if (can)
        settle_cancelled(slot);
    return can;
}

static void token_trouble(struct slot *slot, enum channel_state state, const struct event *event)
{
    struct audit_note note =
        note_make("token refused", token_result_text(event->token.result), event->token.message);
    if (slot->job.cancel_wanted && !slot->job.video_id[0])
        settle_hold_until(slot, CAUSE_AMBIGUOUS, 0, &note);
    else if (event->token.result == TOKEN_CLIENT)
        settle_client(slot, &note);
    else
        settle_channel(slot, state, 0, &note);
}

/* A token that has ended before it came is none: asking again at once could go on for ever (K05). */
static enum token_result token_result_of(const struct engine *engine, const struct event *event)
{
    int64_t end_mono_ms = event->token.expires_at_mono_ms;
    bool has_ended = end_mono_ms && engine->now.mono_ms >= end_mono_ms;
    return event->token.result == TOKEN_OK && has_ended ? TOKEN_TRANSIENT : event->token.result;
}

void reply_on_token(struct engine *engine, struct slot *slot, const struct event *event)
{
    enum token_result result = token_result_of(engine, event);
    if (result != TOKEN_OK && is_cancelled_without(slot))
        return;
    switch (result) {
    case TOKEN_OK:
        slot->has_token = true;
        slot->token_end_mono_ms = event->token.expires_at_mono_ms;
        memcpy(slot->token_id, event->token.id, sizeof(slot->token_id));
        slot->token_untold = true;
        slot->token_is_fresh = slot->want_fresh_token;
        slot->want_fresh_token = false;
        break;
    case TOKEN_TRANSIENT: {
        struct audit_note note = note_make("no token yet", "tokenUnavailable", event->token.message);
        retry_without_blame(engine, slot, &note, event->token.retry_after_ms);
        break;
    }
    case TOKEN_NONE:
    case TOKEN_REVOKED:
    case TOKEN_SCOPE:
    case TOKEN_WRONG_CHANNEL:
        token_trouble(slot, CHANNEL_AUTH, event);
        break;
    case TOKEN_CLIENT:
    case TOKEN_FROZEN:
        token_trouble(slot, CHANNEL_FROZEN, event);
        break;
    case TOKEN_CORRUPT:
        settle_hold(slot, CAUSE_CORRUPT, "tokenDoesNotOpen", event->token.message);
        break;
    }
}

static void source_unreadable(struct engine *engine, struct slot *slot, const char *message)
{
    struct audit_note note = note_make("source unreadable", "sourceUnreadable", message);
    if (slot->job.waits >= SOURCE_WAITS_MAX)
        settle_hold_until(slot, CAUSE_SOURCE_MISSING, 0, &note);
    else
        retry_without_blame(engine, slot, &note, -1);
}

void reply_on_source(struct engine *engine, struct slot *slot, const struct event *event)
{
    switch (event->source.result) {
    case SOURCE_OK:
        slot->source_checked = true;
        break;
    case SOURCE_DIFFERENT:
        settle_source_changed(slot, event->source.message);
        break;
    case SOURCE_GONE:
        settle_hold(slot, CAUSE_SOURCE_MISSING, "sourceMissing", event->source.message);
        break;
    case SOURCE_ERROR:
        source_unreadable(engine, slot, event->source.message);
        break;
    }
}

void reply_on_opened(struct engine *engine, struct slot *slot, enum open_result result)
{
    if (result == OPEN_OK) {
        slot->session_open = true;
    } else if (is_cancelled_without(slot)) {
        return;
    } else if (result == OPEN_CORRUPT) {
        settle_hold(slot, CAUSE_CORRUPT, "sessionDoesNotOpen",
                    "the stored session URL does not open: wrong key, or the row was changed");
    } else if (result == OPEN_ELSEWHERE) {
        settle_hold(slot, CAUSE_CORRUPT, "sessionElsewhere",
                    "the session was opened at another host than api_root: set that back, or cancel the job");
    } else {
        struct audit_note note = note_make("session not opened", "brokerUnavailable", "");
        retry_without_blame(engine, slot, &note, -1);
    }
}

/* ---- the server's offset ---- */

/* `impossible`: the server tells of bytes that nobody sent. If that persists a person must look, as where the
 * last byte may be out. */
static void protocol_error(struct engine *engine, struct slot *slot, const struct reply *reply,
                           const char *reason, bool impossible)
{
    struct audit_note note = note_of_reply("protocol error", reply);
    snprintf(note.reason, sizeof(note.reason), "%s", reason);
    slot->in_doubt = true;
    slot->protocol_errors++;
    if (slot->protocol_errors > PROTOCOL_ERRORS_MAX && (impossible || slot->last_byte_may_be_out))
        settle_hold_until(slot, CAUSE_AMBIGUOUS, 0, &note);
    else
        retry_later(engine, slot, &note, reply->retry_after_ms);
}

static void made_progress(struct slot *slot)
{
    slot->tries = slot->rewinds = slot->stalls = slot->protocol_errors = 0;
    slot->token_is_fresh = false;
}

/* The server went back behind what it had confirmed: its word is the truth, but not for ever (P03). */
static void rewind_to(struct engine *engine, struct slot *slot, const struct reply *reply, uint64_t stored)
{
    trace(engine, slot, "rewind %llu -> %llu", (unsigned long long)slot->job.confirmed_bytes,
          (unsigned long long)stored);
    slot->job.confirmed_bytes = stored;
    slot->progress_unsaved = true;
    if (++slot->rewinds > REWINDS_MAX) {
        struct audit_note note = note_of_reply("rewound", reply);
        retry_later(engine, slot, &note, reply->retry_after_ms);
    }
}

/* Nothing new was stored (P06). */
static void stalled(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    struct audit_note note = note_of_reply("no progress", reply);
    if (++slot->stalls <= STALLS_MAX)
        retry_later(engine, slot, &note, reply->retry_after_ms);
    else
        settle_wait(engine, slot, 0);
}

/* The server forgot everything, or the header: ask before going back (P01). At once only the first time, else
 * a server that stores nothing and answers queries with the old offset would be asked without end (P06). */
static void missing_range(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    slot->in_doubt = true;
    slot->last_error = note_of_reply("no progress", reply);
    if (slot->stalls == 0)
        slot->stalls++;
    else
        stalled(engine, slot, reply);
}

static void accept_offset(struct engine *engine, struct slot *slot, const struct reply *reply,
                          uint64_t stored, bool sent)
{
    uint64_t before = slot->job.confirmed_bytes;
    slot->in_doubt = false;
    if (stored > slot->best_bytes) {
        slot->best_bytes = stored;
        made_progress(slot);
    }
    if (stored < before) {
        rewind_to(engine, slot, reply, stored);
    } else if (stored > before) {
        slot->job.confirmed_bytes = stored;
        slot->progress_unsaved = true;
        trace_detail(engine, slot, "confirmed %llu of %llu", (unsigned long long)stored,
                     (unsigned long long)slot->job.size_bytes);
    } else if (sent || stored == slot->job.size_bytes) {
        slot->last_error = note_of_reply("no progress", reply);
        stalled(engine, slot, reply);
    }
}

/* The most that the server can honestly have (P04): what was confirmed and sent by us; by an earlier worker:
 * anything short of the end, or all where the last byte may be out. */
static uint64_t stored_max(const struct slot *slot, const struct reply *reply, bool sent)
{
    if (sent)
        return slot->put_first_byte + reply->sent_bytes;
    return slot->last_byte_may_be_out ? slot->job.size_bytes : slot->job.size_bytes - 1;
}

static void on_308(struct engine *engine, struct slot *slot, const struct reply *reply, bool sent)
{
    uint64_t stored = reply->range == RANGE_OK ? reply->range_bytes : 0;
    if (reply->has_location) {
        slot->session_unsaved = true; /* the session moved: stored before use (P11) */
    }
    if (reply->range == RANGE_BAD)
        protocol_error(engine, slot, reply, "badRange", false);
    else if (stored > stored_max(slot, reply, sent))
        protocol_error(engine, slot, reply, "impossibleRange", true);
    else if (reply->range == RANGE_NONE && sent && slot->job.confirmed_bytes > 0)
        missing_range(engine, slot, reply);
    else
        accept_offset(engine, slot, reply, stored, sent);
}

/* ---- the video ---- */

static bool is_other_video(const struct video_facts *video)
{
    return video->title == MATCH_NO || video->size == MATCH_NO;
}

static void on_video(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    if (is_other_video(&reply->video)) {
        struct audit_note note = note_of_reply("other video", reply);
        snprintf(note.reason, sizeof(note.reason), "otherVideo");
        snprintf(note.message, sizeof(note.message),
                 "the final reply names video %s, whose title or size is not this job's", reply->video.id);
        slot->settling = false;
        settle_hold_until(slot, CAUSE_AMBIGUOUS, 0, &note);
        return;
    }
    made_progress(slot);
    slot->settling = false; /* whatever was decided meanwhile: the video exists */
    slot->cancel_session = false;
    slot->not_before_mono_ms = engine->now.mono_ms;
    slot->job.confirmed_bytes = slot->job.size_bytes;
    memcpy(slot->job.video_id, reply->video.id, sizeof(slot->job.video_id));
    memcpy(slot->etag, reply->video.etag, sizeof(slot->etag));
    slot->video_unsaved = true;
    if (reply->video.privacy == MATCH_NO)
        snprintf(slot->warning, sizeof(slot->warning),
                 "YouTube gave the video another privacy status than asked");
}

/* ---- verdicts ---- */

/* 401: a fresh token, once; then find out whether it is the token or the session (H07, docs/youtube-facts.md
 * section 11). */
static void on_unauthorized(struct slot *slot, const struct reply *reply, bool in_session)
{
    slot->in_doubt = slot->in_doubt || in_session;
    if (!slot->token_is_fresh) {
        slot->has_token = false;
        slot->want_fresh_token = true;
    } else if (in_session) {
        slot->want_probe = true;
    } else {
        struct audit_note note = note_of_reply("unauthorized", reply);
        settle_channel(slot, CHANNEL_AUTH, 0, &note);
    }
}

static void on_channel_limit(struct engine *engine, struct slot *slot, const struct audit_note *note)
{
    int64_t until =
        engine->now.wall_ms + CHANNEL_HOLD_MS + (int64_t)(engine_entropy(engine) % QUOTA_JITTER_MS);
    settle_channel(slot, CHANNEL_LIMITED, until, note);
}

/* "No retry will help": true for the request, but where the last byte may be out only the session or the list
 * can say what became of it. */
static void on_refused(struct engine *engine, struct slot *slot, const struct reply *reply, bool in_session,
                       bool asked)
{
    struct audit_note note = note_of_reply("refused", reply);
    if (in_session && slot->last_byte_may_be_out && asked)
        session_is_gone(engine, slot, reply);
    else if (in_session && slot->last_byte_may_be_out)
        slot->in_doubt = true;
    else
        settle_fail(slot, &note);
}

/* videos.insert has a bucket of its own; what goes on in its session belongs to it [quota]. */
static enum quota_bucket bucket_of(enum action_type doing)
{
    bool is_upload = doing == ACTION_START || doing == ACTION_PUT || doing == ACTION_QUERY;
    return is_upload ? BUCKET_UPLOADS : BUCKET_UNITS;
}

static void on_verdict(struct engine *engine, struct slot *slot, enum action_type doing,
                       const struct reply *reply, bool in_session)
{
    struct audit_note note = note_of_reply("refused", reply);
    switch (classify(reply->status, reply->reason, reply->message, in_session)) {
    case VERDICT_RETRY:
        slot->in_doubt = slot->in_doubt || in_session;
        retry_later(engine, slot, &note, reply->retry_after_ms);
        break;
    case VERDICT_QUERY:
        protocol_error(engine, slot, reply, note.reason, false);
        break;
    case VERDICT_GONE:
        session_is_gone(engine, slot, reply);
        break;
    case VERDICT_REFRESH:
        on_unauthorized(slot, reply, in_session);
        break;
    case VERDICT_QUOTA:
        settle_quota(engine, slot, bucket_of(doing), &note);
        break;
    case VERDICT_CHANNEL_LIMIT:
        on_channel_limit(engine, slot, &note);
        break;
    case VERDICT_CHANNEL_AUTH:
        settle_channel(slot, CHANNEL_AUTH, 0, &note);
        break;
    case VERDICT_CHANNEL_FROZEN:
        settle_channel(slot, CHANNEL_FROZEN, 0, &note);
        break;
    case VERDICT_CLIENT:
        settle_client(slot, &note);
        break;
    case VERDICT_FAIL:
        on_refused(engine, slot, reply, in_session, doing == ACTION_QUERY);
        break;
    }
}

static void on_transport(struct engine *engine, struct slot *slot, const struct reply *reply, bool in_session)
{
    struct audit_note note = note_of_reply("connection", reply);
    slot->in_doubt = slot->in_doubt || in_session;
    if (reply->transport == TRANSPORT_ABORTED)
        return; /* whoever asked for it has set what follows */
    if (reply->transport == TRANSPORT_SOURCE_CHANGED)
        settle_source_changed(slot, reply->message);
    else if (reply->transport == TRANSPORT_SOURCE_IO)
        source_unreadable(engine, slot, reply->message);
    else if (reply->transport == TRANSPORT_LOCAL)
        retry_without_blame(engine, slot, &note, -1);
    else
        retry_later(engine, slot, &note, -1);
    if (reply->transport == TRANSPORT_TLS || reply->transport == TRANSPORT_LOCAL)
        engine->trouble_until_mono_ms = engine->claim_at_mono_ms =
            engine->now.mono_ms + TROUBLE_PAUSE_MS; /* no new jobs into a broken host (T01, C13) */
}

/* ---- one handler an action ---- */

static bool is_success(const struct reply *reply)
{
    return reply->status >= 200 && reply->status < 300;
}

/* Both name a video only at the end; every other 2xx is not done: ask again, bounded (H13, P07). */
static void on_session_reply(struct engine *engine, struct slot *slot, enum action_type doing,
                             const struct reply *reply)
{
    if (reply->status == 308)
        on_308(engine, slot, reply, doing == ACTION_PUT);
    else if ((reply->status == 200 || reply->status == 201) && reply->video.id[0] && !reply->is_override)
        on_video(engine, slot, reply);
    else if (is_success(reply))
        protocol_error(engine, slot, reply, "successWithoutVideo", false);
    else
        on_verdict(engine, slot, doing, reply, true);
}

/* Without room the oldest goes: where a source was touched, bytes without a digest count as changed, which is
 * the safe side. */
static void keep_digest(struct slot *slot, const struct chunk_digest *digest)
{
    struct chunk_digests *digests = &slot->digests;
    if (digest->size_bytes == 0)
        return;
    for (uint32_t i = 0; i < digests->count; i++)
        if (digests->items[i].first_byte == digest->first_byte) { /* sent again */
            digests->items[i] = *digest;
            return;
        }
    if (digests->count == PROGRESS_DIGESTS_MAX)
        memmove(digests->items, digests->items + 1, --digests->count * sizeof(digests->items[0]));
    digests->items[digests->count++] = *digest;
}

static void on_put(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    keep_digest(slot, &reply->chunk);
    if (reply->sent_bytes < slot->put_size_bytes && !slot->had_last_byte_out)
        slot->last_byte_may_be_out = false; /* it never left */
    /* Long waits for replies: one PUT for the rest costs no round trips (docs/youtube-facts.md 3.2). */
    if (engine->config.chunk_mode == CHUNK_MODE_AUTO && reply->status == 308 &&
        reply->wait_ms * 10 > reply->elapsed_ms)
        slot->whole = true;
    if (reply->transport == TRANSPORT_OK)
        on_session_reply(engine, slot, ACTION_PUT, reply);
    else
        on_transport(engine, slot, reply, true);
}

static bool opened_session(const struct reply *reply)
{
    return reply->transport == TRANSPORT_OK && is_success(reply) && reply->has_location &&
           !reply->location_refused;
}

static void on_start(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    if (reply->transport != TRANSPORT_OK) {
        on_transport(engine, slot, reply, false);
    } else if (opened_session(reply)) {
        slot->session_unsaved = slot->session_open = true;
        slot->job.session_at_ms = engine->now.wall_ms;
    } else if (is_success(reply) || reply->location_refused || reply->status / 100 == 3) {
        struct audit_note note = note_of_reply("protocol error", reply);
        snprintf(note.reason, sizeof(note.reason), reply->location_refused ? "locationRefused" : "noSession");
        retry_later(engine, slot, &note, reply->retry_after_ms);
    } else {
        on_verdict(engine, slot, ACTION_START, reply, false);
    }
}

/* The video that the final reply named must be there (P15). Processing failures leave the video in existence:
 * told as a warning. */
static void on_check(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    if (reply->transport != TRANSPORT_OK) {
        on_transport(engine, slot, reply, false);
    } else if (reply->status != 200) {
        on_verdict(engine, slot, ACTION_CHECK_VIDEO, reply, false);
    } else if (reply->video.id[0] && is_other_video(&reply->video)) {
        settle_hold(slot, CAUSE_AMBIGUOUS, "otherVideo",
                    "the video at YouTube has another title or size than this job");
    } else if (reply->video.id[0]) {
        const struct video_facts *video = &reply->video;
        slot->video_seen = true;
        if (video->failed)
            snprintf(slot->warning, sizeof(slot->warning), "YouTube says: %s", video->failure);
        else if (video->privacy == MATCH_NO && !slot->warning[0])
            snprintf(slot->warning, sizeof(slot->warning), "the video has another privacy status than asked");
    } else if (++slot->job.check_looks >= CHECK_LOOKS_MAX) {
        settle_hold(slot, CAUSE_AMBIGUOUS, "videoNotSeen",
                    "YouTube accepted the video, yet does not list it");
    } else {
        struct audit_note note = note_make("video not seen yet", "videoNotSeen", slot->job.video_id);
        slot->last_error = note;
        slot->is_blameless = true;
        settle_wait(engine, slot, 0);
        slot->outcome.set_check_looks = true;
        slot->outcome.check_looks = slot->job.check_looks;
    }
}

/* channels.list with the fresh token: refused, then it is the token; accepted, then the session is dead. */
static void on_probe(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    slot->want_probe = false;
    if (reply->transport != TRANSPORT_OK)
        on_transport(engine, slot, reply, false);
    else if (reply->status == 200)
        session_is_gone(engine, slot, reply);
    else
        on_verdict(engine, slot, ACTION_PROBE_TOKEN, reply, false);
}

/* Best effort, and any answer will do, but where the last byte may be out: there 499 says that the session
 * ended unfinished [tb]; 404 and 410 only that it is dead. */
static void on_cancel(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    if (slot->settling)
        return;
    bool spoke = reply->transport == TRANSPORT_OK;
    if (spoke && reply->status == 499) {
        settle_cancelled(slot);
    } else if (spoke && (reply->status == 404 || reply->status == 410)) {
        session_is_gone(engine, slot, reply);
    } else if (spoke && is_success(reply) && reply->video.id[0]) {
        on_video(engine, slot, reply);
    } else {
        struct audit_note note = note_of_reply("cancel", reply);
        slot->in_doubt = true;
        retry_later(engine, slot, &note, reply->retry_after_ms);
    }
}

/* The reply crossed the abort: its session is nobody's, and is cancelled before the slot is forgotten (P16).
 */
void reply_after_lease(struct slot *slot, enum action_type doing, const struct reply *reply)
{
    if (doing == ACTION_START && opened_session(reply))
        slot->session_unsaved = slot->session_open = true;
}

void reply_handle(struct engine *engine, struct slot *slot, enum action_type doing, const struct reply *reply)
{
    trace_detail(engine, slot, "%s: %d %s", action_text(doing), reply->status,
                 reply->reason[0] ? reply->reason : transport_text(reply->transport));
    switch (doing) {
    case ACTION_START:
        on_start(engine, slot, reply);
        break;
    case ACTION_PUT:
        on_put(engine, slot, reply);
        break;
    case ACTION_QUERY:
        if (reply->transport == TRANSPORT_OK)
            on_session_reply(engine, slot, ACTION_QUERY, reply);
        else
            on_transport(engine, slot, reply, true);
        break;
    case ACTION_CANCEL:
        on_cancel(engine, slot, reply);
        break;
    case ACTION_LIST_UPLOADS:
        if (reply->transport != TRANSPORT_OK)
            on_transport(engine, slot, reply, false);
        else if (reply->status != 200)
            on_verdict(engine, slot, ACTION_LIST_UPLOADS, reply, false);
        else
            reconcile_on_list(engine, slot, reply);
        break;
    case ACTION_CHECK_VIDEO:
        on_check(engine, slot, reply);
        break;
    case ACTION_CHECK_CDN:
        cdn_on_reply(engine, slot, reply);
        break;
    case ACTION_PROBE_TOKEN:
        on_probe(engine, slot, reply);
        break;
    case ACTION_CLAIM:
    case ACTION_STORE:
    case ACTION_RENEW:
    case ACTION_CHECK_SOURCE:
    case ACTION_TOKEN:
    case ACTION_OPEN_SESSION:
    case ACTION_ABORT:
    case ACTION_FORGET:
    case ACTION_TRACE:
        break;
    }
}
