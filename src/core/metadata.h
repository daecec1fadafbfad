/*
 * The rules of a video's metadata, checked before anything is queued: every violation, with field, limit and
 * value, all at once. Pure: values in, violations out. Source of the rules: [insert] and [videos], table in
 * youtube.md section 5.
 */
#ifndef CORE_METADATA_H
#define CORE_METADATA_H

#include <stdbool.h>
#include <stdint.h>

enum {
    METADATA_TITLE_LENGTH_MAX = 100, /* characters */
    METADATA_DESCRIPTION_BYTES_MAX = 5000,
    METADATA_TAGS_LENGTH_MAX = 500, /* commas count, a tag with a space counts 2 more */
    METADATA_TAGS_MAX = 500,
    METADATA_LOCALIZATIONS_MAX = 100,
    METADATA_VIOLATIONS_MAX = 64,
};

/* Unset texts are NULL; unset instants 0 with has_… false. Texts are UTF-8 and stay with the caller. */
struct metadata_localization {
    const char *language;
    const char *title;
    const char *description;
};

struct metadata {
    const char *title;
    const char *description;
    const char *const *tags;
    uint32_t tag_count;
    const char *category_id;
    const char *default_language;
    const char *default_audio_language;
    const char *privacy; /* private, unlisted, public */
    const char *license; /* youtube, creativeCommon */
    bool has_publish_at;
    int64_t publish_at_ms;
    bool has_recording_date;
    int64_t recording_date_ms;
    const struct metadata_localization *localizations;
    uint32_t localization_count;
};

struct metadata_violation {
    char field[64];    /* "tags", "localizations.de.title" */
    char reason[32];   /* Google's reason for it: invalidTitle … */
    char message[256]; /* limit and value: "101 characters, at most 100 are allowed" */
};

struct metadata_violations {
    uint32_t count; /* of all; only the first METADATA_VIOLATIONS_MAX are kept */
    struct metadata_violation items[METADATA_VIOLATIONS_MAX];
};

/* now_ms: wall. A publish time that is past is a violation: YouTube would publish at once [videos]. */
void metadata_check(const struct metadata *metadata, int64_t now_ms, struct metadata_violations *ret);
/* The length YouTube counts for a list of tags. */
uint32_t metadata_tags_length(const char *const *tags, uint32_t count);

#endif
