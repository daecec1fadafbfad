/*
 * Reading for an upload. What the page cache has goes straight to where it is wanted: that is a copy in
 * memory, which cannot wait for a disk, and costs no thread and no second copy. At the first byte that is not
 * there, the reader turns to two windows for the rest of its range: while one is handed out, the other is
 * filled in libuv's pool; at most one pool request of a reader is under way.
 *
 * The digest is taken as bytes are handed out, while they are in the processor's cache: so it covers exactly
 * those at any moment, and no thread shares it.
 *
 * A guarded reader asks in the pool whether the file changed when all but the last window is out and that
 * window has been read: what is handed out last was read before the answer. That window always takes the way
 * through the pool.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "media/room.h"

enum { MESSAGE_BYTES = 512, QUEUED_DEADLINES = 4 };

struct window {
    char *data;
    size_t len;  /* bytes in it */
    size_t done; /* bytes handed out */
    bool is_full;
};

/* What the pool thread touches. It outlives the reader's trouble, not the reader: a reader that was closed
 * waits for it. */
struct pool_request {
    uv_work_t work;
    struct media_file *file;
    char *data; /* NULL: ask whether the file changed */
    size_t len;
    uint64_t first_byte;
    atomic_bool is_started;
    size_t got;
    bool is_changed;
    int code;
    char message[MESSAGE_BYTES];
};

struct media_reader {
    uv_loop_t *loop;
    struct media_file *file;
    struct media_reader_config config;
    struct window windows[2];
    bool is_direct;   /* the page cache has had everything so far */
    unsigned current; /* the window that is handed out, or waited for */
    uint64_t left_to_read;
    uint64_t left_to_give;
    uint64_t next_byte;
    struct pool_request request;
    bool is_busy;    /* the pool has the request */
    bool is_guarded; /* the last window may be handed out */
    bool is_wanted;  /* read() said 0: `more` is owed */
    uv_timer_t timer;
    int deadlines_waited;
    enum media_read state;
    char message[MESSAGE_BYTES];
    XXH3_state_t *digest;
    uint64_t digest_bytes;
    void (*closed)(void *ctx);
    void *closed_ctx;
    bool is_closing;
    bool is_timer_closed;
};

static void go_on(struct media_reader *reader);

/* ---- in the pool ---- */

static void ask_for_change(struct pool_request *request, struct err *err)
{
    request->code = media_changed_since_open(request->file, &request->is_changed, request->message,
                                             sizeof request->message, err);
}

static void read_window(struct pool_request *request, struct err *err)
{
    request->code =
        media_read_at(request->file, request->data, request->len, request->first_byte, &request->got, err);
    request->is_changed = request->code == 0 && request->got < request->len;
    if (request->is_changed)
        snprintf(request->message, sizeof request->message, "%s ends at byte %" PRIu64 " now",
                 request->file->shown, request->first_byte + request->got);
}

static void run_in_pool(uv_work_t *work)
{
    struct pool_request *request = work->data;
    struct err err = {0};
    atomic_store(&request->is_started, true);
    if (request->data)
        read_window(request, &err);
    else
        ask_for_change(request, &err);
    if (request->code)
        text_copy(request->message, sizeof request->message, err.message);
}

/* ---- the end ---- */

static void free_reader(struct media_reader *reader)
{
    mem_free(reader->windows[0].data);
    mem_free(reader->windows[1].data);
    XXH3_freeState(reader->digest);
    mem_free(reader);
}

static void free_if_done(struct media_reader *reader)
{
    if (!reader->is_closing || reader->is_busy || !reader->is_timer_closed)
        return;
    void (*closed)(void *ctx) = reader->closed;
    void *ctx = reader->closed_ctx;
    free_reader(reader);
    if (closed)
        closed(ctx);
}

static void timer_closed(uv_handle_t *handle)
{
    struct media_reader *reader = handle->data;
    reader->is_timer_closed = true;
    free_if_done(reader);
}

void media_reader_close(struct media_reader *reader, void (*closed)(void *ctx), void *ctx)
{
    if (!reader) {
        if (closed)
            closed(ctx);
        return;
    }
    reader->closed = closed;
    reader->closed_ctx = ctx;
    reader->is_closing = true;
    if (reader->is_busy)
        uv_cancel((uv_req_t *)&reader->request.work); /* if it has begun, it is waited for */
    uv_close((uv_handle_t *)&reader->timer, timer_closed);
}

