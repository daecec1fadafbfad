#include "http/head.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "http/http.h"

void head_init(struct head *head)
{
    *head = (struct head){0};
    buf_init(&head->lines, HEAD_BYTES_MAX);
}

void head_release(struct head *head)
{
    buf_wipe(&head->lines);
}

static bool refuse(struct head *head, const char *trouble)
{
    head->trouble = trouble;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 308 Resume Incomplete": a new response begins; an interim one before it is forgotten. */
static bool take_status_line(struct head *head, const char *line, size_t len)
{
    if (len < 12 || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (len > 12 && is_digit(line[12])))
        return refuse(head, "a malformed status line");
    buf_clear(&head->lines);
    head->has_length = false;
    head->is_chunked = false;
    head->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (head->status == 101)
        return refuse(head, "a change of protocol that nobody asked for");
    return true;
}

static const char *value_of(const char *line, size_t name_len)
{
    const char *value = line + name_len + 1;
    return value + strspn(value, " \t");
}

/* The value is NUL-terminated and may have blanks behind it. */
static bool take_length(struct head *head, const char *value)
{
    if (head->has_length)
        return refuse(head, "two Content-Length headers");
    char *digits AUTO_FREE = mem_dup_n(value, strcspn(value, " \t"));
    if (!parse_u64(digits, &head->length_bytes))
        return refuse(head, "a malformed Content-Length");
    head->has_length = true;
    return true;
}

static bool take_encoding(struct head *head, const char *value)
{
    if (head->is_chunked || strncasecmp(value, "chunked", 7) || value[7 + strspn(value + 7, " \t")])
        return refuse(head, "an unknown Transfer-Encoding");
    head->is_chunked = true;
    return true;
}

static bool is_named(const char *line, size_t name_len, const char *name)
{
    return name_len == strlen(name) && !strncasecmp(line, name, name_len);
}

static bool take_header(struct head *head, const char *line)
{
    if (line[0] == ' ' || line[0] == '\t')
        return refuse(head, "a folded header");
    size_t name_len = strcspn(line, ": \t");
    if (name_len == 0 || line[name_len] != ':')
        return refuse(head, "a malformed header");
    if (is_named(line, name_len, "Content-Length") && !take_length(head, value_of(line, name_len)))
        return false;
    if (is_named(line, name_len, "Transfer-Encoding") && !take_encoding(head, value_of(line, name_len)))
        return false;
    buf_puts(&head->lines, line);
    buf_putc(&head->lines, '\n');
    return true;
}

static bool take_end(struct head *head)
{
    if (head->has_length && head->is_chunked)
        return refuse(head, "both Content-Length and Transfer-Encoding");
    head->is_done = head->status >= 200;
    return true;
}

bool head_take(struct head *head, const char *line, size_t len)
{
    head->total_bytes += len;
    if (head->total_bytes > HEAD_BYTES_MAX)
        return refuse(head, "headers over 32 KiB");
    if (head->is_done)
        return true; /* a trailer: nothing we would use */
    if (len && line[len - 1] == '\n')
        len--;
    if (len && line[len - 1] == '\r')
        len--;
    if (memchr(line, '\0', len) || memchr(line, '\r', len))
        return refuse(head, "a control character in a header");
    if (len >= 5 && !memcmp(line, "HTTP/", 5))
        return take_status_line(head, line, len);
    if (len == 0)
        return take_end(head);
    char *text AUTO_FREE = mem_dup_n(line, len);
    bool taken = take_header(head, text);
    explicit_bzero(text, len);
    return taken;
}

/* ---- asking for one header of http_reply.headers ---- */

/* The next line at or after `line` that has this name; NULL: none. */
static const char *find_line(const char *line, const char *name)
{
    size_t len = strlen(name);
    while (*line) {
        if (!strncasecmp(line, name, len) && line[len] == ':')
            return line;
        line = strchr(line, '\n');
        if (!line)
            return NULL;
        line++;
    }
    return NULL;
}

static size_t value_len(const char *value)
{
    size_t len = strcspn(value, "\n");
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    return len;
}

bool http_has_header(const char *headers, const char *name)
{
    return find_line(headers, name) != NULL;
}

bool http_header(const char *headers, const char *name, char *ret, size_t size)
{
    const char *line = find_line(headers, name);
    if (!line)
        return false;
    const char *value = value_of(line, strlen(name));
    size_t len = value_len(value);
    while ((line = find_line(line + 1, name))) {
        const char *other = value_of(line, strlen(name));
        if (value_len(other) != len || memcmp(other, value, len))
            return false;
    }
    if (len >= size)
        return false;
    memcpy(ret, value, len);
    ret[len] = '\0';
    return true;
}
