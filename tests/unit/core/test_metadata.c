#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "core/metadata.h"

#define NOW_MS INT64_C(1795330800000)

static struct metadata_violations found;

static struct metadata good(void)
{
    return (struct metadata){.title = "A title", .privacy = "private"};
}

static void check(struct metadata metadata)
{
    found.count = 0;
    metadata_check(&metadata, NOW_MS, &found);
}

static const struct metadata_violation *find(const char *field)
{
    for (uint32_t i = 0; i < found.count && i < METADATA_VIOLATIONS_MAX; i++)
        if (strcmp(found.items[i].field, field) == 0)
            return &found.items[i];
    return NULL;
}

static void assert_none(struct metadata metadata)
{
    check(metadata);
    if (found.count > 0)
        fail_msg("%s: %s", found.items[0].field, found.items[0].message);
}

/* Exactly one violation, of this field and reason, whose message has this part. */
static void assert_one(struct metadata metadata, const char *field, const char *reason, const char *part)
{
    check(metadata);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].field, field);
    assert_string_equal(found.items[0].reason, reason);
    if (!strstr(found.items[0].message, part))
        fail_msg("\"%s\" does not tell: %s", found.items[0].message, part);
}

/* `count` times `unit`, in one of four places that are used in turn. */
static const char *repeat(const char *unit, size_t count)
{
    static char places[4][32768];
    static unsigned next;
    char *text = places[next++ % 4];
    size_t len = strlen(unit);
    assert_true(count * len < sizeof(places[0]));
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * len, unit, len);
    text[count * len] = '\0';
    return text;
}

static void title_holds_100_characters_of_any_length(void **state)
{
    (void)state;
    static const char *const units[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\xac"};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct metadata metadata = good();
        metadata.title = repeat(units[i], 100);
        assert_none(metadata);
        metadata.title = repeat(units[i], 101);
        assert_one(metadata, "title", "invalidTitle", "101 characters, at most 100");
    }
}

static void title_is_required(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.title = NULL;
    assert_one(metadata, "title", "invalidTitle", "missing");
    metadata.title = "";
    assert_one(metadata, "title", "invalidTitle", "empty");
    metadata.title = " \t ";
    assert_one(metadata, "title", "invalidTitle", "blank");
}

static void title_refuses_brackets_control_characters_and_bad_utf8(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.title = "a<b";
    assert_one(metadata, "title", "invalidTitle", "'<' is not allowed: \"a<b\"");
    metadata.title = "a>b";
    assert_one(metadata, "title", "invalidTitle", "'>'");
    metadata.title = "a\nb";
    assert_one(metadata, "title", "invalidTitle", "U+000A is not allowed: \"a?b\"");
    metadata.title = "a\x1b[31m";
    assert_one(metadata, "title", "invalidTitle", "U+001B");
    metadata.title = "a\xc2\x85";
    assert_one(metadata, "title", "invalidTitle", "U+0085");
    metadata.title = "a\xff";
    assert_one(metadata, "title", "invalidTitle", "not valid UTF-8: \"a?\"");
}

static void description_holds_5000_bytes_not_characters(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.description = repeat("x", 5000);
    assert_none(metadata);
    metadata.description = repeat("x", 5001);
    assert_one(metadata, "description", "invalidDescription", "5001 bytes of UTF-8, at most 5000");
    metadata.description = repeat("\xc3\xa9", 2500);
    assert_none(metadata);
    metadata.description = repeat("\xc3\xa9", 2501);
    assert_one(metadata, "description", "invalidDescription", "5002 bytes");
}

static void description_may_have_lines_but_no_brackets(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.description = "one\r\n\ttwo\n";
    assert_none(metadata);
    metadata.description = "";
    assert_none(metadata);
    metadata.description = "a <b>";
    assert_one(metadata, "description", "invalidDescription", "'<'");
    metadata.description = "a\x07";
    assert_one(metadata, "description", "invalidDescription", "U+0007");
    metadata.description = "\xed\xa0\x80";
    assert_one(metadata, "description", "invalidDescription", "UTF-8");
}

static uint32_t length_of(const char *const *tags, uint32_t count)
{
    return metadata_tags_length(tags, count);
}

