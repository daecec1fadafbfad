/* The headers a caller asks for: nothing that could end a line early, nothing that is ours to set. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/parse.h"
#include "http/room.h"

#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool is_named(const char *header, const char *name)
{
    size_t len = strlen(name);
    return !strncasecmp(header, name, len) && header[len] == ':';
}

static const char *value_of(const char *header)
{
    const char *value = strchr(header, ':') + 1;
    return value + strspn(value, " \t");
}

static bool is_well_formed(const char *header)
{
    size_t name_len = strspn(header, TOKEN_CHARS);
    if (name_len == 0 || header[name_len] != ':' || !*value_of(header))
        return false;
    for (const char *c = header; *c; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == '\x7f')
            return false;
    }
    return true;
}

static bool is_ours(const char *header)
{
    static const char *const names[] = {"Host",       "Expect", "Transfer-Encoding", "Connection",
                                        "Keep-Alive", "TE",     "Upgrade",           "Proxy-Authorization"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (is_named(header, names[i]))
            return true;
    }
    return false;
}

/* The text of a refused header may be a secret: only its place is told. */
static int check_one(const char *header, size_t place, uint64_t body_bytes, struct err *err)
{
    uint64_t length = 0;
    if (!is_well_formed(header))
        return err_set(err, ERR_INVALID, "request header %zu is malformed or holds a control character",
                       place);
    if (is_ours(header))
        return err_set(err, ERR_INVALID, "request header %zu is not the caller's to set", place);
    if (is_named(header, "Content-Length") && (!parse_u64(value_of(header), &length) || length != body_bytes))
        return err_set(err, ERR_INVALID, "request header %zu: Content-Length is not that of the body", place);
    return 0;
}

int headers_check(const char *const *headers, uint64_t body_bytes, struct err *err)
{
    for (size_t i = 0; headers && headers[i]; i++) {
        int code = check_one(headers[i], i + 1, body_bytes, err);
        if (code)
            return code;
    }
    return 0;
}

static struct curl_slist *append(struct curl_slist *list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(list, header);
    if (!longer)
        curl_slist_free_all(list);
    return longer;
}

struct curl_slist *headers_list(const char *const *headers)
{
    /* A name without a value takes the header out of what curl sends by itself. */
    struct curl_slist *list = append(NULL, "Expect:");
    for (size_t i = 0; list && headers && headers[i]; i++) {
        if (!is_named(headers[i], "Content-Length")) /* curl writes it, from the size of the body */
            list = append(list, headers[i]);
    }
    return list;
}
