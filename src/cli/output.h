/*
 * What commands print: JSON lines and tables on standard output, remarks on standard error. Text from outside
 * is escaped for the terminal. Main thread.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>

#include "cli/cli.h"

/* An object as it is printed, without the end of the line: nothing in it moves a terminal's cursor. Takes it;
 * the caller frees the text. */
char *json_line(json_t *take);
/* One object on a line of its own; takes it. */
void out_json(json_t *take);
/* A line of text, as it is. */
void out_line(const char *format, ...) PRINTF_LIKE(1, 2);
/* A line of text from outside, escaped. */
void out_text(const char *text);
/* "LABEL      text" with the text escaped; nothing if `text` is NULL or "". */
void out_field(const char *label, const char *text);
void out_field_f(const char *label, const char *format, ...) PRINTF_LIKE(2, 3);
/* ERR_IO if something could not be written (a full disk must not look like success). */
int out_flush(struct err *err) MUST_CHECK;

/* A remark for people on standard error; not with -q. */
void note(const struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);
/* An error on standard error: "sluice: …", or an object with `error`, `exit` and `message` with --json. */
void report(const struct cli *cli, const struct err *err);
/* The same with `file`, `field` and `reason` beside it, each of which may be NULL. */
void report_field(const struct cli *cli, const struct err *err, const char *file, const char *field,
                  const char *reason);

/* Text for JSON: what is not UTF-8 (a path may be anything) is escaped. NULL and "" give null. */
json_t *json_text(const char *text);
json_t *json_time(int64_t wall_ms); /* RFC 3339; 0 gives null */
/* A time for people; "" for 0. */
const char *time_text(char ret[32], int64_t wall_ms);

/* A table: cells row by row; printed with its columns aligned. */
struct table {
    const char *const *headers; /* NULL-terminated */
    size_t column_count;
    char **cells; /* owned */
    size_t cell_count;
};
void table_init(struct table *table, const char *const *headers);
void table_cell(struct table *table, const char *text); /* copied, escaped; NULL is "" */
void table_cell_f(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);
void table_print(const struct table *table); /* nothing at all if it has no rows */
void table_release(struct table *table);

#endif
