/* The sealed rows that the broker opens, and the session URLs that it seals and opens for its parent. */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/child.h"

static void place_of(struct row_place *ret, int64_t tenant_id, const char *table, int64_t row,
                     const char *field)
{
    snprintf(ret->row, sizeof(ret->row), "%" PRId64, row);
    ret->place = (struct seal_place){.tenant_id = tenant_id, .table = table, .row = ret->row, .field = field};
}

void place_of_token(struct row_place *ret, int64_t tenant_id, int64_t channel_id)
{
    place_of(ret, tenant_id, "token", channel_id, "refresh_token");
}

void place_of_client(struct row_place *ret, int64_t tenant_id, int64_t client_id)
{
    place_of(ret, tenant_id, "client", client_id, "client_secret");
}

static int open_row(struct child *child, const struct row_place *place, struct blob *sealed,
                    struct secret *ret, unsigned char ret_digest[ROW_DIGEST_BYTES], struct err *err)
{
    if (ret_digest)
        vault_sha256(sealed->data, sealed->len, ret_digest);
    int code = vault_open(child->key, &place->place, sealed->data, sealed->len, ret, err);
    mem_free((void *)sealed->data);
    return code;
}

int open_client_secret(struct child *child, const struct store_client *client, struct secret *ret,
                       unsigned char ret_digest[ROW_DIGEST_BYTES], struct err *err)
{
    struct row_place place;
    struct blob sealed = {0};
    int code = store_client_get_secret(child->store, client->id, &sealed, err);
    if (code != 0)
        return code;
    if (sealed.len == 0)
        return err_set(err, ERR_AUTH, "client %s has no secret: import its client_secret.json again",
                       client->name);
    place_of_client(&place, client->tenant_id, client->id);
    return open_row(child, &place, &sealed, ret, ret_digest, err);
}

int open_refresh_token(struct child *child, const struct store_channel *channel, struct secret *ret,
                       unsigned char ret_digest[ROW_DIGEST_BYTES], char *ret_scopes, struct err *err)
{
    struct row_place place;
    struct store_token token = {.scopes = ""};
    int code = store_token_get(child->store, channel->id, &token, err);
    if (code != 0)
        return code;
    if (ret_scopes)
        text_copy(ret_scopes, sizeof(token.scopes), token.scopes);
    place_of_token(&place, channel->tenant_id, channel->id);
    return open_row(child, &place, &token.sealed, ret, ret_digest, err);
}

/* ---- sessions ---- */

/* OPEN_OK, or why nothing is done for that tenant. */
static enum open_result check_place(struct child *child, int64_t tenant_id)
{
    struct err err = {0};
    int code = child_check_tenant_id(child, tenant_id, &err);
    return code == 0 ? OPEN_OK : code == ERR_INVALID ? OPEN_CORRUPT : OPEN_TRANSIENT;
}

static struct seal_place place_of_session(int64_t tenant_id, const char *job)
{
    return (struct seal_place){.tenant_id = tenant_id, .table = "upload", .row = job, .field = "session_url"};
}

void session_seal(struct child *child, const struct message *ask)
{
    struct seal_place place =
        place_of_session(ask->fields[SEAL_TENANT_ID].number, ask->fields[SEAL_JOB].text);
    struct buf sealed AUTO_BUF = BUF_INIT(VAULT_SEALED_MAX);
    struct message_out out;
    enum open_result result = check_place(child, place.tenant_id);
    if (result == OPEN_OK)
        vault_seal(child->key, &place, ask->fields[SEAL_URL].text, ask->fields[SEAL_URL].len, &sealed);
    message_start(&out, MESSAGE_SEALED, ask->id);
    message_put_number(&out, sealed.overflowed ? OPEN_CORRUPT : result);
    message_put_bytes(&out, sealed.data, sealed.overflowed ? 0 : sealed.len);
    child_answer(child, &out);
}

void session_open(struct child *child, const struct message *ask)
{
    struct seal_place place =
        place_of_session(ask->fields[OPEN_TENANT_ID].number, ask->fields[OPEN_JOB].text);
    struct secret url AUTO_SECRET = {0};
    struct message_out out;
    struct err err = {0};
    const struct message_field *sealed = &ask->fields[OPEN_SEALED];
    enum open_result result = check_place(child, place.tenant_id);
    if (result == OPEN_OK && vault_open(child->key, &place, sealed->text, sealed->len, &url, &err) != 0) {
        LOG(LOG_ERROR, "a session does not open", F_STR("job", place.row), F_STR("message", err.message));
        result = OPEN_CORRUPT;
    }
    message_start(&out, MESSAGE_OPENED, ask->id);
    message_put_number(&out, result);
    message_put_text(&out, url.data);
    child_answer(child, &out);
}
