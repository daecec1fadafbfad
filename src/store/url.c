/* A store's URL as people may see it. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/store.h"

enum { URL_LEN_MAX = 8192 };

/* "user:password@" becomes "user:***@". Up to the last '@' before the path: a password may hold one. */
static const char *copy_user(struct buf *out, const char *at)
{
    size_t len = strcspn(at, "/?");
    const char *end = memrchr(at, '@', len), *colon = end ? memchr(at, ':', (size_t)(end - at)) : NULL;
    if (!colon)
        return at;
    buf_append(out, at, (size_t)(colon - at));
    buf_puts(out, ":***");
    return end;
}

/* "…&password=secret&…" */
static void copy_options(struct buf *out, const char *at)
{
    while (*at) {
        size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
        bool is_secret = name_len >= 8 && memcmp(at + name_len - 8, "password", 8) == 0;
        buf_append(out, at, is_secret ? name_len : len);
        if (is_secret)
            buf_puts(out, "=***");
        at += len;
        if (*at)
            buf_putc(out, *at++);
    }
}

char *store_url_for_people(const char *url)
{
    struct buf out AUTO_BUF = BUF_INIT(URL_LEN_MAX);
    const char *at = strstr(url, "://");
    if (!at || text_starts_with(url, "sqlite:"))
        return mem_dup(url);
    buf_append(&out, url, (size_t)(at + 3 - url));
    at = copy_user(&out, at + 3);
    size_t len = strcspn(at, "?");
    buf_append(&out, at, len + (at[len] == '?'));
    if (at[len])
        copy_options(&out, at + len + 1);
    return buf_take_text(&out);
}
