/*
 * The bandwidth limit: one token bucket over all bodies of a handle. Who finds it empty is paused and waits
 * in line; when there are tokens again, each in line gets a share of at most GRANT_BYTES, asks again, and
 * goes to the end: over time all have the same.
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
    int64_t wait_ms = rate_wait_ms(&http->rate, now_of(http));
    uv_timer_start(&http->rate_timer, when_refilled, wait_ms > 0 ? (uint64_t)wait_ms : 1, 0);
}

/* curl may ask again while a body is paused: when its source has more, or an error is looked into. Nobody
 * stands in line twice. */
static void stand_in_line(struct http_request *request)
{
    struct http *http = request->http;
    if (!request->is_limited)
        TAILQ_INSERT_TAIL(&http->limited, request, limited_link);
    request->is_limited = true;
    if (!uv_is_active((uv_handle_t *)&http->rate_timer))
        arm(http);
}

static uint64_t share(struct http *http, uint64_t wanted)
{
    if (rate_wait_ms(&http->rate, now_of(http)) > 0)
        return 0; /* not worth it yet: many small pieces cost more than they move */
    return rate_take(&http->rate, wanted < GRANT_BYTES ? wanted : GRANT_BYTES, now_of(http));
}

size_t limit_take(struct http_request *request, size_t wanted)
{
    struct http *http = request->http;
    if (!http->config.rate_max)
        return wanted;
    if (!request->grant_bytes && TAILQ_EMPTY(&http->limited))
        request->grant_bytes = share(http, wanted);
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
    if (request->http->config.rate_max)
        request->grant_bytes += unused;
}

void limit_forget(struct http_request *request)
{
    struct http *http = request->http;
    if (request->is_limited)
        TAILQ_REMOVE(&http->limited, request, limited_link);
    request->is_limited = false;
    rate_give_back(&http->rate, request->grant_bytes);
    request->grant_bytes = 0;
}

void limit_pump(struct http *http)
{
    struct http_request *request;
    while ((request = TAILQ_FIRST(&http->limited))) {
        uint64_t granted = share(http, request->stream.size_bytes - request->sent_bytes);
        if (!granted)
            break;
        request->grant_bytes = granted;
        request->is_limited = false;
        TAILQ_REMOVE(&http->limited, request, limited_link);
        http_unpause(request);
    }
    if (!TAILQ_EMPTY(&http->limited))
        arm(http);
}
