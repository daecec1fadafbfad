/*
 * The words of faults: one table, one function a word. The names of storage-testbench are kept where it has
 * one [tb]; the others follow its manner. README.md explains each.
 */
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "bomb.h"
#include "faults.h"
#include "json.h"
#include "request.h"

/* ---- replies made up ---- */

static const char *usual_reason(int status, enum op_style style)
{
    if (style == OP_OAUTH)
        return status >= 500 ? "internal_failure" : status == 401 ? "invalid_client" : "invalid_request";
    switch (status) {
    case 400:
        return "badRequest";
    case 401:
        return "authError";
    case 403:
        return "forbidden";
    case 404:
        return "notFound";
    case 412:
        return "conditionNotMet";
    case 413:
        return "uploadTooLarge";
    case 416:
        return "requestedRangeNotSatisfiable";
    case 429:
        return "rateLimitExceeded";
    case 503:
        return "backendError";
    default:
        return status >= 500 ? "internalError" : "unknown";
    }
}

static void put_error(struct request *request, const struct fault *fault, int status)
{
    const char *reason = json_text_at(fault->spec, "reason");
    const char *message = json_text_at(fault->spec, "message");
    const char *domain = json_text_at(fault->spec, "domain");
    struct api_error error = {.status = status,
                              .domain = domain ? domain : "global",
                              .reason = reason ? reason : usual_reason(status, request->op->style),
                              .message = message ? message : "A fault was asked for."};
    if (request->op->style == OP_OAUTH)
        reply_oauth_error(&request->reply, status, error.reason, message);
    else
        reply_api_error(&request->reply, &error);
}

/* An error page of so many bytes. */
static void put_page(struct reply *reply, int status, uint64_t bytes)
{
    static const char line[] = "<p>That is an error. That is all we know.</p>\n";
    reply_text(reply, status, "text/html; charset=UTF-8", "<!DOCTYPE html><title>Error</title>\n");
    while (reply->body.len + sizeof line - 1 < bytes && buf_puts(&reply->body, line))
        ;
    while (reply->body.len < bytes && buf_putc(&reply->body, '\n'))
        ;
}

static void set_options(struct reply *reply, const struct fault *fault)
{
    const char *name;
    json_t *value;
    const json_t *retry_after = json_object_get(fault->spec, "retry_after");
    if (json_is_integer(retry_after)) {
        AUTO_FREE char *seconds = mem_printf("%lld", (long long)json_integer_value(retry_after));
        reply_set_header(reply, "Retry-After", seconds);
    } else if (json_is_string(retry_after)) {
        reply_set_header(reply, "Retry-After", json_string_value(retry_after));
    }
    if (json_text_at(fault->spec, "content_type"))
        reply_set_header(reply, "Content-Type", json_text_at(fault->spec, "content_type"));
    json_object_foreach(json_object_get(fault->spec, "headers"), name, value)
    {
        if (json_is_string(value))
            reply_set_header(reply, name, json_string_value(value));
    }
}

/* The reply of a fault with a status: what its options say, else an error in the shape of the endpoint. */
static void put_status(struct request *request, const struct fault *fault, int status)
{
    uint64_t bytes;
    if (json_text_at(fault->spec, "body"))
        reply_text(&request->reply, status, "text/plain; charset=utf-8", json_text_at(fault->spec, "body"));
    else if (json_count_at(fault->spec, "body_file_bytes", &bytes))
        put_page(&request->reply, status, bytes);
    else if (status >= 400)
        put_error(request, fault, status);
    else
        reply_empty(&request->reply, status);
    set_options(&request->reply, fault);
}

static int status_option(const struct fault *fault, int usual)
{
    uint64_t status;
    return json_count_at(fault->spec, "status", &status) && status >= 200 && status <= 599 ? (int)status
                                                                                           : usual;
}

static void act_status(struct request *request, const struct fault *fault)
{
    put_status(request, fault, (int)fault->args.number);
}

