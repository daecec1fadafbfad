#include "store/db_rows.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* ---- columns ---- */

static int parse_type(const char *text, size_t len)
{
    static const char *const names[] = {[DB_INT] = "int", [DB_TEXT] = "text", [DB_BLOB] = "blob"};
    for (int type = DB_INT; type <= DB_BLOB; type++)
        if (strlen(names[type]) == len && memcmp(names[type], text, len) == 0)
            return type;
    return DB_NULL;
}

static bool parse_column(const char *text, size_t len, struct db_columns *columns)
{
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon ? (size_t)(colon - text) : 0;
    int type = colon ? parse_type(colon + 1, len - name_len - 1) : DB_NULL;
    if (type == DB_NULL || name_len >= sizeof(columns->items[0].name) || columns->count == DB_PARAMS_MAX)
        return false;
    memcpy(columns->items[columns->count].name, text, name_len);
    columns->items[columns->count++].type = type;
    return true;
}

/* Where the columns begin; NULL: it is something else. */
static const char *parse_place(const char *word, size_t len, enum db_rows_place *ret)
{
    static const char *const words[] = {
        [DB_ROWS_FROM] = "from rows ", [DB_ROWS_JOIN] = "join rows ", [DB_ROWS_OVER] = "over rows "};
    for (int place = DB_ROWS_FROM; place <= DB_ROWS_OVER; place++)
        if (len > strlen(words[place]) && memcmp(word, words[place], strlen(words[place])) == 0) {
            *ret = (enum db_rows_place)place;
            return word + strlen(words[place]);
        }
    return NULL;
}

bool db_columns_parse(const char *word, size_t len, struct db_columns *ret)
{
    const char *end = word + len;
    *ret = (struct db_columns){.count = 0};
    const char *at = parse_place(word, len, &ret->place);
    if (!at)
        return false;
    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        size_t part = (size_t)((space ? space : end) - at);
        if (!parse_column(at, part, ret))
            return false;
        at += part + 1;
    }
    return true;
}

uint32_t db_columns_find(const struct db_columns *columns, const char *word, size_t len)
{
    if (len < 3 || memcmp(word, "r.", 2) != 0)
        return 0;
    for (uint32_t i = 0; i < columns->count; i++)
        if (strlen(columns->items[i].name) == len - 2 &&
            memcmp(columns->items[i].name, word + 2, len - 2) == 0)
            return i + 1;
    return 0;
}

/* ---- values ---- */

void db_rows_add(struct db_rows *rows, const struct db_value *values, size_t count)
{
    if (rows->count == rows->size) {
        rows->size = rows->size ? rows->size * 2 : 16;
        rows->values = mem_grow(rows->values, rows->size * count, sizeof(*rows->values));
    }
    memcpy(&rows->values[rows->count++ * count], values, count * sizeof(*values));
}

void db_rows_release(struct db_rows *rows)
{
    mem_free(rows->values);
    *rows = (struct db_rows){.count = 0};
}

int db_run_rows(struct db *db, const char *sql, const struct db_rows *rows, const struct db_value *args,
                size_t count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query_rows(db, sql, rows, args, count, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0)
        rc = 0;
    return rc < 0 ? rc : db_changes(stmt);
}
