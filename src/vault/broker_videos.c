/*
 * Looks at a channel's uploads for videos that no job of it has made: somebody else has a login or a session
 * of it. Only if the operator has asked for it (watch_videos_ms), while the channel has work, and with a
 * token that has just been handed out for a leased job. The store says whose turn it is and judges what was
 * found (store/videos.h); the alarm comes of the lines of the trail.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/classify.h"
#include "core/pacific.h"
#include "store/videos.h"
#include "vault/tokens.h"

struct look {
    struct child *child;
    struct store_channel channel;
    struct store_video_look turn;
    struct secret access;
    uint32_t pages;
    char next_page[sizeof(((struct yt_page *)0)->next_page)];
    struct store_video videos[VIDEO_LOOK_PAGES_MAX * ARRAY_LEN(((struct yt_page *)0)->items)];
    uint32_t video_count;
};

static void look_free(struct look *look)
{
    secret_release(&look->access);
    mem_free(look);
}

/* ---- the end ---- */

static void tell_failure(const struct look *look, enum log_level level, const char *message)
{
    LOG(level, "the channel's videos were not looked at", F_STR("tenant", look->channel.tenant),
        F_STR("channel", look->channel.name), F_STR("message", message));
}

static void end_well(struct look *look, bool is_cut)
{
    const struct store_video_list list = {
        .items = look->videos, .count = look->video_count, .is_cut = is_cut};
    struct err err = {0};
    uint32_t found = 0;
    if (store_video_look_end(look->child->store, &look->turn, &list, &found, &err) != 0)
        tell_failure(look, LOG_WARN, err.message);
    else
        LOG(found > 0 ? LOG_ERROR : LOG_DEBUG,
            found > 0 ? "there are videos that no job has made"
                      : "the channel's videos are those of its jobs",
            F_STR("tenant", look->channel.tenant), F_STR("channel", look->channel.name),
            F_I64("count", found));
    look_free(look);
}

/* Time alone does not help: told once, and by `sluice check` for as long as it is so. */
static void end_refused(struct look *look, const char *message)
{
    struct err err = {0};
    bool is_news = false;
    if (store_video_look_refused(look->child->store, look->channel.id, message, &is_news, &err) != 0)
        tell_failure(look, LOG_WARN, err.message);
    else if (is_news)
        tell_failure(look, LOG_WARN, message);
    look_free(look);
}

static void end_failed(struct look *look, const char *message)
{
    tell_failure(look, LOG_DEBUG, message);
    look_free(look);
}

static bool is_permanent(const struct reply *reply)
{
    switch (classify(reply->status, reply->reason, reply->message, false)) {
    case VERDICT_CHANNEL_AUTH:
    case VERDICT_CHANNEL_FROZEN:
    case VERDICT_CLIENT:
    case VERDICT_FAIL:
    case VERDICT_GONE:
        return reply->status != 200;
    case VERDICT_REFRESH:
    case VERDICT_RETRY:
    case VERDICT_QUERY:
    case VERDICT_QUOTA:
    case VERDICT_CHANNEL_LIMIT:
        break;
    }
    return false;
}

static void end_unread(struct look *look, const struct reply *reply)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof(message), "playlistItems.list: HTTP %d %s%s%.150s", reply->status, reply->reason,
             reply->message[0] ? ": " : "", reply->message);
    if (is_permanent(reply))
        end_refused(look, message);
    else
        end_failed(look, message);
}

/* ---- the walk, newest first ---- */

static void ask_page(struct look *look);

/* True: what is older than `since` was reached. A page is taken as a whole: its order is not relied on. */
static bool take_page(struct look *look, const struct yt_page *page)
{
    bool reached = false;
    for (uint32_t i = 0; i < page->count; i++) {
        struct store_video *video = &look->videos[look->video_count++];
        text_copy(video->id, sizeof(video->id), page->items[i].id);
        video->published_at_ms = page->items[i].published_at_ms;
        reached = reached || (video->published_at_ms != 0 && video->published_at_ms < look->turn.since_ms);
    }
    return reached;
}

static void page_ended(void *ctx, const struct http_reply *http)
{
    struct look *look = ctx;
    struct reply reply = {0};
    struct yt_page page;
    struct yt_http yt = reply_for_youtube(http);
    if (http->end != HTTP_OK) {
        end_failed(look, http->message);
    } else if (!yt_parse_playlist_items(&yt, &page, &reply)) {
        end_unread(look, &reply);
    } else if (take_page(look, &page) || !page.next_page[0]) {
        end_well(look, false);
    } else if (++look->pages == VIDEO_LOOK_PAGES_MAX) {
        tell_failure(look, LOG_WARN, "there are too many for one look: the oldest are passed over");
        end_well(look, false);
    } else {
        memcpy(look->next_page, page.next_page, sizeof(look->next_page));
        ask_page(look);
    }
}

/* What cannot be counted is not asked (I8); nor is what jobs may need. */
static bool may_ask(struct look *look)
{
    const struct store_charge charge = {.client_id = look->channel.client_id,
                                        .channel_id = look->channel.id,
                                        .pacific_day = pacific_day(clock_wall_ms()),
                                        .units = 1,
                                        .who = "broker",
                                        .calls = "playlistItems.list"};
    struct err err = {0};
    bool fits = false;
    if (store_quota_charge_below(look->child->store, &charge, QUOTA_SOFT_PERCENT, &fits, &err) != 0)
        tell_failure(look, LOG_WARN, err.message);
    else if (!fits)
        tell_failure(look, LOG_INFO, "the client's units of the day are nearly spent");
    return fits;
}

static void ask_page(struct look *look)
{
    struct yt_request request;
    struct err err = {0};
    if (!may_ask(look)) {
        end_well(look, true);
        return;
    }
    yt_build_playlist_items(look->child->api_root, look->channel.uploads_playlist, look->next_page, &request);
    int code = get_with_token(look->child, &request, &look->access, LIST_BYTES_MAX, page_ended, look, &err);
    yt_request_release(&request);
    if (code != 0)
        end_failed(look, err.message);
}

/* ---- the start ---- */

static int take_turn(struct look *look, int64_t channel_id, bool *ret_is_due, struct err *err)
{
    struct child *child = look->child;
    int code = store_channel_get(child->store, channel_id, &look->channel, err);
    return code != 0 ? code
                     : store_video_look_begin(child->store, channel_id, child->watch_videos_ms, &look->turn,
                                              ret_is_due, err);
}

void videos_look(struct child *child, struct token_entry *entry)
{
    struct err err = {0};
    int64_t now_mono_ms = clock_mono_ms();
    bool is_due = false;
    if (child->watch_videos_ms <= 0 || child->is_closing || now_mono_ms < entry->look_at_mono_ms)
        return;
    entry->look_at_mono_ms = now_mono_ms + child->watch_videos_ms;
    struct look *look = mem_alloc(sizeof(*look));
    look->child = child;
    int code = take_turn(look, entry->channel_id, &is_due, &err);
    if (code != 0)
        tell_failure(look, LOG_WARN, err.message);
    if (code != 0 || !is_due) {
        look_free(look);
        return;
    }
    secret_set(&look->access, entry->access.data, entry->access.len);
    ask_page(look);
}
