#include "base/text.h"

#include <string.h>
#include <strings.h>

size_t utf8_decode(const char *text, size_t len, uint32_t *ret_code_point)
{
    const unsigned char *s = (const unsigned char *)text;
    if (len == 0)
        return 0;
    if (s[0] < 0x80) {
        *ret_code_point = s[0];
        return 1;
    }
    size_t size = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || len < size)
        return 0;
    uint32_t point = s[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (s[i] & 0x3Fu);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < smallest[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    *ret_code_point = point;
    return size;
}

bool utf8_is_valid(const char *text, size_t len)
{
    uint32_t point;
    for (size_t at = 0; at < len;) {
        size_t size = utf8_decode(text + at, len - at, &point);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

size_t utf8_length(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* C0, C1 and DEL; and the marks that reorder what a terminal shows after them. */
static bool is_unsafe(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x061C ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x2069) || point == 0xFEFF || (point >= 0xFFF9 && point <= 0xFFFB);
}

void text_escape(struct buf *out, const char *text, bool quoted)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = utf8_decode(text + at, len - at, &point);
        if (size == 0) {
            buf_printf(out, "\\x%02x", (unsigned char)text[at]);
            size = 1;
        } else if (is_unsafe(point)) {
            buf_printf(out, "\\u{%x}", point);
        } else {
            if (quoted && (point == '"' || point == '\\'))
                buf_putc(out, '\\');
            buf_append(out, text + at, size);
        }
        at += size;
    }
}

void text_escape_json(struct buf *out, const char *json)
{
    size_t len = strlen(json);
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = utf8_decode(json + at, len - at, &point);
        if (size == 0)
            size = 1;
        if (is_unsafe(point) && point >= 0x7F)
            buf_printf(out, "\\u%04x", point); /* all of them have four digits */
        else
            buf_append(out, json + at, size);
        at += size;
    }
}

void text_hex(char *ret, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_unhex(void *ret, size_t len, const char *hex)
{
    unsigned char *bytes = ret;
    if (strlen(hex) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void text_base64url(char *ret, const void *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *bytes = data;
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            *ret++ = digits[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *ret++ = digits[bits << (6 - held) & 63];
    *ret = '\0';
}

bool text_copy(char *ret, size_t size, const char *text)
{
    size_t len = strlen(text);
    bool fits = len < size;
    if (!fits) {
        len = size - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    memcpy(ret, text, len);
    ret[len] = '\0';
    return fits;
}

/* Whether a letter begins here whose last bytes are missing. */
static bool is_cut(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t size = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC0 ? 2 : 1;
    size_t follow = 1;
    while (follow < len && (s[follow] & 0xC0) == 0x80)
        follow++;
    return len < size && follow == len;
}

void text_mend(char *text)
{
    size_t len = strlen(text), at = 0;
    uint32_t point;
    while (at < len) {
        size_t size = utf8_decode(text + at, len - at, &point);
        if (size == 0 && is_cut(text + at, len - at))
            text[len = at] = '\0';
        else if (size == 0)
            text[at] = '?';
        at += size ? size : 1;
    }
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_contains_nocase(const char *text, const char *part)
{
    size_t len = strlen(part);
    for (; *text; text++)
        if (strncasecmp(text, part, len) == 0)
            return true;
    return len == 0;
}

bool text_list_has(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; *at;) {
        size_t part = strcspn(at, ",");
        if (part == len && memcmp(at, name, len) == 0)
            return true;
        at += part + (at[part] == ',');
    }
    return false;
}
