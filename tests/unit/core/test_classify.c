/* Every row of docs/youtube-facts.md 6.1 to 6.4, with and without a session. */
#include "unit.h"

#include "core/classify.h"

struct row {
    int status;
    const char *reason;
};

static void assert_verdict(int status, const char *reason, const char *message, bool in_session,
                           enum verdict expected)
{
    enum verdict verdict = classify(status, reason, message, in_session);
    if (verdict != expected)
        fail_msg("%d '%s' '%s'%s: %s, not %s", status, reason, message, in_session ? " in a session" : "",
                 verdict_text(verdict), verdict_text(expected));
}

static void assert_rows(const struct row *rows, size_t count, enum verdict expected)
{
    for (size_t i = 0; i < count; i++)
        for (int in_session = 0; in_session < 2; in_session++)
            assert_verdict(rows[i].status, rows[i].reason, "", in_session, expected);
}
#define ASSERT_ROWS(rows, expected) assert_rows(rows, sizeof(rows) / sizeof(rows[0]), expected)

static const char day_message[] =
    "Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads per day' of service "
    "'youtube.googleapis.com' for consumer 'project_number:123'.";

static void h01_server_errors_are_passing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {500, "internalError"}, {500, ""}, {502, ""}, {503, "backendError"}, {503, ""},
        {503, "notReady"},      {504, ""}, {599, ""}};
    ASSERT_ROWS(rows, VERDICT_RETRY);
}

static void h04_short_limits_are_passing(void **state)
{
    (void)state;
    static const struct row rows[] = {{408, ""},
                                      {425, ""},
                                      {429, ""},
                                      {429, "rateLimitExceeded"},
                                      {403, "rateLimitExceeded"},
                                      {403, "userRateLimitExceeded"},
                                      {403, "servingLimitExceeded"}};
    ASSERT_ROWS(rows, VERDICT_RETRY);
}

static void h05_day_limit_is_told_by_the_reason(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {403, "quotaExceeded"}, {403, "dailyLimitExceeded"}, {429, "quotaExceeded"}, {400, "quotaExceeded"}};
    ASSERT_ROWS(rows, VERDICT_QUOTA);
}

static void h05_day_limit_is_told_by_the_message(void **state)
{
    (void)state;
    for (int in_session = 0; in_session < 2; in_session++) {
        assert_verdict(429, "rateLimitExceeded", day_message, in_session, VERDICT_QUOTA);
        assert_verdict(403, "rateLimitExceeded", day_message, in_session, VERDICT_QUOTA);
        assert_verdict(429, "rateLimitExceeded", "LIMIT 'VIDEO UPLOADS PER DAY'", in_session, VERDICT_QUOTA);
        assert_verdict(429, "rateLimitExceeded", "limit 'Queries per minute'", in_session, VERDICT_RETRY);
        assert_verdict(429, "rateLimitExceeded", "per da", in_session, VERDICT_RETRY);
        /* only details[] or status were there */
        assert_verdict(429, "RATE_LIMIT_EXCEEDED", day_message, in_session, VERDICT_QUOTA);
        assert_verdict(429, "", day_message, in_session, VERDICT_QUOTA);
        assert_verdict(503, "backendError", day_message, in_session, VERDICT_RETRY);
    }
}

static void h06_the_channels_cap_is_told_by_the_reason(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {400, "uploadLimitExceeded"}, {403, "uploadLimitExceeded"}, {429, "uploadLimitExceeded"}};
    ASSERT_ROWS(rows, VERDICT_CHANNEL_LIMIT);
}

static void h07_unauthorized_asks_for_a_fresh_token(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {401, "authError"}, {401, "expired"}, {401, "required"}, {401, "authorizationRequired"}, {401, ""}};
    ASSERT_ROWS(rows, VERDICT_REFRESH);
}

static void h08_an_unusable_channel_is_frozen(void **state)
{
    (void)state;
    static const struct row rows[] = {{401, "youtubeSignupRequired"},
                                      {403, "authenticatedUserAccountClosed"},
                                      {403, "authenticatedUserAccountSuspended"},
                                      {403, "authenticatedUserNotChannel"},
                                      {403, "channelClosed"},
                                      {403, "channelSuspended"},
                                      {403, "channelNotFound"},
                                      {403, "accountDelegationForbidden"},
                                      {403, "cmsUserAccountNotFound"},
                                      {403, "insufficientCapabilities"},
                                      {404, "contentOwnerAccountNotFound"}};
    ASSERT_ROWS(rows, VERDICT_CHANNEL_FROZEN);
}

