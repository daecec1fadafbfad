/*
 * When an exchange has taken too long: the total deadline, the deadline of the reply, and low speed. Pure:
 * time and counters are given, so that a test needs no clock.
 *
 * Low speed means: since some moment, at every look the average was under `low_speed_bytes` a second, and
 * that went on for `low_speed_ms`. A moment in which we ourselves hold the body back (bandwidth limit, slow
 * disk) starts the count anew: that is never the peer's fault.
 */
#ifndef HTTP_WATCH_H
#define HTTP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum watch_phase {
    WATCH_CONNECTING, /* waiting for a place, or connecting: curl's connect timeout rules */
    WATCH_SENDING,    /* body bytes are in curl's or the kernel's hands */
    WATCH_HELD,       /* nothing is under way because we give nothing */
    WATCH_REPLYING,   /* all sent and taken: their turn */
};

enum watch_verdict {
    WATCH_FINE,
    WATCH_TOTAL, /* deadline_ms is over */
    WATCH_REPLY, /* reply_deadline_ms is over */
    WATCH_SLOW,
    WATCH_EARLY, /* an early reply was given its time to arrive whole */
};

enum { WATCH_EARLY_MS = 2000 };

struct watch {
    /* set once; 0: that limit is off */
    int64_t start_at_ms;
    int64_t deadline_ms;
    int64_t reply_deadline_ms;
    int64_t low_speed_ms;
    uint64_t low_speed_bytes;
    /* state */
    int64_t mark_at_ms; /* since when it is slow */
    uint64_t mark_bytes;
    int64_t reply_at_ms; /* since when it is their turn; -1: not yet */
    int64_t early_at_ms; /* when a final status came before the body's end; -1: it did not */
};

void watch_init(struct watch *watch, int64_t now_ms);
/* `moved_bytes`: all bytes that reached the other side or came from it, so far. */
enum watch_verdict watch_step(struct watch *watch, int64_t now_ms, enum watch_phase phase,
                              uint64_t moved_bytes);

#endif
