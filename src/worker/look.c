/* Looks at a channel: several exchanges, one answer. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "worker/shell.h"

/* A walk through the uploads playlist, newest first, each page's videos asked for in turn. */
struct look {
    int64_t since_ms;
    uint32_t pages;
    bool reached_since; /* everything since the session began was seen */
    struct yt_page page;
    struct reply reply; /* candidates gather here */
};

/* The next exchange of the same call. */
static void send_next(struct call *call, call_done *done)
{
    call->done = done;
    call_send(call, call->task->worker->settings->request_timeout_ms);
}

static void ask_page(struct call *call);

static void on_videos(struct call *call, const struct http_reply *http, struct reply *reply)
{
    struct look *look = call->look;
    struct yt_http yt = call_yt_http(http);
    struct yt_expected expected = call_expected(call->task);
    if (http->end != HTTP_OK) {
        call_answer(call, reply);
        return;
    }
    bool good = yt_parse_videos(&yt, &expected, &look->reply);
    bool more = look->page.next_page[0] && !look->reached_since && look->pages < LOOK_PAGES_MAX;
    if (!good) {
        call_answer(call, &look->reply);
    } else if (more) {
        ask_page(call);
    } else {
        if (!look->reached_since && look->page.next_page[0])
            look->reply.list_is_complete = false;
        call_answer(call, &look->reply);
    }
}

/* Those that came into the playlist since the session began; times are YouTube's, the engine's margin is in
 * since_ms. */
static uint32_t recent_ids(struct look *look, const char *ret[YT_IDS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < look->page.count && count < YT_IDS_MAX; i++) {
        int64_t at_ms = look->page.items[i].published_at_ms;
        if (at_ms != 0 && at_ms < look->since_ms)
            look->reached_since = true;
        else
            ret[count++] = look->page.items[i].id;
    }
    return count;
}

static void on_page(struct call *call, const struct http_reply *http, struct reply *reply)
{
    struct look *look = call->look;
    struct yt_http yt = call_yt_http(http);
    const char *ids[YT_IDS_MAX];
    if (http->end != HTTP_OK) {
        call_answer(call, reply);
        return;
    }
    if (!yt_parse_playlist_items(&yt, &look->page, &look->reply)) {
        call_answer(call, &look->reply);
        return;
    }
    look->pages++;
    uint32_t count = recent_ids(look, ids);
    if (count == 0) {
        call_answer(call, &look->reply);
        return;
    }
    yt_request_release(&call->yt);
    yt_build_videos_list(call->task->worker->settings->api_root, ids, count, &call->yt);
    send_next(call, on_videos);
}

static void ask_page(struct call *call)
{
    struct look *look = call->look;
    char next[sizeof(look->page.next_page)];
    memcpy(next, look->page.next_page, sizeof(next));
    yt_request_release(&call->yt);
    yt_build_playlist_items(call->task->worker->settings->api_root, call->task->work.uploads_playlist, next,
                            &call->yt);
    send_next(call, on_page);
}

void look_list(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_page);
    struct look *look = mem_alloc(sizeof(*look));
    look->since_ms = action->list.since_ms;
    look->reply.retry_after_ms = -1;
    look->reply.list_is_complete = true;
    call->look = look;
    ask_page(call);
}

static void on_check_done(struct call *call, const struct http_reply *http, struct reply *reply)
{
    struct yt_http yt = call_yt_http(http);
    struct yt_expected expected = call_expected(call->task);
    if (http->end == HTTP_OK && !yt_parse_video(&yt, &expected, reply) && reply->status == 200)
        reply->transport = TRANSPORT_PROTOCOL; /* a list that cannot be read tells nothing */
    call_answer(call, reply);
}

void look_check(struct task *task, const struct action *action)
{
    struct call *call = call_new(task, action, on_check_done);
    const char *id = action->check.video_id;
    yt_build_videos_list(task->worker->settings->api_root, &id, 1, &call->yt);
    call_send(call, task->worker->settings->request_timeout_ms);
}
