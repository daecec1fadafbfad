/*
 * One flight: from a sealed refresh token to an access token that is proven to be the channel's. (From a
 * token service: broker_flight_service.c, which shares the end of it.)
 *
 * The order matters: a new refresh token is stored before the access token that came with it is used at all
 * (K06), and no access token leaves this process before channels.list has named the channel (K09).
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/flight.h"

enum { REFUSAL_SETTLES_MS = 5000 };

/* ---- the end ---- */

static bool is_refusal(enum token_result result)
{
    return result != TOKEN_OK && result != TOKEN_TRANSIENT;
}

enum { TOLD_SIZE = sizeof(TOKEN_FORMAT) + VAULT_DIGEST_SIZE };

/* As the worker names it where it is used. */
static void digest_token(const struct flight *flight, char ret[TOLD_SIZE])
{
    char digest[VAULT_DIGEST_SIZE];
    vault_digest(flight->child->digest_key, flight->access.data, flight->access.len, digest);
    snprintf(ret, TOLD_SIZE, TOKEN_FORMAT, digest);
}

static void tell(const struct flight *flight, enum token_result result, const char *message, int http_status)
{
    char token[TOLD_SIZE] = "";
    struct audit audit = {.channel = &flight->channel,
                          .what = is_refusal(result) ? "token refused" : "token refreshed",
                          .reason = is_refusal(result) ? token_result_text(result) : "",
                          .message = message,
                          .http_status = http_status};
    LOG(is_refusal(result)   ? LOG_ERROR
        : result == TOKEN_OK ? LOG_DEBUG
                             : LOG_WARN,
        "token", F_STR("tenant", flight->channel.tenant), F_STR("channel", flight->channel.name),
        F_STR("result", token_result_text(result)), F_STR("message", message[0] ? message : NULL));
    if (result == TOKEN_OK) {
        digest_token(flight, token);
        audit.message = token;
    }
    /* A failure that passes is not a line of the trail: there would be thousands. */
    if (result != TOKEN_TRANSIENT && flight->channel.id)
        audit_write(flight->child, &audit);
}

/* The other brokers wait as this one will. After a refusal for as long as the worker needs to hold the
 * channel's jobs: then nobody asks, and nobody else tells of it. */
static int64_t pause_of_all_ms(const struct flight *flight, enum token_result result, int64_t retry_after_ms)
{
    if (result == TOKEN_REVOKED || result == TOKEN_SCOPE || result == TOKEN_WRONG_CHANNEL)
        return REFUSAL_SETTLES_MS;
    if (result != TOKEN_TRANSIENT)
        return 0;
    struct pause pause = flight->entry->pause;
    pause_extend(&pause, 0, retry_after_ms);
    return pause.until_mono_ms;
}

void flight_land(struct flight *flight, enum token_result result, const char *message, int http_status,
                 int64_t retry_after_ms)
{
    if (result != TOKEN_OK || !flight->is_shared)
        tell(flight, result, message, http_status);
    /* After its line: whoever takes a shared token over finds in the trail where it came from. */
    if (flight->has_turn && result == TOKEN_OK)
        share_end(flight);
    if (flight->has_turn)
        share_fail(flight, pause_of_all_ms(flight, result, retry_after_ms));
    struct landing landing = {.result = result,
                              .message = message,
                              .retry_after_ms = retry_after_ms,
                              .access = &flight->access,
                              .life_ms = flight->expires_at_mono_ms - clock_mono_ms(),
                              .row = flight->has_row ? flight->row : NULL,
                              .is_fresh =
                                  flight->is_fresh || (!flight->child->service && !flight->is_shared)};
    tokens_landed(flight->entry, &landing);
    secret_release(&flight->access);
    mem_free(flight);
}

void flight_land_early(struct flight *flight, const char *message, int64_t wait_ms)
{
    struct landing landing = {
        .result = TOKEN_TRANSIENT, .message = message, .retry_after_ms = wait_ms, .is_early = true};
    tokens_landed(flight->entry, &landing);
    mem_free(flight);
}

