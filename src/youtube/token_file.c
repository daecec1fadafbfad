/* Token files of other programs. */
#include <string.h>

#include "core/limits.h"
#include "youtube/json.h"
#include "youtube/youtube.h"

#define LOG_IN_ANEW "log the channel in with `sluice channel login` instead"

static bool has(const json_t *file, const char *key)
{
    return json_object_get(file, key) != NULL;
}

/* By its keys; NULL: none of those that are known. The order matters: oauth2client's files have all that
 * the others have. */
static const char *find_kind(const json_t *file)
{
    const char *type = yt_json_text(file, "type");
    if (has(file, "_module") || has(file, "token_expiry"))
        return "oauth2client";
    if (type && strcmp(type, "authorized_user") == 0)
        return "google-auth";
    if (has(file, "token") && has(file, "client_id"))
        return "google-auth";
    if (has(file, "access_token") && !has(file, "client_id"))
        return "youtubeuploader";
    return NULL;
}

static int refuse_kind(const json_t *file, struct err *err)
{
    const char *type = yt_json_text(file, "type");
    if (has(file, "installed") || has(file, "web"))
        return err_set(err, ERR_INVALID,
                       "this is an OAuth client's file, not a login: it goes to `sluice client import`");
    if (type && strcmp(type, "service_account") == 0)
        return err_set(err, ERR_INVALID,
                       "a service account's key: YouTube has no channels for these; " LOG_IN_ANEW);
    return err_set(err, ERR_INVALID,
                   "neither youtubeuploader's request.token nor a file of oauth2client or google-auth");
}

static int take_refresh_token(const json_t *file, struct yt_token_file *ret, struct err *err)
{
    const json_t *value = json_object_get(file, "refresh_token");
    const char *text = yt_json_text(file, "refresh_token");
    /* It happens to users: Google sends one with the first consent only, unless asked for it. */
    if (!value || json_is_null(value) || (text && !*text))
        return err_set(err, ERR_INVALID,
                       "refresh_token is missing or empty: this login cannot be renewed; " LOG_IN_ANEW);
    if (!yt_json_visible(file, "refresh_token", ret->refresh_token, sizeof(ret->refresh_token)))
        return err_set(err, ERR_INVALID, "refresh_token is not a text that can be one; " LOG_IN_ANEW);
    return 0;
}

static int take_client_id(const json_t *file, struct yt_token_file *ret, struct err *err)
{
    if (strcmp(ret->kind, "youtubeuploader") == 0)
        return 0;
    if (!yt_json_visible(file, "client_id", ret->client_id, sizeof(ret->client_id)))
        return err_set(err, ERR_INVALID, "client_id is missing, or not a text that can be one");
    return 0;
}

static int take_login(const json_t *file, struct yt_token_file *ret, struct err *err)
{
    ret->kind = find_kind(file);
    if (!ret->kind)
        return refuse_kind(file, err);
    if (json_is_true(json_object_get(file, "invalid")))
        return err_set(
            err, ERR_INVALID,
            "the file itself says that its login is invalid (Google has refused it); " LOG_IN_ANEW);
    int code = take_client_id(file, ret, err);
    return code < 0 ? code : take_refresh_token(file, ret, err);
}

int yt_parse_token_file(const char *json, size_t len, struct yt_token_file *ret, struct err *err)
{
    *ret = (struct yt_token_file){.kind = NULL};
    if (len > 0 && (unsigned char)json[0] == 0x80)
        return err_set(err, ERR_INVALID,
                       "a Python pickle: such files are programs and are never read; have the script write "
                       "its credentials with to_json(), or " LOG_IN_ANEW);
    json_t *file AUTO_JSON = yt_json_load_file_text(json, len, REPLY_BYTES_MAX, err);
    int code = file ? take_login(file, ret, err) : ERR_INVALID;
    if (code < 0)
        explicit_bzero(ret, sizeof(*ret));
    return code;
}
