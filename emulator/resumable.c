/*
 * The resumable protocol [guide], strict: what the guide demands is demanded, what it leaves open is answered
 * as the same server family does elsewhere [gcs, tb].
 */
#include "resumable.h"

#include <string.h>

#include "access.h"
#include "base/mem.h"
#include "content_range.h"
#include "insert_rules.h"
#include "ops.h"

enum { BLOCK_BYTES = 262144 }; /* every chunk but the last is a multiple [guide] */

/* One PUT being stored. Only its own connection's thread uses it, but the session it writes to is shared. */
struct put {
    struct state *state;
    struct session *session; /* a reference */
    uint64_t generation;     /* of the session, when this PUT began */
    gnutls_hash_hd_t hash;   /* of the session's bytes and those taken since */
    uint64_t at;             /* offset behind the last byte that was taken to be stored */
    uint64_t keep_bytes;     /* so many more may be stored */
    bool keeps_aligned;      /* if it breaks off */
};

/* ---- replies ---- */

static void name_session(struct request *request)
{
    /* The real header carries the upload id, and so does this one: clients must treat it as a secret. */
    reply_set_header(&request->reply, "X-GUploader-UploadID", request->session->id);
}

/* 308, with the Range of what is stored, or without if nothing is [guide]. */
static void answer_incomplete(struct request *request)
{
    const char *no_308 = request_header(request, "X-GUploader-No-308");
    reply_empty(&request->reply, 308);
    if (request->session->stored_bytes > 0) {
        AUTO_FREE char *range =
            mem_printf("bytes=0-%llu", (unsigned long long)request->session->stored_bytes - 1);
        reply_set_header(&request->reply, "Range", range);
    }
    if (no_308 && strcmp(no_308, "yes") == 0) { /* section 3.4 of the notes on the API */
        request->reply.status = 200;
        reply_set_header(&request->reply, "X-HTTP-Status-Code-Override", "308");
    }
    name_session(request);
}

static void answer_video(struct request *request)
{
    request->video = request->session->video;
    reply_take_json(&request->reply, (int)request->state->settings.final_status,
                    video_resource(request->state, request->video, request->video->parts));
    reply_set_header(&request->reply, "ETag", request->video->etag);
    name_session(request);
}

static void finish(struct request *request)
{
    struct session *session = request->session;
    struct video_source source = {.channel = session->channel,
                                  .client_id = session->client->id,
                                  .metadata = session->metadata,
                                  .parts = session->parts,
                                  .slug = session->slug,
                                  .session = session->digest,
                                  .size_bytes = session->total_bytes,
                                  .received_bytes = session->received_bytes};
    gnutls_hash_deinit(session->hash, source.sha256);
    session->hash = NULL;
    session->state = SESSION_FINISHED;
    session->video = videos_add(request->state, &source);
    answer_video(request);
}

static void answer_stored(struct request *request, bool may_finish)
{
    const struct session *session = request->session;
    if (may_finish && session->has_total && session->stored_bytes == session->total_bytes)
        finish(request);
    else
        answer_incomplete(request);
}

/* ---- which session, and whose ---- */

static void refuse_gone(struct request *request, int status)
{
    struct api_error error = {.status = status,
                              .domain = "global",
                              .reason = status == 410 ? "gone" : "notFound",
                              .message = status == 410 ? "The upload session was terminated." : "Not Found"};
    refuse(request, &error);
}

/* A token of one channel on a session of another: refused, and remembered, because a product must never do
 * it. */
static void refuse_wrong_owner(struct request *request)
{
    static const struct api_error error = {
        403, "global", "forbidden", "The session belongs to another user.", NULL, NULL};
    journal_violation(&request->state->journal, state_now_ms(request->state), "wrong-owner",
                      request->op->name, request->caller.channel->id, request->session->channel->id,
                      request->session->digest);
    refuse(request, &error);
}

