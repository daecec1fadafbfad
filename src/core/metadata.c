#include "core/metadata.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/text.h"

enum { VALUE_SIZE = 64 };

/* A value in quotes for a message: its beginning, with what a terminal should not get shown as "?". */
struct quoted {
    char text[VALUE_SIZE];
};

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0);
}

static struct quoted quote(const char *value)
{
    struct quoted ret;
    const size_t room = sizeof(ret.text) - sizeof("\"…\"") - 3;
    size_t len = strlen(value), out = 0, at = 0;
    ret.text[out++] = '"';
    while (at < len && out < room) {
        uint32_t point;
        size_t size = utf8_decode(value + at, len - at, &point);
        if (size == 0 || is_control(point)) {
            ret.text[out++] = '?';
        } else {
            memcpy(ret.text + out, value + at, size);
            out += size;
        }
        at += size ? size : 1;
    }
    snprintf(ret.text + out, sizeof(ret.text) - out, "%s\"", at < len ? "…" : "");
    return ret;
}

/* Names and values may come from a file, and may have been cut inside a character on their way here. */
static void copy_clean(char *ret, size_t size, const char *text)
{
    size_t len = strlen(text), out = 0;
    for (size_t at = 0; at < len;) {
        uint32_t point;
        size_t char_size = utf8_decode(text + at, len - at, &point);
        bool is_bad = char_size == 0 || is_control(point);
        size_t out_size = is_bad ? 1 : char_size;
        if (out + out_size >= size)
            break;
        memcpy(ret + out, is_bad ? "?" : text + at, out_size);
        out += out_size;
        at += char_size ? char_size : 1;
    }
    ret[out] = '\0';
}

void metadata_violate(struct metadata_violations *violations, const char *field, const char *reason,
                      const char *format, ...)
{
    if (violations->count < METADATA_VIOLATIONS_MAX) {
        struct metadata_violation *item = &violations->items[violations->count];
        char message[2 * sizeof(item->message)];
        va_list args;
        va_start(args, format);
        vsnprintf(message, sizeof(message), format, args);
        va_end(args);
        copy_clean(item->field, sizeof(item->field), field);
        copy_clean(item->reason, sizeof(item->reason), reason);
        copy_clean(item->message, sizeof(item->message), message);
    }
    violations->count++;
}

/* ---- texts ---- */

/* One text field and where its violations go. */
struct field {
    const char *name;
    const char *reason;
    bool is_one_line;     /* neither line breaks nor tabs */
    bool refuses_bracket; /* no < and > [insert] */
    struct metadata_violations *ret;
};

/* The first code point that the field does not take; false: none. */
static bool find_bad(const struct field *field, const char *text, uint32_t *ret_point)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len;) {
        at += utf8_decode(text + at, len - at, ret_point);
        bool is_blank = *ret_point == '\n' || *ret_point == '\r' || *ret_point == '\t';
        if (is_control(*ret_point) && (field->is_one_line || !is_blank))
            return true;
        if (field->refuses_bracket && (*ret_point == '<' || *ret_point == '>'))
            return true;
    }
    return false;
}

/* False: not UTF-8, so that nothing else can be said about the text. */
static bool check_characters(const struct field *field, const char *text)
{
    uint32_t point;
    if (!utf8_is_valid(text, strlen(text))) {
        metadata_violate(field->ret, field->name, field->reason, "not valid UTF-8: %s", quote(text).text);
        return false;
    }
    if (!find_bad(field, text, &point))
        return true;
    if (is_control(point))
        metadata_violate(field->ret, field->name, field->reason,
                         "control character U+%04" PRIX32 " is not allowed: %s", point, quote(text).text);
    else
        metadata_violate(field->ret, field->name, field->reason, "'%c' is not allowed: %s", (char)point,
                         quote(text).text);
    return true;
}

