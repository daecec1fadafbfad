#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "youtube/json.h"
#include "youtube/message.h"
#include "youtube/retry_after.h"
#include "youtube/url.h"
#include "youtube/youtube.h"

/* ---- requests ---- */

struct parameter {
    const char *name;
    const char *value;
};

static void put_form(struct buf *out, const struct parameter *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%s=", i > 0 ? "&" : "", parameters[i].name);
        yt_url_escape(out, parameters[i].value);
    }
}

void yt_build_auth_url(const char *auth_uri, const char *client_id, const char *redirect_uri,
                       const char *scopes, const char *state, const char *challenge, struct buf *ret)
{
    const struct parameter parameters[] = {
        {"client_id", client_id},
        {"redirect_uri", redirect_uri},
        {"response_type", "code"},
        {"scope", scopes},
        {"state", state},
        {"code_challenge", challenge},
        {"code_challenge_method", "S256"},
        {"access_type", "offline"},
        /* Both choosers, and a new refresh token each time [oauth]. */
        {"prompt", "select_account consent"},
    };
    buf_puts(ret, auth_uri);
    buf_putc(ret, strchr(auth_uri, '?') ? '&' : '?');
    put_form(ret, parameters, ARRAY_LEN(parameters));
}

void yt_build_code_exchange(const char *client_id, const char *client_secret, const char *code,
                            const char *verifier, const char *redirect_uri, struct buf *ret)
{
    const struct parameter parameters[] = {
        {"grant_type", "authorization_code"}, {"code", code},           {"code_verifier", verifier},
        {"redirect_uri", redirect_uri},       {"client_id", client_id}, {"client_secret", client_secret},
    };
    put_form(ret, parameters, ARRAY_LEN(parameters));
}

void yt_build_refresh(const char *client_id, const char *client_secret, const char *refresh_token,
                      struct buf *ret)
{
    const struct parameter parameters[] = {
        {"grant_type", "refresh_token"},
        {"refresh_token", refresh_token},
        {"client_id", client_id},
        {"client_secret", client_secret},
    };
    put_form(ret, parameters, ARRAY_LEN(parameters));
}

void yt_build_device_code(const char *client_id, const char *scopes, struct buf *ret)
{
    const struct parameter parameters[] = {{"client_id", client_id}, {"scope", scopes}};
    put_form(ret, parameters, ARRAY_LEN(parameters));
}

void yt_build_device_poll(const char *client_id, const char *client_secret, const char *device_code,
                          struct buf *ret)
{
    const struct parameter parameters[] = {
        {"grant_type", "urn:ietf:params:oauth:grant-type:device_code"},
        {"device_code", device_code},
        {"client_id", client_id},
        {"client_secret", client_secret},
    };
    put_form(ret, parameters, ARRAY_LEN(parameters));
}

void yt_build_revoke(const char *token, struct buf *ret)
{
    const struct parameter parameter = {"token", token};
    put_form(ret, &parameter, 1);
}

/* ---- scopes ---- */

#define SCOPE_ROOT "https://www.googleapis.com/auth/"

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    while (*words) {
        words += strspn(words, " ");
        size_t word_len = strcspn(words, " ");
        if (word_len == len && strncmp(words, word, len) == 0)
            return true;
        words += word_len;
    }
    return false;
}

const char *yt_missing_scope(const char *granted)
{
    /* Each of these is enough for uploading and for reading [insert]. */
    static const char *const enough[] = {SCOPE_ROOT "youtube", SCOPE_ROOT "youtube.force-ssl",
                                         SCOPE_ROOT "youtubepartner"};
    if (!granted)
        granted = "";
    for (size_t i = 0; i < ARRAY_LEN(enough); i++)
        if (has_word(granted, enough[i]))
            return NULL;
    if (!has_word(granted, SCOPE_ROOT "youtube.upload"))
        return SCOPE_ROOT "youtube.upload";
    return has_word(granted, SCOPE_ROOT "youtube.readonly") ? NULL : SCOPE_ROOT "youtube.readonly";
}

/* ---- the token endpoint's replies ---- */

/* What an error's name means [oauth], [device]; the first row that matches decides. */
static const struct {
    const char *error;
    enum token_result result;
} errors[] = {
    {"invalid_grant", TOKEN_REVOKED},
    {"access_denied", TOKEN_REVOKED},
    {"admin_policy_enforced", TOKEN_REVOKED},
    {"org_internal", TOKEN_REVOKED},
    {"invalid_client", TOKEN_CLIENT},
    {"deleted_client", TOKEN_CLIENT},
    {"unauthorized_client", TOKEN_CLIENT},
    /* Our bug or configuration: for the operator, too. */
    {"invalid_request", TOKEN_CLIENT},
    {"invalid_scope", TOKEN_CLIENT},
    {"unsupported_grant_type", TOKEN_CLIENT},
    {"redirect_uri_mismatch", TOKEN_CLIENT},
    {"server_error", TOKEN_TRANSIENT},
    {"temporarily_unavailable", TOKEN_TRANSIENT},
    {"internal_failure", TOKEN_TRANSIENT},
    {"rate_limit_exceeded", TOKEN_TRANSIENT},
    /* Device flow: not yet, or ask more slowly. */
    {"authorization_pending", TOKEN_TRANSIENT},
    {"slow_down", TOKEN_TRANSIENT},
};

