/* The token endpoint and revocation [oauth, native, device]. */
#include <gnutls/crypto.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "device.h"
#include "json.h"
#include "oauth_caller.h"
#include "oauth_client.h"
#include "ops.h"

static void consent_release(struct consent **consent)
{
    consent_free(*consent);
}

static void answer_tokens(struct request *request, struct grant *grant, bool with_refresh_token)
{
    struct state *state = request->state;
    int64_t lifetime_s = state->settings.access_token_lifetime_s;
    struct access_token *token =
        tokens_issue(&state->tokens, grant, grant->scopes, state_now_ms(state) + lifetime_s * 1000);
    AUTO_BUF struct buf scopes;
    buf_init(&scopes, 4096);
    scopes_put(&scopes, token->scopes);
    json_t *body = json_pack("{s:s, s:I, s:s, s:s}", "access_token", token->text, "expires_in",
                             (json_int_t)lifetime_s, "scope", scopes.data, "token_type", "Bearer");
    if (with_refresh_token && grant->refresh_token)
        json_object_set_new(body, "refresh_token", json_string(grant->refresh_token));
    reply_take_json(&request->reply, 200, body);
}

/* ---- authorization_code ---- */

static bool is_verifier(const char *text)
{
    size_t len = strlen(text);
    return len >= 43 && len <= 128 && /* RFC 7636, 4.1 */
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == len;
}

static bool verifier_fits(const struct consent *consent, const char *verifier)
{
    unsigned char digest[SHA256_BYTES];
    char challenge[(SHA256_BYTES * 4 + 2) / 3 + 1];
    if (!is_verifier(verifier))
        return false;
    if (consent->challenge_is_plain)
        return strcmp(verifier, consent->code_challenge) == 0;
    gnutls_hash_fast(GNUTLS_DIG_SHA256, verifier, strlen(verifier), digest);
    text_base64url(challenge, digest, sizeof digest);
    return strcmp(challenge, consent->code_challenge) == 0;
}

static void refuse_grant(struct request *request, const char *description)
{
    reply_oauth_error(&request->reply, 400, "invalid_grant", description);
}

/* Answers if the code may not be exchanged with these parameters. */
static void check_code(struct request *request, const struct consent *consent, const struct client *client)
{
    AUTO_FREE char *verifier = request_form(request, "code_verifier");
    AUTO_FREE char *uri = request_form(request, "redirect_uri");
    if (!consent || consent->client != client || consent->expires_at_ms < state_now_ms(request->state))
        refuse_grant(request, "Malformed auth code.");
    else if (!uri || strcmp(uri, consent->redirect_uri) != 0)
        reply_oauth_error(&request->reply, 400, "redirect_uri_mismatch", "Bad Request");
    else if (consent->code_challenge && !verifier)
        refuse_grant(request, "Missing code verifier.");
    else if (consent->code_challenge && !verifier_fits(consent, verifier))
        refuse_grant(request, "Invalid code verifier.");
}

static void exchange_code(struct request *request, struct client *client)
{
    struct state *state = request->state;
    AUTO_FREE char *code = request_form(request, "code");
    if (!code) {
        reply_oauth_error(&request->reply, 400, "invalid_request", "Missing required parameter: code");
        return;
    }
    CLEANUP(consent_release) struct consent *consent = map_get(&state->oauth.codes, code);
    if (consent)
        map_remove(&state->oauth.codes, code); /* good for one try only */
    check_code(request, consent, client);
    if (request_is_answered(request))
        return;
    /* A refresh token comes with the first consent, or when the prompt was forced [oauth]. */
    bool is_first = !tokens_has_grant(&state->tokens, client, consent->channel);
    bool offline = consent->offline && (is_first || consent->forces_prompt);
    answer_tokens(
        request,
        tokens_grant(&state->tokens, client, consent->channel, consent->scopes, offline, state_now_ms(state)),
        true);
}

/* ---- refresh_token ---- */

