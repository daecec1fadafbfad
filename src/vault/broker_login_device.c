/*
 * The device flow, for machines without a browser [device]: a code is shown here, a person enters it on any
 * other device, and the token endpoint is asked at Google's pace until that has happened. The device code,
 * with which anybody could fetch the login, never leaves this process.
 *
 * A broker has one such login at a time: its parent is a command that waits for it. Each POLL is answered
 * after one look at the endpoint: CHANNEL, or ERROR with NOT_YET while the person has not answered.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/broker_login.h"

enum {
    SLOWER_MS = 5000,     /* RFC 8628 section 3.5 */
    INTERVAL_MAX = 30000, /* the parent holds a broker that is mute for a minute to be dead */
};

struct device_login {
    struct child *child;
    uv_timer_t timer;
    struct login *login; /* of the poll that waits for its time; NULL: none */
    struct secret device_code;
    bool is_asking; /* the endpoint, just now */
    int64_t expires_at_mono_ms;
    int64_t interval_ms;
    int64_t next_at_mono_ms;
    struct login template; /* what each poll's login begins with */
};

/* ---- life ---- */

static void freed(uv_handle_t *handle)
{
    struct device_login *device = handle->data;
    secret_release(&device->device_code);
    mem_free(device);
}

void login_device_forget(struct child *child)
{
    struct device_login *device = child->device;
    if (!device)
        return;
    child->device = NULL;
    if (device->login) {
        struct login *login = device->login;
        struct err err = {0};
        device->login = NULL;
        err_set(&err, ERR_TIMEOUT, "the broker ends");
        login_end(login, &err);
    }
    uv_close((uv_handle_t *)&device->timer, freed);
}

static void end_with(struct login *login, int code, const char *message)
{
    struct err err = {0};
    err_set(&err, code, "%s", message);
    login_end(login, &err);
}

/* ---- the code ---- */

/* The client file does not name this endpoint; it stands beside the token endpoint [device]. */
static int build_device_uri(const struct login *login, struct buf *ret, struct err *err)
{
    return neighbour_uri(login->client.token_uri, "device/code", ret)
               ? 0
               : err_set(err, ERR_INVALID,
                         "the client's token_uri has no neighbour to ask for a device code");
}

static void tell_code(struct child *child, uint64_t id, const struct yt_device_code *code)
{
    struct message_out out;
    message_start(&out, MESSAGE_DEVICE_CODE, id);
    message_put_text(&out, code->user_code);
    message_put_text(&out, code->url);
    message_put_number(&out, code->expires_in_ms);
    child_answer(child, &out);
}

/* From here on the parent polls. */
static void begin_waiting(struct login *login, const struct yt_device_code *code)
{
    struct child *child = login->child;
    struct device_login *device = mem_alloc(sizeof(*device));
    int64_t now_mono_ms = clock_mono_ms();
    login_device_forget(child);
    device->child = child;
    device->template = *login;
    secret_set(&device->device_code, code->device_code, strlen(code->device_code));
    device->expires_at_mono_ms = now_mono_ms + code->expires_in_ms;
    device->interval_ms = code->interval_ms < INTERVAL_MAX ? code->interval_ms : INTERVAL_MAX;
    device->next_at_mono_ms = now_mono_ms + device->interval_ms;
    uv_timer_init(&child->loop, &device->timer);
    device->timer.data = device;
    child->device = device;
}

static void code_came(void *ctx, const struct http_reply *reply)
{
    struct login *login = ctx;
    struct secret memory AUTO_SECRET = {0};
    struct err err = {0};
    int code = 0;
    if (reply->end != HTTP_OK)
        code = err_set(&err, ERR_IO, "asking for a device code: %s", reply->message);
    secret_reserve(&memory, sizeof(struct yt_device_code));
    struct yt_device_code *device_code = (struct yt_device_code *)memory.data;
    if (code == 0) {
        struct yt_http http = reply_for_youtube(reply);
        code = yt_parse_device_code(&http, device_code, &err);
    }
    if (code != 0 || login->child->is_closing) {
        login_end(login, &err);
        return;
    }
    begin_waiting(login, device_code);
    tell_code(login->child, login->id, device_code);
    login_end(login, NULL);
}

static int ask_for_code(struct login *login, struct err *err)
{
    struct buf uri AUTO_BUF = BUF_INIT(1024);
    struct buf form AUTO_BUF = BUF_INIT(4096);
    int code = build_device_uri(login, &uri, err);
    if (code != 0)
        return code;
    yt_build_device_code(login->client.client_id, YT_SCOPES_DEVICE, &form);
    return post_form(login->child, uri.data, &form, code_came, login, err);
}

