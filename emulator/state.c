#include "state.h"

#include "base/clock.h"
#include "base/mem.h"

static void settings_init(struct settings *settings)
{
#define X(name, value) settings->name = value;
    SETTING_TABLE(X)
#undef X
}

void state_init(struct state *state, uint64_t seed)
{
    *state = (struct state){.seed = seed, .dice = {seed}};
    pthread_mutex_init(&state->lock, NULL);
    settings_init(&state->settings);
    clients_init(&state->clients);
    channels_init(&state->channels, &state->dice);
    journal_init(&state->journal);
}

static void forget_uploads(struct state *state)
{
    sessions_clear(&state->sessions);
    videos_clear(&state->videos);
    playlists_clear(&state->playlists);
    faults_clear(&state->faults);
    map_clear(&state->processing_plans, mem_free);
}

void state_release(struct state *state)
{
    forget_uploads(state);
    journal_release(&state->journal);
    oauth_clear(&state->oauth);
    tokens_clear(&state->tokens);
    channels_release(&state->channels);
    clients_release(&state->clients);
    mem_free(state->base_url);
    mem_free(state->dir);
    pthread_mutex_destroy(&state->lock);
}

int64_t state_now_ms(const struct state *state)
{
    return clock_wall_ms() + state->clock_offset_ms;
}

void state_reset(struct state *state, bool consents_too)
{
    forget_uploads(state);
    journal_clear(&state->journal);
    settings_init(&state->settings);
    state->quota_error = QUOTA_ERROR_RATE_LIMIT_EXCEEDED;
    state->clock_offset_ms = 0;
    for (size_t i = 0; i < PROJECT_COUNT; i++) {
        quota_init(&state->clients.projects[i].quota);
        state->clients.projects[i].is_testing = false;
    }
    if (consents_too) {
        oauth_clear(&state->oauth);
        tokens_clear(&state->tokens);
    }
}
