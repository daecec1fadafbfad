#include "form.h"

#include <string.h>

#include "base/mem.h"

/* 0 to 15, or -1. Both cases: browsers write one, libraries the other. */
static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

static void put_decoded(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && len - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low >= 0) {
            buf_putc(out, (char)(high << 4 | low));
            i += 2;
        } else {
            buf_putc(out, text[i] == '+' ? ' ' : text[i]);
        }
    }
}

/* Decodes every value of `name`, up to `count_max` of them; returns how many there were. */
static size_t collect(struct buf *out, const char *form, const char *name, size_t count_max)
{
    size_t found = 0;
    for (const char *field = form; *field && found < count_max;) {
        size_t len = strcspn(field, "&");
        size_t name_len = strcspn(field, "=&");
        AUTO_BUF struct buf key;
        buf_init(&key, 4096);
        put_decoded(&key, field, name_len);
        if (strcmp(key.data, name) == 0) {
            if (found++ > 0)
                buf_putc(out, ' ');
            if (name_len < len)
                put_decoded(out, field + name_len + 1, len - name_len - 1);
        }
        field += len + (field[len] == '&');
    }
    return found;
}

static char *get(const char *form, const char *name, size_t count_max)
{
    AUTO_BUF struct buf value;
    buf_init(&value, 65536);
    return collect(&value, form, name, count_max) ? buf_take_text(&value) : NULL;
}

char *form_get(const char *form, const char *name)
{
    return get(form, name, 1);
}

char *form_get_all(const char *form, const char *name)
{
    return get(form, name, 64);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

void form_put_encoded(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (is_unreserved(*text))
            buf_putc(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

void form_put_html(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>&\"'", *text))
            buf_printf(out, "&#%d;", *text);
        else
            buf_putc(out, *text);
    }
}
