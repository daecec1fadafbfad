#include "youtube/metadata_json.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "core/limits.h"
#include "youtube/metadata_read.h"

#define CATEGORY_DEFAULT "22" /* People & Blogs; YouTube's own default is not documented */
#define PRIVACY_DEFAULT  "private"

static json_t *snippet_of(const json_t *draft)
{
    return json_object_get(draft, "snippet");
}

static json_t *status_of(const json_t *draft)
{
    return json_object_get(draft, "status");
}

/* Also a text that is not UTF-8: metadata_check() says so, with the field. */
static json_t *any_text(const char *text, size_t len)
{
    return json_stringn_nocheck(text, len);
}

/* ---- the title of last resort: the file's name ---- */

static void put_title_char(struct buf *out, const char *text, size_t size, uint32_t point)
{
    bool is_bad =
        size == 0 || point < 0x20 || (point >= 0x7F && point < 0xA0) || point == '<' || point == '>';
    if (is_bad)
        buf_putc(out, '_');
    else
        buf_append(out, text, size);
}

static json_t *title_from_path(const char *path)
{
    const char *name = file_name(path);
    const char *dot = strrchr(name, '.');
    size_t len = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    struct buf title AUTO_BUF = BUF_INIT(4 * METADATA_TITLE_LENGTH_MAX);
    for (size_t at = 0, count = 0; at < len && count < METADATA_TITLE_LENGTH_MAX; count++) {
        uint32_t point = 0;
        size_t size = utf8_decode(name + at, len - at, &point);
        put_title_char(&title, name + at, size, point);
        at += size ? size : 1;
    }
    bool is_blank = title.data[strspn(title.data, " ")] == '\0';
    return json_string(is_blank ? "untitled" : title.data);
}

/* ---- flags: they fill what the file left open ---- */

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text && !json_object_get(object, name))
        json_object_set_new(object, name, any_text(text, strlen(text)));
}

static void put_tags(json_t *snippet, const char *tags)
{
    if (!tags || json_object_get(snippet, "tags"))
        return;
    json_t *list AUTO_JSON = json_array();
    while (*tags) {
        tags += strspn(tags, " \t");
        size_t piece_len = strcspn(tags, ","), len = piece_len;
        while (len > 0 && strchr(" \t", tags[len - 1]))
            len--;
        if (len > 0)
            json_array_append_new(list, any_text(tags, len));
        tags += piece_len + (tags[piece_len] == ',');
    }
    if (json_array_size(list) > 0)
        json_object_set(snippet, "tags", list);
}

static void merge_flags(json_t *draft, const struct metadata_flags *flags, const char *storage_path,
                        struct metadata_violations *ret)
{
    json_t *snippet = snippet_of(draft), *status = status_of(draft);
    put_text(snippet, "title", flags->title);
    if (!json_object_get(snippet, "title"))
        json_object_set_new(snippet, "title", title_from_path(storage_path));
    put_text(snippet, "description", flags->description);
    put_tags(snippet, flags->tags);
    put_text(snippet, "categoryId", flags->category_id ? flags->category_id : CATEGORY_DEFAULT);
    put_text(status, "privacyStatus", flags->privacy ? flags->privacy : PRIVACY_DEFAULT);
    if (flags->publish_at && !json_object_get(status, "publishAt"))
        yt_draft_set_time(draft, "status", "publishAt", "publishAt", flags->publish_at, ret);
}

/* A title with blanks around it might come back without them and then not be recognised as ours. */
static void trim_title(json_t *snippet)
{
    const json_t *title = json_object_get(snippet, "title");
    const char *text = json_string_value(title);
    size_t len = json_string_length(title);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    size_t blanks = strspn(text, " \t\r\n");
    if (blanks > len)
        blanks = len;
    json_object_set_new(snippet, "title", any_text(text + blanks, len - blanks));
}

/* ---- checking ---- */

/* A member as text, also where it is not UTF-8. */
static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool member_time(const json_t *object, const char *name, int64_t *ret_ms)
{
    const char *text = member(object, name);
    return text && parse_time(text, ret_ms);
}

static const char **list_tags(const json_t *tags)
{
    const char **list = mem_alloc_array(json_array_size(tags) + 1, sizeof(*list));
    for (size_t i = 0; i < json_array_size(tags); i++)
        list[i] = json_string_value(json_array_get(tags, i));
    return list;
}

