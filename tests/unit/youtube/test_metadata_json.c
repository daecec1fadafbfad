#include "yt_test.h"

#include <stdio.h>

#include "base/err.h"
#include "core/limits.h"
#include "youtube/metadata_json.h"

static struct err err;
static struct metadata_violations found;
static char stored[65536];

/* Makes the stored form in `stored`. */
static int make(const char *file, const struct metadata_flags *flags)
{
    struct buf out AUTO_BUF;
    buf_init(&out, sizeof(stored) - 1);
    err = (struct err){0};
    int result =
        metadata_make(file, file ? strlen(file) : 0, flags, "/in/My clip.mp4", NOW_MS, &out, &found, &err);
    if (result < 0)
        assert_string_equal(out.data, "");
    memcpy(stored, out.data, out.len + 1);
    return result;
}

static void assert_makes(const char *file, const char *wanted)
{
    int result = make(file, &(struct metadata_flags){0});
    if (result < 0)
        fail_msg("%s: %s", file, err.message);
    assert_string_equal(stored, wanted);
}

static const struct metadata_violation *find(const char *field)
{
    for (uint32_t i = 0; i < found.count && i < METADATA_VIOLATIONS_MAX; i++)
        if (strcmp(found.items[i].field, field) == 0)
            return &found.items[i];
    return NULL;
}

static void assert_refused(const char *file, const char *field, const char *reason)
{
    assert_int_equal(make(file, &(struct metadata_flags){0}), ERR_INVALID);
    const struct metadata_violation *violation = find(field);
    if (!violation)
        fail_msg("%s: no violation of %s but: %s", file, field, err.message);
    else
        assert_string_equal(violation->reason, reason);
}

/* ---- without a file ---- */

static void nothing_given_is_a_private_video_named_after_its_file(void **state)
{
    (void)state;
    assert_makes(NULL, "{\"snippet\":{\"title\":\"My "
                       "clip\",\"categoryId\":\"22\"},\"status\":{\"privacyStatus\":\"private\"}}");
    assert_makes("{}", "{\"snippet\":{\"title\":\"My "
                       "clip\",\"categoryId\":\"22\"},\"status\":{\"selfDeclaredMadeForKids\":false,"
                       "\"containsSyntheticMedia\":false,\"privacyStatus\":\"private\"}}");
}

static void flags_fill_what_they_name(void **state)
{
    (void)state;
    assert_int_equal(make(NULL, &(struct metadata_flags){.title = "  T\t",
                                                         .description = "D",
                                                         .tags = " a, b c ,,d,",
                                                         .category_id = "10",
                                                         .privacy = "unlisted"}),
                     0);
    assert_string_equal(stored,
                        "{\"snippet\":{\"title\":\"T\",\"description\":\"D\",\"tags\":[\"a\",\"b c\",\"d\"],"
                        "\"categoryId\":\"10\"},\"status\":{\"privacyStatus\":\"unlisted\"}}");
}

static void publish_at_sets_private_where_nothing_else_is_said(void **state)
{
    (void)state;
    assert_int_equal(make(NULL, &(struct metadata_flags){.publish_at = "2026-12-24T18:00:00+01:00"}), 0);
    assert_non_null(strstr(
        stored, "\"status\":{\"privacyStatus\":\"private\",\"publishAt\":\"2026-12-24T17:00:00.000Z\"}"));
    assert_int_equal(make(NULL, &(struct metadata_flags){.publish_at = "2026-12-24", .privacy = "public"}),
                     ERR_INVALID);
    assert_non_null(find("publishAt"));
    assert_int_equal(make(NULL, &(struct metadata_flags){.publish_at = "tomorrow"}), ERR_INVALID);
    assert_string_equal(find("publishAt")->reason, "invalidPublishAt");
    assert_int_equal(make(NULL, &(struct metadata_flags){.publish_at = "2026-11-22"}), ERR_INVALID);
    assert_non_null(strstr(find("publishAt")->message, "not later than now"));
}

