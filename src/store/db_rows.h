/*
 * Statements over many rows of values, with one SQL text for both engines.
 *
 * `update job set state = {r.state} {from rows id:text state:text} where id = {r.id}`: columns (int, text,
 * blob) are declared once, and {r.…} is a column's value. They are the parameters $1, $2, …; other
 * parameters follow. The rows stand
 * - {from rows …}: alone, in an update, or a select or insert without another table;
 * - {join rows …}: beside the tables before it: `from job {join rows id:text} where job.id = {r.id}`;
 * - {over rows …}: before a sub-select that is done for each of them: `{over rows n:int} (select …) as w`.
 *
 * Postgres runs the statement once, with each column as one array. SQLite runs its prepared statement once a
 * row, and the rows are nothing but its parameters. So a statement must not see what it does for another of
 * its rows, and what it returns carries the row's key: rows that it finds nothing for are not in the result.
 */
#ifndef STORE_DB_ROWS_H
#define STORE_DB_ROWS_H

#include "store/db.h"

enum { DB_ROWS_ARGS_MAX = 8 }; /* values beside the rows */

enum db_rows_place { DB_ROWS_FROM, DB_ROWS_JOIN, DB_ROWS_OVER };

/* What a statement says of its rows. */
struct db_columns {
    enum db_rows_place place;
    uint32_t count; /* 0: it has none */
    struct {
        char name[32];
        int type; /* DB_INT, DB_TEXT, DB_BLOB */
    } items[DB_PARAMS_MAX];
};

/* Values, row by row; what texts and blobs point to lives until the statement's end. */
struct db_rows {
    uint32_t count, size;
    struct db_value *values; /* owned */
};

/* `count` is that of the statement's columns, each time. */
void db_rows_add(struct db_rows *rows, const struct db_value *values, size_t count);
void db_rows_release(struct db_rows *rows);
#define AUTO_ROWS CLEANUP(db_rows_release)

/* As db_query() and db_run(); no rows: nothing is asked, and nothing comes. */
int db_query_rows(struct db *db, const char *sql, const struct db_rows *rows, const struct db_value *args,
                  size_t count, struct db_stmt **ret, struct err *err) MUST_CHECK;
int db_run_rows(struct db *db, const char *sql, const struct db_rows *rows, const struct db_value *args,
                size_t count, struct err *err) MUST_CHECK;

/* ---- for db.c and the drivers ---- */

/* Reads "from rows id:text epoch:int", the inside of the braces; false: it is something else. */
bool db_columns_parse(const char *word, size_t len, struct db_columns *ret);
/* The $n of "r.id"; 0: it is something else. */
uint32_t db_columns_find(const struct db_columns *columns, const char *word, size_t len);

#endif
