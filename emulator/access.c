#include "access.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Messages and reasons: [errors] and core errors of the API. */
static const struct api_error error_no_token = {
    401, "global", "required", "Login Required.", "Authorization", "header"};
static const struct api_error error_bad_token = {
    401, "global", "authError", "Invalid Credentials", "Authorization", "header"};
static const struct api_error error_scope = {
    403,
    "global",
    "insufficientPermissions",
    "Insufficient Permission: Request had insufficient authentication scopes.",
    NULL,
    NULL};
static const struct api_error error_suspended = {
    403,
    "youtube.common",
    "authenticatedUserAccountSuspended",
    "The YouTube account of the authenticated user is suspended.",
    NULL,
    NULL};
static const struct api_error error_closed = {403,
                                              "youtube.common",
                                              "authenticatedUserAccountClosed",
                                              "The YouTube account of the authenticated user is closed.",
                                              NULL,
                                              NULL};
static const struct api_error error_no_channel = {
    401, "youtube.header", "youtubeSignupRequired", "Unauthorized", "Authorization", "header"};

static struct caller caller_of(struct state *state, const char *authorization)
{
    if (!authorization)
        return (struct caller){.kind = CALLER_NONE};
    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return (struct caller){.kind = CALLER_UNKNOWN};
    const struct access_token *token = map_get(&state->tokens.by_access, authorization + 7);
    if (!token)
        return (struct caller){.kind = CALLER_UNKNOWN};
    bool is_dead = token->grant->is_revoked || token->expires_at_ms <= state_now_ms(state);
    return (struct caller){.kind = is_dead ? CALLER_EXPIRED : CALLER_KNOWN,
                           .channel = token->grant->channel,
                           .client = token->grant->client,
                           .scopes = token->scopes};
}

void access_identify(struct request *request)
{
    request->caller = caller_of(request->state, request_header(request, "Authorization"));
}

void access_charge(struct request *request)
{
    if (request->caller.kind != CALLER_KNOWN)
        return;
    request->quota_is_spent = !quota_charge(&request->caller.client->project->quota, request->op->bucket,
                                            request->op->units, state_now_ms(request->state));
}

static void refuse_for_quota(struct request *request)
{
    static const struct api_error quota_exceeded = {
        403,
        "youtube.quota",
        "quotaExceeded",
        "The request cannot be completed because you have exceeded your "
        "<a href=\"/youtube/v3/getting-started#quota\">quota</a>.",
        NULL,
        NULL};
    static const struct api_error daily_limit = {403,
                                                 "usageLimits",
                                                 "dailyLimitExceeded",
                                                 "Daily Limit Exceeded. The quota will be reset at midnight "
                                                 "Pacific Time (PT). You may monitor your quota "
                                                 "usage and adjust limits in the API Console.",
                                                 NULL,
                                                 NULL};
    bool is_upload = request->op->bucket == QUOTA_UPLOADS;
    const char *metric = is_upload ? "Video Uploads" : "Queries";
    /* The message alone tells a spent day from a short rate limit (google-api-python-client issue #2753). */
    AUTO_FREE char *message =
        mem_printf("Quota exceeded for quota metric '%s' and limit '%s per day' of service "
                   "'youtube.googleapis.com' for consumer 'project_number:%llu'.",
                   metric, metric, (unsigned long long)request->caller.client->project->number);
    struct api_error rate_limit = {429, "global", "rateLimitExceeded", message, NULL, NULL};
    switch (request->state->quota_error) {
    case QUOTA_ERROR_RATE_LIMIT_EXCEEDED:
        refuse(request, &rate_limit);
        return;
    case QUOTA_ERROR_QUOTA_EXCEEDED:
        refuse(request, &quota_exceeded);
        return;
    case QUOTA_ERROR_DAILY_LIMIT_EXCEEDED:
        refuse(request, &daily_limit);
        return;
    }
}

void access_check_channel(struct request *request)
{
    switch (request->caller.channel->state) {
    case CHANNEL_ACTIVE:
        return;
    case CHANNEL_SUSPENDED:
        refuse(request, &error_suspended);
        return;
    case CHANNEL_CLOSED:
        refuse(request, &error_closed);
        return;
    case CHANNEL_ABSENT:
        /* channels.list answers with no items instead [oauth] */
        if (strcmp(request->op->name, "channels.list") != 0)
            refuse(request, &error_no_channel);
        return;
    }
}

void access_check_token(struct request *request)
{
    if (request->caller.kind == CALLER_NONE)
        refuse(request, &error_no_token);
    else if (request->caller.kind != CALLER_KNOWN)
        refuse(request, &error_bad_token);
}

void access_check(struct request *request)
{
    if (request->op->scopes == 0)
        return;
    access_check_token(request);
    if (request_is_answered(request))
        return;
    if (!(request->caller.scopes & request->op->scopes))
        refuse(request, &error_scope);
    else if (request->quota_is_spent)
        refuse_for_quota(request);
    else
        access_check_channel(request);
}