static void land_err(struct flight *flight, const struct err *err)
{
    enum token_result result = err->code == ERR_CORRUPT     ? TOKEN_CORRUPT
                               : err->code == ERR_NOT_FOUND ? TOKEN_NONE
                               : err->code == ERR_AUTH      ? TOKEN_CLIENT
                                                            : TOKEN_TRANSIENT;
    flight_land(flight, result, err->message, 0, -1);
}

/* ---- whose channel (K09) ---- */

static void land_verified(struct flight *flight)
{
    struct token_entry *entry = flight->entry;
    entry->is_verified = true;
    memcpy(entry->verified, flight->login, sizeof(entry->verified));
    flight_land(flight, TOKEN_OK, "", 0, -1);
}

static void start_refresh(struct flight *flight);

/* A token may be taken back in the moment it is first used, and a service may keep one: only the second one
 * that YouTube refuses speaks of the login. */
static void ask_again(struct flight *flight)
{
    flight->is_fresh = true;
    if (flight->child->service)
        flight_ask_service(flight);
    else
        start_refresh(flight);
}

static void whose_is_known(void *ctx, const struct whose *whose)
{
    struct flight *flight = ctx;
    char message[MESSAGE_SIZE * 2];
    if (whose->result == TOKEN_OK && strcmp(whose->channel.id, flight->channel.yt_channel_id) == 0) {
        land_verified(flight);
        return;
    }
    if (whose->result == TOKEN_REVOKED && !flight->is_fresh) {
        ask_again(flight);
        return;
    }
    if (whose->result != TOKEN_OK && whose->result != TOKEN_NONE) {
        flight_land(flight, whose->result, whose->message, whose->http_status, whose->retry_after_ms);
        return;
    }
    bool is_of_service = flight->child->service != NULL;
    snprintf(message, sizeof(message), "the %s is for %s%s, but channel %s is %s: %s",
             is_of_service ? "token service's token" : "stored login",
             whose->channel.id[0] ? "the YouTube channel " : "an account without a channel",
             whose->channel.id, flight->channel.name, flight->channel.yt_channel_id,
             is_of_service ? "mend it there" : "log in again");
    flight_land(flight, TOKEN_WRONG_CHANNEL, message, whose->http_status, -1);
}

void flight_verify(struct flight *flight)
{
    const struct token_entry *entry = flight->entry;
    struct err err = {0};
    if (entry->is_verified && memcmp(entry->verified, flight->login, sizeof(flight->login)) == 0)
        land_verified(flight);
    else if (ask_whose(flight->child, &flight->access, flight->client.id, flight->channel.id, whose_is_known,
                       flight, &err) != 0)
        land_err(flight, &err);
}

/* ---- the refresh ---- */

/* Whether the row still has the login that the new refresh token came from. Not told by the row's bytes: a
 * rotation of keys changes those. */
static int is_same_login(struct flight *flight, bool *ret, char scopes[512], struct err *err)
{
    struct secret old AUTO_SECRET = {0};
    unsigned char login[ROW_DIGEST_BYTES];
    int code = open_refresh_token(flight->child, &flight->channel, &old, NULL, scopes, err);
    if (code != 0)
        return code;
    login_digest(&old, login);
    *ret = memcmp(login, flight->entry->unsaved_for, sizeof(login)) == 0;
    return 0;
}

/* Seals what entry->unsaved holds and stores it, unless a new login has taken the row's place meanwhile. */
static int replace_row(struct flight *flight, struct err *err)
{
    const struct token_entry *entry = flight->entry;
    struct child *child = flight->child;
    char scopes[512], key_id[VAULT_KEY_ID_SIZE];
    bool is_same = false;
    int code = is_same_login(flight, &is_same, scopes, err);
    if (code != 0 || !is_same)
        return code;
    struct row_place place;
    struct buf sealed AUTO_BUF = BUF_INIT(VAULT_SEALED_MAX);
    place_of_token(&place, flight->channel.tenant_id, flight->channel.id);
    code =
        tenant_seal(child->keys, &place.place, entry->unsaved.data, entry->unsaved.len, &sealed, key_id, err);
    return code != 0 ? code
                     : store_token_set(child->store, flight->channel.id,
                                       (struct blob){.data = sealed.data, .len = sealed.len},
                                       flight->scopes[0] ? flight->scopes : scopes, key_id, err);
}