/* ---- back on the loop ---- */

static void tell_more(struct media_reader *reader)
{
    if (!reader->is_wanted)
        return;
    reader->is_wanted = false;
    reader->config.more(reader->config.ctx);
}

static void set_trouble(struct media_reader *reader, enum media_read state, const char *message)
{
    if (reader->state != MEDIA_READ_OK)
        return;
    reader->state = state;
    text_copy(reader->message, sizeof reader->message, message);
}

static void take_window(struct media_reader *reader)
{
    struct pool_request *request = &reader->request;
    struct window *window = &reader->windows[request->data == reader->windows[1].data];
    window->len = request->len;
    window->done = 0;
    window->is_full = true;
    reader->next_byte += request->len;
    reader->left_to_read -= request->len;
}

static void take_answer(struct media_reader *reader)
{
    struct pool_request *request = &reader->request;
    if (request->code)
        set_trouble(reader, MEDIA_READ_IO, request->message);
    else if (request->is_changed)
        set_trouble(reader, MEDIA_READ_CHANGED, request->message);
    else if (request->data)
        take_window(reader);
    else
        reader->is_guarded = true;
}

static void pool_done(uv_work_t *work, int status)
{
    struct pool_request *request = work->data;
    struct media_reader *reader =
        (struct media_reader *)((char *)request - offsetof(struct media_reader, request));
    reader->is_busy = false;
    if (reader->is_closing) {
        free_if_done(reader);
        return;
    }
    uv_timer_stop(&reader->timer);
    if (status == 0 && reader->state == MEDIA_READ_OK)
        take_answer(reader);
    go_on(reader);
    tell_more(reader);
}

/* A request that still waits for a thread is not the disk's fault: it gets more time, but not for ever. */
static void deadline_over(uv_timer_t *timer)
{
    struct media_reader *reader = timer->data;
    char message[MESSAGE_BYTES], duration[32];
    reader->deadlines_waited++;
    if (!atomic_load(&reader->request.is_started) && reader->deadlines_waited < QUEUED_DEADLINES)
        return;
    uv_timer_stop(timer);
    snprintf(message, sizeof message, "reading %s took longer than %s", reader->file->shown,
             format_duration(duration, reader->config.deadline_ms * reader->deadlines_waited));
    set_trouble(reader, MEDIA_READ_IO, message);
    tell_more(reader);
}

static void submit(struct media_reader *reader, char *data, size_t len)
{
    struct pool_request *request = &reader->request;
    uint64_t deadline_ms = (uint64_t)reader->config.deadline_ms;
    memset(request, 0, sizeof *request);
    request->work.data = request;
    request->file = reader->file;
    request->data = data;
    request->len = len;
    request->first_byte = reader->next_byte;
    reader->is_busy = true;
    reader->deadlines_waited = 0;
    if (deadline_ms)
        uv_timer_start(&reader->timer, deadline_over, deadline_ms, deadline_ms);
    (void)uv_queue_work(reader->loop, &request->work, run_in_pool, pool_done);
}

static bool is_last_window(const struct media_reader *reader, const struct window *window)
{
    return reader->left_to_read == 0 && reader->left_to_give == window->len - window->done;
}

static bool is_withheld(const struct media_reader *reader, const struct window *window)
{
    return reader->config.guard_end && !reader->is_guarded && is_last_window(reader, window);
}

static struct window *empty_window(struct media_reader *reader)
{
    struct window *window = &reader->windows[reader->current];
    if (!window->is_full)
        return window;
    window = &reader->windows[!reader->current];
    return window->is_full ? NULL : window;
}

/* Starts what is to be done next in the pool, if anything and if the pool is not at it already. */
static void go_on(struct media_reader *reader)
{
    struct window *window = empty_window(reader);
    if (reader->is_busy || reader->is_direct || reader->state != MEDIA_READ_OK)
        return;
    if (reader->left_to_read && window) {
        size_t len = reader->left_to_read < reader->config.window_bytes ? (size_t)reader->left_to_read
                                                                        : reader->config.window_bytes;
        submit(reader, window->data, len);
        return;
    }
    const struct window *current = &reader->windows[reader->current];
    if (current->is_full && is_withheld(reader, current))
        submit(reader, NULL, 0);
}

