/* YouTube channels. They live as long as the emulator. Used under the state's lock. */
#ifndef EMULATOR_CHANNELS_H
#define EMULATOR_CHANNELS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dice.h"
#include "map.h"

enum { CHANNEL_ID_LEN = 24 };

enum channel_state {
    CHANNEL_ACTIVE,
    CHANNEL_SUSPENDED, /* 403 authenticatedUserAccountSuspended [errors] */
    CHANNEL_CLOSED,    /* 403 authenticatedUserAccountClosed [errors] */
    CHANNEL_ABSENT     /* the account has no channel: no items, or 401 youtubeSignupRequired [errors] */
};

struct channel {
    char id[CHANNEL_ID_LEN + 1];         /* UC… */
    char uploads_id[CHANNEL_ID_LEN + 1]; /* UU…, the uploads playlist: the same 22 characters */
    char *title;
    char *long_uploads_status; /* allowed eligible disallowed longUploadsUnspecified [disc] */
    enum channel_state state;
    bool is_verified;  /* may set thumbnails */
    bool makes_shorts; /* its videos are Shorts: thumbnails only once they are processed [rev 2026-11-03] */
    bool has_upload_limit;   /* YouTube's own cap, not the project's quota; unpublished and dynamic [quota] */
    uint64_t upload_limit;   /* videos in any 24 h */
    int upload_limit_status; /* 400; also seen with 403 [insert] */
};

struct channels {
    struct channel **list;
    size_t count;
    struct map by_id;
};

void channels_init(struct channels *channels, struct dice *dice); /* with the four that are there at first */
void channels_release(struct channels *channels);
struct channel *channels_add(struct channels *channels, struct dice *dice, const char *title);
struct channel *channels_find(struct channels *channels, const char *id_or_title); /* NULL if unknown */
/* Changes what `changes` names; false and nothing changed if a value does not fit. */
bool channel_update(struct channel *channel, const json_t *changes);
json_t *channel_describe(const struct channel *channel);

#endif
