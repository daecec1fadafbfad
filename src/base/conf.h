/*
 * Configuration: a table of typed keys, and a strict reader of files (`key = value` lines), of the
 * environment and of single values into a caller's struct. It knows no key itself.
 *
 * A file: one `key = value` a line, of any length; blanks around key and value do not count; a line whose
 * first character is `#` is a comment (a `#` later in a line belongs to the value); a value in double quotes
 * keeps its blanks. No sections, no continuation lines, no variables. An unknown key, a key given twice, a
 * value of the wrong type or out of range, or a line without `=` is an error that names file and line.
 *
 * The environment: key `foo_bar` is the variable PREFIX + "FOO_BAR". An empty variable counts as not set.
 *
 * Texts in the target belong to it: conf_release(). Any thread; a target belongs to its caller.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum conf_type {
    CONF_TEXT,     /* char * */
    CONF_PATH,     /* char *; of a file or a folder: as it was given, which need not be UTF-8 */
    CONF_BOOL,     /* bool */
    CONF_COUNT,    /* uint32_t */
    CONF_BYTES,    /* uint64_t: 8388608, 8M, 8MiB */
    CONF_DURATION, /* int64_t milliseconds: 1500, 30s, 5m */
    CONF_CHOICE,   /* an enum */
};

struct conf_choice {
    const char *name;
    int value;
};

struct conf_key {
    const char *name; /* lower case, words parted by '_'; NULL ends a table */
    enum conf_type type;
    size_t offset;                     /* of the field in the target */
    const char *default_value;         /* written as in a file; NULL: a text that is not set (then NULL) */
    const char *default_help;          /* for a default that is found out when the program runs; else NULL */
    uint64_t min, max;                 /* of COUNT, BYTES, DURATION; max 0: no limit but the type's */
    uint64_t multiple_of;              /* of COUNT, BYTES; 0: any */
    const struct conf_choice *choices; /* CHOICE: ends with name NULL */
    const char *help;                  /* one sentence or more, for people */
    bool reloadable;                   /* a running process takes a new value; no TEXT, no PATH */
};

/* Where a value came from; a later source wins over an earlier one. */
enum conf_origin { CONF_DEFAULT, CONF_FILE, CONF_ENV, CONF_FLAG };
const char *conf_origin_text(enum conf_origin origin);

/* One reading of configuration into one target. */
struct conf {
    const struct conf_key *keys;
    size_t key_count;
    const char *env_prefix; /* "SLUICE_" */
    void *target;           /* zeroed before conf_init() */
    unsigned char *origins; /* key_count bytes, an enum conf_origin each */
};

/* Fills in every default. A default that its own key refuses ends the process. */
void conf_init(struct conf *conf);
void conf_release(struct conf *conf); /* frees the texts; sets them to NULL */

/* ERR_INVALID names `place` (a file and line, a variable, a flag), key and value, and says what is allowed.
 */
int conf_set(struct conf *conf, const struct conf_key *key, const char *value, enum conf_origin origin,
             const char *place, struct err *err) MUST_CHECK;
/* Errors of file_read(), and ERR_INVALID. */
int conf_read_file(struct conf *conf, const char *path, struct err *err) MUST_CHECK;
/* `name` stands for the file in messages. */
int conf_read_text(struct conf *conf, const char *name, const char *text, size_t len,
                   struct err *err) MUST_CHECK;
/* `environment`: "NAME=value" texts, NULL at the end. Other variables are left alone. */
int conf_read_env(struct conf *conf, const char *const *environment, struct err *err) MUST_CHECK;

const struct conf_key *conf_find(const struct conf *conf, const char *name); /* NULL: none */
/* The key that `name` was probably meant to be; NULL: none is near. */
const char *conf_nearest(const struct conf *conf, const char *name);
enum conf_origin conf_origin_of(const struct conf *conf, const struct conf_key *key);
/* The present value, written as in a file. */
void conf_format(const struct conf *conf, const struct conf_key *key, struct buf *ret);
/* For a process that has read its configuration anew: calls `told` for each key whose value in `fresh` is
 * another, after a reloadable one's was taken over with its origin. Both are of the same table. */
void conf_reload(struct conf *conf, const struct conf *fresh,
                 void (*told)(void *ctx, const struct conf_key *key), void *ctx);
/* "SLUICE_FOO_BAR" */
void conf_env_name(const struct conf *conf, const struct conf_key *key, struct buf *ret);

#endif
