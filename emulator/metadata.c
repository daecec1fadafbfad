#include "metadata.h"

#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "categories.h"
#include "json.h"
#include "videos.h"

enum { TITLE_LEN_MAX = 100, DESCRIPTION_BYTES_MAX = 5000, TAGS_LEN_MAX = 500 }; /* [insert, videos] */

#define RULE(name, status_, reason_, message_, field)                                                        \
    static const struct api_error name = {status_, "youtube.video", reason_, message_, field, "other"}

RULE(bad_title, 400, "invalidTitle", "The request metadata specifies an invalid or empty video title.",
     "body.snippet.title");
RULE(bad_description, 400, "invalidDescription",
     "The request metadata specifies an invalid video description.", "body.snippet.description");
RULE(bad_tags, 400, "invalidTags", "The request metadata specifies invalid video keywords.",
     "body.snippet.tags");
RULE(bad_category, 400, "invalidCategoryId",
     "The snippet.categoryId property specifies an invalid category ID.", "body.snippet.categoryId");
RULE(no_language, 400, "defaultLanguageNotSet",
     "The request is trying to add localized video details without specifying the default language.",
     "body.snippet.defaultLanguage");
RULE(bad_metadata, 400, "invalidVideoMetadata", "The request metadata is invalid.", "body");
RULE(bad_publish_at, 400, "invalidPublishAt",
     "The request metadata specifies an invalid scheduled publishing time.", "body.status.publishAt");
RULE(bad_recording, 400, "invalidRecordingDetails",
     "The request metadata specifies invalid recording details.", "body.recordingDetails");
RULE(bad_privacy, 403, "forbiddenPrivacySetting",
     "The request attempts to set an invalid privacy setting for the video.", "body.status.privacyStatus");
RULE(bad_license, 403, "forbiddenLicenseSetting",
     "The request attempts to set an invalid license for the video.", "body.status.license");

static bool has_angle_bracket(const char *text)
{
    return strpbrk(text, "<>") != NULL;
}

static bool is_title(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && *text && utf8_length(text) <= TITLE_LEN_MAX && !has_angle_bracket(text);
}

/* May be absent. */
static bool is_description(const json_t *value)
{
    const char *text = json_string_value(value);
    return !value || (text && strlen(text) <= DESCRIPTION_BYTES_MAX && !has_angle_bracket(text));
}

/* May be absent. Commas between tags count, a tag with a space counts as if in quotes [videos]. */
static bool are_tags(const json_t *value)
{
    size_t i, total = 0;
    json_t *tag;
    if (value && !json_is_array(value))
        return false;
    json_array_foreach(value, i, tag)
    {
        const char *text = json_string_value(tag);
        if (!text || has_angle_bracket(text))
            return false;
        total += utf8_length(text) + (strchr(text, ' ') ? 2 : 0) + (i > 0 ? 1 : 0);
    }
    return total <= TAGS_LEN_MAX;
}

/* May be absent. A number instead of a text is wrong too: Google's own Python example has that error. */
static bool is_category(const json_t *value)
{
    return !value || category_is_assignable(json_string_value(value));
}

/* The shape of a BCP-47 tag: parts of 1 to 8 letters or digits, the first of 2 or 3 letters. May be absent.
 */
static bool is_language(const json_t *value)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *text = json_string_value(value);
    if (!value)
        return true;
    if (!text)
        return false;
    size_t first = strspn(text, letters);
    if (first < 2 || first > 3)
        return false;
    for (text += first; *text == '-';) {
        size_t len = strcspn(++text, "-");
        if (len < 1 || len > 8 ||
            strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") < len)
            return false;
        text += len;
    }
    return *text == '\0';
}

static bool is_time(const json_t *value)
{
    int64_t at_ms;
    return json_is_string(value) && parse_time(json_string_value(value), &at_ms);
}

/* Absent, or one of these texts. */
static bool is_one_of(const json_t *value, const char *const *allowed, size_t count)
{
    for (size_t i = 0; json_is_string(value) && i < count; i++)
        if (strcmp(json_string_value(value), allowed[i]) == 0)
            return true;
    return !value;
}

static bool are_booleans(const json_t *section, const char *const *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(section, fields[i]);
        if (value && !json_is_boolean(value))
            return false;
    }
    return true;
}

static const struct api_error *check_snippet(const json_t *snippet)
{
    if (!is_title(json_object_get(snippet, "title")))
        return &bad_title;
    if (!is_description(json_object_get(snippet, "description")))
        return &bad_description;
    if (!are_tags(json_object_get(snippet, "tags")))
        return &bad_tags;
    if (!is_category(json_object_get(snippet, "categoryId")))
        return &bad_category;
    if (!is_language(json_object_get(snippet, "defaultLanguage")) ||
        !is_language(json_object_get(snippet, "defaultAudioLanguage")))
        return &bad_metadata;
    return NULL;
}

