/*
 * The access token that all brokers share. It rests in the token's row, sealed, with what was proven of it:
 * so ten workers refresh once (K08), and one that starts asks nobody. Whoever refreshes has the turn, for a
 * bounded time by the store's clock; the others look every now and then what has come of it.
 *
 * What is sealed: version (1 byte), digest of the login it came from (32), length of the channel's id (1),
 * the id that YouTube named for it, and the access token.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "store/token.h"
#include "vault/flight.h"

enum {
    SHARED_VERSION = 1,
    HEAD_BYTES = 1 + ROW_DIGEST_BYTES + 1,
    TURN_MS = 30000, /* longer than a refresh and the question whose channel it is */
    LOOK_MS = 200,
    WAIT_MS = 25000,      /* as long as those who asked */
    LIFE_MS_MIN = 60000,  /* one with less is not taken over */
    EARLY_WAIT_MS = 1000, /* after a wait in vain */
};

void login_digest(const struct secret *refresh_token, unsigned char ret[ROW_DIGEST_BYTES])
{
    vault_sha256(refresh_token->data, refresh_token->len, ret);
}

/* ---- what is sealed ---- */

static bool build_shared(const struct flight *flight, struct secret *ret)
{
    const char *channel = flight->channel.yt_channel_id;
    size_t channel_len = strlen(channel);
    if (channel_len > UINT8_MAX)
        return false;
    secret_reserve(ret, HEAD_BYTES + channel_len + flight->access.len);
    char *at = ret->data;
    *at++ = SHARED_VERSION;
    at = (char *)memcpy(at, flight->login, ROW_DIGEST_BYTES) + ROW_DIGEST_BYTES;
    *at++ = (char)channel_len;
    at = (char *)memcpy(at, channel, channel_len) + channel_len;
    memcpy(at, flight->access.data, flight->access.len);
    return true;
}

/* Of another version, or proven for another channel than ours is: as if it were not there. */
static bool parse_shared(struct flight *flight, const struct secret *shared)
{
    size_t channel_len = strlen(flight->channel.yt_channel_id);
    const char *channel = shared->data + HEAD_BYTES;
    if (shared->len <= HEAD_BYTES + channel_len || shared->data[0] != SHARED_VERSION ||
        (unsigned char)channel[-1] != channel_len ||
        memcmp(channel, flight->channel.yt_channel_id, channel_len) != 0)
        return false;
    memcpy(flight->login, shared->data + 1, ROW_DIGEST_BYTES);
    secret_set(&flight->access, channel + channel_len, shared->len - HEAD_BYTES - channel_len);
    return true;
}

/* ---- looking ---- */

/* Not the one that is here already and is refused, or near its end. */
static bool is_news(const struct flight *flight)
{
    const struct token_entry *entry = flight->entry;
    if (!entry->access.data)
        return !entry->wants_fresh; /* it may be the very one that was refused */
    return !secret_equals(&entry->access, &flight->access);
}

/* Whatever it is good for: what was proven of it needs no second proof. */
static void take_proof(struct flight *flight)
{
    struct token_entry *entry = flight->entry;
    entry->is_verified = true;
    memcpy(entry->verified, flight->login, sizeof(entry->verified));
}

static bool take_shared(struct flight *flight, const struct store_access *found)
{
    struct secret shared AUTO_SECRET = {0};
    struct err err = {0};
    if (found->sealed.len == 0 ||
        open_access_token(flight->child, &flight->channel, found->sealed, &shared, &err) != 0 ||
        !parse_shared(flight, &shared))
        return false;
    take_proof(flight);
    if (found->life_ms >= LIFE_MS_MIN && is_news(flight)) {
        flight->expires_at_mono_ms = clock_mono_ms() + found->life_ms;
        return true;
    }
    secret_release(&flight->access);
    return false;
}

/* ---- waiting ---- */

static void on_poll(uv_timer_t *timer)
{
    struct child *child = timer->data;
    struct flight *flights = child->waiting;
    child->waiting = NULL;
    while (flights) {
        struct flight *flight = flights;
        flights = flight->next_waiting;
        flight_go_on(flight);
    }
    if (!child->waiting)
        uv_timer_stop(timer);
}