static void act_oauth_error(struct request *request, const struct fault *fault)
{
    int usual = strcmp(fault->args.text, "invalid_client") == 0 ? 401 : 400; /* [oauth] */
    reply_oauth_error(&request->reply, status_option(fault, usual), fault->args.text,
                      json_text_at(fault->spec, "message"));
}

static void act_huge_body(struct request *request, const struct fault *fault)
{
    uint64_t bytes = 10 << 20;
    json_count_at(fault->spec, "body_file_bytes", &bytes);
    put_page(&request->reply, status_option(fault, 503), bytes);
}

static void act_gzip_bomb(struct request *request, const struct fault *fault)
{
    reply_text(&request->reply, status_option(fault, 503), "application/json; charset=UTF-8", "");
    reply_set_header(&request->reply, "Content-Encoding", "gzip");
    bomb_put(&request->reply.body);
}

static void act_redirect(struct request *request, const struct fault *fault)
{
    reply_empty(&request->reply, status_option(fault, 307));
    reply_set_header(&request->reply, "Location", fault->args.text);
}

static void act_session_gone(struct request *request, const struct fault *fault)
{
    if (request->session)
        session_end(request->session, (int)fault->args.number);
    put_status(request, fault, (int)fault->args.number);
}

/* ---- connections ---- */

static void act_reset(struct request *request, const struct fault *fault)
{
    (void)fault;
    request->reply.delivery = DELIVER_RESET;
}

static void act_close(struct request *request, const struct fault *fault)
{
    (void)fault;
    request->reply.delivery = DELIVER_NOTHING;
}

static void act_cut(struct request *request, const struct fault *fault)
{
    (void)fault;
    request->reply.delivery = DELIVER_CUT;
}

static void act_close_afterwards(struct request *request, const struct fault *fault)
{
    (void)fault;
    request->reply.delivery = DELIVER_THEN_CLOSE;
}

static void act_stall(struct request *request, const struct fault *fault)
{
    uint64_t stall_ms = fault->args.seconds ? fault->args.seconds * 1000 : 10000;
    json_count_at(fault->spec, "stall_ms", &stall_ms);
    request->stall_ms = (int64_t)stall_ms;
}

static void act_slow(struct request *request, const struct fault *fault)
{
    request->reply.bytes_per_s = fault->args.number ? fault->args.number : 1;
}

static void act_delay(struct request *request, const struct fault *fault)
{
    uint64_t delay_ms = fault->args.seconds * 1000;
    json_count_at(fault->spec, "delay_ms", &delay_ms);
    request->reply.delay_ms = (int64_t)delay_ms;
}

static void act_then(struct request *request, const struct fault *fault)
{
    uint64_t status;
    if (strcmp(fault->args.text, "reset") == 0)
        act_reset(request, fault);
    else if (parse_u64(fault->args.text, &status) && status >= 200 && status <= 599)
        put_status(request, fault, (int)status);
    else
        act_close(request, fault);
}

/* ---- replies bent: heads ---- */

/* A 308 with this Range, whatever the reply was. */
static void act_range(struct request *request, const struct fault *fault)
{
    bool is_missing = strcmp(fault->args.text, "missing") == 0;
    reply_empty(&request->reply, 308);
    reply_set_header(&request->reply, "Content-Type", NULL);
    reply_set_header(&request->reply, "Range", is_missing ? NULL : fault->args.text);
}

static void act_location(struct request *request, const struct fault *fault)
{
    bool is_missing = strcmp(fault->args.text, "missing") == 0;
    reply_set_header(&request->reply, "Location", is_missing ? NULL : fault->args.text);
}

/* Another address of the same session. */
static void act_new_location(struct request *request, const struct fault *fault)
{
    (void)fault;
    if (!request->session)
        return;
    AUTO_FREE char *origin = request_origin(request);
    AUTO_FREE char *location =
        mem_printf("%s/resumable/upload/youtube/v3/videos?uploadType=resumable&upload_id=%s&route=%llu",
                   origin, request->session->id, (unsigned long long)request->journal_number);
    reply_set_header(&request->reply, "Location", location);
}

