/* The control API beneath /_ctl/: how tests steer the emulator and see what it holds. README.md describes it.
 */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "device.h"
#include "json.h"
#include "ops.h"
#include "pacific.h"

static void refuse_control(struct request *request, int status, const char *message)
{
    reply_take_json(&request->reply, status, json_pack("{s:s}", "error", message));
}

static void done(struct request *request)
{
    reply_take_json(&request->reply, 200, json_pack("{s:b}", "ok", 1));
}

/* The channel that the body names; answers if there is none. */
static struct channel *named_channel(struct request *request, const json_t *body)
{
    struct channel *channel = channels_find(&request->state->channels, json_text_at(body, "channel"));
    if (!channel)
        refuse_control(request, 404, "unknown channel");
    return channel;
}

/* ---- what is there ---- */

static void get_videos(struct request *request, json_t *body)
{
    const struct videos *videos = &request->state->videos;
    const char *channel = request_param(request, "channel");
    const struct channel *only = channels_find(&request->state->channels, channel);
    json_t *list = json_array();
    (void)body;
    for (size_t i = 0; i < videos->count; i++)
        if (!channel || videos->list[i]->channel == only)
            json_array_append_new(list, videos_describe(videos->list[i]));
    reply_take_json(&request->reply, 200, list);
}

static void get_journal(struct request *request, json_t *body)
{
    uint64_t since = 0;
    const char *text = request_param(request, "since");
    (void)body;
    if (text && !parse_u64(text, &since))
        refuse_control(request, 400, "\"since\" is a number");
    else
        reply_take_json(&request->reply, 200,
                        journal_list(&request->state->journal, since, request_param(request, "op"),
                                     request_param(request, "session")));
}

static void get_sessions(struct request *request, json_t *body)
{
    (void)body;
    reply_take_json(&request->reply, 200, sessions_list(&request->state->sessions));
}

static void add_secret(json_t *list, const char *text)
{
    if (text && *text)
        json_array_append_new(list, json_string(text));
}

/* What must not be found anywhere outside: a test plants these by using the emulator, and looks for them. */
static void get_secrets(struct request *request, json_t *body)
{
    const struct state *state = request->state;
    const struct map *access = &state->tokens.by_access, *sessions = &state->sessions.by_id;
    json_t *clients = json_array(), *refresh_tokens = json_array();
    json_t *access_tokens = json_array(), *upload_ids = json_array();
    (void)body;
    for (size_t i = 0; i < CLIENT_COUNT; i++)
        add_secret(clients, state->clients.clients[i].secret);
    for (size_t i = 0; i < state->tokens.grant_count; i++)
        add_secret(refresh_tokens, state->tokens.grants[i]->refresh_token);
    for (size_t i = 0; i < access->size; i++)
        add_secret(access_tokens, access->slots[i].key);
    for (size_t i = 0; i < sessions->size; i++)
        add_secret(upload_ids, sessions->slots[i].key);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:o, s:o, s:o, s:o}", "client_secrets", clients, "refresh_tokens",
                              refresh_tokens, "access_tokens", access_tokens, "upload_ids", upload_ids));
}

static void get_violations(struct request *request, json_t *body)
{
    (void)body;
    reply_json(&request->reply, 200, request->state->journal.violations);
}

static void get_channels(struct request *request, json_t *body)
{
    const struct channels *channels = &request->state->channels;
    json_t *list = json_array();
    (void)body;
    for (size_t i = 0; i < channels->count; i++)
        json_array_append_new(list, channel_describe(channels->list[i]));
    reply_take_json(&request->reply, 200, list);
}

static void get_devices(struct request *request, json_t *body)
{
    (void)body;
    reply_take_json(&request->reply, 200, device_list(request->state));
}

/* ---- channels ---- */

/* {"count": N} or {"title": …} adds; {"channel": …, …} changes one. */
static void post_channels(struct request *request, json_t *body)
{
    struct channels *channels = &request->state->channels;
    uint64_t count = 1;
    if (json_text_at(body, "channel")) {
        struct channel *channel = named_channel(request, body);
        if (channel && !channel_update(channel, body))
            refuse_control(request, 400, "a value is not possible");
        else if (channel)
            reply_take_json(&request->reply, 200, channel_describe(channel));
        return;
    }
    json_count_at(body, "count", &count);
    json_t *added = json_array();
    for (uint64_t i = 0; i < count && i < 100000; i++) {
        AUTO_FREE char *numbered = mem_printf("Channel %zu", channels->count + 1);
        const char *title = json_text_at(body, "title");
        struct channel *channel = channels_add(channels, &request->state->dice, title ? title : numbered);
        json_array_append_new(added, channel_describe(channel));
    }
    reply_take_json(&request->reply, 200, added);
}

