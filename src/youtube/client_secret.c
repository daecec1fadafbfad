#include <string.h>

#include "base/text.h"
#include "core/limits.h"
#include "youtube/json.h"
#include "youtube/url.h"
#include "youtube/youtube.h"

static int take_text(const json_t *client, const char *key, char *ret, size_t size, struct err *err)
{
    const char *text = yt_json_text(client, key);
    if (!text || !*text)
        return err_set(err, ERR_INVALID, "%s is missing, empty or not a text", key);
    for (const char *p = text; *p; p++)
        if (*p <= 0x20 || *p >= 0x7F)
            return err_set(err, ERR_INVALID, "%s holds a blank or special character", key);
    if (!text_copy(ret, size, text))
        return err_set(err, ERR_INVALID, "%s is longer than %zu characters", key, size - 1);
    return 0;
}

static int take_uri(const json_t *client, const char *key, char *ret, size_t size, struct err *err)
{
    int result = take_text(client, key, ret, size, err);
    return result < 0 ? result : yt_url_check_secure(ret, key, err);
}

/* The client inside the file, and which kind it is. */
static const json_t *find_client(const json_t *file, const char **ret_kind)
{
    static const char *const kinds[] = {"web", "installed"};
    const json_t *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && !yt_json_text(found, "client_id"); i++) {
        const json_t *client = json_object_get(file, kinds[i]);
        if (!client || (found && !yt_json_text(client, "client_id")))
            continue;
        found = client;
        *ret_kind = kinds[i];
    }
    return found;
}

static int refuse_file(const json_t *file, struct err *err)
{
    const char *type = yt_json_text(file, "type");
    if (type && strcmp(type, "service_account") == 0)
        return err_set(err, ERR_INVALID,
                       "a service account's key: YouTube has no channels for these; make an OAuth client of "
                       "type \"Desktop app\" and download its JSON");
    if (json_object_get(file, "refresh_token") || json_object_get(file, "access_token"))
        return err_set(err, ERR_INVALID,
                       "a token file: it goes to `channel import`, after the client's own "
                       "client_secret JSON was imported");
    return err_set(err, ERR_INVALID,
                   "neither \"installed\" nor \"web\" is there: not an OAuth client's JSON");
}

static int take_redirect_uri(const json_t *client, struct yt_client_secret *ret, struct err *err)
{
    const json_t *uris = json_object_get(client, "redirect_uris");
    if (json_array_size(uris) == 0)
        return 0;
    json_t *first AUTO_JSON = json_pack("{sO}", "redirect_uris[0]", json_array_get(uris, 0));
    return take_text(first, "redirect_uris[0]", ret->redirect_uri, sizeof(ret->redirect_uri), err);
}

static int take_client(const json_t *client, bool for_logins, struct yt_client_secret *ret, struct err *err)
{
    int result = take_text(client, "client_id", ret->client_id, sizeof(ret->client_id), err);
    if (result == 0 && for_logins)
        result = take_text(client, "client_secret", ret->client_secret, sizeof(ret->client_secret), err);
    if (result == 0 && (for_logins || json_object_get(client, "auth_uri")))
        result = take_uri(client, "auth_uri", ret->auth_uri, sizeof(ret->auth_uri), err);
    if (result == 0 && (for_logins || json_object_get(client, "token_uri")))
        result = take_uri(client, "token_uri", ret->token_uri, sizeof(ret->token_uri), err);
    if (result == 0 && json_object_get(client, "project_id"))
        result = take_text(client, "project_id", ret->project_id, sizeof(ret->project_id), err);
    return result < 0 ? result : take_redirect_uri(client, ret, err);
}

int yt_parse_client_secret(const char *json, size_t len, bool for_logins, struct yt_client_secret *ret,
                           struct err *err)
{
    *ret = (struct yt_client_secret){0};
    json_t *file AUTO_JSON = yt_json_load_file_text(json, len, REPLY_BYTES_MAX, err);
    if (!file)
        return err_wrap(err, "client secret");
    const char *kind = "";
    const json_t *client = find_client(file, &kind);
    int result = client ? take_client(client, for_logins, ret, err) : refuse_file(file, err);
    if (result < 0) {
        explicit_bzero(ret, sizeof(*ret));
        return err_wrap(err, "client secret");
    }
    text_copy(ret->kind, sizeof(ret->kind), kind);
    return 0;
}