static void end_if_expired(struct state *state, struct session *session)
{
    if (session->state == SESSION_OPEN &&
        state_now_ms(state) - session->created_at_ms > state->settings.session_lifetime_ms)
        session_end(session, 404);
}

/* Answers unless the caller may go on with this session. A new request on a session takes it over from older
 * ones. */
static void admit(struct request *request)
{
    const char *type = request_param(request, "uploadType");
    if (!request_param(request, "upload_id")) {
        refuse_bad(request, "required", "Required parameter: upload_id", "upload_id");
        return;
    }
    if (type && strcmp(type, "resumable") != 0) {
        refuse_bad(request, "invalidParameter", "Invalid upload type.", "uploadType");
        return;
    }
    access_check_token(request);
    if (!request_is_answered(request))
        access_check_channel(request);
    if (request_is_answered(request))
        return;
    if (!request->session) {
        refuse_gone(request, 404);
        return;
    }
    if (request->caller.channel != request->session->channel) {
        refuse_wrong_owner(request);
        return;
    }
    end_if_expired(request->state, request->session);
    if (request->session->state == SESSION_GONE)
        refuse_gone(request, request->session->gone_status);
    else if (request->session->state == SESSION_CANCELLED)
        refuse_gone(request, 404);
    else
        request->session->generation++;
}

/* ---- PUT ---- */

static void refuse_range(struct request *request, const char *message)
{
    refuse_bad(request, "badRequest", message, NULL);
}

/* What the request says about its bytes. `is_whole`: without Content-Range, the body is the whole file
 * [guide]. */
static bool read_range(const struct request *request, uint64_t length, struct content_range *ret)
{
    const char *text = request_header(request, "Content-Range");
    if (text)
        return content_range_parse(text, ret);
    *ret = (struct content_range){
        .has_last = length > 0, .last = length ? length - 1 : 0, .has_total = true, .total = length};
    return true;
}

/* Fills in the last byte of "bytes A-*" from the length of the body. */
static void complete_range(struct content_range *range, uint64_t length)
{
    if (!range->is_query && !range->has_last && length > 0) {
        range->has_last = true;
        range->last = range->first + length - 1;
    }
}

/* Takes the total from the session if the range does not name it; false if the two differ. */
static bool agree_on_total(const struct session *session, struct content_range *range)
{
    if (!session->has_total)
        return true;
    if (range->has_total && range->total != session->total_bytes)
        return false;
    range->has_total = true;
    range->total = session->total_bytes;
    return true;
}

static void learn_total(struct session *session, const struct content_range *range)
{
    session->has_total = range->has_total;
    session->total_bytes = range->total;
}

static uint64_t length_of(const struct content_range *range)
{
    return range->has_last ? range->last - range->first + 1 : 0;
}

/* The rules that do not depend on what is stored; answers if one is broken. */
static void check_range(struct request *request, struct content_range *range, uint64_t length)
{
    bool agrees = agree_on_total(request->session, range);
    uint64_t end = range->first + length;
    if (!agrees)
        refuse_range(request, "The total size differs from the one announced before.");
    else if (length_of(range) != length)
        refuse_range(request, "Content-Length does not match Content-Range.");
    else if (range->has_total && end > range->total)
        refuse_range(request, "Content-Range ends behind the total size.");
    else if (!(range->has_total && end == range->total) && length % BLOCK_BYTES != 0)
        refuse_range(request, "The size of every chunk but the last must be a multiple of 262144 bytes.");
}

/* Ahead of what is stored: the words of the server family [java-storage, scenario 5]. Behind: nothing of an
 * overlapping block is stored [guide]. */
static void check_offset(struct request *request, uint64_t first)
{
    uint64_t stored = request->session->stored_bytes;
    if (first < stored) {
        answer_incomplete(request);
    } else if (first > stored) {
        AUTO_FREE char *text =
            mem_printf("Invalid request.  According to the Content-Range header, the upload "
                       "offset is %llu byte(s), which exceeds already uploaded size of %llu byte(s).",
                       (unsigned long long)first, (unsigned long long)stored);
        reply_text(&request->reply, 503, "text/plain; charset=utf-8", text);
        name_session(request);
    }
}

