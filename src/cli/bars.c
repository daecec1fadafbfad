#include "cli/bars.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/progress.h"

enum { REDRAW_MS = 100, PLAIN_LINE_MS = 5000, ROWS_MAX = 20, SCREEN_LEN_MAX = 65536 };

struct bar {
    struct job_id job;
    struct progress progress;
    bool is_shown; /* it has begun and has not left yet */
    int64_t line_at_ms;
};

struct bars {
    pthread_mutex_t mutex; /* the screen: log lines come from any thread */
    bool is_quiet;
    bool is_terminal;
    struct bar *items;
    uint32_t count;
    uint32_t rows_drawn;
    int64_t drawn_at_ms;
};

/* ---- the screen ---- */

static void put_screen(const struct buf *text)
{
    const char *at = text->data;
    size_t left = text->len;
    while (left > 0) {
        ssize_t len = write(STDERR_FILENO, at, left);
        if (len <= 0)
            return;
        at += len;
        left -= (size_t)len;
    }
}

static void screen_size(uint32_t *ret_columns, uint32_t *ret_rows)
{
    struct winsize size;
    bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *ret_columns = is_known ? size.ws_col : 80;
    *ret_rows = is_known ? size.ws_row : 24;
}

/* Takes the drawn bars away; what is written next stands in their place. */
static void put_erasure(struct bars *bars, struct buf *text)
{
    if (bars->rows_drawn > 0)
        buf_printf(text, "\x1b[%uA", bars->rows_drawn);
    buf_puts(text, "\r\x1b[J");
    bars->rows_drawn = 0;
}

static void put_bars(struct bars *bars, struct buf *text)
{
    uint32_t columns, rows, hidden = 0;
    int64_t now = clock_mono_ms();
    screen_size(&columns, &rows);
    rows = rows > 3 ? rows - 3 : 1;
    rows = rows < ROWS_MAX ? rows : ROWS_MAX;
    for (uint32_t i = 0; i < bars->count; i++) {
        if (!bars->items[i].is_shown)
            continue;
        if (bars->rows_drawn == rows) {
            hidden++;
            continue;
        }
        progress_bar(&bars->items[i].progress, columns - 1, now, text);
        buf_putc(text, '\n');
        bars->rows_drawn++;
    }
    if (hidden > 0) {
        buf_printf(text, "and %u more\n", hidden);
        bars->rows_drawn++;
    }
}

static void redraw(struct bars *bars, bool at_once)
{
    struct buf text AUTO_BUF = BUF_INIT(SCREEN_LEN_MAX);
    int64_t now = clock_mono_ms();
    if (!at_once && now - bars->drawn_at_ms < REDRAW_MS)
        return;
    bars->drawn_at_ms = now;
    put_erasure(bars, &text);
    put_bars(bars, &text);
    put_screen(&text);
}

/* A line that stays, above the bars. */
static void write_line(struct bars *bars, const char *line, size_t len)
{
    struct buf text AUTO_BUF = BUF_INIT(SCREEN_LEN_MAX);
    if (bars->is_terminal && !bars->is_quiet)
        put_erasure(bars, &text);
    buf_append(&text, line, len);
    if (bars->is_terminal && !bars->is_quiet)
        put_bars(bars, &text);
    put_screen(&text);
}

static void on_log_line(void *ctx, const char *line, size_t len)
{
    struct bars *bars = ctx;
    pthread_mutex_lock(&bars->mutex);
    write_line(bars, line, len);
    pthread_mutex_unlock(&bars->mutex);
}

/* ---- jobs ---- */

struct bars *bars_open(bool quiet)
{
    struct bars *bars = mem_alloc(sizeof(*bars));
    const char *terminal = getenv("TERM");
    pthread_mutex_init(&bars->mutex, NULL);
    bars->is_quiet = quiet;
    bars->is_terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    log_set_sink(on_log_line, bars);
    return bars;
}

void bars_add(struct bars *bars, struct job_id job, const char *name, uint64_t size_bytes)
{
    pthread_mutex_lock(&bars->mutex);
    bars->items = mem_grow(bars->items, bars->count + 1, sizeof(*bars->items));
    struct bar *bar = &bars->items[bars->count++];
    *bar = (struct bar){.job = job};
    progress_init(&bar->progress, name, size_bytes);
    pthread_mutex_unlock(&bars->mutex);
}

static struct bar *find_bar(struct bars *bars, const struct job_id *job)
{
    for (uint32_t i = 0; i < bars->count; i++)
        if (strcmp(bars->items[i].job.text, job->text) == 0)
            return &bars->items[i];
    return NULL;
}

static void say_plainly(struct bars *bars, struct bar *bar, int64_t now, bool left)
{
    struct buf line AUTO_BUF = BUF_INIT(1024);
    if (!left && now - bar->line_at_ms < PLAIN_LINE_MS)
        return;
    bar->line_at_ms = now;
    progress_line(&bar->progress, now, &line);
    buf_putc(&line, '\n');
    write_line(bars, line.data, line.len);
}

/* The last state of a job that leaves stays on the screen as a line. */
static void keep_last(struct bars *bars, struct bar *bar, int64_t now)
{
    struct buf line AUTO_BUF = BUF_INIT(4096);
    uint32_t columns, rows;
    screen_size(&columns, &rows);
    progress_bar(&bar->progress, columns - 1, now, &line);
    buf_putc(&line, '\n');
    write_line(bars, line.data, line.len);
}

static void update_bar(struct bars *bars, struct bar *bar, bool left)
{
    int64_t now = clock_mono_ms();
    bool was_shown = bar->is_shown;
    if (!bars->is_terminal) {
        say_plainly(bars, bar, now, left && was_shown);
        bar->is_shown = !left;
        return;
    }
    bar->is_shown = !left;
    if (left && was_shown)
        keep_last(bars, bar, now);
    else
        redraw(bars, false);
}

void bars_update(struct bars *bars, struct job_id job, uint64_t confirmed_bytes, uint64_t sent_bytes,
                 const char *doing, bool left)
{
    pthread_mutex_lock(&bars->mutex);
    struct bar *bar = find_bar(bars, &job);
    if (bar)
        progress_update(&bar->progress, confirmed_bytes, sent_bytes, doing, clock_mono_ms());
    if (bar && !bars->is_quiet)
        update_bar(bars, bar, left);
    pthread_mutex_unlock(&bars->mutex);
}

void bars_say(struct bars *bars, const char *text)
{
    struct buf line AUTO_BUF = BUF_INIT(SCREEN_LEN_MAX);
    if (bars->is_quiet)
        return;
    text_escape(&line, text, false);
    buf_putc(&line, '\n');
    pthread_mutex_lock(&bars->mutex);
    write_line(bars, line.data, line.len);
    pthread_mutex_unlock(&bars->mutex);
}

void bars_close(struct bars *bars)
{
    if (!bars)
        return;
    log_set_sink(NULL, NULL);
    if (bars->is_terminal && !bars->is_quiet)
        redraw(bars, true);
    pthread_mutex_destroy(&bars->mutex);
    mem_free(bars->items);
    mem_free(bars);
}