static bool is_blank_text(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

static void check_title(const struct field *field, const char *title)
{
    if (!title || is_blank_text(title)) {
        metadata_violate(field->ret, field->name, field->reason, "is %s, 1 to %d characters are required",
                         !title   ? "missing"
                         : *title ? "blank"
                                  : "empty",
                         METADATA_TITLE_LENGTH_MAX);
        return;
    }
    if (!check_characters(field, title))
        return;
    size_t length = utf8_length(title);
    if (length > METADATA_TITLE_LENGTH_MAX)
        metadata_violate(field->ret, field->name, field->reason, "%zu characters, at most %d are allowed: %s",
                         length, METADATA_TITLE_LENGTH_MAX, quote(title).text);
}

static void check_description(const struct field *field, const char *description)
{
    if (!description || !check_characters(field, description))
        return;
    size_t bytes = strlen(description);
    if (bytes > METADATA_DESCRIPTION_BYTES_MAX)
        metadata_violate(field->ret, field->name, field->reason,
                         "%zu bytes of UTF-8, at most %d are allowed: %s", bytes,
                         METADATA_DESCRIPTION_BYTES_MAX, quote(description).text);
}

/* ---- tags ---- */

uint32_t metadata_tags_length(const char *const *tags, uint32_t count)
{
    size_t length = count > 0 ? count - 1 : 0;
    for (uint32_t i = 0; i < count; i++)
        length += utf8_length(tags[i]) + (strchr(tags[i], ' ') ? 2 : 0);
    return length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
}

static void check_tag(const char *tag, uint32_t index, struct metadata_violations *ret)
{
    char name[32];
    snprintf(name, sizeof(name), "tags[%" PRIu32 "]", index);
    struct field field = {.name = name, .reason = "invalidTags", .is_one_line = true, .ret = ret};
    if (is_blank_text(tag))
        metadata_violate(ret, name, "invalidTags", "is empty, at least 1 character is required");
    else
        check_characters(&field, tag);
}

static void check_tags(const char *const *tags, uint32_t count, struct metadata_violations *ret)
{
    if (count > METADATA_TAGS_MAX) {
        metadata_violate(ret, "tags", "invalidTags", "%" PRIu32 " tags, at most %d are allowed", count,
                         METADATA_TAGS_MAX);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        check_tag(tags[i], i, ret);
    uint32_t length = metadata_tags_length(tags, count);
    if (length > METADATA_TAGS_LENGTH_MAX)
        metadata_violate(ret, "tags", "invalidTags",
                         "%" PRIu32 " characters in all, at most %d are allowed (commas between tags count, "
                         "a tag with a space counts 2 more)",
                         length, METADATA_TAGS_LENGTH_MAX);
}

/* ---- languages: RFC 5646 section 2.1 ---- */

/* The subtag that comes next; len 0: the end. */
struct subtag {
    const char *text;
    size_t len;
    size_t alphas;
    size_t digits;
};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct subtag subtag_at(const char *text)
{
    struct subtag tag = {.text = text};
    for (; text[tag.len] && text[tag.len] != '-'; tag.len++) {
        tag.alphas += is_alpha(text[tag.len]);
        tag.digits += is_digit(text[tag.len]);
    }
    return tag;
}

static bool is_letters(struct subtag tag, size_t least, size_t most)
{
    return tag.alphas == tag.len && tag.len >= least && tag.len <= most;
}

static bool is_letters_or_digits(struct subtag tag, size_t least, size_t most)
{
    return tag.alphas + tag.digits == tag.len && tag.len >= least && tag.len <= most;
}

static struct subtag after(struct subtag tag)
{
    return subtag_at(tag.text + tag.len + (tag.text[tag.len] == '-'));
}

static bool is_region(struct subtag tag)
{
    return is_letters(tag, 2, 2) || (tag.len == 3 && tag.digits == 3);
}

static bool is_variant(struct subtag tag)
{
    return is_letters_or_digits(tag, 5, 8) || (is_letters_or_digits(tag, 4, 4) && is_digit(tag.text[0]));
}

static bool is_private_use(struct subtag tag)
{
    return tag.len == 1 && (*tag.text == 'x' || *tag.text == 'X');
}

/* A singleton and what belongs to it; false: nothing does. */
static bool take_extension(struct subtag *tag, size_t least)
{
    *tag = after(*tag);
    if (!is_letters_or_digits(*tag, least, 8))
        return false;
    while (is_letters_or_digits(*tag, least, 8))
        *tag = after(*tag);
    return true;
}

static bool take_language(struct subtag *tag)
{
    if (!is_letters(*tag, 2, 8))
        return false;
    bool may_extend = tag->len <= 3;
    *tag = after(*tag);
    for (int i = 0; may_extend && i < 3 && is_letters(*tag, 3, 3); i++)
        *tag = after(*tag);
    return true;
}

bool metadata_language_is_well_formed(const char *language)
{
    size_t len = strlen(language);
    if (len == 0 || language[len - 1] == '-')
        return false;
    struct subtag tag = subtag_at(language);
    if (!is_private_use(tag)) {
        if (!take_language(&tag))
            return false;
        if (is_letters(tag, 4, 4))
            tag = after(tag);
        if (is_region(tag))
            tag = after(tag);
        while (is_variant(tag))
            tag = after(tag);
        while (is_letters_or_digits(tag, 1, 1) && !is_private_use(tag))
            if (!take_extension(&tag, 2))
                return false;
    }
    if (is_private_use(tag) && !take_extension(&tag, 1))
        return false;
    return *tag.text == '\0';
}

static void check_language(const char *field, const char *language, struct metadata_violations *ret)
{
    if (language && !metadata_language_is_well_formed(language))
        metadata_violate(ret, field, "invalidVideoMetadata",
                         "%s is not a language tag; well-formed are en, pt-BR, zh-Hans (BCP-47)",
                         quote(language).text);
}

/* ---- localizations ---- */

static void check_localization(const struct metadata_localization *entry, struct metadata_violations *ret)
{
    char name[sizeof(ret->items[0].field)];
    snprintf(name, sizeof(name), "localizations.%.40s", entry->language);
    check_language(name, entry->language, ret);
    if (!entry->title && !entry->description)
        metadata_violate(ret, name, "invalidVideoMetadata", "has neither title nor description");
    struct field field = {
        .name = name, .reason = "invalidVideoMetadata", .refuses_bracket = true, .ret = ret};
    snprintf(name, sizeof(name), "localizations.%.40s.title", entry->language);
    field.is_one_line = true;
    if (entry->title)
        check_title(&field, entry->title);
    snprintf(name, sizeof(name), "localizations.%.40s.description", entry->language);
    field.is_one_line = false;
    check_description(&field, entry->description);
}

static bool is_repeated(const struct metadata_localization *entries, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (strcasecmp(entries[i].language, entries[index].language) == 0)
            return true;
    return false;
}

static void check_localizations(const struct metadata *metadata, struct metadata_violations *ret)
{
    uint32_t count = metadata->localization_count;
    if (count == 0)
        return;
    if (!metadata->default_language)
        metadata_violate(ret, "defaultLanguage", "defaultLanguageNotSet",
                         "is missing, required with localizations");
    if (count > METADATA_LOCALIZATIONS_MAX) {
        metadata_violate(ret, "localizations", "invalidVideoMetadata",
                         "%" PRIu32 " languages, at most %d are allowed", count, METADATA_LOCALIZATIONS_MAX);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        check_localization(&metadata->localizations[i], ret);
        if (is_repeated(metadata->localizations, i))
            metadata_violate(ret, "localizations", "invalidVideoMetadata", "%s is there twice",
                             quote(metadata->localizations[i].language).text);
    }
}

/* ---- the rest ---- */

static void check_category(const char *category, struct metadata_violations *ret)
{
    enum { DIGITS_MAX = 9 };
    if (!category)
        return;
    size_t digits = strspn(category, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || category[digits] != '\0' || *category == '0')
        metadata_violate(ret, "categoryId", "invalidCategoryId",
                         "%s is not a category's number, such as \"22\" (1 to %d digits)",
                         quote(category).text, DIGITS_MAX);
}

static void check_choice(const char *field, const char *reason, const char *value, const char *const *choices,
                         const char *choices_text, struct metadata_violations *ret)
{
    for (; *choices; choices++)
        if (strcmp(value, *choices) == 0)
            return;
    metadata_violate(ret, field, reason, "%s is not one of %s", quote(value).text, choices_text);
}

static void check_privacy(const char *privacy, struct metadata_violations *ret)
{
    static const char *const choices[] = {"private", "unlisted", "public", NULL};
    if (!privacy)
        metadata_violate(ret, "privacyStatus", "forbiddenPrivacySetting",
                         "is missing, one of private, unlisted, public is required");
    else
        check_choice("privacyStatus", "forbiddenPrivacySetting", privacy, choices,
                     "private, unlisted, public", ret);
}

static void check_license(const char *license, struct metadata_violations *ret)
{
    static const char *const choices[] = {"youtube", "creativeCommon", NULL};
    if (license)
        check_choice("license", "forbiddenLicenseSetting", license, choices, "youtube, creativeCommon", ret);
}

static void check_publish_at(const struct metadata *metadata, int64_t now_ms, struct metadata_violations *ret)
{
    if (!metadata->has_publish_at)
        return;
    if (metadata->privacy && strcmp(metadata->privacy, "private") != 0)
        metadata_violate(ret, "publishAt", "invalidPublishAt",
                         "is allowed only with privacyStatus private, which is %s",
                         quote(metadata->privacy).text);
    char at[TIME_TEXT_SIZE], now[TIME_TEXT_SIZE];
    format_time(at, metadata->publish_at_ms);
    format_time(now, now_ms);
    if (metadata->publish_at_ms <= now_ms)
        metadata_violate(ret, "publishAt", "invalidPublishAt",
                         "%s is not later than now (%s): YouTube would publish at once", at, now);
}

static void check_degrees(const char *field, int64_t value_e7, int degrees_max,
                          struct metadata_violations *ret)
{
    int64_t value_max = (int64_t)degrees_max * METADATA_DEGREE;
    if (value_e7 < -value_max || value_e7 > value_max)
        metadata_violate(ret, field, "invalidRecordingDetails",
                         "%" PRId64 " degrees, from -%d to %d are allowed", value_e7 / METADATA_DEGREE,
                         degrees_max, degrees_max);
}

static void check_location(const struct metadata *metadata, struct metadata_violations *ret)
{
    struct field field = {.name = "locationDescription", .reason = "invalidRecordingDetails", .ret = ret};
    if (metadata->location_description)
        check_characters(&field, metadata->location_description);
    if (!metadata->has_location)
        return;
    check_degrees("location.latitude", metadata->latitude_e7, METADATA_LATITUDE_MAX, ret);
    check_degrees("location.longitude", metadata->longitude_e7, METADATA_LONGITUDE_MAX, ret);
}

void metadata_check(const struct metadata *metadata, int64_t now_ms, struct metadata_violations *ret)
{
    check_title(&(struct field){.name = "title",
                                .reason = "invalidTitle",
                                .is_one_line = true,
                                .refuses_bracket = true,
                                .ret = ret},
                metadata->title);
    check_description(
        &(struct field){
            .name = "description", .reason = "invalidDescription", .refuses_bracket = true, .ret = ret},
        metadata->description);
    check_tags(metadata->tags, metadata->tag_count, ret);
    check_category(metadata->category_id, ret);
    check_language("defaultLanguage", metadata->default_language, ret);
    check_language("defaultAudioLanguage", metadata->default_audio_language, ret);
    check_privacy(metadata->privacy, ret);
    check_license(metadata->license, ret);
    check_publish_at(metadata, now_ms, ret);
    check_location(metadata, ret);
    check_localizations(metadata, ret);
}