/* ---- faults ---- */

static void get_faults(struct request *request, json_t *body)
{
    (void)body;
    reply_take_json(&request->reply, 200, faults_describe(&request->state->faults));
}

static void post_faults(struct request *request, json_t *body)
{
    struct err err = {0};
    AUTO_JSON json_t *list = json_is_object(body) ? json_pack("[O]", body) : json_incref(body);
    if (faults_add(&request->state->faults, list, &err) != 0)
        refuse_control(request, 400, err.message);
    else
        get_faults(request, NULL);
}

static void delete_faults(struct request *request, json_t *body)
{
    (void)body;
    faults_clear(&request->state->faults);
    done(request);
}

/* ---- clock, settings, quota ---- */

static void get_clock(struct request *request, json_t *body)
{
    (void)body;
    int64_t now_ms = state_now_ms(request->state);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:I, s:I, s:I}", "now_ms", (json_int_t)now_ms, "day_start_ms",
                              (json_int_t)pacific_day_start_ms(now_ms), "day_end_ms",
                              (json_int_t)pacific_day_end_ms(now_ms)));
}

static void post_clock(struct request *request, json_t *body)
{
    const json_t *now = json_object_get(body, "now_ms");
    const json_t *advance = json_object_get(body, "advance_ms");
    if (json_is_integer(now))
        request->state->clock_offset_ms += json_integer_value(now) - state_now_ms(request->state);
    else if (json_is_integer(advance))
        request->state->clock_offset_ms += json_integer_value(advance);
    else {
        refuse_control(request, 400, "needs \"now_ms\" or \"advance_ms\"");
        return;
    }
    get_clock(request, NULL);
}

static const struct {
    const char *name;
    size_t offset;
} settings[] = {
#define X(name, value) {#name, offsetof(struct settings, name)},
    SETTING_TABLE(X)
#undef X
};

static int64_t *setting_at(struct state *state, size_t i)
{
    return (int64_t *)(void *)((char *)&state->settings + settings[i].offset);
}

static void get_settings(struct request *request, json_t *body)
{
    json_t *all = json_object();
    (void)body;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        json_object_set_new(all, settings[i].name, json_integer(*setting_at(request->state, i)));
    reply_take_json(&request->reply, 200, all);
}

static bool set_setting(struct state *state, const char *name, const json_t *value)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        if (!json_is_integer(value) && !json_is_boolean(value))
            return false;
        *setting_at(state, i) = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
        return true;
    }
    return false;
}

static void post_settings(struct request *request, json_t *body)
{
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value)
    {
        if (!set_setting(request->state, name, value)) {
            refuse_control(request, 400, "unknown setting, or not a whole number");
            return;
        }
    }
    get_settings(request, NULL);
}

static json_t *describe_quota(struct state *state, struct project *project)
{
    int64_t now_ms = state_now_ms(state);
    quota_roll(&project->quota, now_ms);
    json_t *line = json_pack(
        "{s:s, s:I, s:I, s:I}", "project", project->id, "number", (json_int_t)project->number, "day_start_ms",
        (json_int_t)project->quota.day_start_ms, "resets_at_ms", (json_int_t)pacific_day_end_ms(now_ms));
    for (int i = 0; i < QUOTA_COUNT_; i++)
        json_object_set_new(line, quota_bucket_name((enum quota_bucket)i),
                            json_pack("{s:I, s:I, s:I, s:I}", "limit",
                                      (json_int_t)project->quota.buckets[i].limit, "used",
                                      (json_int_t)project->quota.buckets[i].used, "charged",
                                      (json_int_t)project->quota.buckets[i].charged, "refused",
                                      (json_int_t)project->quota.buckets[i].refused));
    return line;
}

static void get_quota(struct request *request, json_t *body)
{
    json_t *list = json_array();
    (void)body;
    for (size_t i = 0; i < PROJECT_COUNT; i++)
        json_array_append_new(list, describe_quota(request->state, &request->state->clients.projects[i]));
    reply_take_json(&request->reply, 200, list);
}