static void a_title_from_a_file_name_is_made_valid(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *title;
    } cases[] = {
        {"a<b>.mp4", "a_b_"},   {"x\xff\n.mp4", "x__"},
        {".mp4", ".mp4"},       {"dir.d/clip", "clip"},
        {"  .mp4", "untitled"}, {"", "untitled"},
        {"/a/", "untitled"},    {"\xc3\xa9t\xc3\xa9.v2.mov", "\xc3\xa9t\xc3\xa9.v2"},
    };
    struct metadata_flags flags = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out AUTO_BUF;
        char title[405];
        buf_init(&out, 4096);
        assert_int_equal(metadata_make(NULL, 0, &flags, cases[i].path, NOW_MS, &out, &found, &err), 0);
        metadata_title(out.data, title, sizeof(title));
        assert_string_equal(title, cases[i].title);
    }
}

static void a_long_file_name_becomes_a_title_of_100_characters(void **state)
{
    (void)state;
    char path[700] = "/", title[405];
    for (int i = 0; i < 150; i++)
        strcat(path, "\xf0\x9f\x8e\xac");
    strcat(path, ".mp4");
    struct buf out AUTO_BUF;
    buf_init(&out, 4096);
    assert_int_equal(metadata_make(NULL, 0, &(struct metadata_flags){0}, path, NOW_MS, &out, &found, &err),
                     0);
    metadata_title(out.data, title, sizeof(title));
    assert_int_equal(utf8_length(title), 100);
}

static void flags_that_are_not_utf8_are_violations(void **state)
{
    (void)state;
    assert_int_equal(make(NULL,
                          &(struct metadata_flags){
                              .title = "\xff", .description = "\xc3", .tags = "ok,\xfe", .privacy = "\xff"}),
                     ERR_INVALID);
    assert_int_equal(found.count, 4);
    assert_non_null(find("title"));
    assert_non_null(find("description"));
    assert_non_null(find("tags[1]"));
    assert_non_null(find("privacyStatus"));
}

/* ---- a video resource ---- */

static void every_key_of_a_resource_is_kept(void **state)
{
    (void)state;
    assert_makes(
        "{\"notifySubscribers\":false,"
        "\"snippet\":{\"title\":\"T\",\"description\":\"D\\n\",\"tags\":[\"a\",\"b "
        "c\"],\"categoryId\":\"10\","
        "\"defaultLanguage\":\"en\",\"defaultAudioLanguage\":\"en-GB\"},"
        "\"status\":{\"privacyStatus\":\"private\",\"publishAt\":\"2027-01-01T00:00:00.5+01:00\",\"license\":"
        "\"creativeCommon\",\"embeddable\":false,\"publicStatsViewable\":true,\"selfDeclaredMadeForKids\":"
        "true,"
        "\"containsSyntheticMedia\":true},"
        "\"localizations\":{\"de\":{\"title\":\"Titel\",\"description\":\"Text\"}},"
        "\"recordingDetails\":{\"recordingDate\":\"2026-11-01\",\"location\":{\"latitude\":48.137,"
        "\"longitude\":-11,"
        "\"altitude\":519.5},\"locationDescription\":\"M\xc3\xbcnchen\"},"
        "\"paidProductPlacementDetails\":{\"hasPaidProductPlacement\":true}}",
        "{\"snippet\":{\"title\":\"T\",\"description\":\"D\\n\",\"tags\":[\"a\",\"b "
        "c\"],\"categoryId\":\"10\","
        "\"defaultLanguage\":\"en\",\"defaultAudioLanguage\":\"en-GB\"},"
        "\"status\":{\"privacyStatus\":\"private\",\"publishAt\":\"2026-12-31T23:00:00.500Z\",\"license\":"
        "\"creativeCommon\",\"embeddable\":false,\"publicStatsViewable\":true,\"selfDeclaredMadeForKids\":"
        "true,"
        "\"containsSyntheticMedia\":true},"
        "\"notifySubscribers\":false,"
        "\"localizations\":{\"de\":{\"title\":\"Titel\",\"description\":\"Text\"}},"
        "\"recordingDetails\":{\"recordingDate\":\"2026-11-01T00:00:00.000Z\",\"location\":{\"latitude\":48."
        "137,"
        "\"longitude\":-11,\"altitude\":519.5},\"locationDescription\":\"M\xc3\xbcnchen\"},"
        "\"paidProductPlacementDetails\":{\"hasPaidProductPlacement\":true}}");
}

