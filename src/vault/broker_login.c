/*
 * Logins: an authorization code becomes a sealed refresh token, bound to the channel that Google says it is
 * for [native]. Nothing is stored unless everything holds: scopes (K07), a refresh token, the channel (K09).
 *
 * A login that is refused here is not revoked at Google: revoking takes away every scope that the account
 * gave to the whole project, and so would end the account's other logins.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/broker_login.h"
#include "vault/tokens.h"

void login_end(struct login *login, const struct err *err)
{
    struct child *child = login->child;
    if (err) {
        LOG(LOG_WARN, "login refused", F_STR("tenant", login->client.tenant), F_STR("channel", login->name),
            F_STR("message", err->message));
        if (login->known.id)
            audit_write(child, &(struct audit){.channel = &login->known,
                                               .what = "login refused",
                                               .reason = err_name(err->code),
                                               .message = err->message});
        child_answer_error(child, login->id, err);
    }
    child->busy_count--;
    secret_release(&login->refresh);
    secret_release(&login->access);
    mem_free(login);
}

/* ---- the channel ---- */

static const char *or_untitled(const char *title)
{
    return title[0] ? title : "untitled";
}

static int check_channel(const struct login *login, const struct yt_channel *channel, struct err *err)
{
    if (login->expect[0] && strcmp(login->expect, channel->id) != 0)
        return err_set(
            err, ERR_AUTH,
            "this login is for the YouTube channel %s (%s), not for %s as expected: log in again and "
            "choose that channel on Google's page",
            channel->id, or_untitled(channel->title), login->expect);
    if (login->known.id && strcmp(login->known.yt_channel_id, channel->id) != 0)
        return err_set(
            err, ERR_AUTH,
            "channel %s is the YouTube channel %s (%s), but this login is for %s (%s): log in again "
            "and choose the right one on Google's page, or give the other one a name of its own",
            login->name, login->known.yt_channel_id, or_untitled(login->known.title), channel->id,
            or_untitled(channel->title));
    return 0;
}

struct seal_ctx {
    struct child *child;
    const struct secret *refresh;
    struct buf sealed;
    char key_id[VAULT_KEY_ID_SIZE];
};

static int seal_refresh(void *ctx, int64_t tenant_id, int64_t channel_id, struct blob *ret_sealed,
                        struct err *err)
{
    struct seal_ctx *seal = ctx;
    struct row_place place;
    place_of_token(&place, tenant_id, channel_id);
    int code = tenant_seal(seal->child->keys, &place.place, seal->refresh->data, seal->refresh->len,
                           &seal->sealed, seal->key_id, err);
    if (code != 0)
        return code;
    *ret_sealed = (struct blob){.data = seal->sealed.data, .len = seal->sealed.len};
    return 0;
}

static int store_login(struct login *login, const struct yt_channel *channel, struct store_channel *ret,
                       struct err *err)
{
    struct child *child = login->child;
    struct seal_ctx seal = {.child = child, .refresh = &login->refresh};
    struct store_login row = {
        .channel = {.tenant_id = login->client.tenant_id, .client_id = login->client.id},
        .scopes = login->scopes,
        .who = child->who,
        .seal = login->refresh.data ? seal_refresh : NULL,
        .seal_ctx = &seal,
        .key_id = seal.key_id};
    text_copy(row.channel.name, sizeof(row.channel.name), login->name);
    text_copy(row.channel.yt_channel_id, sizeof(row.channel.yt_channel_id), channel->id);
    text_copy(row.channel.title, sizeof(row.channel.title), channel->title);
    text_copy(row.channel.uploads_playlist, sizeof(row.channel.uploads_playlist), channel->uploads_playlist);
    int code = row.seal ? tenant_keys_prepare(child->keys, row.channel.tenant_id, err) : 0;
    if (code != 0)
        return code;
    buf_init(&seal.sealed, VAULT_SEALED_MAX);
    code = store_channel_login(child->store, &row, err);
    buf_release(&seal.sealed);
    return code != 0 ? code : store_channel_get(child->store, row.channel.id, ret, err);
}

static int bind_channel(struct login *login, const struct whose *whose, struct store_channel *ret,
                        struct err *err)
{
    if (whose->result == TOKEN_NONE)
        return err_set(err, ERR_AUTH,
                       "this Google account has no YouTube channel: make one at "
                       "https://www.youtube.com/create_channel, or log in with another account");
    if (whose->result != TOKEN_OK)
        return err_set(err, whose->result == TOKEN_TRANSIENT ? ERR_IO : ERR_AUTH,
                       "asking YouTube whose channel this is: %s", whose->message);
    int code = check_channel(login, &whose->channel, err);
    return code != 0 ? code : store_login(login, &whose->channel, ret, err);
}

