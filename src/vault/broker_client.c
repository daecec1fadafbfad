/* Importing an OAuth client: its secret is sealed before it is stored, and never stored otherwise. */
#include <string.h>

#include "base/text.h"
#include "vault/child.h"

static int check_uris(const struct child *child, const struct yt_client_secret *secret, struct err *err)
{
    if (!child->allow_plain_loopback && secret->token_uri[0] &&
        !text_starts_with(secret->token_uri, "https://"))
        return err_set(err, ERR_INVALID, "token_uri is not https");
    return 0;
}

static int fill_client(const struct message *ask, const struct yt_client_secret *secret,
                       struct store_client *ret, struct err *err)
{
    const char *name = ask->fields[IMPORT_NAME].text;
    *ret = (struct store_client){.uploads_per_day = UPLOADS_PER_DAY_DEFAULT,
                                 .units_per_day = UNITS_PER_DAY_DEFAULT};
    if (!text_copy(ret->tenant, sizeof(ret->tenant), ask->fields[IMPORT_TENANT].text) ||
        !text_copy(ret->name, sizeof(ret->name), name[0] ? name : "default"))
        return err_set(err, ERR_INVALID, "the tenant's or the client's name is too long");
    text_copy(ret->client_id, sizeof(ret->client_id), secret->client_id);
    text_copy(ret->auth_uri, sizeof(ret->auth_uri), secret->auth_uri);
    text_copy(ret->token_uri, sizeof(ret->token_uri), secret->token_uri);
    text_copy(ret->kind, sizeof(ret->kind), secret->kind);
    return 0;
}

/* The row's id is part of what the secret is sealed for. */
static int store_secret(struct child *child, const struct store_client *client, const char *secret,
                        struct err *err)
{
    struct row_place place;
    struct buf sealed AUTO_BUF = BUF_INIT(VAULT_SEALED_MAX);
    place_of_client(&place, client->tenant_id, client->id);
    int code = tenant_seal(child->keys, &place.place, secret, strlen(secret), &sealed, NULL, err);
    return code != 0 ? code
                     : store_client_set_secret(child->store, client->id,
                                               (struct blob){.data = sealed.data, .len = sealed.len}, err);
}

/* In one transaction. With a token service no secret is needed, and none is stored: one that is there stays.
 */
static int store_both(struct child *child, struct store_client *client, const char *secret, struct err *err)
{
    int code = store_client_put(child->store, client, child->who, err);
    if (code == 0 && !child->service)
        code = store_secret(child, client, secret, err);
    return code != 0 ? code : store_client_get(child->store, client->id, client, err);
}

static int import(struct child *child, const struct message *ask, struct store_client *ret, struct err *err)
{
    struct secret memory AUTO_SECRET = {0};
    secret_reserve(&memory, sizeof(struct yt_client_secret));
    struct yt_client_secret *secret = (struct yt_client_secret *)memory.data;
    int code = yt_parse_client_secret(ask->fields[IMPORT_JSON].text, ask->fields[IMPORT_JSON].len,
                                      !child->service, secret, err);
    if (code == 0)
        code = check_uris(child, secret, err);
    if (code == 0)
        code = fill_client(ask, secret, ret, err);
    if (code == 0)
        code = child_check_tenant(child, ret->tenant, err);
    if (code == 0)
        code = store_begin(child->store, err);
    if (code != 0)
        return code;
    return store_end(child->store, store_both(child, ret, secret->client_secret, err), err);
}

void client_import(struct child *child, const struct message *ask)
{
    struct store_client client;
    struct message_out out;
    struct err err = {0};
    if (import(child, ask, &client, &err) != 0) {
        child_answer_error(child, ask->id, &err);
        return;
    }
    message_start(&out, MESSAGE_CLIENT, ask->id);
    message_put_number(&out, client.id);
    message_put_number(&out, client.tenant_id);
    message_put_text(&out, client.tenant);
    message_put_text(&out, client.name);
    message_put_text(&out, client.client_id);
    message_put_text(&out, client.auth_uri);
    message_put_text(&out, client.token_uri);
    message_put_text(&out, client.kind);
    message_put_number(&out, client.uploads_per_day);
    message_put_number(&out, client.units_per_day);
    message_put_number(&out, client.channel_count);
    child_answer(child, &out);
}
