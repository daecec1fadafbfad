#include "base/conf.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "base/text.h"

enum { FILE_BYTES_MAX_CONF = 1048576, PLACE_SIZE = 320 };

/* An enum field is read and written as an int. */
_Static_assert(sizeof(enum conf_type) == sizeof(int), "an enum is an int");

const char *conf_origin_text(enum conf_origin origin)
{
    static const char *const texts[] = {"default", "file", "environment", "flag"};
    return texts[origin];
}

static void *field_of(const struct conf *conf, const struct conf_key *key)
{
    return (char *)conf->target + key->offset;
}

static bool is_text(const struct conf_key *key)
{
    return key->type == CONF_TEXT || key->type == CONF_PATH;
}

/* ---- one value ---- */

/* What a refused value is told. */
static int refuse(const struct conf_key *key, const char *value, const char *place, const char *allowed,
                  struct err *err)
{
    struct buf shown AUTO_BUF = BUF_INIT(200);
    text_escape(&shown, value, true);
    return err_set(err, ERR_INVALID, "%s: %s = \"%s\" is not possible: %s", place, key->name, shown.data,
                   allowed);
}

static void describe_number(const struct conf_key *key, struct buf *ret)
{
    buf_puts(ret, key->type == CONF_BYTES      ? "a size such as 8388608 or 8M"
                  : key->type == CONF_DURATION ? "a duration such as 1500ms, 30s or 5m"
                                               : "a whole number");
    if (key->min)
        buf_printf(ret, ", at least %" PRIu64, key->min);
    if (key->max)
        buf_printf(ret, "%s at most %" PRIu64, key->min ? " and" : ",", key->max);
    if (key->multiple_of)
        buf_printf(ret, ", a multiple of %" PRIu64, key->multiple_of);
    buf_puts(ret, " is expected");
}

static int refuse_number(const struct conf_key *key, const char *value, const char *place, struct err *err)
{
    struct buf allowed AUTO_BUF = BUF_INIT(200);
    describe_number(key, &allowed);
    return refuse(key, value, place, allowed.data, err);
}

static bool parse_number(const struct conf_key *key, const char *value, uint64_t *ret)
{
    int64_t ms = 0;
    bool ok;
    if (key->type == CONF_BYTES)
        ok = parse_bytes(value, ret);
    else if (key->type == CONF_COUNT)
        ok = parse_u64(value, ret) && *ret <= UINT32_MAX;
    else if ((ok = parse_duration_ms(value, &ms)))
        *ret = (uint64_t)ms;
    return ok && *ret >= key->min && (key->max == 0 || *ret <= key->max) &&
           (key->multiple_of == 0 || *ret % key->multiple_of == 0);
}

static int set_number(struct conf *conf, const struct conf_key *key, const char *value, const char *place,
                      struct err *err)
{
    uint64_t number = 0;
    if (!parse_number(key, value, &number))
        return refuse_number(key, value, place, err);
    if (key->type == CONF_BYTES)
        *(uint64_t *)field_of(conf, key) = number;
    else if (key->type == CONF_COUNT)
        *(uint32_t *)field_of(conf, key) = (uint32_t)number;
    else
        *(int64_t *)field_of(conf, key) = (int64_t)number;
    return 0;
}

static int set_choice(struct conf *conf, const struct conf_key *key, const char *value, const char *place,
                      struct err *err)
{
    struct buf allowed AUTO_BUF = BUF_INIT(200);
    buf_puts(&allowed, "one of");
    for (const struct conf_choice *choice = key->choices; choice->name; choice++) {
        if (strcmp(choice->name, value) == 0) {
            memcpy(field_of(conf, key), &choice->value, sizeof(int));
            return 0;
        }
        buf_printf(&allowed, " %s", choice->name);
    }
    buf_puts(&allowed, " is expected");
    return refuse(key, value, place, allowed.data, err);
}

static int set_bool(struct conf *conf, const struct conf_key *key, const char *value, const char *place,
                    struct err *err)
{
    if (!parse_bool(value, (bool *)field_of(conf, key)))
        return refuse(key, value, place, "yes or no is expected", err);
    return 0;
}

/* An empty text unsets a key that has no default. */
static int set_text(struct conf *conf, const struct conf_key *key, const char *value, const char *place,
                    struct err *err)
{
    if (!utf8_is_valid(value, strlen(value)) && key->type != CONF_PATH)
        return refuse(key, value, place, "UTF-8 text is expected", err);
    char **field = field_of(conf, key);
    mem_free(*field);
    *field = *value || key->default_value ? mem_dup(value) : NULL;
    return 0;
}