static enum token_result error_result(int status, const char *error)
{
    if (status < 400 || status >= 500 || status == 429 || !*error)
        return TOKEN_TRANSIENT;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        if (strcmp(error, errors[i].error) == 0)
            return errors[i].result;
    return TOKEN_REVOKED;
}

static void read_error_message(const struct yt_http *http, const json_t *body, struct yt_token_reply *ret)
{
    const char *description = yt_json_text(body, "error_description");
    const char *subtype = yt_json_text(body, "error_subtype");
    struct buf text AUTO_BUF = BUF_INIT(REPLY_BYTES_MAX);
    if (!ret->error[0]) {
        char line[MESSAGE_SIZE];
        yt_message_from_body(line, sizeof(line), http->body, http->body_len);
        buf_printf(&text, "HTTP %d%s%s", http->status, line[0] ? ": " : "", line);
    } else {
        buf_printf(&text, "%s%s%s%s", ret->error, subtype ? " (" : "", subtype ? subtype : "",
                   subtype ? ")" : "");
        buf_printf(&text, "%s%s", description ? ": " : "", description ? description : "");
    }
    yt_message_from_text(ret->message, sizeof(ret->message), text.data, text.len);
}

static void read_error(const struct yt_http *http, const json_t *body, struct yt_token_reply *ret)
{
    if (!yt_json_word(body, "error", ret->error, sizeof(ret->error)))
        yt_json_word(body, "error_code", ret->error, sizeof(ret->error));
    ret->result = error_result(http->status, ret->error);
    read_error_message(http, body, ret);
}

/* Visible ASCII that fits: what may stand in a header and in a form (K05). */
static bool take_token(const json_t *body, const char *key, char *ret, size_t size)
{
    const char *token = yt_json_text(body, key);
    if (!token || !*token || strlen(token) >= size)
        return false;
    for (const char *p = token; *p; p++)
        if (*p <= 0x20 || *p >= 0x7F)
            return false;
    return text_copy(ret, size, token);
}

static int64_t read_expires_in(const json_t *body)
{
    enum { LEAST_S = 60, MOST_S = 86400 };
    const json_t *value = json_object_get(body, "expires_in");
    uint64_t digits;
    double seconds = json_number_value(value);
    if (json_is_string(value) && yt_json_number_u64(body, "expires_in", &digits))
        seconds = (double)digits;
    if (!(seconds > LEAST_S))
        return LEAST_S * 1000;
    return seconds > MOST_S ? MOST_S * INT64_C(1000) : (int64_t)seconds * 1000;
}

static void read_scope(const json_t *body, char *ret, size_t size)
{
    const char *scope = yt_json_text(body, "scope");
    size_t used = 0;
    while (scope && *scope) {
        size_t len = strcspn(scope, " ");
        if (len > 0 && used + len + 2 <= size) {
            if (used > 0)
                ret[used++] = ' ';
            memcpy(ret + used, scope, len);
            used += len;
        }
        scope += len + (scope[len] == ' ');
    }
    ret[used] = '\0';
}

static const char *read_tokens(const json_t *body, struct yt_token_reply *ret)
{
    const char *type = yt_json_text(body, "token_type");
    const json_t *refresh = json_object_get(body, "refresh_token");
    if (type && strcasecmp(type, "Bearer") != 0)
        return "the token is not a Bearer token";
    if (!take_token(body, "access_token", ret->access_token, sizeof(ret->access_token)))
        return "the access token is missing, too long or may not stand in a header";
    /* None at all is usual when refreshing: the old one stays. */
    if (refresh && !json_is_null(refresh) &&
        !take_token(body, "refresh_token", ret->refresh_token, sizeof(ret->refresh_token)))
        return "the refresh token is empty, too long or not plain text";
    return NULL;
}

void yt_parse_token_reply(const struct yt_http *http, struct yt_token_reply *ret)
{
    *ret = (struct yt_token_reply){.result = TOKEN_OK};
    ret->retry_after_ms = yt_retry_after_by_date_header_ms(http->headers);
    json_t *body AUTO_JSON = http->body_is_cut ? NULL : yt_json_load_reply(http->body, http->body_len);
    if (http->status != 200) {
        read_error(http, body, ret);
        return;
    }
    const char *fault = body ? read_tokens(body, ret) : "the reply is not JSON";
    if (fault) {
        explicit_bzero(ret->access_token, sizeof(ret->access_token));
        explicit_bzero(ret->refresh_token, sizeof(ret->refresh_token));
        ret->result = TOKEN_TRANSIENT;
        text_copy(ret->message, sizeof(ret->message), fault);
        return;
    }
    ret->expires_in_ms = read_expires_in(body);
    read_scope(body, ret->scope, sizeof(ret->scope));
}
