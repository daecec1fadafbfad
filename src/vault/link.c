#include "vault/link.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { FIRST_READ_BYTES = 5400 }; /* one block of the pool, and enough for all but an import */

struct link {
    uv_pipe_t pipe;
    struct link_events events;
    struct secret input;
    size_t input_len;
    bool is_paused;
    bool has_ended;
    bool is_closing;
};

struct outgoing {
    uv_write_t write;
    struct secret frame;
    struct link *link;
};

static void end(struct link *link, const char *why)
{
    if (link->has_ended || link->is_closing)
        return;
    link->has_ended = true;
    uv_read_stop((uv_stream_t *)&link->pipe);
    link->events.ended(link->events.ctx, why);
}

/* ---- in ---- */

static void give_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct link *link = handle->data;
    (void)suggested;
    *ret = uv_buf_init(link->input.data + link->input_len, (unsigned)(link->input.len - link->input_len));
}

static size_t frame_len(const struct link *link)
{
    const unsigned char *head = (const unsigned char *)link->input.data;
    return (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
}

static void make_room(struct link *link, size_t bytes)
{
    struct secret larger AUTO_SECRET = {0};
    if (bytes <= link->input.len)
        return;
    secret_reserve(&larger, bytes);
    memcpy(larger.data, link->input.data, link->input_len);
    secret_move(&link->input, &larger);
}

static void drop_front(struct link *link, size_t bytes)
{
    size_t rest = link->input_len - bytes;
    memmove(link->input.data, link->input.data + bytes, rest);
    secret_wipe(link->input.data + rest, bytes);
    link->input_len = rest;
}

/* One whole frame, if there is one. */
static bool take_frame(struct link *link)
{
    if (link->has_ended || link->is_closing || link->is_paused || link->input_len < MESSAGE_HEAD_BYTES)
        return false;
    size_t len = frame_len(link);
    if (len > MESSAGE_LEN_MAX) {
        end(link, "a message over the limit");
        return false;
    }
    make_room(link, MESSAGE_HEAD_BYTES + len);
    if (link->input_len < MESSAGE_HEAD_BYTES + len)
        return false;
    link->events.frame(link->events.ctx, link->input.data + MESSAGE_HEAD_BYTES, len);
    drop_front(link, MESSAGE_HEAD_BYTES + len);
    return true;
}

static void take_frames(struct link *link)
{
    while (take_frame(link))
        ;
}

static void has_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *memory)
{
    struct link *link = stream->data;
    (void)memory;
    if (got < 0) {
        end(link, got == UV_EOF ? "closed" : uv_strerror((int)got));
        return;
    }
    link->input_len += (size_t)got;
    take_frames(link);
}

/* ---- a pause ---- */

void link_pause(struct link *link)
{
    if (link_backlog(link) == 0)
        return;
    link->is_paused = true;
    uv_read_stop((uv_stream_t *)&link->pipe);
}

static void resume(struct link *link)
{
    link->is_paused = false;
    take_frames(link);
    if (!link->is_paused && !link->has_ended && !link->is_closing)
        uv_read_start((uv_stream_t *)&link->pipe, give_memory, has_read);
}

/* ---- out ---- */

static void has_written(uv_write_t *write, int status)
{
    struct outgoing *outgoing = write->data;
    struct link *link = outgoing->link;
    secret_release(&outgoing->frame);
    mem_free(outgoing);
    if (status < 0 && status != UV_ECANCELED)
        end(link, uv_strerror(status));
    else if (link->is_paused && !link->has_ended && !link->is_closing && link_backlog(link) == 0)
        resume(link);
}

void link_send(struct link *link, struct secret *frame, size_t len)
{
    struct outgoing *outgoing = mem_alloc(sizeof(*outgoing));
    outgoing->link = link;
    outgoing->write.data = outgoing;
    secret_move(&outgoing->frame, frame);
    uv_buf_t bytes = uv_buf_init(outgoing->frame.data, (unsigned)len);
    if (link->is_closing || link->has_ended ||
        uv_write(&outgoing->write, (uv_stream_t *)&link->pipe, &bytes, 1, has_written) != 0) {
        secret_release(&outgoing->frame);
        mem_free(outgoing);
    }
}

size_t link_backlog(const struct link *link)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&link->pipe);
}

/* ---- life ---- */

int link_open(uv_loop_t *loop, int fd, const struct link_events *events, struct link **ret, struct err *err)
{
    struct link *link = mem_alloc(sizeof(*link));
    link->events = *events;
    uv_pipe_init(loop, &link->pipe, 0);
    link->pipe.data = link;
    secret_reserve(&link->input, FIRST_READ_BYTES);
    int code = uv_pipe_open(&link->pipe, fd);
    if (code != 0)
        close(fd);
    if (code == 0)
        code = uv_read_start((uv_stream_t *)&link->pipe, give_memory, has_read);
    if (code != 0) {
        link_close(link);
        return err_set(err, ERR_IO, "the broker's socket: %s", uv_strerror(code));
    }
    *ret = link;
    return 0;
}

static void has_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    secret_release(&link->input);
    mem_free(link);
}

void link_close(struct link *link)
{
    if (!link || link->is_closing)
        return;
    link->is_closing = true;
    uv_close((uv_handle_t *)&link->pipe, has_closed);
}
