#include "youtube/message.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/text.h"
#include "core/limits.h"

#define LIMIT_CLAUSE "limit '"

/* What a secret begins with, or what stands before it. */
static const char *const secret_signs[] = {
    "upload_id",     "access_token", "refresh_token", "client_secret", "device_code",
    "code_verifier", "bearer ",      "ya29.",         "1//",           "GOCSPX-",
};

/* Length of the sign that stands at `text`; 0: none does. */
static size_t sign_at(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof(secret_signs) / sizeof(secret_signs[0]); i++) {
        size_t sign_len = strlen(secret_signs[i]);
        if (sign_len <= len && strncasecmp(text, secret_signs[i], sign_len) == 0)
            return sign_len;
    }
    return 0;
}

static bool is_secret_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-._~+/%", c));
}

/* Length of the secret behind a sign, with what stands between them: `=`, `: "`, `%3D`. */
static size_t secret_len(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && text[at] && strchr("=: \"'", text[at]))
        at++;
    while (at < len && is_secret_char(text[at]))
        at++;
    return at;
}

static void put_blank(struct buf *out)
{
    if (out->len > 0 && out->data[out->len - 1] != ' ')
        buf_putc(out, ' ');
}

/* Takes over one character; returns how many bytes it had. */
static size_t take_char(struct buf *out, const char *text, size_t len)
{
    uint32_t point;
    size_t size = utf8_decode(text, len, &point);
    bool is_control = point < 0x20 || (point >= 0x7F && point < 0xA0);
    bool is_mark = (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
                   (point >= 0x2060 && point <= 0x2069) || point == 0xFEFF;
    if (size == 0)
        buf_putc(out, '?');
    else if (point == ' ' || is_control || is_mark)
        put_blank(out);
    else
        buf_append(out, text, size);
    return size ? size : 1;
}

static void clean(struct buf *out, const char *text, size_t len)
{
    for (size_t at = 0; at < len && !out->overflowed;) {
        size_t sign_len = sign_at(text + at, len - at);
        if (sign_len > 0) {
            buf_append(out, text + at, sign_len);
            buf_puts(out, "…");
            at += sign_len + secret_len(text + at + sign_len, len - at - sign_len);
        } else {
            at += take_char(out, text + at, len - at);
        }
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
}

/* Of a clause too long to keep whole, its end: that is where "per day" stands. */
static void copy_long_clause(char *ret, size_t size, const char *clause, size_t len)
{
    static const char begin[] = LIMIT_CLAUSE "…";
    size_t room = size - sizeof(begin);
    const char *tail = clause + len - room;
    while (((unsigned char)*tail & 0xC0) == 0x80) {
        tail++;
        room--;
    }
    memcpy(ret, begin, sizeof(begin) - 1);
    memcpy(ret + sizeof(begin) - 1, tail, room);
    ret[sizeof(begin) - 1 + room] = '\0';
}

static void cut(char *ret, size_t size, const char *text)
{
    if (text_copy(ret, size, text))
        return;
    const char *clause = strcasestr(text, LIMIT_CLAUSE);
    if (!clause)
        return;
    const char *quote = strchr(clause + strlen(LIMIT_CLAUSE), '\'');
    size_t len = quote ? (size_t)(quote + 1 - clause) : strlen(clause);
    if (clause + len < text + size)
        return;
    if (len < size)
        text_copy(ret, size, clause);
    else
        copy_long_clause(ret, size, clause, len);
}

void yt_message_from_text(char *ret, size_t size, const char *text, size_t len)
{
    struct buf line AUTO_BUF = BUF_INIT(2 * REPLY_BYTES_MAX);
    clean(&line, text, len);
    cut(ret, size, line.data);
}

/* ---- bodies that are not JSON ---- */

static size_t skip_past(const char *text, size_t len, const char *end)
{
    const char *found = memmem(text, len, end, strlen(end));
    return found ? (size_t)(found - text) + strlen(end) : len;
}

/* Length of the tag at `text` ("<"), with the content of those that hold no text. */
static size_t tag_len(const char *text, size_t len)
{
    if (len >= 6 && strncasecmp(text, "<style", 6) == 0)
        return skip_past(text, len, "</style>");
    if (len >= 7 && strncasecmp(text, "<script", 7) == 0)
        return skip_past(text, len, "</script>");
    return skip_past(text, len, ">");
}

static void strip_tags(struct buf *out, const char *html, size_t len)
{
    for (size_t at = 0; at < len;) {
        if (html[at] == '<')
            at += tag_len(html + at, len - at);
        else
            buf_putc(out, html[at++]);
    }
}

static bool is_printable_line(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] > ' ' && line[i] != 0x7F)
            return true;
    return false;
}

static void first_line(char *ret, size_t size, const char *text, size_t len)
{
    ret[0] = '\0';
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end ? (size_t)(end - text) : len;
        if (is_printable_line(text, line_len)) {
            yt_message_from_text(ret, size, text, line_len);
            return;
        }
        line_len += end != NULL;
        text += line_len;
        len -= line_len;
    }
}

static bool is_html(const char *body, size_t len)
{
    size_t at = 0;
    while (at < len && isspace((unsigned char)body[at]))
        at++;
    return at < len && body[at] == '<';
}

void yt_message_from_body(char *ret, size_t size, const char *body, uint64_t len)
{
    if (len > REPLY_BYTES_MAX)
        len = REPLY_BYTES_MAX;
    if (!body || !is_html(body, len)) {
        first_line(ret, size, body ? body : "", body ? len : 0);
        return;
    }
    struct buf text AUTO_BUF = BUF_INIT(REPLY_BYTES_MAX);
    strip_tags(&text, body, len);
    first_line(ret, size, text.data, text.len);
}
