#include "base/log.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/text.h"

enum { LINE_LEN_MAX = 8192 };

static struct {
    enum log_level level_max;
    enum log_format format;
    bool journal;
    void (*sink)(void *ctx, const char *line, size_t len);
    void *sink_ctx;
} settings = {.level_max = LOG_INFO};

void log_setup(enum log_level level_max, enum log_format format)
{
    settings.level_max = level_max;
    settings.format = format;
    settings.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_sink(void (*sink)(void *ctx, const char *line, size_t len), void *ctx)
{
    settings.sink = sink;
    settings.sink_ctx = ctx;
}

static const char *level_name(enum log_level level)
{
    return level == LOG_ERROR ? "error" : level == LOG_WARN ? "warn" : level == LOG_INFO ? "info" : "debug";
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+", *text))
            return false;
    return true;
}

static void put_logfmt(struct buf *line, const char *key, const char *text)
{
    buf_printf(line, "%s%s=", line->len ? " " : "", key);
    if (*text && is_plain(text)) {
        buf_puts(line, text);
        return;
    }
    buf_putc(line, '"');
    text_escape(line, text, true);
    buf_putc(line, '"');
}

/* JSON has no \u{…}: what text_escape() made safe is escaped once more as plain text. */
static void put_json(struct buf *line, const char *key, const char *text)
{
    struct buf safe AUTO_BUF = BUF_INIT(LINE_LEN_MAX);
    text_escape(&safe, text, false);
    buf_printf(line, "%s\"%s\":\"", line->len ? "," : "{", key);
    for (const char *at = safe.data; *at; at++) {
        if (*at == '"' || *at == '\\')
            buf_putc(line, '\\');
        buf_putc(line, *at);
    }
    buf_putc(line, '"');
}

static void put_text(struct buf *line, const char *key, const char *text)
{
    if (settings.format == LOG_JSON)
        put_json(line, key, text);
    else
        put_logfmt(line, key, text);
}

static void put_number(struct buf *line, const struct log_field *field)
{
    if (settings.format == LOG_JSON)
        buf_printf(line, ",\"%s\":", field->key);
    else
        buf_printf(line, " %s=", field->key);
    if (field->type == LOG_FIELD_I64)
        buf_printf(line, "%lld", (long long)field->i64);
    else
        buf_printf(line, "%llu", (unsigned long long)field->u64);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    if (level > settings.level_max)
        return;
    struct buf line AUTO_BUF = BUF_INIT(LINE_LEN_MAX);
    char when[TIME_TEXT_SIZE];
    format_time(when, clock_wall_ms());
    put_text(&line, "ts", when);
    put_text(&line, "level", level_name(level));
    put_text(&line, "msg", message);
    for (size_t i = 0; i < count; i++) {
        if (!fields[i].key)
            continue;
        if (fields[i].type != LOG_FIELD_TEXT)
            put_number(&line, &fields[i]);
        else if (fields[i].text)
            put_text(&line, fields[i].key, fields[i].text);
    }

    struct buf whole AUTO_BUF = BUF_INIT(LINE_LEN_MAX + 16);
    if (settings.journal)
        buf_printf(&whole, "<%d>", (int)level);
    buf_append(&whole, line.data, line.len);
    buf_puts(&whole, settings.format == LOG_JSON ? "}\n" : "\n");
    if (settings.sink)
        settings.sink(settings.sink_ctx, whole.data, whole.len);
    else if (write(STDERR_FILENO, whole.data, whole.len) < 0)
        return; /* a log that cannot be written must not stop the service (F13) */
}
