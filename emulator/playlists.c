#include "playlists.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct playlist *playlists_add(struct playlists *playlists, struct dice *dice, struct channel *channel,
                               const char *title, const char *privacy)
{
    struct playlist *playlist = mem_alloc(sizeof *playlist);
    char tail[33];
    dice_id(dice, tail, sizeof tail - 1);
    snprintf(playlist->id, sizeof playlist->id, "PL%s", tail);
    playlist->channel = channel;
    playlist->title = mem_dup(title);
    playlist->privacy = mem_dup(privacy);
    playlists->list = mem_grow(playlists->list, playlists->count + 1, sizeof(struct playlist *));
    playlists->list[playlists->count++] = playlist;
    return playlist;
}

struct playlist *playlists_find(struct playlists *playlists, const char *id)
{
    for (size_t i = 0; id && i < playlists->count; i++)
        if (strcmp(playlists->list[i]->id, id) == 0)
            return playlists->list[i];
    return NULL;
}

static void playlist_free(struct playlist *playlist)
{
    for (size_t i = 0; i < playlist->item_count; i++)
        mem_free(playlist->items[i].video_id);
    mem_free(playlist->items);
    mem_free(playlist->title);
    mem_free(playlist->privacy);
    mem_free(playlist);
}

void playlists_clear(struct playlists *playlists)
{
    for (size_t i = 0; i < playlists->count; i++)
        playlist_free(playlists->list[i]);
    mem_free(playlists->list);
    *playlists = (struct playlists){NULL, 0};
}

struct playlist_item *playlist_add_item(struct playlist *playlist, struct dice *dice, const char *video_id)
{
    playlist->items = mem_grow(playlist->items, playlist->item_count + 1, sizeof *playlist->items);
    struct playlist_item *item = &playlist->items[playlist->item_count++];
    dice_id(dice, item->id, sizeof item->id - 1);
    item->video_id = mem_dup(video_id);
    return item;
}