static int save_rotated(struct flight *flight, struct err *err)
{
    struct store *store = flight->child->store;
    int code = store_begin(store, err);
    if (code == 0)
        code = store_end(store, replace_row(flight, err), err);
    /* A channel that is gone needs it no more. */
    if (code == 0 || code == ERR_NOT_FOUND)
        secret_release(&flight->entry->unsaved);
    return code != 0 ? err_wrap(err, "storing a new refresh token") : 0;
}

static bool is_new_refresh_token(const struct flight *flight, const struct yt_token_reply *reply)
{
    struct secret old AUTO_SECRET = {0};
    if (!reply->refresh_token[0])
        return false;
    return open_refresh_token(flight->child, &flight->channel, &old, NULL, NULL, NULL) != 0 ||
           strcmp(old.data, reply->refresh_token) != 0;
}

/* Where this returns an error nothing was handed out, and entry->unsaved has what must not be lost. */
static int keep_new_refresh_token(struct flight *flight, const struct yt_token_reply *reply, struct err *err)
{
    if (!is_new_refresh_token(flight, reply))
        return 0;
    secret_set(&flight->entry->unsaved, reply->refresh_token, strlen(reply->refresh_token));
    memcpy(flight->entry->unsaved_for, flight->login, sizeof(flight->login));
    login_digest(&flight->entry->unsaved, flight->login);
    return save_rotated(flight, err);
}

static void take_reply(struct flight *flight, const struct yt_token_reply *reply, int64_t elapsed_ms)
{
    struct err err = {0};
    char message[MESSAGE_SIZE];
    if (reply->scope[0])
        text_copy(flight->scopes, sizeof(flight->scopes), reply->scope);
    if (keep_new_refresh_token(flight, reply, &err) != 0) {
        land_err(flight, &err);
        return;
    }
    const char *missing = yt_missing_scope(flight->scopes);
    if (missing) {
        snprintf(message, sizeof(message), "the login lacks %s: log in again and leave every box ticked",
                 missing);
        flight_land(flight, TOKEN_SCOPE, message, 200, -1);
        return;
    }
    secret_set(&flight->access, reply->access_token, strlen(reply->access_token));
    /* Counted from before the request: the endpoint's clock began somewhere in between. */
    flight->expires_at_mono_ms = clock_mono_ms() - elapsed_ms + reply->expires_in_ms;
    flight_verify(flight);
}

static void take_refusal(struct flight *flight, const struct yt_token_reply *reply, int http_status)
{
    int64_t now_mono_ms = clock_mono_ms();
    if (reply->result == TOKEN_CLIENT)
        gate_refused(flight->gate, flight->secret_row, now_mono_ms, reply->message);
    else if (reply->result == TOKEN_TRANSIENT)
        gate_failed(flight->gate, now_mono_ms, reply->retry_after_ms);
    else
        gate_passed(flight->gate);
    flight_land(flight, reply->result, reply->message, http_status, reply->retry_after_ms);
}

static void refresh_ended(void *ctx, const struct http_reply *reply)
{
    struct flight *flight = ctx;
    if (reply->end != HTTP_OK) {
        gate_failed(flight->gate, clock_mono_ms(), -1);
        flight_land(flight, TOKEN_TRANSIENT, reply->message, 0, -1);
        return;
    }
    struct secret memory AUTO_SECRET = {0};
    const struct yt_token_reply *token = read_token_reply(reply, &memory);
    if (token->result != TOKEN_OK) {
        take_refusal(flight, token, reply->status);
        return;
    }
    gate_passed(flight->gate);
    take_reply(flight, token, reply->elapsed_ms);
}

