#include "multipart.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { HEADERS_MAX = 8192, HELD_MAX = 4 << 20 };

bool multipart_init(struct multipart *multipart, const char *content_type)
{
    *multipart = (struct multipart){0};
    const char *at = content_type ? strcasestr(content_type, "boundary=") : NULL;
    if (!at || strncasecmp(content_type, "multipart/", 10) != 0)
        return false;
    at += strlen("boundary=");
    bool is_quoted = *at == '"';
    at += is_quoted;
    size_t len = strcspn(at, is_quoted ? "\"" : "; ");
    if (len < 1 || len > 200)
        return false;
    AUTO_FREE char *name = mem_dup_n(at, len);
    multipart->boundary = mem_printf("--%s", name);
    buf_init(&multipart->held, HELD_MAX);
    return true;
}

void multipart_release(struct multipart *multipart)
{
    mem_free(multipart->boundary);
    mem_free(multipart->delimiter);
    buf_release(&multipart->held);
}

static void drop(struct buf *held, size_t len)
{
    memmove(held->data, held->data + len, held->len - len);
    held->len -= len;
    held->data[held->len] = '\0';
}

/* The steps below return whether they got on; if not, they need more bytes. */

static bool step_begin(struct multipart *multipart)
{
    struct buf *held = &multipart->held;
    size_t len = strlen(multipart->boundary);
    while (held->len > 0 && (*held->data == '\r' || *held->data == '\n'))
        drop(held, 1);
    if (held->len < len)
        return false;
    if (memcmp(held->data, multipart->boundary, len) != 0) {
        multipart->state = MULTIPART_BROKEN;
        return true;
    }
    drop(held, len);
    multipart->state = MULTIPART_LINE_END;
    return true;
}

static bool step_line_end(struct multipart *multipart)
{
    struct buf *held = &multipart->held;
    if (held->len < 2)
        return false;
    if (memcmp(held->data, "--", 2) == 0) {
        multipart->state = MULTIPART_END;
        return true;
    }
    const char *end = memchr(held->data, '\n', held->len);
    if (!end)
        return false;
    if (!multipart->delimiter) {
        multipart->line_end = end > held->data && end[-1] == '\r' ? "\r\n" : "\n";
        multipart->delimiter = mem_printf("%s%s", multipart->line_end, multipart->boundary);
    }
    drop(held, (size_t)(end - held->data) + 1);
    multipart->state = MULTIPART_HEADERS;
    multipart->part++;
    return true;
}

static bool step_headers(struct multipart *multipart)
{
    struct buf *held = &multipart->held;
    AUTO_FREE char *blank = mem_printf("%s%s", multipart->line_end, multipart->line_end);
    const char *end = memmem(held->data, held->len, blank, strlen(blank));
    if (!end && held->len > HEADERS_MAX)
        multipart->state = MULTIPART_BROKEN;
    if (!end)
        return multipart->state == MULTIPART_BROKEN;
    AUTO_FREE char *headers = mem_dup_n(held->data, (size_t)(end - held->data));
    multipart->on_headers(multipart->ctx, multipart->part, headers);
    drop(held, (size_t)(end - held->data) + strlen(blank));
    multipart->state = MULTIPART_DATA;
    return true;
}

static bool step_data(struct multipart *multipart)
{
    struct buf *held = &multipart->held;
    size_t delimiter_len = strlen(multipart->delimiter);
    const char *end = memmem(held->data, held->len, multipart->delimiter, delimiter_len);
    size_t len = end                         ? (size_t)(end - held->data)
                 : held->len < delimiter_len ? 0
                                             : held->len - delimiter_len + 1;
    if (len > 0)
        multipart->on_data(multipart->ctx, multipart->part, held->data, len);
    drop(held, len + (end ? delimiter_len : 0));
    if (end)
        multipart->state = MULTIPART_LINE_END;
    return end != NULL;
}

static bool step(struct multipart *multipart)
{
    switch (multipart->state) {
    case MULTIPART_BEGIN:
        return step_begin(multipart);
    case MULTIPART_LINE_END:
        return step_line_end(multipart);
    case MULTIPART_HEADERS:
        return step_headers(multipart);
    case MULTIPART_DATA:
        return step_data(multipart);
    case MULTIPART_END:
    case MULTIPART_BROKEN:
        buf_clear(&multipart->held);
        return false;
    }
    return false;
}

void multipart_feed(struct multipart *multipart, const char *data, size_t len)
{
    if (!buf_append(&multipart->held, data, len))
        multipart->state = MULTIPART_BROKEN;
    while (step(multipart))
        ;
}

bool multipart_is_complete(const struct multipart *multipart)
{
    return multipart->state == MULTIPART_END;
}
