/* Many rows in one execution: a column goes out as one array, in Postgres's binary form. */
#include <endian.h>
#include <string.h>

#include "store/db_postgres.h"

enum { ARRAYS_LEN_MAX = 64 << 20, OID_BYTEA_ARRAY = 1001, OID_TEXT_ARRAY = 1009, OID_INT8_ARRAY = 1016 };

static const struct {
    const char *name;
    Oid element, array;
} types_of[] = {[DB_INT] = {"bigint", OID_INT8, OID_INT8_ARRAY},
                [DB_TEXT] = {"text", OID_TEXT, OID_TEXT_ARRAY},
                [DB_BLOB] = {"bytea", OID_BYTEA, OID_BYTEA_ARRAY}};

void postgres_build_rows(const struct db_columns *columns, struct buf *sql)
{
    buf_puts(sql, columns->place == DB_ROWS_JOIN ? "cross join " : "from ");
    for (uint32_t i = 0; i < columns->count; i++)
        buf_printf(sql, "%s$%u::%s[]", i ? ", " : "unnest(", i + 1, types_of[columns->items[i].type].name);
    for (uint32_t i = 0; i < columns->count; i++)
        buf_printf(sql, "%s%s", i ? ", " : ") as r (", columns->items[i].name);
    buf_puts(sql, columns->place == DB_ROWS_OVER ? ") cross join lateral" : ")");
}

void postgres_build_row_value(const char *name, size_t len, uint32_t at, struct buf *sql)
{
    (void)at;
    buf_append(sql, name, len);
}

static void put_u32(struct buf *buf, uint32_t value)
{
    value = htobe32(value);
    buf_append(buf, &value, sizeof(value));
}

static void put_value(struct buf *buf, const struct db_value *value)
{
    uint64_t number = htobe64((uint64_t)value->number);
    size_t len = value->type == DB_TEXT ? strlen(value->data) : value->len;
    if (value->type == DB_NULL) {
        put_u32(buf, UINT32_MAX);
    } else if (value->type == DB_INT) {
        put_u32(buf, sizeof(number));
        buf_append(buf, &number, sizeof(number));
    } else {
        put_u32(buf, (uint32_t)len);
        buf_append(buf, value->data, len);
    }
}

/* Dimensions, whether there are NULLs (it may say so where there are none), type; length and first index of
 * the one dimension; then length and bytes of each value. */
static void put_array(struct buf *buf, const struct db_columns *columns, uint32_t column,
                      const struct db_rows *rows)
{
    put_u32(buf, 1);
    put_u32(buf, 1);
    put_u32(buf, types_of[columns->items[column].type].element);
    put_u32(buf, rows->count);
    put_u32(buf, 1);
    for (uint32_t row = 0; row < rows->count; row++)
        put_value(buf, &rows->values[row * columns->count + column]);
}

void postgres_build_arrays(const struct db_columns *columns, const struct db_rows *rows, struct buf *ret,
                           Oid *types, const char **values, int *lengths)
{
    size_t begins[DB_PARAMS_MAX];
    buf_init(ret, ARRAYS_LEN_MAX);
    for (uint32_t i = 0; i < columns->count; i++) {
        begins[i] = ret->len;
        put_array(ret, columns, i, rows);
        lengths[i] = (int)(ret->len - begins[i]);
        types[i] = types_of[columns->items[i].type].array;
    }
    for (uint32_t i = 0; i < columns->count; i++) /* the buffer moves no more */
        values[i] = ret->data + begins[i];
}