static void put_begin(struct request *request)
{
    struct session *session = request->session;
    struct put *put = mem_alloc(sizeof *put);
    *put = (struct put){.state = request->state,
                        .session = session_take(session),
                        .generation = session->generation,
                        .hash = gnutls_hash_copy(session->hash),
                        .at = session->stored_bytes,
                        .keep_bytes = request->plan.keep_bytes,
                        .keeps_aligned = request->state->settings.keep_aligned != 0};
    session->put_count++;
    request->put = put;
}

static void admit_put(struct request *request)
{
    struct content_range range;
    uint64_t length;
    admit(request);
    if (request_is_answered(request))
        return;
    if (request->session->state == SESSION_FINISHED) {
        answer_video(request); /* whatever comes: java-storage, scenario 1 */
        return;
    }
    if (!request_content_length(request, &length)) {
        static const struct api_error error = {411,  "global", "lengthRequired", "Length Required",
                                               NULL, NULL};
        refuse(request, &error);
        return;
    }
    if (!read_range(request, length, &range)) {
        refuse_range(request, "Failed to parse Content-Range header.");
        return;
    }
    complete_range(&range, length);
    check_range(request, &range, length);
    if (!request_is_answered(request))
        check_offset(request, range.first);
    if (request_is_answered(request))
        return;
    learn_total(request->session, &range);
    put_begin(request);
}

static bool is_current(const struct put *put)
{
    return put->session->state == SESSION_OPEN && put->session->generation == put->generation;
}

/* What was taken becomes what the session holds, unless a newer request took the session over. */
static void commit(struct put *put)
{
    if (!is_current(put) || put->session->stored_bytes == put->at)
        return;
    gnutls_hash_deinit(put->session->hash, NULL);
    put->session->hash = gnutls_hash_copy(put->hash);
    put->session->stored_bytes = put->at;
}

static void take_put(struct request *request, const char *data, size_t len)
{
    struct put *put = request->put;
    while (len > 0 && put->keep_bytes > 0) {
        size_t to_boundary = BLOCK_BYTES - put->at % BLOCK_BYTES;
        size_t n = len < to_boundary ? len : to_boundary;
        if (n > put->keep_bytes)
            n = (size_t)put->keep_bytes;
        gnutls_hash(put->hash, data, n);
        data += n;
        len -= n;
        put->at += n;
        put->keep_bytes -= n;
        /* A PUT that breaks off leaves whole blocks behind, as at Google's storage: any offset is possible
         * there, a multiple of the block is what is seen. */
        if (n == to_boundary || !put->keeps_aligned) {
            pthread_mutex_lock(&put->state->lock);
            commit(put);
            pthread_mutex_unlock(&put->state->lock);
        }
    }
}

static void end_put(struct request *request)
{
    struct put *put = request->put;
    bool holds_final = request->plan.fault && request->plan.fault->word->holds_final;
    commit(put);
    if (is_current(put)) {
        answer_stored(request, !holds_final);
    } else if (put->session->state == SESSION_FINISHED) {
        answer_video(request);
    } else if (put->session->state == SESSION_OPEN) {
        static const struct api_error error = {
            503, "global", "backendError", "A newer request took the session over.", NULL, NULL};
        refuse(request, &error);
    } else {
        refuse_gone(request, put->session->gone_status ? put->session->gone_status : 404);
    }
}

void put_cut(struct put *put)
{
    if (put)
        commit(put);
}

void put_free(struct put *put)
{
    if (!put)
        return;
    gnutls_hash_deinit(put->hash, NULL);
    session_drop(put->session);
    mem_free(put);
}

/* ---- query, cancel ---- */