static void tags_count_commas_and_the_quotes_of_blanks(void **state)
{
    (void)state;
    assert_int_equal(length_of((const char *[]){"Foo-Baz"}, 1), 7);
    assert_int_equal(length_of((const char *[]){"Foo Baz"}, 1), 9);
    assert_int_equal(length_of((const char *[]){"Foo Baz Bar"}, 1), 13);
    assert_int_equal(length_of((const char *[]){"a", "b"}, 2), 3);
    assert_int_equal(length_of((const char *[]){"a b", "c d", "e"}, 3), 5 + 1 + 5 + 1 + 1);
    assert_int_equal(length_of((const char *[]){"\xc3\xa9\xf0\x9f\x8e\xac"}, 1), 2);
    assert_int_equal(length_of(NULL, 0), 0);
}

static void tags_hold_500_characters_in_all(void **state)
{
    (void)state;
    struct metadata metadata = good();
    const char *tags[] = {repeat("a", 249), repeat("b", 250)};
    metadata.tags = tags;
    metadata.tag_count = 2;
    assert_none(metadata);
    tags[1] = repeat("b", 251);
    assert_one(metadata, "tags", "invalidTags", "501 characters in all, at most 500");
    tags[0] = "a b";
    tags[1] = repeat("\xe2\x82\xac", 494);
    assert_none(metadata);
    tags[1] = repeat("\xe2\x82\xac", 495);
    assert_one(metadata, "tags", "invalidTags", "501 characters");
}

static void each_bad_tag_is_named(void **state)
{
    (void)state;
    struct metadata metadata = good();
    const char *tags[] = {"fine", "", "two\nlines", "\xff", " "};
    metadata.tags = tags;
    metadata.tag_count = ARRAY_LEN(tags);
    check(metadata);
    assert_int_equal(found.count, 4);
    assert_null(find("tags[0]"));
    assert_non_null(strstr(find("tags[1]")->message, "empty"));
    assert_non_null(strstr(find("tags[2]")->message, "U+000A"));
    assert_non_null(strstr(find("tags[3]")->message, "UTF-8"));
    assert_string_equal(find("tags[4]")->reason, "invalidTags");
}

static void too_many_tags_are_counted_not_listed(void **state)
{
    (void)state;
    static const char *tags[METADATA_TAGS_MAX + 1];
    struct metadata metadata = good();
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        tags[i] = "";
    metadata.tags = tags;
    metadata.tag_count = ARRAY_LEN(tags);
    assert_one(metadata, "tags", "invalidTags", "501 tags, at most 500");
}

static void category_is_a_number_in_a_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "x",          "22 ",           "-1", "0", "022",
                                      "2.2", "1234567890", "People & Blogs"};
    struct metadata metadata = good();
    metadata.category_id = "22";
    assert_none(metadata);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        metadata.category_id = bad[i];
        assert_one(metadata, "categoryId", "invalidCategoryId", "is not a category's number");
    }
}

static void privacy_is_required_and_one_of_three(void **state)
{
    (void)state;
    struct metadata metadata = good();
    static const char *const fine[] = {"private", "unlisted", "public"};
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        metadata.privacy = fine[i];
        assert_none(metadata);
    }
    metadata.privacy = "Public";
    assert_one(metadata, "privacyStatus", "forbiddenPrivacySetting", "\"Public\" is not one of private");
    metadata.privacy = NULL;
    assert_one(metadata, "privacyStatus", "forbiddenPrivacySetting", "missing");
}

static void license_is_one_of_two(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.license = "creativeCommon";
    assert_none(metadata);
    metadata.license = "youtube";
    assert_none(metadata);
    metadata.license = "MIT";
    assert_one(metadata, "license", "forbiddenLicenseSetting",
               "\"MIT\" is not one of youtube, creativeCommon");
}

static void publish_time_must_come_and_the_video_be_private(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.has_publish_at = true;
    metadata.publish_at_ms = NOW_MS + 1;
    assert_none(metadata);
    metadata.publish_at_ms = NOW_MS;
    assert_one(metadata, "publishAt", "invalidPublishAt", "is not later than now");
    metadata.publish_at_ms = NOW_MS - 86400000;
    assert_one(metadata, "publishAt", "invalidPublishAt", "is not later than now");
    metadata.publish_at_ms = NOW_MS + 1000;
    metadata.privacy = "public";
    assert_one(metadata, "publishAt", "invalidPublishAt",
               "only with privacyStatus private, which is \"public\"");
    metadata.publish_at_ms = NOW_MS - 1;
    check(metadata);
    assert_int_equal(found.count, 2);
}

