/*
 * Strict parsers of numbers, sizes, durations and times: the whole text must match, the value must be in
 * range. Return true and fill in the result, or false and leave it untouched. Any thread.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool parse_u64(const char *text, uint64_t *ret); /* decimal digits only */
bool parse_i64(const char *text, int64_t *ret);
bool parse_bool(const char *text, bool *ret); /* yes/no, true/false, on/off, 1/0 */
/* 8388608, 8K, 8M, 8G (powers of 1024; an optional "iB" or "B" after the letter). */
bool parse_bytes(const char *text, uint64_t *ret);
/* 250ms, 30s, 5m, 2h, 7d; a bare number is milliseconds. */
bool parse_duration_ms(const char *text, int64_t *ret);

/*
 * Instants. parse_time accepts RFC 3339 with up to 9 fractional digits, an offset or Z, and a bare date
 * (midnight UTC); years 0001 to 9999, the proleptic Gregorian calendar. Written without libc's time zone
 * code.
 */
enum { TIME_TEXT_SIZE = 32 };
bool parse_time(const char *text, int64_t *ret_wall_ms);
void format_time(char ret[TIME_TEXT_SIZE], int64_t wall_ms); /* 2026-11-22T07:10:00.123Z */
/* Days since 1970-01-01 of a civil date, and back. */
int64_t days_from_civil(int64_t year, int month, int day);
void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);

/* "1.5 GiB", "640 KiB", "17 B" into a caller's buffer of at least 32 chars; returns it. */
const char *format_bytes(char ret[32], uint64_t bytes);
/* "2 h 5 min", "41 s", "350 ms". */
const char *format_duration(char ret[32], int64_t ms);

#endif