static void refresh(struct request *request, struct client *client)
{
    struct state *state = request->state;
    AUTO_FREE char *text = request_form(request, "refresh_token");
    if (!text) {
        reply_oauth_error(&request->reply, 400, "invalid_request",
                          "Missing required parameter: refresh_token");
        return;
    }
    struct grant *grant = tokens_refreshable(&state->tokens, text, state_now_ms(state));
    if (!grant) {
        refuse_grant(request, "Token has been expired or revoked.");
    } else if (grant->client != client) {
        journal_violation(&state->journal, state_now_ms(state), "token-of-other-client", request->op->name,
                          NULL, grant->channel->id, NULL);
        reply_oauth_error(&request->reply, 401, "unauthorized_client", "Unauthorized");
    } else {
        grant->used_at_ms = state_now_ms(state);
        answer_tokens(request, grant, false); /* the old refresh token stays [oauth] */
    }
}

/* ---- device_code ---- */

static void exchange_device(struct request *request, struct client *client)
{
    struct grant *grant = device_poll(request, client);
    if (grant)
        answer_tokens(request, grant, true);
}

static const struct {
    const char *type;
    void (*exchange)(struct request *request, struct client *client);
} grants[] = {
    {"authorization_code", exchange_code},
    {"refresh_token", refresh},
    {"urn:ietf:params:oauth:grant-type:device_code", exchange_device},
};

static void end_token(struct request *request)
{
    AUTO_FREE char *type = request_form(request, "grant_type");
    struct client *client = oauth_check_client(request);
    if (!client)
        return;
    for (size_t i = 0; type && i < ARRAY_LEN(grants); i++) {
        if (strcmp(grants[i].type, type) == 0) {
            grants[i].exchange(request, client);
            return;
        }
    }
    if (type)
        reply_oauth_error(&request->reply, 400, "unsupported_grant_type", "Invalid grant_type");
    else
        reply_oauth_error(&request->reply, 400, "invalid_request",
                          "Required parameter is missing: grant_type");
}

static void end_revoke(struct request *request)
{
    AUTO_FREE char *token = request_form(request, "token");
    const char *text = token ? token : request_param(request, "token");
    struct grant *grant = tokens_find_grant(&request->state->tokens, text);
    if (!grant || grant->is_revoked) {
        reply_oauth_error(&request->reply, 400, "invalid_token", "Token expired or revoked");
        return;
    }
    tokens_revoke(&request->state->tokens, grant->channel, grant->client->project);
    reply_take_json(&request->reply, 200, json_object());
}

/* ---- who is it ---- */

struct client *oauth_check_client(struct request *request)
{
    AUTO_FREE char *id = request_form(request, "client_id");
    AUTO_FREE char *secret = request_form(request, "client_secret");
    struct client *client = clients_find(&request->state->clients, id);
    if (!id)
        reply_oauth_error(&request->reply, 400, "invalid_request",
                          "Could not determine client ID from request.");
    else if (!client)
        reply_oauth_error(&request->reply, 401, "invalid_client", "The OAuth client was not found.");
    else if (!secret || strcmp(secret, client->secret) != 0)
        reply_oauth_error(&request->reply, 401, "invalid_client", "Unauthorized");
    return request_is_answered(request) ? NULL : client;
}

void oauth_identify(struct request *request)
{
    AUTO_FREE char *refresh_token = request_form(request, "refresh_token");
    AUTO_FREE char *code = request_form(request, "code");
    AUTO_FREE char *token = request_form(request, "token");
    const struct consent *consent = map_get(&request->state->oauth.codes, code);
    const struct grant *grant =
        tokens_find_grant(&request->state->tokens, refresh_token ? refresh_token : token);
    if (grant)
        request->caller.channel = grant->channel;
    else if (consent)
        request->caller.channel = consent->channel;
}

const struct op op_token = {.name = "token", .style = OP_OAUTH, .end = end_token};
const struct op op_revoke = {.name = "revoke", .style = OP_OAUTH, .end = end_revoke};
