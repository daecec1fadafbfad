/* Reads the redirect of an OAuth login: requests, URLs, queries. No sockets. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "cli/loopback.h"

enum { VALUE_SIZE = 2048 };

/* The parameters of interest; codes are secrets: wiped by whoever has one of these. */
struct query {
    char code[VALUE_SIZE];
    char state[256];
    char error[128];
    bool is_bad; /* a value too long, doubled or wrongly encoded */
};

void loopback_answer_release(struct loopback_answer *answer)
{
    secret_release(&answer->code);
    answer->refusal[0] = '\0';
}

/* Decodes %XX and '+'; false if it does not fit, is badly encoded or has a control character. */
static bool decode(const char *text, size_t len, char *ret, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '%') {
            char hex[3] = {0};
            if (len - i < 3)
                return false;
            memcpy(hex, text + i + 1, 2);
            if (!text_unhex(&byte, 1, hex))
                return false;
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f || used + 1 >= size)
            return false;
        ret[used++] = (char)byte;
    }
    ret[used] = '\0';
    return true;
}

static void take_pair(struct query *query, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    struct {
        const char *name;
        char *value;
        size_t size;
    } wanted[] = {{"code", query->code, sizeof(query->code)},
                  {"state", query->state, sizeof(query->state)},
                  {"error", query->error, sizeof(query->error)}};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (strlen(wanted[i].name) != name_len || memcmp(wanted[i].name, name, name_len) != 0)
            continue;
        if (wanted[i].value[0] || !decode(value, value_len, wanted[i].value, wanted[i].size))
            query->is_bad = true;
    }
}

static void read_query(const char *text, size_t len, struct query *ret)
{
    const char *end = text + len;
    while (text < end) {
        const char *stop = memchr(text, '&', (size_t)(end - text));
        if (!stop)
            stop = end;
        const char *equals = memchr(text, '=', (size_t)(stop - text));
        if (equals)
            take_pair(ret, text, (size_t)(equals - text), equals + 1, (size_t)(stop - equals - 1));
        text = stop + 1;
    }
}

static bool state_is(const char *given, const char *expected)
{
    struct secret a AUTO_SECRET = {0}, b AUTO_SECRET = {0};
    secret_set(&a, given, strlen(given));
    secret_set(&b, expected, strlen(expected));
    return secret_equals(&a, &b);
}

static enum loopback_verdict judge(struct query *query, const char *state, struct loopback_answer *ret)
{
    if (query->is_bad)
        return LOOPBACK_BAD;
    if (!query->state[0] && !query->code[0] && !query->error[0])
        return LOOPBACK_OTHER;
    if (!state_is(query->state, state))
        return LOOPBACK_WRONG_STATE;
    if (!query->code[0] == !query->error[0])
        return LOOPBACK_BAD;
    if (query->code[0])
        secret_set(&ret->code, query->code, strlen(query->code));
    text_copy(ret->refusal, sizeof(ret->refusal), query->error);
    return LOOPBACK_TAKEN;
}

static enum loopback_verdict judge_query(const char *text, size_t len, const char *state,
                                         struct loopback_answer *ret)
{
    struct query query = {0};
    read_query(text, len, &query);
    enum loopback_verdict verdict = judge(&query, state, ret);
    explicit_bzero(&query, sizeof(query));
    return verdict;
}

/* Whether the head has exactly one Host header and it is ours. */
static bool host_is(const char *head, size_t len, const char *host)
{
    int seen = 0;
    size_t host_len = strlen(host);
    const char *at = head, *end = head + len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) && ++at < end) {
        if ((size_t)(end - at) < 5 || strncasecmp(at, "host:", 5) != 0)
            continue;
        const char *value = at + 5;
        while (value < end && *value == ' ')
            value++;
        if ((size_t)(end - value) < host_len + 1 || memcmp(value, host, host_len) != 0 ||
            value[host_len] != '\r')
            return false;
        seen++;
    }
    return seen == 1;
}

enum loopback_verdict loopback_read_request(const char *data, size_t len, const char *host, const char *state,
                                            struct loopback_answer *ret)
{
    const char *head_end = memmem(data, len, "\r\n\r\n", 4);
    if (!head_end)
        return LOOPBACK_MORE;
    size_t head_len = (size_t)(head_end - data) + 2;
    const char *line_end = memmem(data, head_len, "\r\n", 2);
    if (memchr(data, '\0', head_len) || head_len < 6 || memcmp(data, "GET /", 5) != 0 ||
        !host_is(data, head_len, host))
        return LOOPBACK_BAD;
    const char *path = data + 4;
    const char *path_end = memchr(path, ' ', (size_t)(line_end - path));
    if (!path_end || memcmp(path_end, " HTTP/1.", 8) != 0)
        return LOOPBACK_BAD;
    if (path[1] != '?')
        return LOOPBACK_OTHER;
    return judge_query(path + 2, (size_t)(path_end - path - 2), state, ret);
}

enum loopback_verdict loopback_read_url(const char *url, const char *state, struct loopback_answer *ret)
{
    const char *query = strchr(url, '?');
    query = query ? query + 1 : url;
    return judge_query(query, strcspn(query, "# \t\r\n"), state, ret);
}