static void k04_an_unusable_project_is_its_clients_affair(void **state)
{
    (void)state;
    static const struct row rows[] = {{403, "accessNotConfigured"}, {400, "keyInvalid"}, {400, "keyExpired"}};
    ASSERT_ROWS(rows, VERDICT_CLIENT);
}

static void h08_too_small_scopes_need_a_new_login(void **state)
{
    (void)state;
    static const struct row rows[] = {{403, "insufficientPermissions"}};
    ASSERT_ROWS(rows, VERDICT_CHANNEL_AUTH);
}

static void h09_only_in_a_session_404_and_410_mean_that_it_is_gone(void **state)
{
    (void)state;
    for (int status = 404; status <= 410; status += 6) {
        assert_verdict(status, "", "", true, VERDICT_GONE);
        assert_verdict(status, "notFound", "", true, VERDICT_GONE);
        assert_verdict(status, "", "", false, VERDICT_FAIL);
    }
}

static void h11_a_wrong_job_fails(void **state)
{
    (void)state;
    static const struct row rows[] = {{400, "invalidTitle"},
                                      {400, "invalidDescription"},
                                      {400, "invalidTags"},
                                      {400, "invalidCategoryId"},
                                      {400, "invalidPublishAt"},
                                      {400, "invalidRecordingDetails"},
                                      {400, "invalidVideoGameRating"},
                                      {400, "invalidFilename"},
                                      {400, "invalidVideoMetadata"},
                                      {400, "defaultLanguageNotSet"},
                                      {400, "mediaBodyRequired"},
                                      {400, "badRequest"},
                                      {400, "invalidParameter"},
                                      {400, "parseError"},
                                      {400, "required"},
                                      {400, "notUpload"},
                                      {400, "wrongUrlForUpload"},
                                      {400, ""},
                                      {403, "forbiddenPrivacySetting"},
                                      {403, "forbiddenLicenseSetting"},
                                      {403, "forbidden"},
                                      {403, ""}};
    ASSERT_ROWS(rows, VERDICT_FAIL);
}

static void h12_conflicts_are_put_to_the_session(void **state)
{
    (void)state;
    static const struct row asked[] = {
        {409, ""}, {412, ""}, {416, "requestedRangeNotSatisfiable"}, {418, ""}};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        assert_verdict(asked[i].status, asked[i].reason, "", true, VERDICT_QUERY);
        assert_verdict(asked[i].status, asked[i].reason, "", false, VERDICT_FAIL);
    }
    static const struct row too_large[] = {{413, "uploadTooLarge"}, {413, ""}};
    ASSERT_ROWS(too_large, VERDICT_FAIL);
}

static void h13_an_unknown_success_is_not_done(void **state)
{
    (void)state;
    static const int statuses[] = {200, 202, 204, 206, 299};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        assert_verdict(statuses[i], "", "", true, VERDICT_QUERY);
        assert_verdict(statuses[i], "", "", false, VERDICT_RETRY);
    }
}

static void h16_without_a_reason_the_status_decides(void **state)
{
    (void)state;
    for (int status = 100; status < 1000; status++)
        for (int in_session = 0; in_session < 2; in_session++) {
            enum verdict bare = classify(status, "", "", in_session);
            assert_int_equal(classify(status, "\x01\xff nobody knows", "\xc3(", in_session), bare);
            if (status >= 500)
                assert_int_equal(bare, VERDICT_RETRY);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h01_server_errors_are_passing),
        cmocka_unit_test(h04_short_limits_are_passing),
        cmocka_unit_test(h05_day_limit_is_told_by_the_reason),
        cmocka_unit_test(h05_day_limit_is_told_by_the_message),
        cmocka_unit_test(h06_the_channels_cap_is_told_by_the_reason),
        cmocka_unit_test(h07_unauthorized_asks_for_a_fresh_token),
        cmocka_unit_test(h08_an_unusable_channel_is_frozen),
        cmocka_unit_test(k04_an_unusable_project_is_its_clients_affair),
        cmocka_unit_test(h08_too_small_scopes_need_a_new_login),
        cmocka_unit_test(h09_only_in_a_session_404_and_410_mean_that_it_is_gone),
        cmocka_unit_test(h11_a_wrong_job_fails),
        cmocka_unit_test(h12_conflicts_are_put_to_the_session),
        cmocka_unit_test(h13_an_unknown_success_is_not_done),
        cmocka_unit_test(h16_without_a_reason_the_status_decides),
    };
    return RUN_UNIT_TESTS(tests);
}
