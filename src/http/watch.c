#include "http/watch.h"

void watch_init(struct watch *watch, int64_t now_ms)
{
    *watch =
        (struct watch){.start_at_ms = now_ms, .mark_at_ms = now_ms, .reply_at_ms = -1, .early_at_ms = -1};
}

static void set_mark(struct watch *watch, int64_t now_ms, uint64_t moved_bytes)
{
    watch->mark_at_ms = now_ms;
    watch->mark_bytes = moved_bytes;
}

static bool is_slow(struct watch *watch, int64_t now_ms, uint64_t moved_bytes)
{
    if (watch->low_speed_ms <= 0 || now_ms <= watch->mark_at_ms)
        return false;
    if (moved_bytes < watch->mark_bytes)
        set_mark(watch, now_ms, moved_bytes); /* another connection, another count */
    uint64_t elapsed_ms = (uint64_t)(now_ms - watch->mark_at_ms);
    uint64_t moved = moved_bytes - watch->mark_bytes;
    if (moved >= watch->low_speed_bytes * elapsed_ms / 1000 && moved > 0) {
        set_mark(watch, now_ms, moved_bytes);
        return false;
    }
    return elapsed_ms >= (uint64_t)watch->low_speed_ms;
}

/* With a deadline for the reply, a server may think as long as that without a byte moving. */
static bool low_speed_rules(const struct watch *watch, enum watch_phase phase)
{
    if (phase == WATCH_REPLYING)
        return watch->reply_deadline_ms <= 0 && watch->deadline_ms <= 0;
    return phase == WATCH_SENDING;
}

static bool is_over(int64_t start_at_ms, int64_t limit_ms, int64_t now_ms)
{
    return limit_ms > 0 && start_at_ms >= 0 && now_ms - start_at_ms >= limit_ms;
}

enum watch_verdict watch_step(struct watch *watch, int64_t now_ms, enum watch_phase phase,
                              uint64_t moved_bytes)
{
    if (phase != WATCH_REPLYING)
        watch->reply_at_ms = -1;
    else if (watch->reply_at_ms < 0)
        watch->reply_at_ms = now_ms;
    if (is_over(watch->early_at_ms, WATCH_EARLY_MS, now_ms))
        return WATCH_EARLY;
    if (is_over(watch->start_at_ms, watch->deadline_ms, now_ms))
        return WATCH_TOTAL;
    if (is_over(watch->reply_at_ms, watch->reply_deadline_ms, now_ms))
        return WATCH_REPLY;
    if (!low_speed_rules(watch, phase)) {
        set_mark(watch, now_ms, moved_bytes);
        return WATCH_FINE;
    }
    return is_slow(watch, now_ms, moved_bytes) ? WATCH_SLOW : WATCH_FINE;
}
