#include "web/health.h"

static struct health bad(const char *line)
{
    return (struct health){503, line};
}

struct health health_live(const struct view *view, int64_t started_at_mono_ms, int64_t now_mono_ms)
{
    if (!view && now_mono_ms - started_at_mono_ms > START_MAX_MS)
        return bad("it does not get through its start");
    if (view && now_mono_ms - view->at_mono_ms > LOOP_STANDS_STILL_MS)
        return bad("the loop stands still");
    return (struct health){200, "alive"};
}

struct health health_ready(const struct view *view, int64_t started_at_mono_ms, int64_t now_mono_ms)
{
    struct health live = health_live(view, started_at_mono_ms, now_mono_ms);
    if (live.status != 200)
        return live;
    if (!view)
        return bad("starting");
    if (view->is_draining)
        return bad("draining");
    if (!view->has_store)
        return bad("the store does not answer, or refuses");
    if (!view->has_broker)
        return bad("the token broker is being replaced");
    return (struct health){200, "ready"};
}
