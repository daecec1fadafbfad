/*
 * What looks like misuse of a login, a client or the store: one table of signals, each counted from lines of
 * the audit trail (docs/operations.md lists them for people). The store counts and raises (store/alarm.c).
 *
 * A window begins with the first line that counts and ends after its time, whatever came: so what happens
 * across the edge of two windows may be counted as two halves. Thresholds are far above what faults, restarts
 * and revoked logins cause by themselves. Pure.
 */
#ifndef CORE_MISUSE_H
#define CORE_MISUSE_H

#include <stdbool.h>
#include <stdint.h>

enum misuse_signal {
    MISUSE_REFUSALS, /* logins or permissions refused again and again */
    MISUSE_DECRYPT,  /* a sealed value does not open: changed, moved, or of another key */
    MISUSE_NO_LEASE, /* tokens asked for without a leased job */
    MISUSE_REFRESHES,
    MISUSE_DRIFT,           /* quota that our ledger did not spend */
    MISUSE_CHANNEL,         /* a login that is another channel's now */
    MISUSE_SCOPES,          /* a login that has lost scopes */
    MISUSE_VIDEOS,          /* videos on the channel that no job made */
    MISUSE_HABIT,           /* far more jobs than the tenant is used to */
    MISUSE_CHANNEL_STOPPED, /* no misuse, but somebody must be told (K03, H08): see misuse_is_told() */
    MISUSE_CLIENT_STOPPED,  /* likewise (K04) */
    MISUSE_COUNT
};

enum misuse_per { MISUSE_PER_CHANNEL, MISUSE_PER_CLIENT, MISUSE_PER_TENANT };

struct misuse_rule {
    const char *name; /* as people and programs see it */
    const char *what; /* a few words for people */
    bool is_critical; /* else a warning */
    bool freezes;     /* the channel of the line; else people are told and no more */
    enum misuse_per per;
    uint32_t threshold; /* lines in one window; MISUSE_HABIT: at least so many */
    int64_t window_ms;
    bool names_reasons; /* the alarm's message has the lines' reasons, which say what it is about */
};

const struct misuse_rule *misuse_rule(enum misuse_signal signal);
bool misuse_parse(const char *name, enum misuse_signal *ret);
const char *misuse_severity(const struct misuse_rule *rule); /* "critical", "warning" */

/* Of a line of the trail. */
struct misuse_line {
    const char *what, *reason;
    bool is_of_job;
};
/* Whether it counts, and for what; no line counts for two. */
bool misuse_signal_of(const struct misuse_line *line, enum misuse_signal *ret);

/* Whether such a line alone raises an alarm, so that what the worker does about it need not be told too. */
bool misuse_is_told(const struct misuse_line *line);

/* What was counted, in the present window; and of those before. A value; the store keeps it. */
struct misuse_tally {
    int64_t since_ms; /* wall; 0: nothing was ever counted */
    int64_t count;
    int64_t windows;    /* that are over, idle ones too; up to MISUSE_WINDOWS_MAX */
    int64_t mean_milli; /* of their counts, in thousandths */
};

#define MISUSE_WINDOWS_MAX  168 /* the mean is that of about a week of hours … */
#define MISUSE_WINDOWS_MIN  24  /* … and says nothing before a day of them */
#define MISUSE_HABIT_FACTOR 10  /* so many times the mean is no habit any more */

/* Adds `count` lines; returns whether the window's count is an alarm now. */
bool misuse_count(enum misuse_signal signal, struct misuse_tally *tally, uint32_t count, int64_t now_ms);

#endif