void login_device_start(struct child *child, const struct message *ask)
{
    struct login *login = login_new(child, ask);
    struct err err = {0};
    int code = 0;
    if (child->service)
        code = err_set(&err, ERR_USAGE,
                       "the token service keeps the logins: log the channel in there, then take it over with "
                       "`sluice channel import`");
    if (code == 0)
        code = login_prepare(login, ask, &err);
    if (code == 0)
        code = ask_for_code(login, &err);
    if (code != 0)
        login_end(login, &err);
}

/* ---- polling ---- */

static bool is_error(const struct yt_token_reply *reply, const char *error)
{
    return strcmp(reply->error, error) == 0;
}

static void not_yet(struct device_login *device, struct login *login, bool slower)
{
    if (slower && device->interval_ms + SLOWER_MS <= INTERVAL_MAX)
        device->interval_ms += SLOWER_MS;
    device->next_at_mono_ms = clock_mono_ms() + device->interval_ms;
    end_with(login, ERR_NOT_YET, "nobody has entered the code yet");
}

/* Statuses and names: [device], RFC 8628 section 3.5. Google calls a code that ran out invalid_grant. */
static void refused(struct login *login, const struct yt_token_reply *reply)
{
    struct err err = {0};
    if (is_error(reply, "access_denied"))
        err_set(&err, ERR_AUTH, "the login was refused on the other device; nothing was changed");
    else if (is_error(reply, "expired_token") || is_error(reply, "invalid_grant"))
        err_set(&err, ERR_AUTH, "the code ran out before it was entered: begin the login anew");
    else
        err_set(&err, ERR_AUTH, "Google refused the login: %s: begin it anew", reply->message);
    login_end(login, &err);
}

static void take_reply(struct device_login *device, struct login *login, const struct yt_token_reply *reply)
{
    struct err err = {0};
    if (reply->result == TOKEN_TRANSIENT) {
        not_yet(device, login, !is_error(reply, "authorization_pending"));
        return;
    }
    login_device_forget(device->child);
    if (reply->result != TOKEN_OK)
        refused(login, reply);
    else if (login_take(login, reply, &err) != 0)
        login_end(login, &err);
}

static void poll_ended(void *ctx, const struct http_reply *reply)
{
    struct login *login = ctx;
    struct device_login *device = login->child->device;
    if (!device || login->child->is_closing) {
        end_with(login, ERR_TIMEOUT, "the broker ends");
        return;
    }
    device->is_asking = false;
    if (reply->end != HTTP_OK) {
        not_yet(device, login, true);
    } else {
        struct secret memory AUTO_SECRET = {0};
        take_reply(device, login, read_token_reply(reply, &memory));
    }
}

static int poll_once(struct device_login *device, struct login *login, struct err *err)
{
    struct secret client_secret AUTO_SECRET = {0};
    int code = open_client_secret(device->child, &login->client, &client_secret, NULL, err);
    if (code != 0)
        return code;
    struct buf form = BUF_INIT(LOGIN_FORM_MAX);
    yt_build_device_poll(login->client.client_id, client_secret.data, device->device_code.data, &form);
    code = post_form(device->child, login->client.token_uri, &form, poll_ended, login, err);
    buf_wipe(&form);
    return code;
}

static void on_time(uv_timer_t *timer)
{
    struct device_login *device = timer->data;
    struct login *login = device->login;
    struct err err = {0};
    device->login = NULL;
    device->is_asking = poll_once(device, login, &err) == 0;
    if (!device->is_asking)
        login_end(login, &err);
}

/* As when the code was asked for; the question is another one. */
static struct login *login_of_poll(const struct device_login *device, const struct message *ask)
{
    struct login *login = login_new(device->child, ask);
    login->client = device->template.client;
    login->known = device->template.known;
    text_copy(login->name, sizeof(login->name), device->template.name);
    text_copy(login->expect, sizeof(login->expect), device->template.expect);
    return login;
}

void login_device_poll(struct child *child, const struct message *ask)
{
    struct device_login *device = child->device;
    struct err err = {0};
    int64_t now_mono_ms = clock_mono_ms();
    if (!device || device->login || device->is_asking) {
        err_set(&err, ERR_INVALID, "no device login is under way: begin it anew");
        child_answer_error(child, ask->id, &err);
        return;
    }
    if (now_mono_ms >= device->expires_at_mono_ms) {
        login_device_forget(child);
        err_set(&err, ERR_AUTH, "the code ran out before it was entered: begin the login anew");
        child_answer_error(child, ask->id, &err);
        return;
    }
    device->login = login_of_poll(device, ask);
    int64_t wait_ms = device->next_at_mono_ms - now_mono_ms;
    uv_timer_start(&device->timer, on_time, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}
