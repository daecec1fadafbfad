/*
 * Everything the emulator knows, under one lock. Handlers run with the lock held, except while a body is
 * streamed or a reply sent.
 */
#ifndef EMULATOR_STATE_H
#define EMULATOR_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "channels.h"
#include "clients.h"
#include "dice.h"
#include "faults.h"
#include "journal.h"
#include "map.h"
#include "oauth.h"
#include "playlists.h"
#include "sessions.h"
#include "tokens.h"
#include "videos.h"

/* name, default, meaning: whole numbers that /_ctl/settings may change */
#define SETTING_TABLE(X)                                                                                     \
    X(session_lifetime_ms, 7 * 24 * 3600 * INT64_C(1000)) /* one week at Storage and Drive [gcs] */          \
    X(processing_ms, 2000)                                /* from uploaded to processed */                   \
    X(listing_delay_ms, 0)                                /* until the uploads playlist shows a video */     \
    X(access_token_lifetime_s, 3599)                      /* [oauth] */                                      \
    X(device_lifetime_s, 1800)                            /* [device] */                                     \
    X(device_interval_s, 5)                               /* [device] */                                     \
    X(final_status, 201)                                  /* 200 instead: section "not confirmed" */         \
    X(keep_aligned, 1)      /* of a PUT that breaks off, keep whole 262144-byte blocks only */               \
    X(slug_is_file_name, 1) /* whether fileDetails.fileName shows the Slug */

struct settings {
#define X(name, value) int64_t name;
    SETTING_TABLE(X)
#undef X
};

struct state {
    pthread_mutex_t lock;
    char *base_url; /* https://127.0.0.1:PORT */
    char *dir;
    uint64_t seed;
    struct dice dice;
    int64_t clock_offset_ms; /* the emulator's clock minus the machine's */
    struct settings settings;
    enum quota_error quota_error;
    struct clients clients;
    struct channels channels;
    struct tokens tokens;
    struct oauth oauth;
    struct sessions sessions;
    struct videos videos;
    struct playlists playlists;
    struct faults faults;
    struct journal journal;
    struct map processing_plans; /* by channel id, "*" for all, or video id: struct processing_plan, owned */
};

void state_init(struct state *state, uint64_t seed);
void state_release(struct state *state);
int64_t state_now_ms(const struct state *state);
/* Forgets uploads, videos, faults, quota, journal, settings and the clock; clients, channels and consents
 * stay unless `consents_too`. */
void state_reset(struct state *state, bool consents_too);

#endif
