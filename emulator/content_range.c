#include "content_range.h"

#include <string.h>

/* Digits up to 2^63 - 1 at *at; moves behind them. */
static bool take_number(const char **at, uint64_t *ret)
{
    uint64_t value = 0;
    const char *begin = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (value > (INT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(**at - '0');
    }
    *ret = value;
    return *at != begin;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* A number, or `*` for "not known". */
static bool take_number_or_star(const char **at, bool *ret_has, uint64_t *ret)
{
    *ret_has = !take_char(at, '*');
    return !*ret_has || take_number(at, ret);
}

bool content_range_parse(const char *text, struct content_range *ret)
{
    struct content_range range = {0};
    if (strncmp(text, "bytes ", 6) != 0)
        return false;
    const char *at = text + 6;
    range.is_query = take_char(&at, '*');
    if (!range.is_query && (!take_number(&at, &range.first) || !take_char(&at, '-') ||
                            !take_number_or_star(&at, &range.has_last, &range.last)))
        return false;
    if (!take_char(&at, '/') || !take_number_or_star(&at, &range.has_total, &range.total) || *at)
        return false;
    if (range.has_last && range.last < range.first)
        return false;
    *ret = range;
    return true;
}