/* {"project": 1|"id", "uploads": LIMIT, "units": LIMIT, …, "used": {"uploads": N}, "testing": true, "error":
 * REASON} */
static void post_quota(struct request *request, json_t *body)
{
    const json_t *named = json_object_get(body, "project");
    AUTO_FREE char *name = json_is_integer(named)
                               ? mem_printf("%lld", (long long)json_integer_value(named))
                               : mem_dup(json_is_string(named) ? json_string_value(named) : "1");
    struct project *project = clients_find_project(&request->state->clients, name);
    const char *error = json_text_at(body, "error");
    if (!project || (error && !quota_error_parse(error, &request->state->quota_error))) {
        refuse_control(request, 404, "unknown project or error");
        return;
    }
    quota_roll(&project->quota, state_now_ms(request->state));
    for (int i = 0; i < QUOTA_COUNT_; i++) {
        json_count_at(body, quota_bucket_name((enum quota_bucket)i), &project->quota.buckets[i].limit);
        json_count_at(json_object_get(body, "used"), quota_bucket_name((enum quota_bucket)i),
                      &project->quota.buckets[i].used);
    }
    if (json_is_boolean(json_object_get(body, "testing")))
        project->is_testing = json_is_true(json_object_get(body, "testing"));
    get_quota(request, NULL);
}

/* ---- OAuth ---- */

/* {"channel": …, "scope": "…", "times": N} or {"error": "access_denied"}: the answer to the next consent
 * page. */
static void post_approve(struct request *request, json_t *body)
{
    struct oauth *oauth = &request->state->oauth;
    if (!json_text_at(body, "error") && !named_channel(request, body))
        return;
    if (!oauth->approvals)
        oauth->approvals = json_array();
    json_array_append(oauth->approvals, body);
    done(request);
}

static void post_device(struct request *request, json_t *body)
{
    struct channel *channel = NULL;
    if (!json_is_true(json_object_get(body, "deny")) && !(channel = named_channel(request, body)))
        return;
    if (device_answer(request->state, json_text_at(body, "user_code"), channel))
        done(request);
    else
        refuse_control(request, 404, "unknown user_code");
}

/* {"channel": …, "client": "client_secret.json", "scope": "…"}: tokens without the pages, for tests of other
 * things. */
static void post_token(struct request *request, json_t *body)
{
    struct state *state = request->state;
    const char *file = json_text_at(body, "client");
    const char *scope = json_text_at(body, "scope");
    unsigned scopes = SCOPE_YOUTUBE;
    struct channel *channel = named_channel(request, body);
    struct client *client = file ? NULL : &state->clients.clients[0];
    for (size_t i = 0; file && i < CLIENT_COUNT; i++)
        if (strcmp(state->clients.clients[i].file_name, file) == 0 ||
            strcmp(state->clients.clients[i].id, file) == 0)
            client = &state->clients.clients[i];
    if (!channel)
        return;
    if (!client || (scope && !scopes_parse(scope, &scopes))) {
        refuse_control(request, 400, "unknown client or scope");
        return;
    }
    int64_t now_ms = state_now_ms(state);
    struct grant *grant = tokens_grant(&state->tokens, client, channel, scopes, true, now_ms);
    int64_t lifetime_s = state->settings.access_token_lifetime_s;
    struct access_token *token = tokens_issue(&state->tokens, grant, scopes, now_ms + lifetime_s * 1000);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:I, s:s}", "access_token", token->text, "refresh_token",
                              grant->refresh_token, "expires_in", (json_int_t)lifetime_s, "token_type",
                              "Bearer"));
}

static void post_revoke(struct request *request, json_t *body)
{
    struct channel *channel = named_channel(request, body);
    if (!channel)
        return;
    tokens_revoke(&request->state->tokens, channel, NULL);
    done(request);
}

/* {"channel": …} or {}: the access tokens end now; refresh tokens stay. */
static void post_expire(struct request *request, json_t *body)
{
    struct channel *channel = NULL;
    if (json_text_at(body, "channel") && !(channel = named_channel(request, body)))
        return;
    tokens_expire(&request->state->tokens, channel);
    done(request);
}

/* ---- sessions and videos ---- */