static void a_resource_says_nothing_of_its_own_about_children(void **state)
{
    (void)state;
    assert_makes(
        "{\"snippet\":{\"title\":\"T\"}}",
        "{\"snippet\":{\"title\":\"T\",\"categoryId\":\"22\"},\"status\":{\"privacyStatus\":\"private\"}}");
}

static void the_file_wins_over_the_flags(void **state)
{
    (void)state;
    struct metadata_flags flags = {
        .title = "F", .description = "F", .tags = "f", .category_id = "1", .privacy = "public"};
    assert_int_equal(
        make("{\"snippet\":{\"title\":\"T\",\"tags\":[\"t\"]},\"status\":{\"privacyStatus\":\"unlisted\"}}",
             &flags),
        0);
    assert_string_equal(
        stored, "{\"snippet\":{\"title\":\"T\",\"tags\":[\"t\"],\"description\":\"F\",\"categoryId\":\"1\"},"
                "\"status\":{\"privacyStatus\":\"unlisted\"}}");
}

static void unknown_names_of_a_resource_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"snippet\":{\"titel\":\"T\"}}", "snippet.titel", "unknownKey");
    assert_refused("{\"status\":{},\"statistics\":{}}", "statistics", "unknownKey");
    assert_refused("{\"status\":{},\"title\":\"T\"}", "title", "unknownKey");
    assert_refused("{\"status\":{\"madeForKids\":true}}", "status.madeForKids", "unknownKey");
    assert_refused("{\"snippet\":{\"Title\":\"T\"}}", "snippet.Title", "unknownKey");
    assert_refused("{\"status\":{},\"localizations\":{\"de\":{\"titel\":\"T\"}}}", "localizations.de.titel",
                   "unknownKey");
    assert_refused("{\"recordingDetails\":{\"location\":{\"latitude\":1,\"longitude\":2,\"x\":3}}}",
                   "location.x", "unknownKey");
}

static void wrong_types_are_refused_by_field(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"snippet\":{\"title\":7}}", "title"},
        {"{\"snippet\":{\"title\":null}}", "title"},
        {"{\"snippet\":{\"tags\":\"a,b\"}}", "tags"},
        {"{\"snippet\":{\"tags\":[1]}}", "tags"},
        {"{\"snippet\":{\"categoryId\":22}}", "categoryId"},
        {"{\"snippet\":[]}", "snippet"},
        {"{\"status\":{\"embeddable\":\"true\"}}", "embeddable"},
        {"{\"status\":{\"publishAt\":1}}", "publishAt"},
        {"{\"status\":{},\"localizations\":[]}", "localizations"},
        {"{\"status\":{},\"localizations\":{\"de\":\"T\"}}", "localizations.de"},
        {"{\"status\":{},\"localizations\":{\"de\":{\"title\":7}}}", "localizations.de.title"},
        {"{\"recordingDetails\":{\"location\":{\"latitude\":1}}}", "location"},
        {"{\"recordingDetails\":{\"location\":{\"latitude\":1,\"longitude\":\"2\"}}}", "location"},
        {"{\"recordingDetails\":{\"location\":{\"latitude\":1,\"longitude\":2,\"altitude\":\"3\"}}}",
         "location"},
        {"{\"notifySubscribers\":\"no\"}", "notifySubscribers"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], cases[i][1], "wrongType");
}

