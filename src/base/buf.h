/*
 * A growable byte buffer that cannot grow past its cap. Always NUL-terminated, so `data` may be read as text.
 * Once something did not fit, `overflowed` stays set and nothing more is added: check it once at the end.
 * Any thread; not shared.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct buf {
    char *data; /* owned; "" while nothing was added */
    size_t len;
    size_t size;
    size_t len_max;
    bool overflowed;
};

extern char buf_empty[1];
/* A buffer is initialised where it is declared: what is released at the end of a scope must be valid from its
 * beginning. */
#define BUF_INIT(cap)                                                                                        \
    {                                                                                                        \
        .data = buf_empty, .len_max = (cap)                                                                  \
    }
void buf_init(struct buf *buf, size_t len_max); /* for one inside of a struct */
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);
bool buf_append(struct buf *buf, const void *data, size_t len);
bool buf_puts(struct buf *buf, const char *text);
bool buf_putc(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Overwrites every byte ever written before giving the memory back: for text that held a secret. */
void buf_wipe(struct buf *buf);
/* Gives the text away; the caller frees it. The buffer is empty afterwards. */
char *buf_take_text(struct buf *buf);

/* struct buf line AUTO_BUF = BUF_INIT(1024); */
#define AUTO_BUF CLEANUP(buf_release)

#endif
