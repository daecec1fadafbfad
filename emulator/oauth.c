/* Consent: the page where a user chooses a channel and the scopes to give [oauth, native]. */
#include "oauth.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "form.h"
#include "json.h"
#include "ops.h"

static const int64_t CODE_LIFETIME_MS = 10 * 60 * 1000;

void consent_free(void *consent_)
{
    struct consent *consent = consent_;
    if (!consent)
        return;
    mem_free(consent->redirect_uri);
    mem_free(consent->state);
    mem_free(consent->code_challenge);
    mem_free(consent);
}

static void device_free(void *device)
{
    mem_free(((struct device *)device)->user_code);
    mem_free(device);
}

void oauth_clear(struct oauth *oauth)
{
    map_clear(&oauth->pages, consent_free);
    map_clear(&oauth->codes, consent_free);
    map_clear(&oauth->devices, device_free);
    json_decref(oauth->approvals);
    oauth->approvals = NULL;
}

/* ---- is the request one that Google would show a page for? ---- */

/* Loopback literals with any port and path; `localhost` too, though Google advises against it [native]. */
static bool is_loopback_uri(const char *uri)
{
    static const char *const prefixes[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(uri, prefixes[i], len) != 0)
            continue;
        if (uri[len] == ':')
            len += 1 + strspn(uri + len + 1, "0123456789");
        return (uri[len] == '\0' || uri[len] == '/') && !strpbrk(uri, " \r\n#");
    }
    return false;
}

static bool is_registered(const struct client *client, const char *uri)
{
    if (!uri)
        return false;
    return client->kind == CLIENT_WEB ? strcmp(client->redirect_uri, uri) == 0 : is_loopback_uri(uri);
}

/* Errors that must not be sent to an unproven redirect are shown as a page. */
static void show_error(struct request *request, const char *error, const char *text)
{
    AUTO_BUF struct buf page;
    buf_init(&page, 8192);
    buf_printf(&page,
               "<!DOCTYPE html><title>Error 400: %s</title><h1>Access blocked: authorization error</h1>"
               "<p>%s</p><p>Error 400: %s</p>\n",
               error, text, error);
    reply_text(&request->reply, 400, "text/html; charset=utf-8", page.data);
}

static void redirect(struct request *request, const struct consent *consent, const char *name,
                     const char *value)
{
    AUTO_BUF struct buf location;
    buf_init(&location, 16384);
    buf_printf(&location, "%s%c%s=", consent->redirect_uri, strchr(consent->redirect_uri, '?') ? '&' : '?',
               name);
    form_put_encoded(&location, value);
    if (consent->state) {
        buf_puts(&location, "&state=");
        form_put_encoded(&location, consent->state);
    }
    if (strcmp(name, "code") == 0) {
        AUTO_BUF struct buf scopes;
        buf_init(&scopes, 4096);
        scopes_put(&scopes, consent->scopes);
        buf_puts(&location, "&scope=");
        form_put_encoded(&location, scopes.data);
    }
    reply_empty(&request->reply, 302);
    reply_set_header(&request->reply, "Location", location.data);
}

