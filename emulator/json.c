#include "json.h"

void json_release_at(json_t **json)
{
    json_decref(*json);
}

static int put_piece(const char *piece, size_t len, void *buf)
{
    return buf_append(buf, piece, len) ? 0 : -1;
}

void buf_put_json(struct buf *buf, const json_t *json)
{
    json_dump_callback(json, put_piece, buf, JSON_INDENT(2) | JSON_ENCODE_ANY);
}

const char *json_text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool json_count_at(const json_t *object, const char *key, uint64_t *ret)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}
