#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at *at; moves *at behind them. */
static bool take_u64(const char **at, uint64_t *ret)
{
    const char *p = *at;
    uint64_t value = 0;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    *at = p;
    *ret = value;
    return true;
}

bool parse_u64(const char *text, uint64_t *ret)
{
    uint64_t value;
    if (!take_u64(&text, &value) || *text)
        return false;
    *ret = value;
    return true;
}

bool parse_i64(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t value;
    if (!parse_u64(text + negative, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool parse_bool(const char *text, bool *ret)
{
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (int value = 0; value < 2; value++)
            if (strcasecmp(text, words[i][value]) == 0) {
                *ret = value;
                return true;
            }
    return false;
}

bool parse_bytes(const char *text, uint64_t *ret)
{
    uint64_t value;
    if (!take_u64(&text, &value))
        return false;
    int shift = 0;
    if (*text && strcasecmp(text, "B") != 0) {
        switch (*text) {
        case 'k':
        case 'K':
            shift = 10;
            break;
        case 'm':
        case 'M':
            shift = 20;
            break;
        case 'g':
        case 'G':
            shift = 30;
            break;
        default:
            return false;
        }
        text++;
        if (*text && strcasecmp(text, "iB") != 0 && strcasecmp(text, "B") != 0)
            return false;
    }
    if (value > UINT64_MAX >> shift)
        return false;
    *ret = value << shift;
    return true;
}

bool parse_duration_ms(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1},        {"ms", 1},      {"s", 1000},    {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t value;
    if (!take_u64(&text, &value))
        return false;
    while (*text == ' ')
        text++;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text, units[i].unit) != 0)
            continue;
        uint64_t ms;
        if (__builtin_mul_overflow(value, units[i].ms, &ms) || ms > INT64_MAX)
            return false;
        *ret = (int64_t)ms;
        return true;
    }
    return false;
}

/* The algorithms count years from March, so that a leap day is the last day of its year. */
int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (int)(month_from_march + (month_from_march < 10 ? 3 : -9));
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static bool take_fixed(const char **at, int digits, int low, int high, int *ret)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!is_digit(**at))
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return value >= low && value <= high;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at, int64_t *ret_days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_fixed(at, 4, 1, 9999, &year) || !take_char(at, '-') || !take_fixed(at, 2, 1, 12, &month) ||
        !take_char(at, '-') || !take_fixed(at, 2, 1, 31, &day))
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month - 1] + (month == 2 && leap))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

/* At most 9 digits; what is finer than a millisecond is dropped. */
static bool take_fraction(const char **at, int *ret_ms)
{
    int digits = 0, ms = 0;
    for (; is_digit(**at); (*at)++, digits++)
        if (digits < 3)
            ms = ms * 10 + (**at - '0');
    for (int i = digits; i < 3; i++)
        ms *= 10;
    *ret_ms = ms;
    return digits >= 1 && digits <= 9;
}

static bool take_offset(const char **at, int *ret_minutes)
{
    *ret_minutes = 0;
    if (take_char(at, 'Z') || take_char(at, 'z'))
        return true;
    int sign = take_char(at, '+') ? 1 : take_char(at, '-') ? -1 : 0;
    int hours, minutes;
    if (sign == 0 || !take_fixed(at, 2, 0, 23, &hours) || !take_char(at, ':') ||
        !take_fixed(at, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

bool parse_time(const char *text, int64_t *ret_wall_ms)
{
    int64_t days;
    int hour = 0, minute = 0, second = 0, ms = 0, offset = 0;
    if (!take_date(&text, &days))
        return false;
    if (*text) {
        if ((!take_char(&text, 'T') && !take_char(&text, 't')) || !take_fixed(&text, 2, 0, 23, &hour) ||
            !take_char(&text, ':') || !take_fixed(&text, 2, 0, 59, &minute) || !take_char(&text, ':') ||
            !take_fixed(&text, 2, 0, 60, &second))
            return false;
        if (take_char(&text, '.') && !take_fraction(&text, &ms))
            return false;
        if (!take_offset(&text, &offset) || *text)
            return false;
    }
    int64_t seconds = days * 86400 + hour * 3600 + (minute - offset) * 60 + second;
    *ret_wall_ms = seconds * 1000 + ms;
    return true;
}

void format_time(char ret[TIME_TEXT_SIZE], int64_t wall_ms)
{
    int64_t ms_of_day = wall_ms % 86400000;
    if (ms_of_day < 0)
        ms_of_day += 86400000;
    int64_t year;
    int month, day;
    civil_from_days((wall_ms - ms_of_day) / 86400000, &year, &month, &day);
    if (year < 0 || year > 9999) {
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 "ms", wall_ms);
        return;
    }
    int second = (int)(ms_of_day / 1000);
    snprintf(ret, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, month, day, second / 3600,
             second / 60 % 60, second % 60, (int)(ms_of_day % 1000));
}

const char *format_bytes(char ret[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    int unit = 0;
    uint64_t whole = bytes, tenths = 0;
    while (whole >= 1024 && unit < 6) {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit++;
    }
    if (unit > 0 && whole < 10)
        snprintf(ret, 32, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, units[unit]);
    else
        snprintf(ret, 32, "%" PRIu64 " %s", whole, units[unit]);
    return ret;
}

const char *format_duration(char ret[32], int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 1000)
        snprintf(ret, 32, "%" PRId64 " ms", ms);
    else if (s < 60)
        snprintf(ret, 32, "%" PRId64 " s", s);
    else if (s < 3600)
        snprintf(ret, 32, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(ret, 32, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
    else
        snprintf(ret, 32, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
    return ret;
}