static int set_value(struct conf *conf, const struct conf_key *key, const char *value, const char *place,
                     struct err *err)
{
    switch (key->type) {
    case CONF_TEXT:
    case CONF_PATH:
        return set_text(conf, key, value, place, err);
    case CONF_BOOL:
        return set_bool(conf, key, value, place, err);
    case CONF_COUNT:
    case CONF_BYTES:
    case CONF_DURATION:
        return set_number(conf, key, value, place, err);
    case CONF_CHOICE:
        return set_choice(conf, key, value, place, err);
    }
    assert(!"a type that does not exist");
    return ERR_INTERNAL;
}

int conf_set(struct conf *conf, const struct conf_key *key, const char *value, enum conf_origin origin,
             const char *place, struct err *err)
{
    int code = set_value(conf, key, value, place, err);
    if (code == 0)
        conf->origins[key - conf->keys] = (unsigned char)origin;
    return code;
}

/* ---- the whole target ---- */

void conf_init(struct conf *conf)
{
    for (size_t i = 0; i < conf->key_count; i++) {
        const struct conf_key *key = &conf->keys[i];
        int code = 0;
        if (key->default_value)
            code = conf_set(conf, key, key->default_value, CONF_DEFAULT, "default", NULL);
        assert(code == 0);
        conf->origins[i] = CONF_DEFAULT;
    }
}

void conf_release(struct conf *conf)
{
    for (size_t i = 0; i < conf->key_count; i++) {
        if (!is_text(&conf->keys[i]))
            continue;
        char **field = field_of(conf, &conf->keys[i]);
        mem_free(*field);
        *field = NULL;
    }
}

const struct conf_key *conf_find(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->key_count; i++)
        if (strcmp(conf->keys[i].name, name) == 0)
            return &conf->keys[i];
    return NULL;
}

const char *conf_nearest(const struct conf *conf, const char *name)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (size_t i = 0; i < conf->key_count; i++)
        nearest_offer(&nearest, conf->keys[i].name);
    return nearest_found(&nearest);
}

enum conf_origin conf_origin_of(const struct conf *conf, const struct conf_key *key)
{
    return (enum conf_origin)conf->origins[key - conf->keys];
}

static const char *choice_name(const struct conf_key *key, const void *field)
{
    int value;
    memcpy(&value, field, sizeof(value));
    for (const struct conf_choice *choice = key->choices; choice->name; choice++)
        if (choice->value == value)
            return choice->name;
    return "";
}

void conf_format(const struct conf *conf, const struct conf_key *key, struct buf *ret)
{
    const void *field = field_of(conf, key);
    switch (key->type) {
    case CONF_TEXT:
    case CONF_PATH:
        buf_puts(ret, *(char *const *)field ? *(char *const *)field : "");
        break;
    case CONF_BOOL:
        buf_puts(ret, *(const bool *)field ? "yes" : "no");
        break;
    case CONF_COUNT:
        buf_printf(ret, "%" PRIu32, *(const uint32_t *)field);
        break;
    case CONF_BYTES:
        buf_printf(ret, "%" PRIu64, *(const uint64_t *)field);
        break;
    case CONF_DURATION:
        buf_printf(ret, "%" PRId64 "ms", *(const int64_t *)field);
        break;
    case CONF_CHOICE:
        buf_puts(ret, choice_name(key, field));
        break;
    }
}

/* ---- reading it anew ---- */

static size_t value_size(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_TEXT:
    case CONF_PATH:
        break;
    case CONF_BOOL:
        return sizeof(bool);
    case CONF_COUNT:
        return sizeof(uint32_t);
    case CONF_BYTES:
        return sizeof(uint64_t);
    case CONF_DURATION:
        return sizeof(int64_t);
    case CONF_CHOICE:
        return sizeof(int);
    }
    assert(!"texts are used by pointer and stay");
    return 0;
}

static bool is_same(const struct conf *conf, const struct conf *other, const struct conf_key *key)
{
    if (key->type != CONF_TEXT && key->type != CONF_PATH)
        return memcmp(field_of(conf, key), field_of(other, key), value_size(key)) == 0;
    const char *text = *(char **)field_of(conf, key), *other_text = *(char **)field_of(other, key);
    return text && other_text ? strcmp(text, other_text) == 0 : text == other_text;
}