/* ---- for the consumer ---- */

int media_reader_open(uv_loop_t *loop, struct media_file *file, const struct media_reader_config *config,
                      struct media_reader **ret, struct err *err)
{
    if (!config->window_bytes || !config->size_bytes || config->first_byte > media_size(file) ||
        config->size_bytes > media_size(file) - config->first_byte)
        return err_set(err, ERR_INVALID, "%s: not a range of the file", file->shown);
    struct media_reader *reader = mem_alloc(sizeof *reader);
    reader->loop = loop;
    reader->file = file;
    reader->config = *config;
    reader->next_byte = config->first_byte;
    reader->left_to_read = reader->left_to_give = config->size_bytes;
    reader->digest = XXH3_createState();
    if (!reader->digest) {
        mem_free(reader);
        return err_set(err, ERR_INTERNAL, "no memory for a digest");
    }
    XXH3_128bits_reset(reader->digest);
    reader->is_direct = true;
    uv_timer_init(loop, &reader->timer);
    reader->timer.data = reader;
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *ret = reader;
    return 0;
}

static void count_given(struct media_reader *reader, const void *data, size_t len)
{
    XXH3_128bits_update(reader->digest, data, len);
    reader->digest_bytes += len;
    reader->left_to_give -= len;
}

/* Bytes that the page cache may give directly: all but what must be guarded. */
static uint64_t direct_bytes(const struct media_reader *reader)
{
    uint64_t guarded = reader->config.guard_end ? reader->config.window_bytes : 0;
    return reader->left_to_read > guarded ? reader->left_to_read - guarded : 0;
}

/* The rest goes through windows of the pool. */
static void leave_direct(struct media_reader *reader)
{
    size_t window_bytes = reader->left_to_read < reader->config.window_bytes ? (size_t)reader->left_to_read
                                                                             : reader->config.window_bytes;
    reader->is_direct = false;
    reader->windows[0].data = mem_alloc(window_bytes);
    reader->windows[1].data = reader->left_to_read > window_bytes ? mem_alloc(window_bytes) : NULL;
}

static size_t give_directly(struct media_reader *reader, void *data, uint64_t len)
{
    uint64_t wanted = direct_bytes(reader) < len ? direct_bytes(reader) : len;
    ssize_t got = -1;
    if (wanted)
        got = media_pread_cached(reader->file->fd, data, (size_t)wanted, (off_t)reader->next_byte);
    if (got <= 0) {
        leave_direct(reader); /* also after an error or at an unexpected end: the pool tells what it is */
        return 0;
    }
    reader->next_byte += (uint64_t)got;
    reader->left_to_read -= (uint64_t)got;
    count_given(reader, data, (size_t)got);
    return (size_t)got;
}

static size_t give(struct media_reader *reader, struct window *window, void *data, uint64_t len)
{
    size_t given = window->len - window->done;
    if (len < given)
        given = (size_t)len;
    memcpy(data, window->data + window->done, given);
    count_given(reader, data, given);
    window->done += given;
    if (window->done == window->len) {
        window->is_full = false;
        reader->current = !reader->current;
    }
    return given;
}

int64_t media_reader_read(struct media_reader *reader, void *data, uint64_t len)
{
    if (reader->state != MEDIA_READ_OK)
        return -1;
    uint64_t given = 0;
    while (given < len && reader->left_to_give && reader->is_direct)
        given += give_directly(reader, (char *)data + given, len - given);
    while (given < len && reader->left_to_give && !reader->is_direct) {
        struct window *window = &reader->windows[reader->current];
        if (!window->is_full || is_withheld(reader, window))
            break;
        given += give(reader, window, (char *)data + given, len - given);
    }
    go_on(reader);
    reader->is_wanted = given == 0 && reader->left_to_give;
    return (int64_t)given;
}

enum media_read media_reader_state(const struct media_reader *reader, const char **ret_message)
{
    if (ret_message)
        *ret_message = reader->message;
    return reader->state;
}

void media_reader_digest(const struct media_reader *reader, unsigned char ret[MEDIA_DIGEST_SIZE],
                         uint64_t *ret_bytes)
{
    media_digest_end(reader->digest, ret);
    if (ret_bytes)
        *ret_bytes = reader->digest_bytes;
}