static void rules_are_checked_whatever_the_form(void **state)
{
    (void)state;
    assert_refused("{\"snippet\":{\"title\":\"<\"}}", "title", "invalidTitle");
    assert_refused("{\"snippet\":{\"title\":\"\"}}", "title", "invalidTitle");
    assert_refused("{\"snippet\":{\"categoryId\":\"x\"}}", "categoryId", "invalidCategoryId");
    assert_refused("{\"status\":{\"privacyStatus\":\"secret\"}}", "privacyStatus", "forbiddenPrivacySetting");
    assert_refused("{\"status\":{\"privacyStatus\":\"public\",\"publishAt\":\"2027-01-01\"}}", "publishAt",
                   "invalidPublishAt");
    assert_refused("{\"status\":{\"publishAt\":\"2027-13-01\"}}", "publishAt", "invalidPublishAt");
    assert_refused("{\"recordingDetails\":{\"recordingDate\":\"x\"}}", "recordingDate",
                   "invalidRecordingDetails");
    assert_refused("{\"recordingDetails\":{\"location\":{\"latitude\":90.0000001,\"longitude\":0}}}",
                   "location.latitude", "invalidRecordingDetails");
    assert_refused("{\"recordingDetails\":{\"location\":{\"latitude\":0,\"longitude\":-1e300}}}",
                   "location.longitude", "invalidRecordingDetails");
    assert_refused("{\"localizations\":{\"de\":{\"title\":\"T\"}}}", "defaultLanguage",
                   "defaultLanguageNotSet");
    assert_refused("{\"title\":\"T\",\"language\":\"en_US\"}", "defaultLanguage", "invalidVideoMetadata");
}

/* Found by fuzzing: the name was cut inside a character. */
static void a_long_unknown_name_stays_readable(void **state)
{
    (void)state;
    char file[512] = "{\"snippet\":{\"x";
    for (int i = 0; i < 60; i++)
        strcat(file, "\xe2\x82\xac");
    strcat(file, "\":1}}");
    for (int shift = 0; shift < 3; shift++) {
        assert_int_equal(make(file, &(struct metadata_flags){0}), ERR_INVALID);
        assert_true(utf8_is_valid(found.items[0].field, strlen(found.items[0].field)));
        assert_true(utf8_is_valid(err.message, strlen(err.message)));
        memmove(file + 14, file + 13, strlen(file + 13) + 1);
    }
}

static void everything_wrong_is_told_at_once(void **state)
{
    (void)state;
    assert_int_equal(make("{\"snippet\":{\"title\":\"<\",\"categoryId\":22,\"x\":1},\"status\":{"
                          "\"privacyStatus\":\"a\",\"license\":\"b\"}}",
                          &(struct metadata_flags){.description = ">"}),
                     ERR_INVALID);
    assert_int_equal(found.count, 6);
    assert_non_null(find("title"));
    assert_non_null(find("categoryId"));
    assert_non_null(find("snippet.x"));
    assert_non_null(find("privacyStatus"));
    assert_non_null(find("license"));
    assert_non_null(find("description"));
    assert_non_null(strstr(err.message, "(and 5 more)"));
}

/* ---- files that are none ---- */

static void a_file_that_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *part;
    } cases[] = {
        {"", "line 1"},
        {"{\n\"a\": x}", "line 2, column"},
        {"{\"title\":\"\xff\"}", "UTF-8"},
        {"{\"title\":\"a\\u0000b\"}", "line 1"},
        {"[]", "not a JSON object"},
        {"{\"title\":\"a\",\"title\":\"b\"}", "twice"},
        {"{} {}", "line 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(make(cases[i].file, &(struct metadata_flags){0}), ERR_INVALID);
        assert_int_equal(found.count, 0);
        if (!strstr(err.message, cases[i].part))
            fail_msg("\"%s\" does not tell: %s", err.message, cases[i].part);
    }
}

static void a_file_over_its_limit_is_refused(void **state)
{
    (void)state;
    static char file[METADATA_BYTES_MAX + 2];
    memset(file, ' ', METADATA_BYTES_MAX);
    memcpy(file, "{}", 2);
    assert_int_equal(make(file, &(struct metadata_flags){0}), 0);
    file[METADATA_BYTES_MAX] = ' ';
    assert_int_equal(make(file, &(struct metadata_flags){0}), ERR_INVALID);
    assert_non_null(strstr(err.message, "at most 131072"));
}

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(make("\xef\xbb\xbf{\"title\":\"T\"}", &(struct metadata_flags){0}), 0);
}

