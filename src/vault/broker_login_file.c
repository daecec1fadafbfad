/*
 * A login that another program has made, taken over from its file: refreshed once at the endpoint of the
 * client in our store, never at one that the file names; then as any other login. The file is not written to:
 * where the program goes on using it, both use the same login.
 */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "vault/broker_login.h"

/* ---- the client ---- */

struct client_search {
    const char *tenant;
    const char *client_id;
    struct store_client *ret;
    bool is_found;
};

static int on_client(void *ctx, const struct store_client *client)
{
    struct client_search *search = ctx;
    if (strcmp(client->tenant, search->tenant) == 0 && strcmp(client->client_id, search->client_id) == 0) {
        *search->ret = *client;
        search->is_found = true;
    }
    return 0;
}

static int find_named(struct login *login, const char *tenant, const struct yt_token_file *file,
                      struct err *err)
{
    struct client_search search = {.tenant = tenant, .client_id = file->client_id, .ret = &login->client};
    int code = store_client_list(login->child->store, on_client, &search, err);
    if (code == 0 && !search.is_found)
        return err_set(
            err, ERR_NOT_FOUND,
            "this login belongs to the OAuth client %s, which tenant %s does not have: import that "
            "client's file first: sluice client import client_secret.json",
            file->client_id, tenant);
    return code;
}

/* The one that the command line names, else the one that the file names, else the channel's, else the only
 * one. */
static int choose_client(struct login *login, const char *tenant, const struct yt_token_file *file,
                         struct err *err)
{
    struct store *store = login->child->store;
    if (login->client.id && file->client_id[0] && strcmp(login->client.client_id, file->client_id) != 0)
        return err_set(err, ERR_INVALID,
                       "this login belongs to the OAuth client %s, but client %s is %s: a refresh token is "
                       "good for its own client only",
                       file->client_id, login->client.name, login->client.client_id);
    if (login->client.id)
        return 0;
    if (file->client_id[0])
        return find_named(login, tenant, file, err);
    if (login->known.id)
        return store_client_get(store, login->known.client_id, &login->client, err);
    int code = store_client_find(store, tenant, NULL, &login->client, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code,
                       "a file of youtubeuploader does not hold its client: import that first: sluice client "
                       "import client_secrets.json");
    return code;
}

/* ---- the refresh ---- */

static int refresh_refused(const struct login *login, const struct yt_token_reply *reply, struct err *err)
{
    if (reply->result == TOKEN_REVOKED)
        return err_set(
            err, ERR_AUTH,
            "Google no longer takes the file's login (%s): it was revoked, not used for six months, "
            "of a project in status \"Testing\" (7 days), or is another client's than %s (%s); log "
            "the channel in with `sluice channel login` instead",
            reply->message, login->client.name, login->client.client_id);
    return err_set(err, ERR_AUTH,
                   "Google refuses the client %s (%s): the file's login may be another client's, or this "
                   "client's secret has changed: import its client_secret JSON again",
                   login->client.name, reply->message);
}

static int refresh(struct login *login, struct err *err)
{
    struct secret client_secret AUTO_SECRET = {0};
    int code = open_client_secret(login->child, &login->client, &client_secret, NULL, err);
    if (code != 0)
        return code;
    struct buf form = BUF_INIT(LOGIN_FORM_MAX);
    yt_build_refresh(login->client.client_id, client_secret.data, login->refresh.data, &form);
    return login_post(login, &form, refresh_refused, err);
}

/* ---- the start ---- */

static int take_file(struct login *login, const struct message *ask, struct err *err)
{
    struct secret memory AUTO_SECRET = {0};
    secret_reserve(&memory, sizeof(struct yt_token_file));
    struct yt_token_file *file = (struct yt_token_file *)memory.data;
    int code = yt_parse_token_file(ask->fields[TAKE_JSON].text, ask->fields[TAKE_JSON].len, file, err);
    if (code == 0)
        code = choose_client(login, ask->fields[LOGIN_TENANT].text, file, err);
    if (code == 0)
        code = store_client_check(&login->client, err);
    if (code == 0)
        secret_set(&login->refresh, file->refresh_token, strlen(file->refresh_token));
    return code;
}

void login_take_file(struct child *child, const struct message *ask)
{
    struct login *login = login_new(child, ask);
    struct err err = {0};
    int code = 0;
    if (child->service)
        code =
            err_set(&err, ERR_USAGE,
                    "the token service keeps the logins: give the file's login to it, then take the channel "
                    "over with `sluice channel import` without --token");
    if (code == 0)
        code = login_prepare(login, ask, &err);
    if (code == 0)
        code = take_file(login, ask, &err);
    if (code == 0)
        code = refresh(login, &err);
    if (code != 0)
        login_end(login, &err);
}