static void act_override_308(struct request *request, const struct fault *fault)
{
    (void)fault;
    reply_empty(&request->reply, 200);
    reply_set_header(&request->reply, "X-HTTP-Status-Code-Override", "308");
}

static void act_final_status(struct request *request, const struct fault *fault)
{
    if (request->video)
        request->reply.status = (int)fault->args.number;
}

static void act_header_flood(struct request *request, const struct fault *fault)
{
    (void)fault;
    for (int i = 0; i < 8000; i++)
        buf_printf(&request->reply.raw_headers, "X-Flood-%d: %0110d\r\n", i, i);
}

static void act_double_length(struct request *request, const struct fault *fault)
{
    (void)fault;
    buf_printf(&request->reply.raw_headers, "Content-Length: %zu\r\n", request->reply.body.len + 7);
}

static void act_length_and_chunked(struct request *request, const struct fault *fault)
{
    (void)fault;
    buf_puts(&request->reply.raw_headers, "Transfer-Encoding: chunked\r\n");
}

static void act_bad_header(struct request *request, const struct fault *fault)
{
    (void)fault;
    buf_append(&request->reply.raw_headers, "X-Broken: a\0b\r\nno colon here\r\n", 30);
}

/* ---- replies bent: bodies ---- */

static void act_corrupt(struct request *request, const struct fault *fault)
{
    (void)fault;
    struct buf *body = &request->reply.body;
    for (size_t i = body->len / 3; i < body->len * 2 / 3; i++)
        body->data[i] = (char)(body->data[i] ^ 0x5a);
}

static void act_not_json(struct request *request, const struct fault *fault)
{
    (void)fault;
    reply_text(&request->reply, request->reply.status, "text/html; charset=UTF-8",
               "<!DOCTYPE html><title>OK</title><p>Not what you expect</p>\n");
}

static void act_empty_body(struct request *request, const struct fault *fault)
{
    (void)fault;
    reply_empty(&request->reply, request->reply.status);
}

/* The JSON of the reply, to be changed; NULL if it is none. */
static json_t *reply_object(const struct request *request)
{
    return json_loadb(request->reply.body.data, request->reply.body.len, 0, NULL);
}

static void act_no_id(struct request *request, const struct fault *fault)
{
    (void)fault;
    AUTO_JSON json_t *body = reply_object(request);
    if (json_object_del(body, "id") == 0)
        reply_json(&request->reply, request->reply.status, body);
}

static void act_other_id(struct request *request, const struct fault *fault)
{
    (void)fault;
    char id[VIDEO_ID_LEN + 1];
    AUTO_JSON json_t *body = reply_object(request);
    dice_id(&request->state->dice, id, VIDEO_ID_LEN);
    if (json_object_set_new(body, "id", json_string(id)) == 0)
        reply_json(&request->reply, request->reply.status, body);
}

/* The video itself is changed, so that later lists agree with this reply. */
static void show_video_again(struct request *request, unsigned parts_too)
{
    reply_take_json(&request->reply, request->reply.status,
                    video_resource(request->state, request->video, request->video->parts | parts_too));
}

static void change_video(struct request *request, const char *section, const char *field, const char *value)
{
    json_t *changed = json_deep_copy(request->video->metadata);
    if (!json_object_get(changed, section))
        json_object_set_new(changed, section, json_object());
    json_object_set_new(json_object_get(changed, section), field, json_string(value));
    json_decref(request->video->metadata);
    request->video->metadata = changed;
}

static void act_wrong_size(struct request *request, const struct fault *fault)
{
    (void)fault;
    if (!request->video)
        return;
    request->video->shown_size_bytes++;
    show_video_again(request, VIDEO_PART_FILE_DETAILS);
}

static void act_wrong_title(struct request *request, const struct fault *fault)
{
    (void)fault;
    if (!request->video)
        return;
    change_video(request, "snippet", "title", "A video of somebody else");
    show_video_again(request, VIDEO_PART_SNIPPET);
}