void conf_reload(struct conf *conf, const struct conf *fresh,
                 void (*told)(void *ctx, const struct conf_key *key), void *ctx)
{
    for (size_t i = 0; i < conf->key_count; i++) {
        const struct conf_key *key = &conf->keys[i];
        if (is_same(conf, fresh, key))
            continue;
        if (key->reloadable) {
            memcpy(field_of(conf, key), field_of(fresh, key), value_size(key));
            conf->origins[i] = fresh->origins[i];
        }
        told(ctx, key);
    }
}

/* ---- the environment ---- */

void conf_env_name(const struct conf *conf, const struct conf_key *key, struct buf *ret)
{
    buf_puts(ret, conf->env_prefix);
    for (const char *at = key->name; *at; at++)
        buf_putc(ret, (char)toupper((unsigned char)*at));
}

static const char *env_value(const char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

int conf_read_env(struct conf *conf, const char *const *environment, struct err *err)
{
    for (size_t i = 0; i < conf->key_count; i++) {
        struct buf name AUTO_BUF = BUF_INIT(128);
        conf_env_name(conf, &conf->keys[i], &name);
        const char *value = env_value(environment, name.data);
        if (!value || !*value)
            continue;
        int code = conf_set(conf, &conf->keys[i], value, CONF_ENV, name.data, err);
        if (code < 0)
            return code;
    }
    return 0;
}

/* ---- a file ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts blanks at both ends, in place. */
static char *trim(char *text)
{
    while (is_blank(*text))
        text++;
    size_t len = strlen(text);
    while (len && is_blank(text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

static int refuse_key(const struct conf *conf, const char *name, const char *place, struct err *err)
{
    struct buf shown AUTO_BUF = BUF_INIT(200);
    text_escape(&shown, name, true);
    const char *nearest = conf_nearest(conf, name);
    return err_set(err, ERR_INVALID, "%s: unknown key \"%s\"%s%s%s", place, shown.data,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* Takes the quotes off a quoted value; NULL if they do not match. */
static char *unquote(char *value)
{
    size_t len = strlen(value);
    if (*value != '"')
        return value;
    if (len < 2 || value[len - 1] != '"' || memchr(value + 1, '"', len - 2))
        return NULL;
    value[len - 1] = '\0';
    return value + 1;
}

/* `lines[i]`: the line on which key i was set by this file; 0: not yet. */
static int read_pair(struct conf *conf, char *name, char *value, const char *place, uint32_t line,
                     uint32_t *lines, struct err *err)
{
    const struct conf_key *key = conf_find(conf, name);
    if (!key)
        return refuse_key(conf, name, place, err);
    uint32_t *seen_at = &lines[key - conf->keys];
    if (*seen_at)
        return err_set(err, ERR_INVALID, "%s: %s is given a second time (first on line %" PRIu32 ")", place,
                       name, *seen_at);
    *seen_at = line;
    value = unquote(value);
    if (!value)
        return err_set(err, ERR_INVALID, "%s: %s: the quotes around the value do not match", place, name);
    return conf_set(conf, key, value, CONF_FILE, place, err);
}

static int read_line(struct conf *conf, char *text, const char *place, uint32_t line, uint32_t *lines,
                     struct err *err)
{
    text = trim(text);
    if (!*text || *text == '#')
        return 0;
    if (*text == '[')
        return err_set(err, ERR_INVALID, "%s: there are no sections: write `key = value` lines only", place);
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return err_set(err, ERR_INVALID, "%s: not a `key = value` line, nor a # comment", place);
    *equals = '\0';
    return read_pair(conf, trim(text), trim(equals + 1), place, line, lines, err);
}

int conf_read_text(struct conf *conf, const char *name, const char *text, size_t len, struct err *err)
{
    if (memchr(text, '\0', len))
        return err_set(err, ERR_INVALID, "%s: not a text file: it has a NUL byte", name);
    char *copy AUTO_FREE = mem_dup_n(text, len);
    uint32_t *lines AUTO_FREE = mem_alloc_array(conf->key_count, sizeof(*lines));
    char *rest = copy, *at;
    for (uint32_t line = 1; (at = strsep(&rest, "\n")); line++) {
        char place[PLACE_SIZE];
        snprintf(place, sizeof(place), "%s:%" PRIu32, name, line);
        int code = read_line(conf, at, place, line, lines, err);
        if (code < 0)
            return code;
    }
    return 0;
}

int conf_read_file(struct conf *conf, const char *path, struct err *err)
{
    struct buf text AUTO_BUF = BUF_INIT(FILE_BYTES_MAX_CONF);
    int code = file_read(path, &text, err);
    if (code < 0)
        return err_wrap(err, "configuration");
    return conf_read_text(conf, path, text.data, text.len, err);
}
