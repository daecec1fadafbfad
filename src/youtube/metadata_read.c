#include "youtube/metadata_read.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

#define UNKNOWN_KEY "unknownKey"
#define WRONG_TYPE  "wrongType"

enum { FIELD_SIZE = 64 };

enum type { TEXT, TEXTS, FLAG, TIME, LOCATION, LOCALIZATIONS, LANGUAGE, PLAYLISTS };

/* What may be set [insert], [videos], and what youtubeuploader's metaJSON calls it. */
static const struct key {
    const char *part; /* NULL: top level */
    const char *name;
    const char *flat; /* NULL: not in that form */
    enum type type;
} keys[] = {
    {"snippet", "title", "title", TEXT},
    {"snippet", "description", "description", TEXT},
    {"snippet", "tags", "tags", TEXTS},
    {"snippet", "categoryId", "categoryId", TEXT},
    {"snippet", "defaultLanguage", "language", LANGUAGE},
    {"snippet", "defaultAudioLanguage", NULL, TEXT},
    {"status", "privacyStatus", "privacyStatus", TEXT},
    {"status", "publishAt", "publishAt", TIME},
    {"status", "license", "license", TEXT},
    {"status", "embeddable", "embeddable", FLAG},
    {"status", "publicStatsViewable", "publicStatsViewable", FLAG},
    {"status", "selfDeclaredMadeForKids", "madeForKids", FLAG},
    {"status", "containsSyntheticMedia", "containsSyntheticMedia", FLAG},
    {NULL, "localizations", "localizations", LOCALIZATIONS},
    {"recordingDetails", "recordingDate", "recordingDate", TIME},
    {"recordingDetails", "location", NULL, LOCATION},
    {"recordingDetails", "locationDescription", NULL, TEXT},
    {"paidProductPlacementDetails", "hasPaidProductPlacement", "paidProductPlacement", FLAG},
    {NULL, "notifySubscribers", NULL, FLAG},
    {NULL, "", "playlistIds", PLAYLISTS},
    {NULL, "", "playlistTitles", PLAYLISTS},
};

/* ---- the draft ---- */

void yt_draft_set(json_t *draft, const char *part, const char *name, json_t *value)
{
    json_t *object = part ? json_object_get(draft, part) : draft;
    if (!object) {
        object = json_object();
        json_object_set_new(draft, part, object);
    }
    json_object_set_new(object, name, value);
}

void yt_draft_set_time(json_t *draft, const char *part, const char *name, const char *field, const char *text,
                       struct metadata_violations *ret)
{
    int64_t at_ms;
    char standard[TIME_TEXT_SIZE];
    if (!parse_time(text, &at_ms)) {
        metadata_violate(ret, field,
                         strcmp(name, "publishAt") == 0 ? "invalidPublishAt" : "invalidRecordingDetails",
                         "is not a time such as 2026-12-24 or 2026-12-24T18:00:00+01:00");
        return;
    }
    format_time(standard, at_ms);
    yt_draft_set(draft, part, name, json_string(standard));
}

/* ---- values ---- */

/* One value on its way into the draft. */
struct item {
    json_t *draft;
    const struct key *key;
    const char *field; /* as the file calls it */
    json_t *value;
    bool is_flat;
    struct metadata_violations *ret;
};

static void refuse_type(const struct item *item, const char *wanted)
{
    metadata_violate(item->ret, item->field, WRONG_TYPE, "must be %s", wanted);
}

static void set(const struct item *item, json_t *value)
{
    yt_draft_set(item->draft, item->key->part, item->key->name, value);
}

static void read_text(const struct item *item)
{
    if (json_is_string(item->value))
        set(item, json_incref(item->value));
    else
        refuse_type(item, strcmp(item->key->name, "categoryId") == 0
                              ? "a text, the number in quotes such as \"22\""
                              : "a text");
}

static void read_texts(const struct item *item)
{
    for (size_t i = 0; i < json_array_size(item->value); i++)
        if (!json_is_string(json_array_get(item->value, i))) {
            refuse_type(item, "a list of texts");
            return;
        }
    if (!json_is_array(item->value))
        refuse_type(item, "a list of texts");
    else if (json_array_size(item->value) > 0)
        set(item, json_incref(item->value));
}

static void read_flag(const struct item *item)
{
    if (json_is_boolean(item->value))
        set(item, json_incref(item->value));
    else
        refuse_type(item, "true or false");
}