static int ask_service_for(struct login *login, struct err *err);

static void whose_is_known(void *ctx, const struct whose *whose)
{
    struct login *login = ctx;
    struct child *child = login->child;
    struct store_channel channel;
    struct err err = {0};
    /* As in a flight: one that the service kept may have ended. */
    if (whose->result == TOKEN_REVOKED && child->service && !login->is_fresh) {
        login->is_fresh = true;
        if (ask_service_for(login, &err) != 0)
            login_end(login, &err);
        return;
    }
    if (bind_channel(login, whose, &channel, &err) != 0) {
        login_end(login, &err);
        return;
    }
    /* The unit of a login to a channel that was not known before has no row to stand in until now. */
    if (!login->known.id)
        count_whose(child, login->client.id, channel.id);
    tokens_forget(child->tokens, channel.id);
    LOG(LOG_INFO, "login stored", F_STR("tenant", channel.tenant), F_STR("channel", channel.name),
        F_STR("youtube", channel.yt_channel_id));
    child_answer_channel(child, login->id, &channel);
    login_end(login, NULL);
}

/* ---- tokens ---- */

/* Each box of Google's page can be unticked (K07). */
static int check_tokens(const struct login *login, const struct yt_token_reply *reply, struct err *err)
{
    const char *missing = yt_missing_scope(reply->scope);
    if (missing)
        return err_set(err, ERR_AUTH, "the login lacks %s: log in again and leave every box ticked", missing);
    /* A file has brought one already. */
    if (!reply->refresh_token[0] && !login->refresh.data)
        return err_set(err, ERR_AUTH,
                       "Google sent no refresh token, as it does where an account has agreed before: log in "
                       "again with prompt=consent, or remove the app's access at "
                       "https://myaccount.google.com/permissions first");
    return 0;
}

int login_take(struct login *login, const struct yt_token_reply *reply, struct err *err)
{
    int code = check_tokens(login, reply, err);
    if (code != 0)
        return code;
    if (reply->refresh_token[0])
        secret_set(&login->refresh, reply->refresh_token, strlen(reply->refresh_token));
    secret_set(&login->access, reply->access_token, strlen(reply->access_token));
    text_copy(login->scopes, sizeof(login->scopes), reply->scope);
    return ask_whose(login->child, &login->access, login->client.id, login->known.id, whose_is_known, login,
                     err);
}

/* ---- the token endpoint ---- */

static int check_reply(const struct login *login, const struct yt_token_reply *reply, struct err *err)
{
    if (reply->result == TOKEN_TRANSIENT)
        return err_set(err, ERR_IO, "the token endpoint: %s: try again", reply->message);
    return reply->result == TOKEN_OK ? 0 : login->refused(login, reply, err);
}

static void tokens_came(void *ctx, const struct http_reply *reply)
{
    struct login *login = ctx;
    struct err err = {0};
    if (reply->end != HTTP_OK) {
        err_set(&err, ERR_IO, "the token endpoint: %s", reply->message);
        login_end(login, &err);
        return;
    }
    struct secret memory AUTO_SECRET = {0};
    const struct yt_token_reply *token = read_token_reply(reply, &memory);
    int code = check_reply(login, token, &err);
    if (code == 0)
        code = login_take(login, token, &err);
    if (code != 0)
        login_end(login, &err);
}

int login_post(struct login *login, struct buf *form, login_refused *refused, struct err *err)
{
    login->refused = refused;
    int code = post_form(login->child, login->client.token_uri, form, tokens_came, login, err);
    buf_wipe(form);
    return code;
}

/* ---- the exchange of the code ---- */

static int exchange_refused(const struct login *login, const struct yt_token_reply *reply, struct err *err)
{
    (void)login;
    return err_set(err, ERR_AUTH, "Google refused the login: %s: begin it anew", reply->message);
}

static int exchange(struct login *login, const struct message *ask, struct err *err)
{
    struct secret client_secret AUTO_SECRET = {0};
    int code = open_client_secret(login->child, &login->client, &client_secret, NULL, err);
    if (code != 0)
        return code;
    struct buf form = BUF_INIT(LOGIN_FORM_MAX);
    yt_build_code_exchange(login->client.client_id, client_secret.data, ask->fields[LOGIN_CODE].text,
                           ask->fields[LOGIN_VERIFIER].text, ask->fields[LOGIN_REDIRECT].text, &form);
    return login_post(login, &form, exchange_refused, err);
}

