#include "youtube/headers.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(const char *begin, const char *end)
{
    while (begin < end && is_blank(*begin))
        begin++;
    while (end > begin && is_blank(end[-1]))
        end--;
    return (struct slice){begin, (size_t)(end - begin)};
}

unsigned yt_headers_find(const char *headers, const char *name, struct slice *ret)
{
    size_t name_len = strlen(name);
    unsigned count = 0;
    *ret = (struct slice){"", 0};
    while (headers && *headers) {
        const char *end = strchrnul(headers, '\n');
        if (strncasecmp(headers, name, name_len) == 0 && headers[name_len] == ':') {
            if (count++ == 0)
                *ret = trim(headers + name_len + 1, end);
        }
        headers = *end ? end + 1 : end;
    }
    return count;
}

bool yt_slice_copy(struct slice value, char *ret, size_t size)
{
    ret[0] = '\0';
    if (value.len >= size)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.text[i] < 0x20 || value.text[i] == 0x7F)
            return false;
    memcpy(ret, value.text, value.len);
    ret[value.len] = '\0';
    return true;
}