static void act_other_privacy(struct request *request, const struct fault *fault)
{
    (void)fault;
    if (!request->video)
        return;
    const char *now = json_text_at(json_object_get(request->video->metadata, "status"), "privacyStatus");
    change_video(request, "status", "privacyStatus",
                 now && strcmp(now, "private") == 0 ? "public" : "private");
    show_video_again(request, VIDEO_PART_STATUS);
}

static void act_video_vanishes(struct request *request, const struct fault *fault)
{
    (void)fault;
    if (request->video)
        request->video->is_hidden = true;
}

/* ---- the token endpoint ---- */

static void act_expires_in(struct request *request, const struct fault *fault)
{
    AUTO_JSON json_t *body = reply_object(request);
    json_t *value = json_loads(fault->args.text, JSON_DECODE_ANY, NULL);
    if (strcmp(fault->args.text, "missing") == 0)
        json_object_del(body, "expires_in");
    else
        json_object_set_new(body, "expires_in", value ? json_incref(value) : json_string(fault->args.text));
    json_decref(value);
    if (body)
        reply_json(&request->reply, request->reply.status, body);
}

static void act_access_token(struct request *request, const struct fault *fault)
{
    AUTO_JSON json_t *body = reply_object(request);
    if (json_object_set_new(body, "access_token", json_string(fault->args.text)) == 0)
        reply_json(&request->reply, request->reply.status, body);
}

static void act_new_refresh_token(struct request *request, const struct fault *fault)
{
    (void)fault;
    AUTO_JSON json_t *body = reply_object(request);
    struct grant *grant = tokens_find_grant(&request->state->tokens, json_text_at(body, "access_token"));
    if (!grant)
        return;
    tokens_rotate(&request->state->tokens, grant);
    json_object_set_new(body, "refresh_token", json_string(grant->refresh_token));
    reply_json(&request->reply, request->reply.status, body);
}

/* Takes away what an upload needs; the token really has no more than the reply says. */
static void act_smaller_scope(struct request *request, const struct fault *fault)
{
    (void)fault;
    AUTO_JSON json_t *body = reply_object(request);
    struct access_token *token =
        map_get(&request->state->tokens.by_access, json_text_at(body, "access_token"));
    if (!token)
        return;
    token->scopes &= SCOPE_READONLY | SCOPE_EMAIL | SCOPE_PROFILE;
    if (!token->scopes)
        token->scopes = SCOPE_READONLY;
    AUTO_BUF struct buf scopes;
    buf_init(&scopes, 4096);
    scopes_put(&scopes, token->scopes);
    json_object_set_new(body, "scope", json_string(scopes.data));
    reply_json(&request->reply, request->reply.status, body);
}

/* ---- the table ---- */