/* ---- youtubeuploader's metaJSON ---- */

#define FLAT_STATUS "\"status\":{\"selfDeclaredMadeForKids\":false,\"containsSyntheticMedia\":false"

static void every_key_of_a_metajson_is_understood(void **state)
{
    (void)state;
    assert_makes(
        "{\"title\":\"my title\",\"description\":\"my description\",\"tags\":[\"test tag1\",\"test tag2\"],"
        "\"privacyStatus\":\"private\",\"madeForKids\":true,\"embeddable\":true,\"license\":"
        "\"creativeCommon\","
        "\"publicStatsViewable\":true,\"containsSyntheticMedia\":true,\"publishAt\":\"2027-06-01T12:05:00+02:"
        "00\","
        "\"categoryId\":\"10\",\"recordingdate\":\"2026-05-21\",\"playlistIds\":[],\"language\":\"fr\","
        "\"localizations\":{\"de\":{\"title\":\"t\",\"description\":\"d\",\"other\":1}},"
        "\"location\":{\"latitude\":48.8,\"longitude\":2.3},\"locationDescription\":\"x\",\"unknown\":[1]}",
        "{\"snippet\":{\"title\":\"my title\",\"description\":\"my description\",\"tags\":[\"test "
        "tag1\",\"test tag2\"],"
        "\"categoryId\":\"10\",\"defaultLanguage\":\"fr\",\"defaultAudioLanguage\":\"fr\"},"
        "\"status\":{\"selfDeclaredMadeForKids\":true,\"containsSyntheticMedia\":true,\"privacyStatus\":"
        "\"private\","
        "\"embeddable\":true,\"license\":\"creativeCommon\",\"publicStatsViewable\":true,"
        "\"publishAt\":\"2027-06-01T10:05:00.000Z\"},"
        "\"recordingDetails\":{\"recordingDate\":\"2026-05-21T00:00:00.000Z\"},"
        "\"localizations\":{\"de\":{\"title\":\"t\",\"description\":\"d\"}}}");
}

static void names_of_a_metajson_have_no_case(void **state)
{
    (void)state;
    assert_makes(
        "{\"TITLE\":\"T\",\"categoryid\":\"1\",\"PrivacyStatus\":\"public\",\"MADEFORKIDS\":true}",
        "{\"snippet\":{\"title\":\"T\",\"categoryId\":\"1\"},\"status\":{\"selfDeclaredMadeForKids\":true,"
        "\"containsSyntheticMedia\":false,\"privacyStatus\":\"public\"}}");
    assert_refused("{\"title\":\"T\",\"Title\":\"U\"}", "title", "duplicate");
}

static void what_is_empty_or_null_in_a_metajson_is_not_set(void **state)
{
    (void)state;
    assert_int_equal(
        make("{\"title\":\"\",\"description\":null,\"publishAt\":\"\",\"tags\":[],\"language\":\"\"}",
             &(struct metadata_flags){.title = "F", .tags = "f"}),
        0);
    assert_string_equal(stored,
                        "{\"snippet\":{\"title\":\"F\",\"tags\":[\"f\"],\"categoryId\":\"22\"}," FLAT_STATUS
                        ",\"privacyStatus\":\"private\"}}");
}