static void refresh(struct flight *flight, const struct secret *client_secret, const struct secret *token)
{
    struct err err = {0};
    struct buf form;
    buf_init(&form, 8192);
    yt_build_refresh(flight->client.client_id, client_secret->data, token->data, &form);
    int code = post_form(flight->child, flight->client.token_uri, &form, refresh_ended, flight, &err);
    buf_wipe(&form);
    if (code == 0)
        return;
    bool is_of_client = code == ERR_INVALID; /* its token_uri; else it is this process that cannot */
    if (is_of_client)
        gate_refused(flight->gate, flight->secret_row, clock_mono_ms(), err.message);
    else
        gate_failed(flight->gate, clock_mono_ms(), -1);
    flight_land(flight, is_of_client ? TOKEN_CLIENT : TOKEN_TRANSIENT, err.message, 0, -1);
}

/* ---- the start ---- */

int flight_load_channel(struct flight *flight, struct err *err)
{
    int code = store_channel_get(flight->child->store, flight->entry->channel_id, &flight->channel, err);
    if (code == 0 && flight->channel.tenant_id != flight->entry->tenant_id)
        return err_set(err, ERR_NOT_FOUND, "the channel belongs to another tenant");
    return code;
}

/* What a refusal of the client is remembered for (broker_gate.c): its secret, until somebody has set the
 * client's state. That is the worker, which stops it; and then whoever lets it go on. */
static void know_client(struct flight *flight)
{
    unsigned char text[ROW_DIGEST_BYTES + sizeof(flight->client.state_at_ms)];
    memcpy(text, flight->secret_row, ROW_DIGEST_BYTES);
    memcpy(text + ROW_DIGEST_BYTES, &flight->client.state_at_ms, sizeof(flight->client.state_at_ms));
    vault_sha256(text, sizeof(text), flight->secret_row);
}

static int load(struct flight *flight, struct secret *ret_client_secret, struct secret *ret_token,
                struct err *err)
{
    struct store *store = flight->child->store;
    int code =
        open_refresh_token(flight->child, &flight->channel, ret_token, flight->row, flight->scopes, err);
    flight->has_row = code == 0;
    if (code == 0)
        login_digest(ret_token, flight->login);
    if (code == 0)
        code = store_client_get(store, flight->channel.client_id, &flight->client, err);
    if (code == 0)
        code = open_client_secret(flight->child, &flight->client, ret_client_secret, flight->secret_row, err);
    if (code == 0)
        know_client(flight);
    return code;
}

static void start_refresh(struct flight *flight)
{
    struct secret client_secret AUTO_SECRET = {0};
    struct secret token AUTO_SECRET = {0};
    struct err err = {0};
    enum token_result result;
    const char *message;
    int64_t wait_ms;
    if (load(flight, &client_secret, &token, &err) != 0) {
        land_err(flight, &err);
        return;
    }
    flight->gate = gate_of(flight->entry->tokens, flight->client.id);
    if (!gate_may_pass(flight->gate, flight->secret_row, clock_mono_ms(), &result, &message, &wait_ms)) {
        flight_land(flight, result, message, 0, wait_ms);
        return;
    }
    refresh(flight, &client_secret, &token);
}

void flight_go_on(struct flight *flight)
{
    struct err err = {0};
    int code = flight_load_channel(flight, &err);
    /* One that an earlier flight could not store comes before anything else. */
    if (code == 0 && flight->entry->unsaved.data)
        code = save_rotated(flight, &err);
    if (code != 0)
        land_err(flight, &err);
    else if (share_begin(flight))
        start_refresh(flight);
}

void flight_start(struct child *child, struct token_entry *entry)
{
    struct flight *flight = mem_alloc(sizeof(*flight));
    flight->child = child;
    flight->entry = entry;
    if (child->service)
        flight_start_with_service(flight);
    else
        flight_go_on(flight);
}