/* %N a number, %KK kibibytes, %BB bytes, %Ts seconds, %S any text. The first that matches counts. */
static const struct fault_word words[] = {
    {"return-broken-stream", FAULT_ON_REPLY, act_cut},
    {"return-broken-stream-after-%KK", FAULT_AT_BYTE, act_close},
    {"return-broken-stream-final-chunk-after-%BB", FAULT_AT_BYTE, act_close, .only = "put-final"},
    {"return-reset-connection", FAULT_AT_BYTE, act_reset},
    {"return-reset-connection-after-%KK", FAULT_AT_BYTE, act_reset},
    {"close-after-reply", FAULT_ON_REPLY, act_close_afterwards},
    {"return-corrupted-data", FAULT_ON_REPLY, act_corrupt},
    {"return-%N", FAULT_INSTEAD, act_status},
    {"return-%N-after-%KK", FAULT_AT_BYTE, act_status},
    {"stall-for-%Ts-after-%KK", FAULT_AT_BYTE, act_stall},
    {"stall-at-256KiB", FAULT_AT_BYTE, act_stall, .bytes_fixed = 262144},
    {"keep-none", FAULT_ON_BODY, NULL},
    {"keep-all-then-%S", FAULT_ON_REPLY, act_then},
    {"keep-%KK", FAULT_ON_BODY, NULL},
    {"keep-%BB", FAULT_ON_BODY, NULL},
    {"stored-not-final", FAULT_ON_BODY, NULL, .bytes_fixed = UINT64_MAX, .holds_final = true},
    {"session-gone-%N", FAULT_INSTEAD, act_session_gone},
    {"range-%S", FAULT_ON_REPLY, act_range},
    {"location-%S", FAULT_ON_REPLY, act_location},
    {"new-location", FAULT_ON_REPLY, act_new_location},
    {"override-308", FAULT_ON_REPLY, act_override_308},
    {"status-%N-final", FAULT_ON_REPLY, act_final_status},
    {"redirect-%S", FAULT_INSTEAD, act_redirect},
    {"delay-reply-%Ts", FAULT_ON_REPLY, act_delay},
    {"slow-reply-%NBps", FAULT_ON_REPLY, act_slow},
    {"header-flood", FAULT_ON_REPLY, act_header_flood},
    {"double-length", FAULT_ON_REPLY, act_double_length},
    {"length-and-chunked", FAULT_ON_REPLY, act_length_and_chunked},
    {"bad-header", FAULT_ON_REPLY, act_bad_header},
    {"huge-body", FAULT_INSTEAD, act_huge_body},
    {"gzip-bomb", FAULT_INSTEAD, act_gzip_bomb},
    {"not-json", FAULT_ON_REPLY, act_not_json},
    {"empty-body", FAULT_ON_REPLY, act_empty_body},
    {"no-id", FAULT_ON_REPLY, act_no_id},
    {"other-id", FAULT_ON_REPLY, act_other_id},
    {"wrong-size", FAULT_ON_REPLY, act_wrong_size},
    {"wrong-title", FAULT_ON_REPLY, act_wrong_title},
    {"other-privacy", FAULT_ON_REPLY, act_other_privacy},
    {"video-vanishes", FAULT_ON_REPLY, act_video_vanishes},
    {"oauth-error-%S", FAULT_INSTEAD, act_oauth_error},
    {"expires-in-%S", FAULT_ON_REPLY, act_expires_in},
    {"access-token-%S", FAULT_ON_REPLY, act_access_token},
    {"new-refresh-token", FAULT_ON_REPLY, act_new_refresh_token},
    {"smaller-scope", FAULT_ON_REPLY, act_smaller_scope},
};

/* Reads the digits at *text and moves behind them. */
static bool read_number(const char **text, uint64_t *ret)
{
    size_t len = strspn(*text, "0123456789");
    AUTO_FREE char *digits = mem_dup_n(*text, len);
    *text += len;
    return parse_u64(digits, ret);
}

static bool read_place(char kind, const char **text, struct fault_args *args)
{
    switch (kind) {
    case 'N':
        return read_number(text, &args->number);
    case 'T':
        return read_number(text, &args->seconds);
    case 'B':
        return read_number(text, &args->bytes);
    case 'K':
        return read_number(text, &args->bytes) && !__builtin_mul_overflow(args->bytes, 1024, &args->bytes);
    default: /* 'S': the rest */
        args->text = *text;
        *text += strlen(*text);
        return *args->text != '\0';
    }
}

static bool matches(const char *pattern, const char *text, struct fault_args *ret)
{
    struct fault_args args = {0};
    while (*pattern) {
        if (*pattern == '%') {
            if (!read_place(pattern[1], &text, &args))
                return false;
            pattern += 2;
        } else if (*pattern++ != *text++) {
            return false;
        }
    }
    if (*text)
        return false;
    *ret = args;
    return true;
}

bool fault_word_match(const char *text, const struct fault_word **ret_word, struct fault_args *ret_args)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (matches(words[i].pattern, text, ret_args)) {
            *ret_word = &words[i];
            return true;
        }
    }
    return false;
}