/* ---- or the token service has the login ---- */

static int service_error(const struct service_reply *reply, struct err *err)
{
    enum token_result result = reply->token.result;
    int code = result == TOKEN_NONE ? ERR_NOT_FOUND : result == TOKEN_TRANSIENT ? ERR_IO : ERR_AUTH;
    return err_set(err, reply->http_status == 401 ? ERR_AUTH : code, "the token service: %s",
                   reply->token.message);
}

static int check_service_reply(const struct login *login, const struct service_reply *reply, struct err *err)
{
    if (reply->token.result != TOKEN_OK)
        return service_error(reply, err);
    const char *missing = reply->token.scope[0] ? yt_missing_scope(reply->token.scope) : NULL;
    if (missing)
        return err_set(err, ERR_AUTH, "the token service's token lacks %s", missing);
    struct yt_channel told = {.title = ""};
    text_copy(told.id, sizeof(told.id), reply->channel_id);
    return told.id[0] ? check_channel(login, &told, err) : 0;
}

static void service_answered(void *ctx, const struct service_reply *reply)
{
    struct login *login = ctx;
    struct err err = {0};
    int code = check_service_reply(login, reply, &err);
    if (code == 0) {
        secret_set(&login->access, reply->token.access_token, strlen(reply->token.access_token));
        code = ask_whose(login->child, &login->access, login->client.id, login->known.id, whose_is_known,
                         login, &err);
    }
    if (code != 0)
        login_end(login, &err);
}

static int ask_service_for(struct login *login, struct err *err)
{
    const struct service_ask ask = {.tenant = login->client.tenant,
                                    .channel = login->name,
                                    .yt_channel_id =
                                        login->known.id ? login->known.yt_channel_id : login->expect,
                                    .is_fresh_wanted = login->is_fresh};
    return ask_service(login->child, &ask, service_answered, login, err);
}

/* ---- the start ---- */

static int check_kind(const struct child *child, const struct message *ask, struct err *err)
{
    if (ask->type == MESSAGE_LOGIN && child->service)
        return err_set(err, ERR_USAGE,
                       "the token service keeps the logins: log the channel in there, then take it over with "
                       "`sluice channel import`");
    if (ask->type == MESSAGE_ADOPT && !child->service)
        return err_set(err, ERR_USAGE,
                       "there is no token service to import it from: set token_service, or log the channel "
                       "in with `sluice channel login`");
    return 0;
}

static int find_channel(struct login *login, const char *tenant, struct err *err)
{
    int code = store_channel_find(login->child->store, tenant, login->name, &login->known, err);
    if (code != ERR_NOT_FOUND)
        return code;
    login->known = (struct store_channel){.id = 0};
    return 0;
}

static int find_client(struct login *login, const char *tenant, int64_t client_id, struct err *err)
{
    if (client_id == 0)
        return 0;
    int code = store_client_get(login->child->store, client_id, &login->client, err);
    if (code == 0 && strcmp(login->client.tenant, tenant) != 0)
        return err_set(err, ERR_NOT_FOUND, "tenant %s has no such client", tenant);
    return code != 0 ? code : store_client_check(&login->client, err);
}

int login_prepare(struct login *login, const struct message *ask, struct err *err)
{
    const char *tenant = ask->fields[LOGIN_TENANT].text;
    int code = child_check_tenant(login->child, tenant, err);
    if (code == 0)
        code = find_client(login, tenant, ask->fields[LOGIN_CLIENT_ID].number, err);
    if (code != 0)
        return code;
    if (!text_copy(login->name, sizeof(login->name), ask->fields[LOGIN_CHANNEL].text) || !login->name[0])
        return err_set(err, ERR_INVALID, "a channel's name has 1 to %d characters", NAME_SIZE - 1);
    text_copy(login->expect, sizeof(login->expect), ask->fields[LOGIN_EXPECT].text);
    return find_channel(login, tenant, err);
}

struct login *login_new(struct child *child, const struct message *ask)
{
    struct login *login = mem_alloc(sizeof(*login));
    login->child = child;
    login->id = ask->id;
    child->busy_count++;
    return login;
}

void login_start(struct child *child, const struct message *ask)
{
    struct login *login = login_new(child, ask);
    struct err err = {0};
    int code = check_kind(child, ask, &err);
    if (code == 0)
        code = login_prepare(login, ask, &err);
    if (code == 0)
        code = child->service ? ask_service_for(login, &err) : exchange(login, ask, &err);
    if (code != 0)
        login_end(login, &err);
}
