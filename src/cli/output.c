#include "cli/output.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"

enum { TEXT_LEN_MAX = 1048576, LABEL_WIDTH = 12 };

char *json_line(json_t *take)
{
    enum { ESCAPED_LEN_MAX = 6 }; /* of one byte */
    char *text = json_dumps(take, JSON_COMPACT);
    json_decref(take);
    struct buf safe AUTO_BUF = BUF_INIT(text ? strlen(text) * ESCAPED_LEN_MAX + 1 : 1);
    text_escape_json(&safe, text ? text : "");
    mem_free(text);
    return buf_take_text(&safe);
}

void out_json(json_t *take)
{
    char *line AUTO_FREE = json_line(take);
    if (*line)
        puts(line);
    fflush(stdout);
}

void out_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void put_escaped(FILE *file, const char *text)
{
    struct buf safe AUTO_BUF = BUF_INIT(TEXT_LEN_MAX);
    text_escape(&safe, text, false);
    fputs(safe.data, file);
}

void out_text(const char *text)
{
    put_escaped(stdout, text);
    putchar('\n');
}

void out_field(const char *label, const char *text)
{
    if (!text || !*text)
        return;
    printf("%-*s ", LABEL_WIDTH, label);
    put_escaped(stdout, text);
    putchar('\n');
}

static char *format_args(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    assert(len >= 0);
    char *text = mem_alloc((size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    return text;
}

void out_field_f(const char *label, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text AUTO_FREE = format_args(format, args);
    va_end(args);
    out_field(label, text);
}

int out_flush(struct err *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_set_errno(err, ERR_IO, errno, "writing to standard output");
    return 0;
}

void note(const struct cli *cli, const char *format, ...)
{
    if (cli->quiet)
        return;
    va_list args;
    va_start(args, format);
    char *text AUTO_FREE = format_args(format, args);
    va_end(args);
    put_escaped(stderr, text);
    fputc('\n', stderr);
}

static void report_json(const struct err *err, const char *file, const char *field, const char *reason)
{
    json_t *object = json_pack("{s:s, s:i, s:o}", "error", err_name(err->code), "exit",
                               err_exit_code(err->code), "message", json_text(err->message));
    if (file)
        json_object_set_new(object, "file", json_text(file));
    if (field)
        json_object_set_new(object, "field", json_text(field));
    if (reason)
        json_object_set_new(object, "reason", json_text(reason));
    char *line AUTO_FREE = json_line(object);
    fprintf(stderr, "%s\n", *line ? line : "{}");
}

void report_field(const struct cli *cli, const struct err *err, const char *file, const char *field,
                  const char *reason)
{
    fflush(stdout);
    if (cli->json) {
        report_json(err, file, field, reason);
        return;
    }
    struct buf line AUTO_BUF = BUF_INIT(TEXT_LEN_MAX);
    buf_puts(&line, "sluice: ");
    if (file)
        buf_printf(&line, "%s: ", file);
    if (field)
        buf_printf(&line, "%s: ", field);
    buf_puts(&line, err->message);
    if (reason && *reason)
        buf_printf(&line, " (%s)", reason);
    put_escaped(stderr, line.data);
    fputc('\n', stderr);
}

void report(const struct cli *cli, const struct err *err)
{
    report_field(cli, err, NULL, NULL, NULL);
}

json_t *json_text(const char *text)
{
    if (!text || !*text)
        return json_null();
    if (utf8_is_valid(text, strlen(text)))
        return json_string(text);
    struct buf safe AUTO_BUF = BUF_INIT(TEXT_LEN_MAX);
    text_escape(&safe, text, false);
    return json_string(safe.data);
}

json_t *json_time(int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    if (wall_ms == 0)
        return json_null();
    format_time(text, wall_ms);
    return json_string(text);
}

const char *time_text(char ret[32], int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    ret[0] = '\0';
    if (wall_ms == 0)
        return ret;
    format_time(text, wall_ms);
    char *fraction = strchr(text, '.');
    if (fraction)
        *fraction = '\0';
    char *t = strchr(text, 'T');
    if (t)
        *t = ' ';
    snprintf(ret, 32, "%s%s", text, fraction ? "Z" : "");
    return ret;
}

/* ---- tables ---- */

void table_init(struct table *table, const char *const *headers)
{
    *table = (struct table){.headers = headers};
    while (headers[table->column_count])
        table->column_count++;
}

void table_cell(struct table *table, const char *text)
{
    struct buf safe;
    buf_init(&safe, TEXT_LEN_MAX);
    text_escape(&safe, text ? text : "", false);
    table->cells = mem_grow(table->cells, table->cell_count + 1, sizeof(*table->cells));
    table->cells[table->cell_count++] = buf_take_text(&safe);
}

void table_cell_f(struct table *table, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text AUTO_FREE = format_args(format, args);
    va_end(args);
    table_cell(table, text);
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t width = utf8_length(table->headers[column]);
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t len = utf8_length(table->cells[i]);
        width = len > width ? len : width;
    }
    return width;
}

static void print_cell(const char *text, size_t width, bool is_last)
{
    size_t len = utf8_length(text);
    fputs(text, stdout);
    if (is_last)
        putchar('\n');
    else
        printf("%*s", (int)(width > len ? width - len : 0) + 2, "");
}

void table_print(const struct table *table)
{
    if (table->cell_count == 0)
        return;
    size_t *widths AUTO_FREE = mem_alloc_array(table->column_count, sizeof(*widths));
    for (size_t c = 0; c < table->column_count; c++)
        widths[c] = column_width(table, c);
    for (size_t c = 0; c < table->column_count; c++)
        print_cell(table->headers[c], widths[c], c + 1 == table->column_count);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t c = i % table->column_count;
        print_cell(table->cells[i], widths[c], c + 1 == table->column_count);
    }
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        mem_free(table->cells[i]);
    mem_free(table->cells);
    *table = (struct table){0};
}