static void wait_for_other(struct flight *flight)
{
    struct child *child = flight->child;
    int64_t now_mono_ms = clock_mono_ms();
    if (!flight->wait_until_mono_ms)
        flight->wait_until_mono_ms = now_mono_ms + WAIT_MS;
    if (now_mono_ms >= flight->wait_until_mono_ms || child->is_closing) {
        flight_land_early(flight, "another broker refreshes it, and takes its time", EARLY_WAIT_MS);
        return;
    }
    flight->next_waiting = child->waiting;
    child->waiting = flight;
    if (!uv_is_active((uv_handle_t *)&child->poll))
        uv_timer_start(&child->poll, on_poll, LOOK_MS, LOOK_MS);
}

void share_stop(struct child *child)
{
    while (child->waiting) {
        struct flight *flight = child->waiting;
        child->waiting = flight->next_waiting;
        flight_land_early(flight, "the broker ends", EARLY_WAIT_MS);
    }
    uv_close((uv_handle_t *)&child->poll, NULL);
}

/* ---- the turn ---- */

/* The parent's place in this machine's life: the next child of the same parent takes its turn back. */
void share_open(struct child *child)
{
    struct buf boot AUTO_BUF = BUF_INIT(256);
    char space[64] = "", place[512];
    unsigned char digest[32];
    uv_timer_init(&child->loop, &child->poll);
    child->poll.data = child;
    bool is_known = file_read("/proc/sys/kernel/random/boot_id", &boot, NULL) == 0 &&
                    readlink("/proc/self/ns/pid", space, sizeof(space) - 1) > 0;
    snprintf(place, sizeof(place), "%s %s %ld %llx", is_known ? boot.data : "", space, (long)getppid(),
             is_known ? 0ULL : (unsigned long long)random_u64());
    vault_sha256(place, strlen(place), digest);
    text_hex(child->owner, digest, 8);
}

bool share_begin(struct flight *flight)
{
    struct child *child = flight->child;
    struct store_access found = {.serial = 0};
    struct err err = {0};
    bool is_mine = false;
    int code = store_access_get(child->store, flight->channel.id, child->owner, &found, &err);
    bool is_taken = code == 0 && take_shared(flight, &found);
    mem_free((void *)found.sealed.data);
    if (code == 0 && !is_taken && found.wait_ms == 0)
        code = store_refresh_begin(child->store, flight->channel.id, child->owner, found.serial, TURN_MS,
                                   &is_mine, &err);
    flight->has_turn = is_mine;
    if (is_mine)
        return true;
    flight->is_shared = is_taken;
    if (code != 0)
        flight_land(flight, code == ERR_NOT_FOUND ? TOKEN_NONE : TOKEN_TRANSIENT, err.message, 0, -1);
    else if (is_taken)
        flight_land(flight, TOKEN_OK, "", 0, -1);
    else if (found.is_pause && found.wait_ms > 0)
        flight_land_early(flight, "the last refresh failed; it is tried again soon", found.wait_ms);
    else
        wait_for_other(flight);
    return false;
}

static int seal_shared(const struct flight *flight, struct buf *ret, struct err *err)
{
    struct secret shared AUTO_SECRET = {0};
    struct row_place place;
    if (!build_shared(flight, &shared))
        return err_set(err, ERR_INVALID, "the channel's id is too long");
    place_of_access(&place, flight->channel.tenant_id, flight->channel.id);
    return tenant_seal(flight->child->keys, &place.place, shared.data, shared.len, ret, NULL, err);
}

/* Where it fails, the token is good all the same: only the others do not get it. */
void share_end(struct flight *flight)
{
    struct buf sealed AUTO_BUF = BUF_INIT(VAULT_SEALED_MAX);
    struct err err = {0};
    bool is_done;
    int code = seal_shared(flight, &sealed, &err);
    if (code == 0)
        code = store_refresh_end(flight->child->store, flight->channel.id, flight->child->owner,
                                 (struct blob){.data = sealed.data, .len = sealed.len},
                                 flight->expires_at_mono_ms - clock_mono_ms(), &is_done, &err);
    if (code != 0)
        LOG(LOG_WARN, "an access token could not be stored", F_STR("channel", flight->channel.name),
            F_STR("message", err.message));
    flight->has_turn = code != 0;
}

void share_fail(struct flight *flight, int64_t pause_ms)
{
    struct err err = {0};
    flight->has_turn = false;
    if (store_refresh_fail(flight->child->store, flight->channel.id, flight->child->owner, pause_ms, &err) !=
        0)
        LOG(LOG_WARN, "the turn to refresh could not be given back", F_STR("channel", flight->channel.name),
            F_STR("message", err.message));
}