static const struct api_error *check_status(const json_t *status)
{
    static const char *const privacies[] = {"private", "unlisted", "public"};
    static const char *const licenses[] = {"youtube", "creativeCommon"};
    static const char *const flags[] = {"embeddable", "publicStatsViewable", "selfDeclaredMadeForKids",
                                        "containsSyntheticMedia"};
    const json_t *publish_at = json_object_get(status, "publishAt");
    const char *privacy = json_text_at(status, "privacyStatus");
    if (!is_one_of(json_object_get(status, "privacyStatus"), privacies, ARRAY_LEN(privacies)))
        return &bad_privacy;
    if (!is_one_of(json_object_get(status, "license"), licenses, ARRAY_LEN(licenses)))
        return &bad_license;
    /* Only with `private` [videos] */
    if (publish_at && (!is_time(publish_at) || !privacy || strcmp(privacy, "private") != 0))
        return &bad_publish_at;
    return are_booleans(status, flags, ARRAY_LEN(flags)) ? NULL : &bad_metadata;
}

static const struct api_error *check_localizations(const json_t *localizations, const json_t *snippet)
{
    const char *language;
    json_t *texts;
    if (json_object_size(localizations) > 0 && !json_is_string(json_object_get(snippet, "defaultLanguage")))
        return &no_language;
    json_object_foreach((json_t *)localizations, language, texts)
    {
        AUTO_JSON json_t *name = json_string(language);
        if (!is_language(name) || !is_title(json_object_get(texts, "title")) ||
            !is_description(json_object_get(texts, "description")))
            return &bad_metadata;
    }
    return NULL;
}

static const struct api_error *check_recording(const json_t *details)
{
    const json_t *date = json_object_get(details, "recordingDate");
    return date && !is_time(date) ? &bad_recording : NULL;
}

/* A section that was sent must be an object. */
static bool are_objects(const json_t *resource)
{
    static const char *const sections[] = {"snippet", "status", "localizations", "recordingDetails",
                                           "paidProductPlacementDetails"};
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const json_t *section = json_object_get(resource, sections[i]);
        if (section && !json_is_object(section))
            return false;
    }
    return true;
}

const struct api_error *metadata_check(const json_t *resource, unsigned parts)
{
    const json_t *snippet = parts & VIDEO_PART_SNIPPET ? json_object_get(resource, "snippet") : NULL;
    const struct api_error *broken = are_objects(resource) ? check_snippet(snippet) : &bad_metadata;
    if (!broken && parts & VIDEO_PART_STATUS)
        broken = check_status(json_object_get(resource, "status"));
    if (!broken && parts & VIDEO_PART_LOCALIZATIONS)
        broken = check_localizations(json_object_get(resource, "localizations"), snippet);
    if (!broken && parts & VIDEO_PART_RECORDING_DETAILS)
        broken = check_recording(json_object_get(resource, "recordingDetails"));
    return broken;
}

/* Copies the settable fields of a section into the accepted resource; what cannot be set is dropped [insert].
 */
static json_t *copy_section(json_t *accepted, const json_t *resource, const char *name,
                            const char *const *fields, size_t count)
{
    json_t *section = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(json_object_get(resource, name), fields[i]);
        if (value)
            json_object_set(section, fields[i], value);
    }
    json_object_set_new(accepted, name, section);
    return section;
}

static void set_default(json_t *section, const char *field, json_t *value)
{
    if (json_object_get(section, field))
        json_decref(value);
    else
        json_object_set_new(section, field, value);
}

static void accept_snippet(json_t *accepted, const json_t *resource)
{
    static const char *const fields[] = {"title",      "description",     "tags",
                                         "categoryId", "defaultLanguage", "defaultAudioLanguage"};
    json_t *snippet = copy_section(accepted, resource, "snippet", fields, ARRAY_LEN(fields));
    set_default(snippet, "description", json_string(""));
    set_default(snippet, "categoryId", json_string("22"));
}

/* An omitted privacyStatus is `public` since 2026-11-02 [rev], also when the part `status` is not named. */
static void accept_status(json_t *accepted, const json_t *resource)
{
    static const char *const fields[] = {"privacyStatus",
                                         "publishAt",
                                         "license",
                                         "embeddable",
                                         "publicStatsViewable",
                                         "selfDeclaredMadeForKids",
                                         "containsSyntheticMedia"};
    json_t *status = copy_section(accepted, resource, "status", fields, ARRAY_LEN(fields));
    set_default(status, "privacyStatus", json_string("public"));
    set_default(status, "license", json_string("youtube"));
    set_default(status, "embeddable", json_true());
    set_default(status, "publicStatsViewable", json_true());
}

json_t *metadata_accepted(const json_t *resource, unsigned parts)
{
    static const char *const recording[] = {"recordingDate", "location", "locationDescription"};
    static const char *const placement[] = {"hasPaidProductPlacement"};
    json_t *accepted = json_object();
    accept_snippet(accepted, parts & VIDEO_PART_SNIPPET ? resource : NULL);
    accept_status(accepted, parts & VIDEO_PART_STATUS ? resource : NULL);
    if (parts & VIDEO_PART_RECORDING_DETAILS)
        copy_section(accepted, resource, "recordingDetails", recording, ARRAY_LEN(recording));
    if (parts & VIDEO_PART_PAID_PRODUCT_PLACEMENT_DETAILS)
        copy_section(accepted, resource, "paidProductPlacementDetails", placement, ARRAY_LEN(placement));
    json_t *localizations = json_object_get(resource, "localizations");
    if (parts & VIDEO_PART_LOCALIZATIONS && localizations)
        json_object_set(accepted, "localizations", localizations);
    return accepted;
}
