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

void place_of_access(struct row_place *ret, int64_t tenant_id, int64_t channel_id)
{
    place_of(ret, tenant_id, "token", channel_id, "access_token");
}

/* ---- opening ---- */

/* Nothing opens by chance: a value that does not was harmed, moved, or the key is another one (K10). */
static void raise_alarm(struct child *child, const struct seal_place *place, struct store_event *about,
                        const struct err *why)
{
    struct err err = {0};
    LOG(LOG_ERROR, "a sealed value does not open", F_STR("tenant", about->tenant[0] ? about->tenant : NULL),
        F_STR("table", place->table), F_STR("row", place->row), F_STR("field", place->field),
        F_STR("message", why->message));
    text_copy(about->who, sizeof(about->who), "broker");
    text_copy(about->what, sizeof(about->what), "decrypt failed");
    text_copy(about->reason, sizeof(about->reason), place->field);
    text_copy(about->message, sizeof(about->message), why->message);
    if (store_event_add(child->store, about, &err) != 0)
        LOG(LOG_WARN, "a line of the audit trail could not be stored", F_STR("what", about->what),
            F_STR("message", err.message));
}

/* `about`: whom it concerns, for the trail. */
static int open_or_tell(struct child *child, const struct seal_place *place, struct blob sealed,
                        struct store_event *about, struct secret *ret, struct err *err)
{
    struct err why = {0};
    int code = tenant_open(child->keys, place, sealed.data, sealed.len, ret, &why);
    if (code == ERR_CORRUPT)
        raise_alarm(child, place, about, &why);
    return code != 0 ? err_set(err, code, "%s", why.message) : 0;
}

static struct store_event about_channel(const struct store_channel *channel)
{
    struct store_event event = {.http_status = 0};
    text_copy(event.tenant, sizeof(event.tenant), channel->tenant);
    text_copy(event.channel, sizeof(event.channel), channel->name);
    return event;
}

int open_client_secret(struct child *child, const struct store_client *client, struct secret *ret,
                       unsigned char ret_digest[ROW_DIGEST_BYTES], struct err *err)
{
    struct row_place place;
    struct blob sealed = {0};
    struct store_event about = {.http_status = 0};
    int code = store_client_get_secret(child->store, client->id, &sealed, err);
    if (code != 0)
        return code;
    if (sealed.len == 0)
        return err_set(err, ERR_AUTH, "client %s has no secret: import its client_secret.json again",
                       client->name);
    text_copy(about.tenant, sizeof(about.tenant), client->tenant);
    place_of_client(&place, client->tenant_id, client->id);
    code = open_or_tell(child, &place.place, sealed, &about, ret, err);
    if (ret_digest)
        vault_sha256(sealed.data, sealed.len, ret_digest);
    mem_free((void *)sealed.data);
    return code;
}

int open_refresh_token(struct child *child, const struct store_channel *channel, struct secret *ret,
                       unsigned char ret_digest[ROW_DIGEST_BYTES], char *ret_scopes, struct err *err)
{
    struct row_place place;
    struct store_token token = {.scopes = ""};
    struct store_event about = about_channel(channel);
    int code = store_token_get(child->store, channel->id, &token, err);
    if (code != 0)
        return code;
    if (ret_scopes)
        text_copy(ret_scopes, sizeof(token.scopes), token.scopes);
    place_of_token(&place, channel->tenant_id, channel->id);
    code = open_or_tell(child, &place.place, token.sealed, &about, ret, err);
    if (ret_digest)
        vault_sha256(token.sealed.data, token.sealed.len, ret_digest);
    mem_free((void *)token.sealed.data);
    return code;
}

int open_access_token(struct child *child, const struct store_channel *channel, struct blob sealed,
                      struct secret *ret, struct err *err)
{
    struct row_place place;
    struct store_event about = about_channel(channel);
    place_of_access(&place, channel->tenant_id, channel->id);
    return open_or_tell(child, &place.place, sealed, &about, ret, err);
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

static enum open_result open_result_of(int code)
{
    return code == 0 ? OPEN_OK : code == ERR_CORRUPT || code == ERR_INVALID ? OPEN_CORRUPT : OPEN_TRANSIENT;
}

void session_seal(struct child *child, const struct message *ask)
{
    struct seal_place place =
        place_of_session(ask->fields[SEAL_TENANT_ID].number, ask->fields[SEAL_JOB].text);
    struct buf sealed AUTO_BUF = BUF_INIT(VAULT_SEALED_MAX);
    struct message_out out;
    struct err err = {0};
    const struct message_field *url = &ask->fields[SEAL_URL];
    enum open_result result = check_place(child, place.tenant_id);
    int code = 0;
    if (result == OPEN_OK)
        code = tenant_seal(child->keys, &place, url->text, url->len, &sealed, NULL, &err);
    if (code != 0)
        LOG(LOG_ERROR, "a session cannot be sealed", F_STR("job", place.row), F_STR("message", err.message));
    message_start(&out, MESSAGE_SEALED, ask->id);
    message_put_number(&out, code != 0 ? open_result_of(code) : result);
    message_put_bytes(&out, sealed.data, code == 0 ? sealed.len : 0);
    child_answer(child, &out);
}

void session_open(struct child *child, const struct message *ask)
{
    struct seal_place place =
        place_of_session(ask->fields[OPEN_TENANT_ID].number, ask->fields[OPEN_JOB].text);
    struct store_event about = {.http_status = 0};
    struct secret url AUTO_SECRET = {0};
    struct message_out out;
    struct err err = {0};
    const struct blob sealed = {.data = ask->fields[OPEN_SEALED].text, .len = ask->fields[OPEN_SEALED].len};
    text_copy(about.job, sizeof(about.job), place.row);
    enum open_result result = check_place(child, place.tenant_id);
    if (result == OPEN_OK)
        result = open_result_of(open_or_tell(child, &place, sealed, &about, &url, &err));
    message_start(&out, MESSAGE_OPENED, ask->id);
    message_put_number(&out, result);
    message_put_text(&out, url.data);
    child_answer(child, &out);
}
