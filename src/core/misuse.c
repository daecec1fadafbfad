#include "core/misuse.h"

#include <stddef.h>
#include <string.h>

#include "base/attr.h"

#define MINUTE_MS 60000
#define HOUR_MS   (60 * MINUTE_MS)

static const struct misuse_rule rules[MISUSE_COUNT] = {
    /* A revoked login is refused once by each worker's broker, and then held. */
    [MISUSE_REFUSALS] = {"refusals", "logins or permissions were refused", false, false, MISUSE_PER_CHANNEL,
                         30, HOUR_MS},
    /* Nothing leaves, since nothing opens: there is nothing to freeze. */
    [MISUSE_DECRYPT] = {"decrypt", "a sealed value did not open", true, false, MISUSE_PER_TENANT, 1, HOUR_MS},
    /* A worker that slept through its leases asks once for each of its jobs. */
    [MISUSE_NO_LEASE] = {"no_lease", "tokens were asked for without a leased job", true, true,
                         MISUSE_PER_CHANNEL, 60, 10 * MINUTE_MS},
    /* A token lives for an hour; a worker that begins anew may ask for another. */
    [MISUSE_REFRESHES] = {"refreshes", "the login was refreshed far more often than tokens end", false, false,
                          MISUSE_PER_CHANNEL, 300, HOUR_MS},
    [MISUSE_DRIFT] = {"quota_drift", "quota of the client was spent by somebody else", false, false,
                      MISUSE_PER_CLIENT, 1, 24 * (int64_t)HOUR_MS},
    [MISUSE_CHANNEL] = {"token_channel", "the login is another channel's now", true, true, MISUSE_PER_CHANNEL,
                        1, HOUR_MS},
    [MISUSE_SCOPES] = {"token_scopes", "the login has lost scopes", false, false, MISUSE_PER_CHANNEL, 1,
                       HOUR_MS},
    /* Frozen, we would stop, and they would not: they have a login or a session of their own. */
    [MISUSE_VIDEOS] = {"videos", "videos that no job made are on the channel", true, false,
                       MISUSE_PER_CHANNEL, 1, HOUR_MS, true},
    [MISUSE_HABIT] = {"habit", "far more jobs were added than in the days before", false, false,
                      MISUSE_PER_TENANT, 1000, HOUR_MS},
    /* Raised where the channel or client is stopped, and closed where it is let go on; counted nowhere. */
    [MISUSE_CHANNEL_STOPPED] = {"channel_stopped", "the channel or its login was refused", false, false,
                                MISUSE_PER_CHANNEL, 1, HOUR_MS},
    [MISUSE_CLIENT_STOPPED] = {"client_stopped", "the client was refused", true, false, MISUSE_PER_CLIENT, 1,
                               HOUR_MS},
};

const struct misuse_rule *misuse_rule(enum misuse_signal signal)
{
    return &rules[signal];
}

bool misuse_parse(const char *name, enum misuse_signal *ret)
{
    for (int i = 0; i < MISUSE_COUNT; i++)
        if (strcmp(rules[i].name, name) == 0) {
            *ret = (enum misuse_signal)i;
            return true;
        }
    return false;
}

const char *misuse_severity(const struct misuse_rule *rule)
{
    return rule->is_critical ? "critical" : "warning";
}

/* ---- lines ---- */

enum whose { OF_ANY, OF_JOB, OF_NO_JOB };

/* The first that fits; NULL: any. A refused token is also told by each job that it holds up: these lines are
 * consequences, and do not count. */
static const struct {
    const char *what, *reason;
    enum whose whose;
    enum misuse_signal signal;
} lines[] = {
    {"token refused", "no lease", OF_ANY, MISUSE_NO_LEASE},
    {"token refused", "sealed token does not open", OF_NO_JOB, MISUSE_DECRYPT},
    {"decrypt failed", NULL, OF_ANY, MISUSE_DECRYPT},
    {NULL, "sessionDoesNotOpen", OF_JOB, MISUSE_DECRYPT},
    {"token refused", "token of another channel", OF_NO_JOB, MISUSE_CHANNEL},
    {"token refused", "scope missing", OF_NO_JOB, MISUSE_SCOPES},
    {"token refused", NULL, OF_NO_JOB, MISUSE_REFUSALS},
    {"login refused", NULL, OF_NO_JOB, MISUSE_REFUSALS},
    {NULL, "forbidden", OF_JOB, MISUSE_REFUSALS},
    {"token refreshed", NULL, OF_NO_JOB, MISUSE_REFRESHES},
    {"quota drift", NULL, OF_NO_JOB, MISUSE_DRIFT},
    {"foreign video", NULL, OF_NO_JOB, MISUSE_VIDEOS},
    {"job added", NULL, OF_JOB, MISUSE_HABIT},
};

static bool fits(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text) == 0;
}

bool misuse_signal_of(const struct misuse_line *line, enum misuse_signal *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        bool is_whose = lines[i].whose == OF_ANY || (lines[i].whose == OF_JOB) == line->is_of_job;
        if (is_whose && fits(lines[i].what, line->what) && fits(lines[i].reason, line->reason)) {
            *ret = lines[i].signal;
            return true;
        }
    }
    return false;
}

bool misuse_is_told(const struct misuse_line *line)
{
    enum misuse_signal signal;
    return misuse_signal_of(line, &signal) && rules[signal].threshold == 1;
}

/* ---- counting ---- */

static void learn(struct misuse_tally *tally, int64_t count)
{
    tally->windows += tally->windows < MISUSE_WINDOWS_MAX;
    tally->mean_milli += (count * 1000 - tally->mean_milli) / tally->windows;
}

/* Windows that are over, the idle ones after the last line too. A clock that went back begins anew. */
static void go_on(struct misuse_tally *tally, int64_t window_ms, int64_t now_ms)
{
    int64_t passed_ms = now_ms - tally->since_ms;
    if (tally->since_ms != 0 && passed_ms >= 0 && passed_ms < window_ms)
        return;
    if (tally->since_ms != 0 && passed_ms >= 0) {
        int64_t idle = passed_ms / window_ms - 1;
        learn(tally, tally->count);
        for (int64_t i = 0; i < idle && i < 2 * MISUSE_WINDOWS_MAX; i++)
            learn(tally, 0);
    }
    tally->since_ms = now_ms;
    tally->count = 0;
}

static bool is_habit(const struct misuse_tally *tally)
{
    return tally->windows < MISUSE_WINDOWS_MIN ||
           tally->count * 1000 <= tally->mean_milli * MISUSE_HABIT_FACTOR;
}

bool misuse_count(enum misuse_signal signal, struct misuse_tally *tally, uint32_t count, int64_t now_ms)
{
    const struct misuse_rule *rule = &rules[signal];
    go_on(tally, rule->window_ms, now_ms);
    tally->count += count;
    if (tally->count < rule->threshold)
        return false;
    return signal != MISUSE_HABIT || !is_habit(tally);
}
