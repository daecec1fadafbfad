#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

char buf_empty[1] = "";

void buf_init(struct buf *buf, size_t len_max)
{
    *buf = (struct buf){.data = buf_empty, .len_max = len_max};
}

void buf_release(struct buf *buf)
{
    if (buf->size)
        mem_free(buf->data);
    buf_init(buf, buf->len_max);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
    if (buf->size)
        buf->data[0] = '\0';
}

/* A copy and not a realloc: the old block may hold a secret, and buf_wipe() must be able to reach every byte.
 */
static void grow(struct buf *buf, size_t needed)
{
    size_t size = buf->size ? buf->size : 128;
    while (size < needed)
        size *= 2;
    char *data = mem_alloc(size);
    memcpy(data, buf->data, buf->len + 1);
    if (buf->size) {
        explicit_bzero(buf->data, buf->size);
        mem_free(buf->data);
    }
    buf->data = data;
    buf->size = size;
}

bool buf_append(struct buf *buf, const void *data, size_t len)
{
    if (buf->overflowed || len > buf->len_max - buf->len) {
        buf->overflowed = true;
        return false;
    }
    if (buf->len + len + 1 > buf->size)
        grow(buf, buf->len + len + 1);
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_puts(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

bool buf_putc(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    bool fits = len >= 0 && !buf->overflowed && (size_t)len <= buf->len_max - buf->len;
    if (fits) {
        if (buf->len + (size_t)len + 1 > buf->size)
            grow(buf, buf->len + (size_t)len + 1);
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    } else {
        buf->overflowed = true;
    }
    va_end(again);
    return fits;
}

void buf_wipe(struct buf *buf)
{
    if (buf->size)
        explicit_bzero(buf->data, buf->size);
    buf_release(buf);
}

char *buf_take_text(struct buf *buf)
{
    char *text = buf->size ? buf->data : mem_dup("");
    buf_init(buf, buf->len_max);
    return text;
}