static void languages_are_well_formed_tags(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "en",
        "de",
        "pt-BR",
        "zh-Hans",
        "zh-Hant-TW",
        "es-419",
        "sl-rozaj-biske",
        "de-1996",
        "zh-cmn-Hans",
        "fil",
        "en-u-ca-gregory",
        "x-whatever",
        "de-CH-x-phonebk",
        "sr-Latn-RS",
        "qaa-Qaaa-QM-x-southern",
        "en-a-bbb-x-a-ccc",
        "abcde",
        "EN-us",
        "de-1901-1996",
    };
    static const char *const bad[] = {
        "",       "e",        "en_US",    "en-",  "-en",       "en--US",      "english language", "123",
        "en-US-", "en-u",     "x",        "x-",   "en-x",      "toolonglang", "en-abcdefghi",     "d\xc3\xa9",
        "en us",  "de-DE-AT", "en-u-x-a", "a-DE", "i-klingon", "ar-a-",       "en-a-b",
    };
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        if (!metadata_language_is_well_formed(fine[i]))
            fail_msg("refused: %s", fine[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (metadata_language_is_well_formed(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void bad_languages_are_named_by_field(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.default_language = "en_US";
    assert_one(metadata, "defaultLanguage", "invalidVideoMetadata", "\"en_US\" is not a language tag");
    metadata.default_language = "en-US";
    metadata.default_audio_language = "";
    assert_one(metadata, "defaultAudioLanguage", "invalidVideoMetadata", "is not a language tag");
}

static void localizations_need_a_default_language(void **state)
{
    (void)state;
    struct metadata_localization de = {"de", "Titel", "Text"};
    struct metadata metadata = good();
    metadata.localizations = &de;
    metadata.localization_count = 1;
    assert_one(metadata, "defaultLanguage", "defaultLanguageNotSet", "missing, required with localizations");
    metadata.default_language = "en";
    assert_none(metadata);
}

static void localizations_follow_the_rules_of_their_fields(void **state)
{
    (void)state;
    struct metadata_localization entries[] = {
        {"de", repeat("\xc3\xa4", 101), "fine"},
        {"fr", "fine", repeat("x", 5001)},
        {"xx_YY", "a", NULL},
        {"es", NULL, NULL},
        {"ES", "<", NULL},
        {"it", "", NULL},
    };
    struct metadata metadata = good();
    metadata.default_language = "en";
    metadata.localizations = entries;
    metadata.localization_count = ARRAY_LEN(entries);
    check(metadata);
    assert_int_equal(found.count, 7);
    assert_non_null(strstr(find("localizations.de.title")->message, "101 characters"));
    assert_non_null(strstr(find("localizations.fr.description")->message, "5001 bytes"));
    assert_non_null(strstr(find("localizations.xx_YY")->message, "language tag"));
    assert_non_null(strstr(find("localizations.es")->message, "neither"));
    assert_non_null(strstr(find("localizations")->message, "\"ES\" is there twice"));
    assert_non_null(strstr(find("localizations.ES.title")->message, "'<'"));
    assert_non_null(strstr(find("localizations.it.title")->message, "empty"));
}

static void too_many_localizations_are_counted_not_listed(void **state)
{
    (void)state;
    static struct metadata_localization entries[METADATA_LOCALIZATIONS_MAX + 1];
    struct metadata metadata = good();
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        entries[i] = (struct metadata_localization){"de", "a", NULL};
    metadata.default_language = "en";
    metadata.localizations = entries;
    metadata.localization_count = ARRAY_LEN(entries);
    assert_one(metadata, "localizations", "invalidVideoMetadata", "101 languages, at most 100");
}

static void location_stays_on_the_globe(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.has_location = true;
    metadata.latitude_e7 = INT64_C(-900000000);
    metadata.longitude_e7 = INT64_C(1800000000);
    assert_none(metadata);
    metadata.latitude_e7 = INT64_C(910000000);
    assert_one(metadata, "location.latitude", "invalidRecordingDetails", "91 degrees, from -90 to 90");
    metadata.latitude_e7 = 0;
    metadata.longitude_e7 = INT64_C(-1800000001);
    assert_one(metadata, "location.longitude", "invalidRecordingDetails", "from -180 to 180");
    metadata.longitude_e7 = 0;
    metadata.location_description = "here\x01";
    assert_one(metadata, "locationDescription", "invalidRecordingDetails", "U+0001");
}

static void all_violations_come_at_once(void **state)
{
    (void)state;
    const char *tags[] = {repeat("t", 501)};
    struct metadata_localization de = {"de", "Titel", NULL};
    struct metadata metadata = {
        .title = "",
        .description = ">",
        .tags = tags,
        .tag_count = 1,
        .category_id = "People",
        .default_audio_language = "?",
        .license = "x",
        .privacy = "secret",
        .has_publish_at = true,
        .publish_at_ms = NOW_MS + 1,
        .localizations = &de,
        .localization_count = 1,
    };
    static const char *const fields[] = {
        "title",         "description", "tags",      "categoryId",     "defaultAudioLanguage",
        "privacyStatus", "license",     "publishAt", "defaultLanguage"};
    check(metadata);
    assert_int_equal(found.count, ARRAY_LEN(fields));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        assert_non_null(find(fields[i]));
}

static void more_violations_than_kept_are_still_counted(void **state)
{
    (void)state;
    const char *tags[METADATA_VIOLATIONS_MAX + 10];
    struct metadata metadata = good();
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        tags[i] = "";
    metadata.tags = tags;
    metadata.tag_count = ARRAY_LEN(tags);
    check(metadata);
    assert_int_equal(found.count, ARRAY_LEN(tags));
    assert_string_equal(found.items[METADATA_VIOLATIONS_MAX - 1].field, "tags[63]");
}

static void a_hostile_value_leaves_a_clean_message(void **state)
{
    (void)state;
    struct metadata metadata = good();
    metadata.privacy = repeat("\x1b\xf0\x9f\x8e\xac\xff", 200);
    check(metadata);
    const char *message = found.items[0].message;
    assert_true(utf8_is_valid(message, strlen(message)));
    assert_null(strchr(message, '\x1b'));
    metadata_violate(&found, "name\x1b[1m", "wrongType", "%s", repeat("\xf0\x9f\x8e\xac", 300));
    assert_null(strchr(found.items[1].field, '\x1b'));
    assert_true(utf8_is_valid(found.items[1].message, strlen(found.items[1].message)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(title_holds_100_characters_of_any_length),
        cmocka_unit_test(title_is_required),
        cmocka_unit_test(title_refuses_brackets_control_characters_and_bad_utf8),
        cmocka_unit_test(description_holds_5000_bytes_not_characters),
        cmocka_unit_test(description_may_have_lines_but_no_brackets),
        cmocka_unit_test(tags_count_commas_and_the_quotes_of_blanks),
        cmocka_unit_test(tags_hold_500_characters_in_all),
        cmocka_unit_test(each_bad_tag_is_named),
        cmocka_unit_test(too_many_tags_are_counted_not_listed),
        cmocka_unit_test(category_is_a_number_in_a_text),
        cmocka_unit_test(privacy_is_required_and_one_of_three),
        cmocka_unit_test(license_is_one_of_two),
        cmocka_unit_test(publish_time_must_come_and_the_video_be_private),
        cmocka_unit_test(languages_are_well_formed_tags),
        cmocka_unit_test(bad_languages_are_named_by_field),
        cmocka_unit_test(localizations_need_a_default_language),
        cmocka_unit_test(localizations_follow_the_rules_of_their_fields),
        cmocka_unit_test(too_many_localizations_are_counted_not_listed),
        cmocka_unit_test(location_stays_on_the_globe),
        cmocka_unit_test(all_violations_come_at_once),
        cmocka_unit_test(more_violations_than_kept_are_still_counted),
        cmocka_unit_test(a_hostile_value_leaves_a_clean_message),
    };
    return RUN_UNIT_TESTS(tests);
}
