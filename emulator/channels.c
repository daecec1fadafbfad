#include "channels.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "json.h"

static const char *const state_names[] = {
    [CHANNEL_ACTIVE] = "active",
    [CHANNEL_SUSPENDED] = "suspended",
    [CHANNEL_CLOSED] = "closed",
    [CHANNEL_ABSENT] = "absent",
};

static const char *const long_uploads_names[] = {"allowed", "eligible", "disallowed",
                                                 "longUploadsUnspecified"};

void channels_init(struct channels *channels, struct dice *dice)
{
    static const char *const titles[] = {"Alder", "Birch", "Cedar", "Dogwood"};
    *channels = (struct channels){0};
    for (size_t i = 0; i < ARRAY_LEN(titles); i++)
        channels_add(channels, dice, titles[i]);
}

void channels_release(struct channels *channels)
{
    for (size_t i = 0; i < channels->count; i++) {
        mem_free(channels->list[i]->title);
        mem_free(channels->list[i]->long_uploads_status);
        mem_free(channels->list[i]);
    }
    mem_free(channels->list);
    map_clear(&channels->by_id, NULL);
}

struct channel *channels_add(struct channels *channels, struct dice *dice, const char *title)
{
    struct channel *channel = mem_alloc(sizeof *channel);
    char tail[CHANNEL_ID_LEN - 1];
    dice_id(dice, tail, sizeof tail - 1);
    snprintf(channel->id, sizeof channel->id, "UC%s", tail);
    snprintf(channel->uploads_id, sizeof channel->uploads_id, "UU%s", tail);
    channel->title = mem_dup(title);
    channel->long_uploads_status = mem_dup("allowed");
    channel->is_verified = true;
    channel->upload_limit_status = 400;
    channels->list = mem_grow(channels->list, channels->count + 1, sizeof(struct channel *));
    channels->list[channels->count++] = channel;
    map_put(&channels->by_id, channel->id, channel);
    return channel;
}

struct channel *channels_find(struct channels *channels, const char *id_or_title)
{
    struct channel *channel = map_get(&channels->by_id, id_or_title);
    for (size_t i = 0; id_or_title && !channel && i < channels->count; i++)
        if (strcmp(channels->list[i]->title, id_or_title) == 0)
            channel = channels->list[i];
    return channel;
}

/* The position of `name` in a list of names, or -1. */
static int position(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

bool channel_update(struct channel *channel, const json_t *changes)
{
    const char *state = json_text_at(changes, "state");
    const char *long_uploads = json_text_at(changes, "long_uploads_status");
    int state_at = state ? position(state_names, ARRAY_LEN(state_names), state) : (int)channel->state;
    if (state_at < 0 ||
        (long_uploads && position(long_uploads_names, ARRAY_LEN(long_uploads_names), long_uploads) < 0))
        return false;
    channel->state = (enum channel_state)state_at;
    if (long_uploads) {
        mem_free(channel->long_uploads_status);
        channel->long_uploads_status = mem_dup(long_uploads);
    }
    const json_t *verified = json_object_get(changes, "verified");
    if (json_is_boolean(verified))
        channel->is_verified = json_is_true(verified);
    const json_t *shorts = json_object_get(changes, "shorts");
    if (json_is_boolean(shorts))
        channel->makes_shorts = json_is_true(shorts);
    if (json_count_at(changes, "upload_limit", &channel->upload_limit))
        channel->has_upload_limit = true;
    else if (json_is_null(json_object_get(changes, "upload_limit")))
        channel->has_upload_limit = false;
    uint64_t status;
    if (json_count_at(changes, "upload_limit_status", &status))
        channel->upload_limit_status = status == 403 ? 403 : 400;
    return true;
}

json_t *channel_describe(const struct channel *channel)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "id", channel->id, "title", channel->title, "uploads",
        channel->uploads_id, "state", state_names[channel->state], "long_uploads_status",
        channel->long_uploads_status, "verified", channel->is_verified, "upload_limit",
        channel->has_upload_limit ? json_integer((json_int_t)channel->upload_limit) : json_null());
}
