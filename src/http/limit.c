/*
 * The bandwidth limits: over all bodies of a handle, and over those of each group. Who finds nothing left is
 * paused and waits in its group's line; when there is something again, fair.h says whose turn it is, the
 * first in that line gets a piece of at most GRANT_BYTES, asks again, and goes to the end: over time all of a
 * group have the same.
 */
#include "http/room.h"

enum { GRANT_BYTES = 65536 };

static int64_t now_of(const struct http *http)
{
    return (int64_t)uv_now(http->loop);
}

static void when_refilled(uv_timer_t *timer)
{
    limit_pump(timer->data);
}

static void arm(struct http *http)
{
    int64_t wait_ms = fair_wait_ms(&http->fair, now_of(http));
    if (wait_ms >= 0)
        uv_timer_start(&http->rate_timer, when_refilled, wait_ms > 0 ? (uint64_t)wait_ms : 1, 0);
}

void limit_join(struct http_request *request, uint64_t group)
{
    struct fair *fair = &request->http->fair;
    if (fair_has_limit(fair))
        request->group = fair_join(fair, group, now_of(request->http));
}

void limit_leave(struct http_request *request)
{
    if (!request->group)
        return;
    limit_forget(request);
    fair_leave(&request->http->fair, request->group, now_of(request->http));
    request->group = NULL;
}

/* curl may ask again while a body is paused: when its source has more, or an error is looked into. Nobody
 * stands in line twice. The line's first may be ready before what the timer waits for. */
static void stand_in_line(struct http_request *request)
{
    if (request->is_limited)
        return;
    fair_wants(&request->http->fair, request->group);
    TAILQ_INSERT_TAIL(&request->group->line, request, limited_link);
    request->is_limited = true;
    arm(request->http);
}

static void step_out(struct http_request *request)
{
    if (request->is_limited)
        TAILQ_REMOVE(&request->group->line, request, limited_link);
    request->is_limited = false;
}

static uint64_t grant(struct http_request *request, uint64_t wanted)
{
    struct http *http = request->http;
    return fair_take(&http->fair, request->group, wanted < GRANT_BYTES ? wanted : GRANT_BYTES, now_of(http));
}

/* Nobody is passed who stands in line and could be served. */
static bool may_pass(struct http_request *request)
{
    return TAILQ_EMPTY(&request->group->line) && !fair_next(&request->http->fair, now_of(request->http));
}

size_t limit_take(struct http_request *request, size_t wanted)
{
    if (!request->group)
        return wanted;
    if (!request->grant_bytes && may_pass(request))
        request->grant_bytes = grant(request, wanted);
    if (!request->grant_bytes) {
        stand_in_line(request);
        return 0;
    }
    size_t taken = wanted < request->grant_bytes ? wanted : (size_t)request->grant_bytes;
    request->grant_bytes -= taken;
    return taken;
}

void limit_return(struct http_request *request, size_t unused)
{
    if (request->group)
        request->grant_bytes += unused;
}

void limit_forget(struct http_request *request)
{
    if (!request->group)
        return;
    step_out(request);
    fair_give_back(&request->http->fair, request->group, request->grant_bytes);
    request->grant_bytes = 0;
}

void http_set_rates(struct http *http, uint64_t rate_max, uint64_t group_rate_max)
{
    fair_set_rates(&http->fair, rate_max, group_rate_max, now_of(http));
    limit_pump(http);
}

void limit_pump(struct http *http)
{
    struct fair_group *group;
    while ((group = fair_next(&http->fair, now_of(http)))) {
        struct http_request *request = TAILQ_FIRST(&group->line);
        step_out(request);
        request->grant_bytes = grant(request, request->stream.size_bytes - request->sent_bytes);
        http_unpause(request);
    }
    arm(http);
}
