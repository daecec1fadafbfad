#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"

enum {
    NAME_COLUMNS = 20,
    NUMBERS_COLUMNS = 58, /* percent, bytes, speed, time left at their longest */
    BAR_COLUMNS_MAX = 30,
    BAR_COLUMNS_MIN = 10,
    SPEED_AGE_MS = 15000, /* older samples say nothing about now */
};

void progress_init(struct progress *progress, const char *name, uint64_t size_bytes)
{
    *progress = (struct progress){.size_bytes = size_bytes};
    struct buf safe AUTO_BUF = BUF_INIT(4096);
    text_escape(&safe, name, false);
    text_copy(progress->name, sizeof(progress->name), safe.data);
    text_copy(progress->doing, sizeof(progress->doing), "queued");
}

static uint64_t moved(const struct progress *progress)
{
    uint64_t bytes = progress->confirmed_bytes + progress->sent_bytes;
    return bytes < progress->size_bytes ? bytes : progress->size_bytes;
}

/* A server that kept less than was sent throws the count back: what was measured before is void. */
static void add_sample(struct progress *progress, int64_t mono_ms)
{
    uint32_t count = progress->sample_count;
    uint64_t bytes = moved(progress);
    if (count > 0 && bytes < progress->samples[progress->newest].bytes)
        count = progress->sample_count = 0;
    if (count > 0 && mono_ms - progress->samples[progress->newest].mono_ms < PROGRESS_SAMPLE_MS)
        return;
    progress->newest = count == 0 ? 0 : (progress->newest + 1) % PROGRESS_SAMPLES;
    progress->samples[progress->newest].mono_ms = mono_ms;
    progress->samples[progress->newest].bytes = bytes;
    if (count < PROGRESS_SAMPLES)
        progress->sample_count++;
}

void progress_update(struct progress *progress, uint64_t confirmed_bytes, uint64_t sent_bytes,
                     const char *doing, int64_t mono_ms)
{
    progress->confirmed_bytes = confirmed_bytes;
    progress->sent_bytes = sent_bytes;
    if (doing) {
        struct buf safe AUTO_BUF = BUF_INIT(4096);
        text_escape(&safe, doing, false);
        text_copy(progress->doing, sizeof(progress->doing), safe.data);
    }
    add_sample(progress, mono_ms);
}

uint64_t progress_speed(const struct progress *progress, int64_t mono_ms)
{
    uint32_t i = progress->newest;
    int64_t span_ms = 0;
    uint64_t bytes = moved(progress), from = bytes;
    for (uint32_t n = 0; n < progress->sample_count; n++) {
        if (mono_ms - progress->samples[i].mono_ms > SPEED_AGE_MS)
            break;
        span_ms = mono_ms - progress->samples[i].mono_ms;
        from = progress->samples[i].bytes;
        i = (i + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;
    }
    return span_ms >= PROGRESS_SAMPLE_MS && bytes > from ? (bytes - from) * 1000 / (uint64_t)span_ms : 0;
}

static uint64_t percent_of(const struct progress *progress)
{
    if (progress->size_bytes == 0)
        return 0;
    return (uint64_t)((__uint128_t)progress->confirmed_bytes * 100 / progress->size_bytes);
}

/* "8.1 MiB/s, 1 min 20 s left", or nothing. */
static void put_speed(const struct progress *progress, int64_t mono_ms, const char *between, struct buf *ret)
{
    char text[32];
    uint64_t speed = progress_speed(progress, mono_ms);
    if (speed == 0)
        return;
    uint64_t left_ms = (uint64_t)((__uint128_t)(progress->size_bytes - moved(progress)) * 1000 / speed);
    buf_printf(ret, "%s%s/s", between, format_bytes(text, speed));
    if (left_ms > 0 && left_ms < INT64_MAX)
        buf_printf(ret, "%s%s left", between, format_duration(text, (int64_t)left_ms));
}

void progress_line(const struct progress *progress, int64_t mono_ms, struct buf *ret)
{
    char done[32], size[32];
    buf_printf(ret, "%s: %" PRIu64 " %% (%s of %s)", progress->name, percent_of(progress),
               format_bytes(done, progress->confirmed_bytes), format_bytes(size, progress->size_bytes));
    put_speed(progress, mono_ms, ", ", ret);
    buf_printf(ret, ", %s", progress->doing);
}

/* The first `columns` code points of `text`, filled up with blanks. */
static void put_fitted(struct buf *ret, const char *text, uint32_t columns)
{
    uint32_t used = 0;
    size_t len = strlen(text);
    while (*text && used < columns) {
        uint32_t point;
        size_t step = utf8_decode(text, len, &point);
        if (step == 0)
            break;
        buf_append(ret, text, step);
        text += step;
        len -= step;
        used++;
    }
    for (; used < columns; used++)
        buf_putc(ret, ' ');
}

static void put_cells(const struct progress *progress, uint32_t columns, struct buf *ret)
{
    uint64_t size = progress->size_bytes ? progress->size_bytes : 1;
    uint32_t confirmed = (uint32_t)((__uint128_t)progress->confirmed_bytes * columns / size);
    uint32_t sent = (uint32_t)((__uint128_t)moved(progress) * columns / size);
    buf_putc(ret, '[');
    for (uint32_t i = 0; i < columns; i++)
        buf_putc(ret, i < confirmed ? '#' : i < sent ? '-' : ' ');
    buf_putc(ret, ']');
}

/* As wide as leaves room for the numbers; the same for every state, so that it does not jump. */
static uint32_t bar_columns(uint32_t width)
{
    uint32_t columns = width > NAME_COLUMNS + NUMBERS_COLUMNS ? width - NAME_COLUMNS - NUMBERS_COLUMNS : 0;
    if (columns < BAR_COLUMNS_MIN)
        return BAR_COLUMNS_MIN;
    return columns < BAR_COLUMNS_MAX ? columns : BAR_COLUMNS_MAX;
}

void progress_bar(const struct progress *progress, uint32_t width, int64_t mono_ms, struct buf *ret)
{
    struct buf line AUTO_BUF = BUF_INIT(4096);
    char done[32], size[32];
    bool is_sending = strcmp(progress->doing, PROGRESS_SENDING) == 0;
    put_fitted(&line, progress->name, NAME_COLUMNS);
    buf_putc(&line, ' ');
    put_cells(progress, bar_columns(width), &line);
    buf_printf(&line, " %3" PRIu64 " %%  %s/%s", percent_of(progress),
               format_bytes(done, progress->confirmed_bytes), format_bytes(size, progress->size_bytes));
    if (is_sending)
        put_speed(progress, mono_ms, "  ", &line);
    if (!is_sending || progress_speed(progress, mono_ms) == 0)
        buf_printf(&line, "  %s", progress->doing);
    uint32_t columns = (uint32_t)utf8_length(line.data);
    put_fitted(ret, line.data, columns < width ? columns : width);
}