static void end_query(struct request *request)
{
    struct content_range range;
    uint64_t length = 0;
    const char *text = request_header(request, "Content-Range");
    if (request->session->state == SESSION_FINISHED) {
        answer_video(request);
        return;
    }
    request_content_length(request, &length);
    if (length > 0 || !text || !content_range_parse(text, &range)) {
        refuse_range(request, "A query has a Content-Range and no body.");
    } else if (!agree_on_total(request->session, &range)) {
        refuse_range(request, "The total size differs from the one announced before.");
    } else {
        learn_total(request->session, &range);
        answer_stored(request, true); /* all stored and not completed: the query completes it [tb] */
    }
}

static void end_cancel(struct request *request)
{
    if (request->session->state == SESSION_FINISHED) {
        refuse_range(request, "The upload is already complete.");
        return;
    }
    request->session->state = SESSION_CANCELLED;
    reply_empty(&request->reply, 499); /* [tb] */
    name_session(request);
}

const struct op op_put = {.name = "put", .admit = admit_put, .take = take_put, .end = end_put};
const struct op op_put_final = {.name = "put-final", .admit = admit_put, .take = take_put, .end = end_put};
const struct op op_query = {.name = "query", .admit = admit, .end = end_query};
const struct op op_cancel = {.name = "cancel", .admit = admit, .end = end_cancel};

/* A PUT that can complete the upload. */
static bool is_final(const struct request *request, struct content_range *range)
{
    uint64_t length = 0;
    request_content_length(request, &length);
    complete_range(range, length);
    if (request->session)
        agree_on_total(request->session, range);
    return range->has_total && range->first + length_of(range) >= range->total;
}

const struct op *resumable_op(struct request *request)
{
    struct content_range range;
    const char *text = request_header(request, "Content-Range");
    request->session =
        session_take(sessions_find(&request->state->sessions, request_param(request, "upload_id")));
    if (strcmp(request->method, "DELETE") == 0)
        return &op_cancel;
    if (!text)
        return &op_put_final;
    if (!content_range_parse(text, &range))
        return &op_put;
    if (range.is_query)
        return &op_query;
    return is_final(request, &range) ? &op_put_final : &op_put;
}

/* ---- start ---- */

static void answer_location(struct request *request)
{
    AUTO_FREE char *origin = request_origin(request);
    AUTO_FREE char *location =
        mem_printf("%s%s?uploadType=resumable&upload_id=%s", origin, request->path, request->session->id);
    reply_empty(&request->reply, 200);
    reply_set_header(&request->reply, "Location", location);
    name_session(request);
}

static void end_start(struct request *request)
{
    struct insert_terms terms;
    const char *media_type = request_header(request, "X-Upload-Content-Type");
    if (!insert_accept(request, &request->body, media_type, &terms))
        return;
    struct session *session = sessions_add(&request->state->sessions, request->caller.channel,
                                           request->caller.client, terms.metadata);
    session->parts = terms.parts;
    session->slug = mem_dup(request_header(request, "Slug"));
    session->created_at_ms = state_now_ms(request->state);
    session->has_total = terms.has_announced;
    session->total_bytes = terms.announced_bytes;
    request->session = session_take(session);
    answer_location(request);
}

const struct op op_start = {.name = "start",
                            .scopes = SCOPE_UPLOAD | SCOPE_YOUTUBE | SCOPE_FORCE_SSL | SCOPE_PARTNER,
                            .bucket = QUOTA_UPLOADS,
                            .units = 1,
                            .body_bytes_max = 1 << 20,
                            .end = end_start};

static void end_bad_upload(struct request *request)
{
    const char *type = request_param(request, "uploadType");
    refuse_bad(request, type ? "invalidParameter" : "required",
               type ? "Invalid upload type." : "Required parameter: uploadType", "uploadType");
}

const struct op op_bad_upload = {.name = "start",
                                 .scopes = SCOPE_UPLOAD | SCOPE_YOUTUBE | SCOPE_FORCE_SSL | SCOPE_PARTNER,
                                 .bucket = QUOTA_UPLOADS,
                                 .units = 1,
                                 .end = end_bad_upload};
