/*
 * One flight to the token service: an access token that is proven to be the channel's. Each one is proven:
 * who stands behind the service's next token is not ours to know (K09). Nothing that it refuses is
 * remembered: a refused channel is taken out of work by the engine, and what is mended there holds at once.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "vault/flight.h"

enum { FAILURES_TO_TELL = 3 }; /* in a row */

/* ---- the answer ---- */

static bool is_same_again(const struct flight *flight, const struct yt_token_reply *token)
{
    const struct secret *last = &flight->entry->access;
    return flight->is_fresh && last->data && strcmp(last->data, token->access_token) == 0;
}

static void take_token(struct flight *flight, const struct yt_token_reply *token)
{
    secret_set(&flight->access, token->access_token, strlen(token->access_token));
    vault_sha256(flight->access.data, flight->access.len, flight->row);
    memcpy(flight->login, flight->row, sizeof(flight->login));
    flight->expires_at_mono_ms = clock_mono_ms() + token->expires_in_ms;
    flight_verify(flight);
}

/* What the service itself says of the token; YouTube is asked only where this holds. */
static enum token_result judge(const struct flight *flight, const struct service_reply *reply,
                               char ret[MESSAGE_SIZE * 2])
{
    const struct store_channel *channel = &flight->channel;
    const char *missing = reply->token.scope[0] ? yt_missing_scope(reply->token.scope) : NULL;
    if (reply->channel_id[0] && strcmp(reply->channel_id, channel->yt_channel_id) != 0) {
        snprintf(ret, MESSAGE_SIZE * 2,
                 "the token service's token is for %s, but channel %s is %s: mend it there",
                 reply->channel_id, channel->name, channel->yt_channel_id);
        return TOKEN_WRONG_CHANNEL;
    }
    if (missing) {
        snprintf(ret, MESSAGE_SIZE * 2, "the token service's token lacks %s", missing);
        return TOKEN_SCOPE;
    }
    if (is_same_again(flight, &reply->token)) {
        snprintf(ret, MESSAGE_SIZE * 2,
                 "the token service was asked for a fresh token, and sent the one that YouTube had refused");
        return TOKEN_TRANSIENT;
    }
    return TOKEN_OK;
}

static void take_reply(struct flight *flight, const struct service_reply *reply)
{
    char message[MESSAGE_SIZE * 2];
    enum token_result result = judge(flight, reply, message);
    if (result == TOKEN_OK)
        take_token(flight, &reply->token);
    else
        flight_land(flight, result, message, reply->http_status, -1);
}

/* Passing trouble that does not pass is told once, loudly. */
static void note_trouble(struct gate *gate, const char *message, int64_t retry_after_ms)
{
    gate_failed(gate, clock_mono_ms(), retry_after_ms);
    if (gate->pause.failures == FAILURES_TO_TELL)
        LOG(LOG_ERROR, "the token service fails time after time", F_STR("message", message));
}

static void service_answered(void *ctx, const struct service_reply *reply)
{
    struct flight *flight = ctx;
    const struct yt_token_reply *token = &reply->token;
    if (token->result == TOKEN_TRANSIENT)
        note_trouble(flight->gate, token->message, token->retry_after_ms);
    else
        gate_passed(flight->gate);
    if (token->result == TOKEN_OK)
        take_reply(flight, reply);
    else if (token->result == TOKEN_CLIENT) /* the one behind the service, which is none of our clients */
        flight_land(flight, TOKEN_FROZEN, token->message, reply->http_status, -1);
    else
        flight_land(flight, token->result, token->message, reply->http_status, token->retry_after_ms);
}

/* ---- the question ---- */

void flight_ask_service(struct flight *flight)
{
    const struct store_channel *channel = &flight->channel;
    struct service_ask ask = {.tenant = channel->tenant,
                              .channel = channel->name,
                              .yt_channel_id = channel->yt_channel_id,
                              .is_fresh_wanted = flight->is_fresh};
    struct err err = {0};
    if (ask_service(flight->child, &ask, service_answered, flight, &err) == 0)
        return;
    note_trouble(flight->gate, err.message, -1);
    flight_land(flight, TOKEN_TRANSIENT, err.message, 0, -1);
}

void flight_start_with_service(struct flight *flight)
{
    static const unsigned char no_secret[ROW_DIGEST_BYTES];
    struct token_entry *entry = flight->entry;
    struct err err = {0};
    enum token_result result;
    const char *message;
    int64_t wait_ms;
    flight->is_fresh = entry->wants_fresh;
    entry->wants_fresh = false;
    flight->gate = gate_of(entry->tokens, 0);
    int code = flight_load_channel(flight, &err);
    flight->client.id = flight->channel.client_id; /* who pays for the look at whose channel it is */
    if (code != 0)
        flight_land(flight, code == ERR_NOT_FOUND ? TOKEN_NONE : TOKEN_TRANSIENT, err.message, 0, -1);
    else if (!gate_may_pass(flight->gate, no_secret, clock_mono_ms(), &result, &message, &wait_ms))
        flight_land(flight, result, message, 0, wait_ms);
    else
        flight_ask_service(flight);
}