static void all_dates_of_a_metajson_are_taken(void **state)
{
    (void)state;
    static const char *const dates[][2] = {
        {"2027-01-02", "2027-01-02T00:00:00.000Z"},
        {"2027-01-02T15:04:05-07:00", "2027-01-02T22:04:05.000Z"},
        {"2027-01-02T15:04:05.123456789+00:00", "2027-01-02T15:04:05.123Z"},
        {"2027-01-02T15:04:05Z", "2027-01-02T15:04:05.000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
        char file[128], wanted[256];
        snprintf(file, sizeof(file), "{\"title\":\"T\",\"publishAt\":\"%s\"}", dates[i][0]);
        snprintf(wanted, sizeof(wanted),
                 "{\"snippet\":{\"title\":\"T\",\"categoryId\":\"22\"}," FLAT_STATUS
                 ",\"publishAt\":\"%s\",\"privacyStatus\":\"private\"}}",
                 dates[i][1]);
        assert_makes(file, wanted);
    }
}

static void playlists_of_a_metajson_are_refused_in_words(void **state)
{
    (void)state;
    assert_refused("{\"playlistIds\":[\"PL1\"]}", "playlistIds", "unsupported");
    assert_refused("{\"playlistTitles\":[\"Mine\"]}", "playlistTitles", "unsupported");
    assert_non_null(strstr(find("playlistTitles")->message, "playlists are not supported"));
}

static void paid_placement_has_a_flat_name_too(void **state)
{
    (void)state;
    assert_makes("{\"title\":\"T\",\"paidProductPlacement\":true}",
                 "{\"snippet\":{\"title\":\"T\",\"categoryId\":\"22\"}," FLAT_STATUS
                 ",\"privacyStatus\":\"private\"},\"paidProductPlacementDetails\":{"
                 "\"hasPaidProductPlacement\":true}}");
}

/* ---- the stored form ---- */

static void the_stored_form_is_stable_and_can_be_sent(void **state)
{
    (void)state;
    char first[4096];
    assert_int_equal(
        make("{\"snippet\":{\"title\":\"T "
             "\",\"tags\":[\"a\"]},\"recordingDetails\":{\"location\":{\"latitude\":0.1,"
             "\"longitude\":1e-7}},\"status\":{\"publishAt\":\"2027-01-01\"},\"notifySubscribers\":true}",
             &(struct metadata_flags){0}),
        0);
    snprintf(first, sizeof(first), "%s", stored);
    assert_makes(first, first);
    struct yt_request request;
    assert_int_equal(yt_build_start(API_ROOT, first, 5, "video/mp4", "s", &request, &err), 0);
    assert_non_null(strstr(request.url.data, "&notifySubscribers=true"));
    assert_null(strstr(request.body.data, "notifySubscribers"));
    yt_request_release(&request);
}

static void the_title_of_a_stored_form_is_found(void **state)
{
    (void)state;
    char title[8];
    metadata_title("{\"snippet\":{\"title\":\"My title\"}}", title, sizeof(title));
    assert_string_equal(title, "My titl");
    metadata_title("{}", title, sizeof(title));
    assert_string_equal(title, "");
    metadata_title("damaged", title, sizeof(title));
    assert_string_equal(title, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_a_private_video_named_after_its_file),
        cmocka_unit_test(flags_fill_what_they_name),
        cmocka_unit_test(publish_at_sets_private_where_nothing_else_is_said),
        cmocka_unit_test(a_title_from_a_file_name_is_made_valid),
        cmocka_unit_test(a_long_file_name_becomes_a_title_of_100_characters),
        cmocka_unit_test(flags_that_are_not_utf8_are_violations),
        cmocka_unit_test(every_key_of_a_resource_is_kept),
        cmocka_unit_test(a_resource_says_nothing_of_its_own_about_children),
        cmocka_unit_test(the_file_wins_over_the_flags),
        cmocka_unit_test(unknown_names_of_a_resource_are_refused),
        cmocka_unit_test(wrong_types_are_refused_by_field),
        cmocka_unit_test(rules_are_checked_whatever_the_form),
        cmocka_unit_test(a_long_unknown_name_stays_readable),
        cmocka_unit_test(everything_wrong_is_told_at_once),
        cmocka_unit_test(a_file_that_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(a_file_over_its_limit_is_refused),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(every_key_of_a_metajson_is_understood),
        cmocka_unit_test(names_of_a_metajson_have_no_case),
        cmocka_unit_test(what_is_empty_or_null_in_a_metajson_is_not_set),
        cmocka_unit_test(all_dates_of_a_metajson_are_taken),
        cmocka_unit_test(playlists_of_a_metajson_are_refused_in_words),
        cmocka_unit_test(paid_placement_has_a_flat_name_too),
        cmocka_unit_test(the_stored_form_is_stable_and_can_be_sent),
        cmocka_unit_test(the_title_of_a_stored_form_is_found),
    };
    return RUN_UNIT_TESTS(tests);
}
