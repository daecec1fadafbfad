#include "youtube/json.h"

#include <ctype.h>
#include <malloc.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "youtube/youtube.h"

void yt_json_release_at(json_t **json)
{
    json_decref(*json);
}

/* Not a header of our own before each block: whoever is given a text by jansson may free it as usual. */
static void wipe_block(void *block)
{
    if (block)
        explicit_bzero(block, malloc_usable_size(block));
    mem_free(block);
}

void yt_setup(void)
{
    json_set_alloc_funcs(mem_alloc, wipe_block);
}

static int append(const char *text, size_t len, void *out)
{
    return buf_append(out, text, len) ? 0 : -1;
}

bool yt_json_put(struct buf *out, const json_t *value)
{
    return json_dump_callback(value, append, out, JSON_WRITE_FLAGS) == 0;
}

static json_t *only_object(json_t *json)
{
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

json_t *yt_json_load_reply(const char *body, uint64_t len)
{
    if (!body || len == 0)
        return NULL;
    /* Integers are read as reals: one beyond 64 bits must not make the whole reply unreadable (K05). */
    return only_object(json_loadb(body, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL));
}

json_t *yt_json_load_file_text(const char *text, size_t len, size_t len_max, struct err *err)
{
    json_error_t where;
    if (len > len_max) {
        err_set(err, ERR_INVALID, "%zu bytes, at most %zu are allowed", len, len_max);
        return NULL;
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!json) {
        err_set(err, ERR_INVALID, "line %d, column %d: %s", where.line, where.column,
                json_error_code(&where) == json_error_duplicate_key ? "a name is there twice"
                                                                    : "not valid JSON in UTF-8");
        return NULL;
    }
    json = only_object(json);
    if (!json)
        err_set(err, ERR_INVALID, "not a JSON object");
    return json;
}

const char *yt_json_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

bool yt_json_word(const json_t *object, const char *key, char *ret, size_t size)
{
    ret[0] = '\0';
    const char *text = yt_json_text(object, key);
    if (!text || !*text || strlen(text) >= size)
        return false;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
            return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

bool yt_json_visible(const json_t *object, const char *key, char *ret, size_t size)
{
    const char *text = yt_json_text(object, key);
    ret[0] = '\0';
    if (!text || !*text || strlen(text) >= size)
        return false;
    for (const char *p = text; *p; p++)
        if (*p <= 0x20 || *p >= 0x7F)
            return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

bool yt_json_number_u64(const json_t *object, const char *key, uint64_t *ret)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value)) {
        const char *text = yt_json_text(object, key);
        return text && parse_u64(text, ret);
    }
    double number = json_number_value(value);
    /* Beyond 2^53 a double is no longer exact. */
    if (!json_is_number(value) || number < 0 || number > 9007199254740992.0 ||
        number != (double)(uint64_t)number)
        return false;
    *ret = (uint64_t)number;
    return true;
}