static bool is_challenge(const char *challenge, const char *method)
{
    bool is_known_method = !method || strcmp(method, "plain") == 0 || strcmp(method, "S256") == 0;
    return is_known_method && strlen(challenge) >= 43 && strlen(challenge) <= 128; /* RFC 7636 */
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; at && (at = strstr(at, word)); at += len)
        if ((at == text || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    return false;
}

/* What the parameters ask for, or NULL after an answer. */
static struct consent *read_consent(struct request *request)
{
    struct client *client = clients_find(&request->state->clients, request_param(request, "client_id"));
    const char *uri = request_param(request, "redirect_uri");
    const char *type = request_param(request, "response_type");
    const char *scope = request_param(request, "scope");
    const char *challenge = request_param(request, "code_challenge");
    const char *method = request_param(request, "code_challenge_method");
    const char *access_type = request_param(request, "access_type");
    unsigned scopes;
    if (!client)
        show_error(request, "invalid_client", "The OAuth client was not found.");
    else if (client->kind == CLIENT_TV)
        show_error(request, "invalid_request", "This client type is for limited input devices.");
    else if (uri && strncmp(uri, "urn:ietf:wg:oauth:2.0:oob", 25) == 0)
        show_error(request, "invalid_request", "The out-of-band (OOB) flow has been blocked."); /* [native] */
    else if (!is_registered(client, uri))
        show_error(request, "redirect_uri_mismatch", "The redirect URI does not match the client.");
    else if (!type || strcmp(type, "code") != 0)
        show_error(request, "unsupported_response_type", "response_type must be code.");
    else if (!scope || !scopes_parse(scope, &scopes))
        show_error(request, "invalid_scope", "Some requested scopes were invalid.");
    else if (challenge && !is_challenge(challenge, method))
        show_error(request, "invalid_request", "The code challenge is invalid.");
    if (request_is_answered(request))
        return NULL;
    struct consent *consent = mem_alloc(sizeof *consent);
    *consent = (struct consent){.client = client,
                                .scopes = scopes,
                                .redirect_uri = mem_dup(uri),
                                .state = mem_dup(request_param(request, "state")),
                                .code_challenge = mem_dup(challenge),
                                .challenge_is_plain = !method || strcmp(method, "plain") == 0,
                                .offline = access_type && strcmp(access_type, "offline") == 0,
                                .forces_prompt = has_word(request_param(request, "prompt"), "consent"),
                                .expires_at_ms = state_now_ms(request->state) + CODE_LIFETIME_MS};
    return consent;
}

/* ---- the answer ---- */

/* Takes over the consent: it becomes a code that can be exchanged once. */
static void approve(struct request *request, struct consent *consent, struct channel *channel,
                    unsigned scopes)
{
    AUTO_FREE char *code = token_text("4/0A");
    consent->channel = channel;
    consent->scopes = scopes;
    consent->expires_at_ms = state_now_ms(request->state) + CODE_LIFETIME_MS;
    map_put(&request->state->oauth.codes, code, consent);
    redirect(request, consent, "code", code);
}

static void deny(struct request *request, struct consent *consent, const char *error)
{
    redirect(request, consent, "error", error);
    consent_free(consent);
}

/* The next answer that a test gave in advance (POST /_ctl/approve), or NULL. Counts it down. The caller owns
 * it. */
static json_t *next_approval(struct oauth *oauth)
{
    json_t *answer = json_incref(json_array_get(oauth->approvals, 0));
    uint64_t times = 1;
    if (!answer)
        return NULL;
    json_count_at(answer, "times", &times);
    if (times == 1)
        json_array_remove(oauth->approvals, 0);
    else if (times > 1)
        json_object_set_new(answer, "times", json_integer((json_int_t)times - 1));
    return answer;
}

static void answer_in_advance(struct request *request, struct consent *consent, const json_t *answer)
{
    struct channel *channel = channels_find(&request->state->channels, json_text_at(answer, "channel"));
    const char *error = json_text_at(answer, "error");
    const char *scope = json_text_at(answer, "scope");
    unsigned scopes = consent->scopes;
    if (scope && scopes_parse(scope, &scopes))
        scopes &= consent->scopes;
    if (error || !channel)
        deny(request, consent, error ? error : "access_denied");
    else
        approve(request, consent, channel, scopes);
}

static void put_channel_choice(struct buf *page, const struct channel *channel, bool is_chosen)
{
    buf_printf(page, "<p><label><input type=radio name=channel value=\"%s\"%s> ", channel->id,
               is_chosen ? " checked" : "");
    form_put_html(page, channel->title);
    buf_printf(page, " (%s)</label></p>\n", channel->id);
}

static void put_scope_choices(struct buf *page, unsigned scopes)
{
    for (unsigned i = 0; i < SCOPE_COUNT_; i++) {
        if (!(scopes & 1u << i))
            continue;
        AUTO_BUF struct buf name;
        buf_init(&name, 256);
        scopes_put(&name, 1u << i);
        buf_printf(page, "<p><label><input type=checkbox name=scope value=\"%s\" checked> %s</label></p>\n",
                   name.data, name.data);
    }
}

static void show_page(struct request *request, struct consent *consent)
{
    const struct channels *channels = &request->state->channels;
    const char *hint = request_param(request, "login_hint");
    const struct channel *hinted = channels_find(&request->state->channels, hint);
    AUTO_FREE char *page_id = token_text("");
    AUTO_BUF struct buf page;
    buf_init(&page, 4 << 20);
    map_put(&request->state->oauth.pages, page_id, consent);
    buf_printf(
        &page,
        "<!DOCTYPE html><html><head><meta charset=utf-8><title>Choose a channel</title></head><body>\n"
        "<h1>Choose a channel</h1><p>The project <b>%s</b> wants to act for one of your channels.</p>\n"
        "<form method=post action=\"/o/oauth2/v2/auth/approve\">\n"
        "<input type=hidden name=page value=\"%s\"><input type=hidden name=has_scopes value=1>\n",
        consent->client->project->id, page_id);
    for (size_t i = 0; i < channels->count; i++)
        put_channel_choice(&page, channels->list[i], hinted ? channels->list[i] == hinted : i == 0);
    put_scope_choices(&page, consent->scopes);
    buf_puts(&page, "<p><button name=answer value=approve>Allow</button>\n"
                    "<button name=answer value=deny>Cancel</button></p></form></body></html>\n");
    reply_text(&request->reply, 200, "text/html; charset=utf-8", page.data);
}

static void end_auth(struct request *request)
{
    struct consent *consent = read_consent(request);
    if (!consent)
        return;
    AUTO_JSON json_t *answer = next_approval(&request->state->oauth);
    if (answer)
        answer_in_advance(request, consent, answer);
    else
        show_page(request, consent);
}

static void end_auth_approve(struct request *request)
{
    AUTO_FREE char *page_id = request_form(request, "page");
    AUTO_FREE char *channel_id = request_form(request, "channel");
    AUTO_FREE char *answer = request_form(request, "answer");
    AUTO_FREE char *has_scopes = request_form(request, "has_scopes");
    AUTO_FREE char *scope = form_get_all(request->body.data, "scope");
    struct consent *consent = map_get(&request->state->oauth.pages, page_id);
    struct channel *channel = channels_find(&request->state->channels, channel_id);
    unsigned scopes = 0;
    if (!consent) {
        show_error(request, "invalid_request", "This page was answered already, or never shown.");
        return;
    }
    map_remove(&request->state->oauth.pages, page_id);
    /* With several scopes a user may untick some [oauth]; a form that has no check boxes gives all. */
    if (!scope && !has_scopes)
        scopes = consent->scopes;
    else if (scope && scopes_parse(scope, &scopes))
        scopes &= consent->scopes;
    if ((answer && strcmp(answer, "approve") != 0) || !channel || !scopes)
        deny(request, consent, "access_denied");
    else
        approve(request, consent, channel, scopes);
}

const struct op op_auth = {.name = "auth", .style = OP_OAUTH, .end = end_auth};
const struct op op_auth_approve = {.name = "auth.approve", .style = OP_OAUTH, .end = end_auth_approve};
