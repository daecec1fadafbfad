#include "device.h"

#include <string.h>

#include "base/mem.h"
#include "form.h"
#include "json.h"
#include "oauth_client.h"
#include "ops.h"

static struct device *find(const struct state *state, const char *user_code)
{
    for (size_t i = 0; user_code && i < state->oauth.devices.size; i++) {
        struct device *device = state->oauth.devices.slots[i].value;
        if (device && strcmp(device->user_code, user_code) == 0)
            return device;
    }
    return NULL;
}

/* Four letters, a hyphen, four letters: consonants only, so that no word comes out. */
static char *new_user_code(struct state *state)
{
    static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";
    char code[10];
    for (size_t i = 0; i < 9; i++)
        code[i] = letters[dice_u64(&state->dice) % (sizeof letters - 1)];
    code[4] = '-';
    code[9] = '\0';
    return mem_dup(code);
}

/* ---- POST /device/code ---- */

/* Answers unless this client may use the device flow with these scopes. */
static struct client *check_request(struct request *request, unsigned *ret_scopes)
{
    AUTO_FREE char *id = request_form(request, "client_id");
    AUTO_FREE char *scope = request_form(request, "scope");
    struct client *client = clients_find(&request->state->clients, id);
    unsigned scopes = 0;
    if (!client)
        reply_oauth_error(&request->reply, 401, "invalid_client", "The OAuth client was not found.");
    else if (client->kind != CLIENT_TV)
        reply_oauth_error(&request->reply, 401, "invalid_client", "Invalid client type.");
    else if (!scope || !scopes_parse(scope, &scopes) || (scopes & ~scopes_of_device_flow()))
        reply_oauth_error(&request->reply, 400, "invalid_scope", "Invalid device flow scope");
    *ret_scopes = scopes;
    return client;
}

static void end_device_code(struct request *request)
{
    struct state *state = request->state;
    unsigned scopes;
    struct client *client = check_request(request, &scopes);
    if (request_is_answered(request))
        return;
    struct device *device = mem_alloc(sizeof *device);
    *device =
        (struct device){.user_code = new_user_code(state),
                        .client = client,
                        .scopes = scopes,
                        .expires_at_ms = state_now_ms(state) + state->settings.device_lifetime_s * 1000};
    AUTO_FREE char *code = token_text("AH-1Ng");
    AUTO_FREE char *origin = request_origin(request);
    AUTO_FREE char *url = mem_printf("%s/device", origin);
    map_put(&state->oauth.devices, code, device);
    reply_take_json(&request->reply, 200,
                    json_pack("{s:s, s:s, s:s, s:I, s:I}", "device_code", code, "user_code",
                              device->user_code, "verification_url", url, "expires_in",
                              (json_int_t)state->settings.device_lifetime_s, "interval",
                              (json_int_t)state->settings.device_interval_s));
}

/* ---- polling ---- */

/* Answers unless the device was approved. Statuses and texts: [device] */
static void check_device(struct request *request, struct device *device, const struct client *client)
{
    struct state *state = request->state;
    int64_t now_ms = state_now_ms(state);
    if (!device || device->client != client || device->expires_at_ms < now_ms) {
        reply_oauth_error(&request->reply, 400, "invalid_grant", "Malformed device code");
        return;
    }
    bool is_too_early =
        device->polled_at_ms && now_ms - device->polled_at_ms < state->settings.device_interval_s * 1000;
    device->polled_at_ms = now_ms;
    if (device->is_denied)
        reply_oauth_error(&request->reply, 403, "access_denied", "Forbidden");
    else if (is_too_early)
        reply_oauth_error(&request->reply, 403, "slow_down", "Forbidden");
    else if (!device->channel)
        reply_oauth_error(&request->reply, 428, "authorization_pending", "Precondition Required");
}

struct grant *device_poll(struct request *request, struct client *client)
{
    struct state *state = request->state;
    AUTO_FREE char *code = request_form(request, "device_code");
    struct device *device = map_get(&state->oauth.devices, code);
    check_device(request, device, client);
    if (request_is_answered(request))
        return NULL;
    struct grant *grant =
        tokens_grant(&state->tokens, client, device->channel, device->scopes, true, state_now_ms(state));
    device->expires_at_ms = 0; /* good for one exchange only */
    return grant;
}

/* ---- the user's side ---- */

bool device_answer(struct state *state, const char *user_code, struct channel *channel)
{
    struct device *device = find(state, user_code);
    if (!device)
        return false;
    device->channel = channel;
    device->is_denied = !channel;
    return true;
}

json_t *device_list(const struct state *state)
{
    json_t *list = json_array();
    for (size_t i = 0; i < state->oauth.devices.size; i++) {
        const struct device *device = state->oauth.devices.slots[i].value;
        if (!device)
            continue;
        const char *now = device->is_denied ? "denied" : device->channel ? "approved" : "pending";
        AUTO_BUF struct buf scopes;
        buf_init(&scopes, 4096);
        scopes_put(&scopes, device->scopes);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "user_code", device->user_code, "state", now,
                                              "scope", scopes.data));
    }
    return list;
}

static void end_device_page(struct request *request)
{
    const struct channels *channels = &request->state->channels;
    AUTO_BUF struct buf page;
    buf_init(&page, 4 << 20);
    buf_puts(&page,
             "<!DOCTYPE html><html><head><meta charset=utf-8><title>Connect a device</title></head><body>\n"
             "<h1>Connect a device</h1><form method=post action=\"/device\">\n"
             "<p><label>Code <input name=user_code></label></p>\n<p><select name=channel>\n");
    for (size_t i = 0; i < channels->count; i++) {
        buf_printf(&page, "<option value=\"%s\">", channels->list[i]->id);
        form_put_html(&page, channels->list[i]->title);
        buf_puts(&page, "</option>\n");
    }
    buf_puts(&page, "</select></p><p><button name=answer value=approve>Allow</button>\n"
                    "<button name=answer value=deny>Cancel</button></p></form></body></html>\n");
    reply_text(&request->reply, 200, "text/html; charset=utf-8", page.data);
}

static void end_device_approve(struct request *request)
{
    AUTO_FREE char *user_code = request_form(request, "user_code");
    AUTO_FREE char *channel_id = request_form(request, "channel");
    AUTO_FREE char *answer = request_form(request, "answer");
    bool is_denied = answer && strcmp(answer, "approve") != 0;
    struct channel *channel = channels_find(&request->state->channels, channel_id);
    if ((!is_denied && !channel) || !device_answer(request->state, user_code, is_denied ? NULL : channel))
        reply_text(&request->reply, 400, "text/html; charset=utf-8",
                   "<!DOCTYPE html><title>Error</title><p>Unknown code or channel.</p>\n");
    else
        reply_text(&request->reply, 200, "text/html; charset=utf-8",
                   "<!DOCTYPE html><title>Done</title><p>You can go back to your device.</p>\n");
}

const struct op op_device_code = {.name = "device.code", .style = OP_OAUTH, .end = end_device_code};
const struct op op_device_page = {.name = "device.page", .style = OP_OAUTH, .end = end_device_page};
const struct op op_device_approve = {.name = "device.approve", .style = OP_OAUTH, .end = end_device_approve};
