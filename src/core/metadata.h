/*
 * The rules of a video's metadata, checked before anything is queued: every violation, with field, limit and
 * value, all at once. Pure: values in, violations out; any thread. Source of the rules: [insert] and
 * [videos], table in docs/youtube-facts.md; RFC 5646 for languages.
 *
 * Characters are Unicode code points. Fields are named as in the video resource without its outer object:
 * title, description, tags, categoryId, defaultLanguage, defaultAudioLanguage, privacyStatus, license,
 * publishAt, recordingDate, location.latitude, location.longitude, locationDescription,
 * localizations.LANG.title.
 */
#ifndef CORE_METADATA_H
#define CORE_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum {
    METADATA_TITLE_LENGTH_MAX = 100, /* characters */
    METADATA_DESCRIPTION_BYTES_MAX = 5000,
    METADATA_TAGS_LENGTH_MAX = 500, /* commas count, a tag with a space counts 2 more */
    METADATA_TAGS_MAX = 500,
    METADATA_LOCALIZATIONS_MAX = 100,
    METADATA_VIOLATIONS_MAX = 64,
    METADATA_LATITUDE_MAX = 90, /* degrees, either way */
    METADATA_LONGITUDE_MAX = 180,
    METADATA_DEGREE = 10000000, /* units of latitude_e7 and longitude_e7 in one degree */
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
    bool has_location;
    int64_t latitude_e7; /* 10^-7 degrees, north positive */
    int64_t longitude_e7;
    const char *location_description;
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

/* Adds a violation, whatever found it. The message is cut to its size; `reason` is Google's where it has one.
 */
void metadata_violate(struct metadata_violations *violations, const char *field, const char *reason,
                      const char *format, ...) PRINTF_LIKE(4, 5);

/* Checks every field; `ret` is added to, never emptied. now_ms: wall. A publish time that is not later than
 * now is a violation: YouTube would publish at once [videos]. Title and privacy are required: without a
 * privacyStatus YouTube publishes [rev 2026-11-02]. */
void metadata_check(const struct metadata *metadata, int64_t now_ms, struct metadata_violations *ret);
/* The length YouTube counts for a list of tags. */
uint32_t metadata_tags_length(const char *const *tags, uint32_t count);
/* A well-formed BCP-47 tag: `langtag` or `privateuse` of RFC 5646 section 2.1, any case. The grandfathered
 * tags of that section are not taken. Whether YouTube knows the language only YouTube can tell. */
bool metadata_language_is_well_formed(const char *language);

#endif