static struct metadata_localization *list_localizations(json_t *localizations)
{
    struct metadata_localization *list = mem_alloc_array(json_object_size(localizations) + 1, sizeof(*list));
    const char *language;
    json_t *entry;
    size_t count = 0;
    json_object_foreach(localizations, language, entry) list[count++] =
        (struct metadata_localization){language, member(entry, "title"), member(entry, "description")};
    return list;
}

/* Far outside any range stays far outside; a whole number of units otherwise. */
static int64_t degrees_e7(const json_t *value)
{
    enum { FAR = 1000 };
    double degrees = json_number_value(value);
    if (!(degrees > -FAR && degrees < FAR))
        return (int64_t)(degrees < 0 ? -FAR : FAR) * METADATA_DEGREE;
    double units = degrees * METADATA_DEGREE;
    return (int64_t)(units + (units < 0 ? -0.5 : 0.5));
}

static void fill_recording(const json_t *recording, struct metadata *ret)
{
    const json_t *location = json_object_get(recording, "location");
    ret->has_recording_date = member_time(recording, "recordingDate", &ret->recording_date_ms);
    ret->location_description = member(recording, "locationDescription");
    ret->has_location = location != NULL;
    ret->latitude_e7 = degrees_e7(json_object_get(location, "latitude"));
    ret->longitude_e7 = degrees_e7(json_object_get(location, "longitude"));
}

static void check(const json_t *draft, int64_t now_ms, struct metadata_violations *ret)
{
    const json_t *snippet = snippet_of(draft), *status = status_of(draft);
    json_t *tags = json_object_get(snippet, "tags");
    json_t *localizations = json_object_get(draft, "localizations");
    const char **tag_list AUTO_FREE = list_tags(tags);
    struct metadata_localization *localization_list AUTO_FREE = list_localizations(localizations);
    struct metadata metadata = {
        .title = member(snippet, "title"),
        .description = member(snippet, "description"),
        .tags = tag_list,
        .tag_count = (uint32_t)json_array_size(tags),
        .category_id = member(snippet, "categoryId"),
        .default_language = member(snippet, "defaultLanguage"),
        .default_audio_language = member(snippet, "defaultAudioLanguage"),
        .privacy = member(status, "privacyStatus"),
        .license = member(status, "license"),
        .localizations = localization_list,
        .localization_count = (uint32_t)json_object_size(localizations),
    };
    metadata.has_publish_at = member_time(status, "publishAt", &metadata.publish_at_ms);
    fill_recording(json_object_get(draft, "recordingDetails"), &metadata);
    metadata_check(&metadata, now_ms, ret);
}

static int summarize(const struct metadata_violations *violations, struct err *err)
{
    const struct metadata_violation *first = &violations->items[0];
    char more[48] = "";
    if (violations->count > 1)
        snprintf(more, sizeof(more), " (and %u more)", violations->count - 1);
    return err_set(err, ERR_INVALID, "metadata: %s: %s%s", first->field, first->message, more);
}

int metadata_make(const char *file_json, size_t len, const struct metadata_flags *flags,
                  const char *storage_path, int64_t now_ms, struct buf *ret_json,
                  struct metadata_violations *ret_violations, struct err *err)
{
    ret_violations->count = 0;
    json_t *draft AUTO_JSON = json_pack("{s{}s{}}", "snippet", "status");
    if (file_json) {
        json_t *file AUTO_JSON = yt_json_load_file_text(file_json, len, METADATA_BYTES_MAX, err);
        if (!file)
            return err_wrap(err, "metadata file");
        yt_draft_read_file(draft, file, ret_violations);
    }
    merge_flags(draft, flags, storage_path, ret_violations);
    trim_title(snippet_of(draft));
    check(draft, now_ms, ret_violations);
    if (ret_violations->count > 0)
        return summarize(ret_violations, err);
    return yt_json_put(ret_json, draft) ? 0 : err_set(err, ERR_INVALID, "metadata: too long to be stored");
}

void metadata_title(const char *stored_json, char *ret, size_t size)
{
    json_t *stored AUTO_JSON = yt_json_load_reply(stored_json, strlen(stored_json));
    const char *title = yt_json_text(snippet_of(stored), "title");
    text_copy(ret, size, title ? title : "");
}
