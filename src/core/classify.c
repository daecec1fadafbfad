#include "core/classify.h"

#include <stddef.h>
#include <string.h>

struct rule {
    int status;         /* 0: any */
    const char *reason; /* NULL: any */
    enum verdict verdict;
};

/* The first row that matches decides. Reasons come before bare statuses [errors]. */
static const struct rule rules[] = {
    /* 6.2: something is spent. 429 and 403 with rateLimitExceeded are told apart by the message, see
       is_day_limit(). */
    {0, "quotaExceeded", VERDICT_QUOTA},
    {0, "dailyLimitExceeded", VERDICT_QUOTA},
    {0, "uploadLimitExceeded", VERDICT_CHANNEL_LIMIT}, /* 400; also seen with 403: match the reason */

    /* 6.3: the channel or the client is at fault. */
    {401, "youtubeSignupRequired", VERDICT_CHANNEL_FROZEN},
    {401, NULL, VERDICT_REFRESH},
    {403, "insufficientPermissions", VERDICT_CHANNEL_AUTH},
    {403, "authenticatedUserAccountClosed", VERDICT_CHANNEL_FROZEN},
    {403, "authenticatedUserAccountSuspended", VERDICT_CHANNEL_FROZEN},
    {403, "authenticatedUserNotChannel", VERDICT_CHANNEL_FROZEN},
    {403, "channelClosed", VERDICT_CHANNEL_FROZEN},
    {403, "channelSuspended", VERDICT_CHANNEL_FROZEN},
    {403, "channelNotFound", VERDICT_CHANNEL_FROZEN},
    {403, "accountDelegationForbidden", VERDICT_CHANNEL_FROZEN},
    {403, "cmsUserAccountNotFound", VERDICT_CHANNEL_FROZEN},
    {403, "insufficientCapabilities", VERDICT_CHANNEL_FROZEN},
    {404, "contentOwnerAccountNotFound", VERDICT_CHANNEL_FROZEN},
    {403, "accessNotConfigured", VERDICT_CLIENT},
    {400, "keyInvalid", VERDICT_CLIENT},
    {400, "keyExpired", VERDICT_CLIENT},

    /* 6.4: passing. */
    {403, "rateLimitExceeded", VERDICT_RETRY},
    {403, "userRateLimitExceeded", VERDICT_RETRY},
    {403, "servingLimitExceeded", VERDICT_RETRY},
    {408, NULL, VERDICT_RETRY},
    {425, NULL, VERDICT_RETRY},
    {429, NULL, VERDICT_RETRY},

    /* 6.1: the job is wrong. In a session 400 and 403 say so just as well. */
    {413, NULL, VERDICT_FAIL},
    {403, NULL, VERDICT_FAIL},
    {400, NULL, VERDICT_FAIL},
};

/* "… and limit 'Video Uploads per day' of service …" (google-api-python-client issue #2753): the same reason
 * as a short rate limit, only the message tells. */
static bool is_day_limit(const char *message)
{
    static const char sign[] = "per day";
    for (; *message; message++) {
        size_t i = 0;
        while (sign[i] && message[i] && (message[i] | 0x20) == sign[i])
            i++;
        if (!sign[i])
            return true;
    }
    return false;
}

static bool matches(const struct rule *rule, int status, const char *reason)
{
    return (rule->status == 0 || rule->status == status) &&
           (!rule->reason || strcmp(rule->reason, reason) == 0);
}

enum verdict classify(int status, const char *reason, const char *message, bool in_session)
{
    bool is_rate_limit = status == 429 || strcmp(reason, "rateLimitExceeded") == 0;
    if (is_rate_limit &&
        is_day_limit(message)) /* 429 also as RATE_LIMIT_EXCEEDED, RESOURCE_EXHAUSTED (details[]) */
        return VERDICT_QUOTA;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (matches(&rules[i], status, reason))
            return rules[i].verdict;
    if (in_session && (status == 404 || status == 410))
        return VERDICT_GONE;
    if (status >= 500)
        return VERDICT_RETRY;
    /* 409, 412, 416, anything unknown, a success without an id: not done, ask (H12, H13). */
    return in_session ? VERDICT_QUERY : status >= 400 ? VERDICT_FAIL : VERDICT_RETRY;
}

const char *verdict_text(enum verdict verdict)
{
    static const char *const texts[] = {"retry",         "query",        "gone",           "refresh", "quota",
                                        "channel_limit", "channel_auth", "channel_frozen", "client",  "fail"};
    return texts[verdict];
}