/* {"session": DIGEST, "status": 404|410}: the session is gone. */
static void post_sessions(struct request *request, json_t *body)
{
    uint64_t status = 404;
    struct session *session = sessions_find_digest(&request->state->sessions, json_text_at(body, "session"));
    json_count_at(body, "status", &status);
    if (!session) {
        refuse_control(request, 404, "unknown session");
        return;
    }
    session_end(session, status == 410 ? 410 : 404);
    done(request);
}

static bool read_processing(const json_t *body, struct processing_plan *ret)
{
    const char *result = json_text_at(body, "result");
    const char *reason = json_text_at(body, "reason");
    *ret = (struct processing_plan){PROCESSING_SUCCEEDS, ""};
    if (result && strcmp(result, "failed") == 0)
        *ret = (struct processing_plan){PROCESSING_FAILS, "conversion"};
    else if (result && strcmp(result, "rejected") == 0)
        *ret = (struct processing_plan){PROCESSING_REJECTS, "duplicate"};
    else if (!result || strcmp(result, "processed") != 0)
        return false;
    return !reason || text_copy(ret->reason, sizeof ret->reason, reason);
}

/* {"result": "processed"|"failed"|"rejected", "reason": …} for one "video", or for what comes on a "channel"
 * or all. */
static void post_processing(struct request *request, json_t *body)
{
    struct processing_plan plan;
    const char *video_id = json_text_at(body, "video");
    struct video *video = videos_find(&request->state->videos, video_id);
    const char *key = "*";
    if (!read_processing(body, &plan) || (video_id && !video)) {
        refuse_control(request, 400, "unknown result or video");
        return;
    }
    if (video) {
        video->processing = plan;
        done(request);
        return;
    }
    if (json_text_at(body, "channel")) {
        struct channel *channel = named_channel(request, body);
        if (!channel)
            return;
        key = channel->id;
    }
    struct processing_plan *kept = map_get(&request->state->processing_plans, key);
    if (!kept)
        kept = mem_alloc(sizeof *kept);
    *kept = plan;
    map_put(&request->state->processing_plans, key, kept);
    done(request);
}

static void post_reset(struct request *request, json_t *body)
{
    state_reset(request->state, json_is_true(json_object_get(body, "consents")));
    done(request);
}

/* ---- the table ---- */

static const struct {
    const char *method;
    const char *name;
    void (*handle)(struct request *request, json_t *body); /* body: NULL for GET and DELETE */
} controls[] = {
    {"GET", "videos", get_videos},         {"GET", "journal", get_journal},
    {"GET", "sessions", get_sessions},     {"POST", "sessions", post_sessions},
    {"GET", "violations", get_violations}, {"GET", "secrets", get_secrets},
    {"GET", "channels", get_channels},     {"POST", "channels", post_channels},
    {"GET", "faults", get_faults},         {"POST", "faults", post_faults},
    {"DELETE", "faults", delete_faults},   {"GET", "clock", get_clock},
    {"POST", "clock", post_clock},         {"GET", "settings", get_settings},
    {"POST", "settings", post_settings},   {"GET", "quota", get_quota},
    {"POST", "quota", post_quota},         {"POST", "approve", post_approve},
    {"GET", "device", get_devices},        {"POST", "device", post_device},
    {"POST", "token", post_token},         {"POST", "revoke", post_revoke},
    {"POST", "expire", post_expire},       {"POST", "processing", post_processing},
    {"POST", "reset", post_reset},
};

static void call(struct request *request, size_t i)
{
    AUTO_JSON json_t *body = NULL;
    if (strcmp(request->method, "POST") == 0) {
        json_error_t error;
        body =
            request->body.len ? json_loadb(request->body.data, request->body.len, 0, &error) : json_object();
        if (!body) {
            refuse_control(request, 400, error.text);
            return;
        }
    }
    controls[i].handle(request, body);
}

static void end_control(struct request *request)
{
    const char *name = request->path + strlen("/_ctl/");
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        if (strcmp(controls[i].name, name) == 0 && strcmp(controls[i].method, request->method) == 0) {
            call(request, i);
            return;
        }
    }
    refuse_control(request, 404, "unknown control, or wrong method");
}

const struct op op_control = {
    .name = "ctl", .style = OP_CONTROL, .body_bytes_max = 8 << 20, .end = end_control};
