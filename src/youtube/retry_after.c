#include "youtube/retry_after.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/parse.h"
#include "youtube/headers.h"

enum { VALUE_SIZE = 64 };

static const char *const days_short[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
static const char *const days_long[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int year, month, day, hour, minute, second;
};

static bool take_text(const char **at, const char *text)
{
    size_t len = strlen(text);
    if (strncmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

/* Index of the name that stands at *at, moving behind it; -1: none. */
static int take_name(const char **at, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (take_text(at, names[i]))
            return i;
    return -1;
}

static bool take_digits(const char **at, int digits, int *ret)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return true;
}

static bool take_month(const char **at, int *ret)
{
    int index = take_name(at, months, ARRAY_LEN(months));
    *ret = index + 1;
    return index >= 0;
}

static bool take_clock(const char **at, struct date *ret)
{
    return take_digits(at, 2, &ret->hour) && take_text(at, ":") && take_digits(at, 2, &ret->minute) &&
           take_text(at, ":") && take_digits(at, 2, &ret->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool take_imf(const char *at, struct date *ret)
{
    return take_name(&at, days_short, ARRAY_LEN(days_short)) >= 0 && take_text(&at, ", ") &&
           take_digits(&at, 2, &ret->day) && take_text(&at, " ") && take_month(&at, &ret->month) &&
           take_text(&at, " ") && take_digits(&at, 4, &ret->year) && take_text(&at, " ") &&
           take_clock(&at, ret) && take_text(&at, " GMT") && *at == '\0';
}

/* A two-digit year that seems over 50 years ahead is the latest past year with these digits. */
static int full_year(int two_digits, int64_t wall_ms)
{
    int64_t now_year;
    int month, day;
    civil_from_days(wall_ms / 86400000, &now_year, &month, &day);
    int64_t year = now_year / 100 * 100 + two_digits;
    return (int)(year > now_year + 50 ? year - 100 : year);
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool take_rfc850(const char *at, int64_t wall_ms, struct date *ret)
{
    int year;
    bool ok = take_name(&at, days_long, ARRAY_LEN(days_long)) >= 0 && take_text(&at, ", ") &&
              take_digits(&at, 2, &ret->day) && take_text(&at, "-") && take_month(&at, &ret->month) &&
              take_text(&at, "-") && take_digits(&at, 2, &year) && take_text(&at, " ") &&
              take_clock(&at, ret) && take_text(&at, " GMT") && *at == '\0';
    if (ok)
        ret->year = full_year(year, wall_ms);
    return ok;
}

/* Sun Nov  6 08:49:37 1994 */
static bool take_asctime(const char *at, struct date *ret)
{
    if (take_name(&at, days_short, ARRAY_LEN(days_short)) < 0 || !take_text(&at, " ") ||
        !take_month(&at, &ret->month) || !take_text(&at, " "))
        return false;
    bool has_day = take_text(&at, " ") ? take_digits(&at, 1, &ret->day) : take_digits(&at, 2, &ret->day);
    return has_day && take_text(&at, " ") && take_clock(&at, ret) && take_text(&at, " ") &&
           take_digits(&at, 4, &ret->year) && *at == '\0';
}

bool yt_http_date_parse(const char *text, int64_t wall_ms, int64_t *ret_wall_ms)
{
    struct date date = {0};
    if (!take_imf(text, &date) && !take_rfc850(text, wall_ms, &date) && !take_asctime(text, &date))
        return false;
    char standard[80];
    snprintf(standard, sizeof(standard), "%04d-%02d-%02dT%02d:%02d:%02dZ", date.year, date.month, date.day,
             date.hour, date.minute, date.second);
    return parse_time(standard, ret_wall_ms);
}

static int64_t clamp_wait(int64_t ms)
{
    return ms < 0 ? 0 : ms > RETRY_AFTER_TOLD_MAX_MS ? RETRY_AFTER_TOLD_MAX_MS : ms;
}

/* Seconds, also negative ones and more than 64 bits hold. */
static bool parse_seconds(const char *text, int64_t *ret_ms)
{
    bool negative = *text == '-';
    const char *digits = text + negative;
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return false;
    uint64_t seconds;
    if (negative)
        *ret_ms = 0;
    else if (!parse_u64(digits, &seconds) || seconds > (uint64_t)RETRY_AFTER_TOLD_MAX_MS / 1000)
        *ret_ms = RETRY_AFTER_TOLD_MAX_MS;
    else
        *ret_ms = (int64_t)seconds * 1000;
    return true;
}

static bool find_value(const char *headers, const char *name, char ret[VALUE_SIZE])
{
    struct slice value;
    return yt_headers_find(headers, name, &value) == 1 && yt_slice_copy(value, ret, VALUE_SIZE);
}

int64_t yt_retry_after_ms(const char *headers, int64_t wall_ms)
{
    char value[VALUE_SIZE];
    int64_t ms, at_ms;
    if (!find_value(headers, "Retry-After", value))
        return -1;
    if (parse_seconds(value, &ms))
        return ms;
    if (!yt_http_date_parse(value, wall_ms, &at_ms))
        return -1;
    return clamp_wait(at_ms - wall_ms);
}

int64_t yt_retry_after_by_date_header_ms(const char *headers)
{
    char value[VALUE_SIZE];
    int64_t ms, at_ms;
    if (find_value(headers, "Retry-After", value) && parse_seconds(value, &ms))
        return ms;
    /* A Date header is never of the obsolete two-digit form that needs a clock. */
    if (!find_value(headers, "Date", value) || !yt_http_date_parse(value, 0, &at_ms))
        return -1;
    return yt_retry_after_ms(headers, at_ms);
}