static void read_time(const struct item *item)
{
    if (json_is_string(item->value))
        yt_draft_set_time(item->draft, item->key->part, item->key->name, item->field,
                          json_string_value(item->value), item->ret);
    else
        refuse_type(item, "a text with a time");
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void refuse_unknown(struct metadata_violations *ret, const char *outer, const char *name)
{
    char field[FIELD_SIZE];
    snprintf(field, sizeof(field), "%s%s%s", outer, *outer ? "." : "", name);
    metadata_violate(ret, field, UNKNOWN_KEY, "is not a name that can be set");
}

static void read_location(const struct item *item)
{
    static const char *const names[] = {"latitude", "longitude", "altitude"};
    const char *name;
    json_t *value;
    bool is_good = json_is_number(json_object_get(item->value, "latitude")) &&
                   json_is_number(json_object_get(item->value, "longitude"));
    json_object_foreach(item->value, name, value)
    {
        if (!is_one_of(name, names, ARRAY_LEN(names)))
            refuse_unknown(item->ret, item->field, name);
        is_good &= json_is_number(value);
    }
    if (is_good)
        set(item, json_incref(item->value));
    else
        refuse_type(item, "an object with the numbers latitude, longitude and perhaps altitude");
}

/* Only what a localization may hold; NULL: it is not one. */
static json_t *clean_localization(const struct item *item, const char *outer, json_t *entry)
{
    static const char *const names[] = {"title", "description"};
    const char *name;
    json_t *value;
    if (!json_is_object(entry)) {
        metadata_violate(item->ret, outer, WRONG_TYPE, "must be an object with title and description");
        return NULL;
    }
    json_t *clean = json_object();
    json_object_foreach(entry, name, value)
    {
        char field[FIELD_SIZE];
        snprintf(field, sizeof(field), "%s.%s", outer, name);
        if (!is_one_of(name, names, ARRAY_LEN(names))) {
            if (!item->is_flat)
                refuse_unknown(item->ret, outer, name);
        } else if (!json_is_string(value)) {
            metadata_violate(item->ret, field, WRONG_TYPE, "must be a text");
        } else {
            json_object_set(clean, name, value);
        }
    }
    return clean;
}

static void read_localizations(const struct item *item)
{
    const char *language;
    json_t *entry;
    if (!json_is_object(item->value)) {
        refuse_type(item, "an object from language to title and description");
        return;
    }
    json_t *all AUTO_JSON = json_object();
    json_object_foreach(item->value, language, entry)
    {
        char outer[FIELD_SIZE];
        snprintf(outer, sizeof(outer), "localizations.%s", language);
        json_t *clean = clean_localization(item, outer, entry);
        if (clean)
            json_object_set_new(all, language, clean);
    }
    if (json_object_size(all) > 0)
        set(item, json_incref(all));
}

static void read_language(const struct item *item)
{
    read_text(item);
    /* youtubeuploader's one language is the audio's, too. */
    if (item->is_flat && json_is_string(item->value))
        yt_draft_set(item->draft, "snippet", "defaultAudioLanguage", json_incref(item->value));
}

static void refuse_playlists(const struct item *item)
{
    if (json_is_array(item->value) && json_array_size(item->value) == 0)
        return;
    metadata_violate(item->ret, item->field, "unsupported",
                     "playlists are not supported: take it out and add the video to them afterwards");
}

static void read_value(const struct item *item)
{
    switch (item->key->type) {
    case TEXT:
        read_text(item);
        break;
    case TEXTS:
        read_texts(item);
        break;
    case FLAG:
        read_flag(item);
        break;
    case TIME:
        read_time(item);
        break;
    case LOCATION:
        read_location(item);
        break;
    case LOCALIZATIONS:
        read_localizations(item);
        break;
    case LANGUAGE:
        read_language(item);
        break;
    case PLAYLISTS:
        refuse_playlists(item);
        break;
    }
}

/* ---- a video resource ---- */

static bool is_same_part(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct key *find_key(const char *part, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (is_same_part(keys[i].part, part) && *keys[i].name && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static bool is_part(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].part && strcmp(keys[i].part, name) == 0)
            return true;
    return false;
}

static void read_member(json_t *draft, const char *part, const char *name, json_t *value,
                        struct metadata_violations *ret)
{
    const struct key *key = find_key(part, name);
    if (key)
        read_value(&(struct item){draft, key, name, value, .ret = ret});
    else
        refuse_unknown(ret, part ? part : "", name);
}

static void read_part(json_t *draft, const char *part, json_t *object, struct metadata_violations *ret)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        metadata_violate(ret, part, WRONG_TYPE, "must be an object");
    json_object_foreach(object, name, value) read_member(draft, part, name, value, ret);
}

static void read_resource(json_t *draft, const json_t *file, struct metadata_violations *ret)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)file, name, value)
    {
        if (is_part(name))
            read_part(draft, name, value, ret);
        else
            read_member(draft, NULL, name, value, ret);
    }
}

/* ---- youtubeuploader's metaJSON ---- */

/* What is null or an empty text there is not set. */
static bool is_unset(const json_t *value)
{
    return json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
}

static const struct key *find_flat_key(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].flat && strcasecmp(keys[i].flat, name) == 0)
            return &keys[i];
    return NULL;
}

static void read_flat(json_t *draft, const json_t *file, struct metadata_violations *ret)
{
    bool seen[ARRAY_LEN(keys)] = {false};
    const char *name;
    json_t *value;
    /* youtubeuploader always sends these two, false where the file is silent. */
    yt_draft_set(draft, "status", "selfDeclaredMadeForKids", json_false());
    yt_draft_set(draft, "status", "containsSyntheticMedia", json_false());
    json_object_foreach((json_t *)file, name, value)
    {
        const struct key *key = find_flat_key(name);
        if (!key || is_unset(value))
            continue;
        if (seen[key - keys])
            metadata_violate(ret, key->flat, "duplicate", "is there twice, in other letter case");
        seen[key - keys] = true;
        read_value(&(struct item){draft, key, key->flat, value, true, ret});
    }
}

static bool is_resource(const json_t *file)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)file, name,
                        value) if (is_part(name) || strcmp(name, "notifySubscribers") == 0) return true;
    return false;
}

void yt_draft_read_file(json_t *draft, const json_t *file, struct metadata_violations *ret)
{
    if (is_resource(file))
        read_resource(draft, file, ret);
    else
        read_flat(draft, file, ret);
}
