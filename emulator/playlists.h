/* Playlists that clients make. The uploads playlist is not among them: it is made from the videos. */
#ifndef EMULATOR_PLAYLISTS_H
#define EMULATOR_PLAYLISTS_H

#include <stddef.h>

#include "channels.h"

struct playlist_item {
    char id[49];
    char *video_id;
};

struct playlist {
    char id[35]; /* PL… */
    struct channel *channel;
    char *title;
    char *privacy;
    struct playlist_item *items;
    size_t item_count;
};

struct playlists {
    struct playlist **list;
    size_t count;
};

struct playlist *playlists_add(struct playlists *playlists, struct dice *dice, struct channel *channel,
                               const char *title, const char *privacy);
struct playlist *playlists_find(struct playlists *playlists, const char *id); /* NULL if unknown */
void playlists_clear(struct playlists *playlists);
struct playlist_item *playlist_add_item(struct playlist *playlist, struct dice *dice, const char *video_id);

#endif
