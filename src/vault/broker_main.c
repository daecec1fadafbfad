/* The broker process: hardens itself, serves its parent, ends with it. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/isolation.h"
#include "vault/broker.h"
#include "vault/child.h"
#include "vault/flight.h"
#include "vault/harden.h"
#include "vault/sandbox.h"
#include "vault/tokens.h"

enum {
    TICK_MS = 1000,
    LEAVE_MS = 1500, /* for a refresh whose reply may hold a new refresh token; the parent waits longer */
    BACKLOG_BYTES_MAX = 1048576,
};

/* ---- answers ---- */

void child_answer(struct child *child, struct message_out *out)
{
    struct secret frame AUTO_SECRET = {0};
    size_t len;
    if (!message_finish(out, &frame, &len)) {
        LOG(LOG_ERROR, "an answer is too long to be sent", F_STR("kind", message_name(out->type)));
        child->exit_code = 1;
        uv_stop(&child->loop); /* our own bug: the parent starts anew */
        return;
    }
    if (child->link)
        link_send(child->link, &frame, len);
}

void child_answer_error(struct child *child, uint64_t id, const struct err *err)
{
    struct message_out out;
    message_start(&out, MESSAGE_ERROR, id);
    message_put_number(&out, err->code);
    message_put_text(&out, err->message);
    child_answer(child, &out);
}

void child_answer_channel(struct child *child, uint64_t id, const struct store_channel *channel)
{
    struct message_out out;
    message_start(&out, MESSAGE_CHANNEL, id);
    message_put_number(&out, channel->id);
    message_put_number(&out, channel->tenant_id);
    message_put_number(&out, channel->client_id);
    message_put_text(&out, channel->tenant);
    message_put_text(&out, channel->client);
    message_put_text(&out, channel->name);
    message_put_text(&out, channel->yt_channel_id);
    message_put_text(&out, channel->title);
    message_put_text(&out, channel->uploads_playlist);
    message_put_number(&out, channel->state);
    message_put_text(&out, channel->state_reason);
    message_put_number(&out, channel->until_ms);
    message_put_number(&out, channel->added_at_ms);
    message_put_number(&out, channel->has_token);
    child_answer(child, &out);
}

/* ---- the audit trail ---- */

void audit_write(struct child *child, const struct audit *audit)
{
    struct store_event event = {.http_status = audit->http_status};
    struct err err = {0};
    text_copy(event.tenant, sizeof(event.tenant), audit->channel->tenant);
    text_copy(event.channel, sizeof(event.channel), audit->channel->name);
    text_copy(event.job, sizeof(event.job), audit->job ? audit->job : "");
    text_copy(event.who, sizeof(event.who), "broker");
    text_copy(event.what, sizeof(event.what), audit->what);
    text_copy(event.reason, sizeof(event.reason), audit->reason ? audit->reason : "");
    text_copy(event.message, sizeof(event.message), audit->message ? audit->message : "");
    if (store_event_add(child->store, &event, &err) != 0)
        LOG(LOG_WARN, "a line of the audit trail could not be stored", F_STR("what", audit->what),
            F_STR("message", err.message));
}

/* ---- configuration ---- */

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static int check_root(struct child *child, const struct message *config, struct err *err)
{
    const char *root = config->fields[CONFIG_API_ROOT].text;
    child->allow_plain_loopback = config->fields[CONFIG_PLAIN].number != 0;
    child->watch_videos_ms = config->fields[CONFIG_WATCH_VIDEOS_MS].number;
    child->api_root = mem_dup(root);
    return yt_check_api_root(root, child->allow_plain_loopback, err);
}

static int open_http(struct child *child, const struct message *config, struct err *err)
{
    struct http_config http = {.ca_file = or_null(config->fields[CONFIG_CA_FILE].text),
                               .proxy = or_null(config->fields[CONFIG_PROXY].text),
                               .user_agent = "sluice/" SLUICE_VERSION,
                               .allow_plain_loopback = child->allow_plain_loopback,
                               .allow_private_hosts = true, /* api_root and token_uri are configured */
                               .connect_timeout_ms = 10000,
                               .low_speed_ms = 10000,
                               .low_speed_bytes = 1,
                               .connections_max = 16,
                               .connects_per_turn_max = 8};
    return http_open(&child->loop, &http, &child->http, err);
}

static int open_service(struct child *child, const struct message *config, struct err *err)
{
    const struct service_config service = {
        .url = config->fields[CONFIG_SERVICE_URL].text,
        .ca_file = or_null(config->fields[CONFIG_SERVICE_CA_FILE].text),
        .cert_file = or_null(config->fields[CONFIG_SERVICE_CERT_FILE].text),
        .key_file = or_null(config->fields[CONFIG_SERVICE_KEY_FILE].text),
        .bearer_file = or_null(config->fields[CONFIG_SERVICE_BEARER_FILE].text),
    };
    return service.url[0] ? service_open(child, &service, err) : 0;
}

static int open_store(struct child *child, const struct message *config, struct err *err)
{
    int code = store_open(config->fields[CONFIG_STORE].text, STORE_USE, &child->store, err);
    child->tenants = mem_dup(config->fields[CONFIG_TENANTS].text);
    child->who = mem_dup(config->fields[CONFIG_WHO].text);
    if (code == 0 && config->fields[CONFIG_IS_ISOLATED].number)
        code = store_require_isolation(child->store, STORE_AS_BROKER,
                                       config->fields[CONFIG_ISOLATED_TENANTS].text, err);
    return code;
}

static int configure(struct child *child, const struct message *config, struct err *err)
{
    int64_t level = config->fields[CONFIG_LOG_LEVEL].number;
    log_setup(level >= LOG_ERROR && level <= LOG_DEBUG ? (enum log_level)level : LOG_INFO,
              config->fields[CONFIG_LOG_FORMAT].number == LOG_JSON ? LOG_JSON : LOG_LOGFMT);
    const char *source = config->fields[CONFIG_KEY_SOURCE].text;
    int code = vault_ring_load(source, &child->ring, err);
    vault_ring_wipe_source(source);
    if (code == 0)
        code = check_root(child, config, err);
    if (code == 0)
        code = open_store(child, config, err);
    if (code == 0) {
        child->keys = tenant_keys_new(child->store, child->ring);
        code = tenant_keys_check(child->keys, err);
    }
    if (code == 0)
        code = open_http(child, config, err);
    if (code == 0)
        code = open_service(child, config, err);
    if (code == 0)
        child->tokens = tokens_new(child);
    cdn_signing_set(&child->cdn, config);
    return code != 0 ? code : sandbox_enter(child, config, err);
}

static void greet(struct child *child, const struct message *config)
{
    struct message_out out;
    vault_digest_key(vault_ring_current(child->ring), child->digest_key);
    message_start(&out, MESSAGE_HELLO, config->id);
    message_put_bytes(&out, child->digest_key, sizeof(child->digest_key));
    child_answer(child, &out);
    if (!secret_memory_is_locked())
        LOG(LOG_WARN, "secrets may be swapped out: raise RLIMIT_MEMLOCK");
}

/* The parent decides what an error means; it closes the socket after it. */
static void be_configured(struct child *child, const struct message *config)
{
    struct err err = {0};
    if (configure(child, config, &err) != 0) {
        child_answer_error(child, config->id, &err);
        child->state = CHILD_REFUSED;
        child->exit_code = err_exit_code(err.code);
        return;
    }
    child->state = CHILD_READY;
    greet(child, config);
}

/* ---- serving ---- */

static void (*const handlers[MESSAGE_TYPE_COUNT])(struct child *child, const struct message *ask) = {
    [MESSAGE_SEAL] = session_seal,         [MESSAGE_OPEN] = session_open,
    [MESSAGE_IMPORT] = client_import,      [MESSAGE_LOGIN] = login_start,
    [MESSAGE_REMOVE] = removal_start,      [MESSAGE_SIGN] = url_sign,
    [MESSAGE_ADOPT] = login_start,         [MESSAGE_PROBE] = probe_start,
    [MESSAGE_DEVICE] = login_device_start, [MESSAGE_POLL] = login_device_poll,
    [MESSAGE_TAKE] = login_take_file,
};

static bool is_idle(const struct child *child)
{
    return child->busy_count == 0 && (!child->tokens || !tokens_is_busy(child->tokens));
}

/* The parent is gone, or not worth talking to. A refresh under way may bring a new refresh token, which must
 * be stored: it gets a moment. */
static void leave(struct child *child)
{
    link_close(child->link);
    child->link = NULL;
    login_device_forget(child);
    child->leave_at_mono_ms = clock_mono_ms() + LEAVE_MS;
    if (is_idle(child))
        uv_stop(&child->loop);
}

static void refuse_message(struct child *child, const char *why)
{
    LOG(LOG_ERROR, "the broker's parent sent what it must not", F_STR("message", why));
    child->exit_code = 1;
    leave(child);
}

static void dispatch(struct child *child, const struct message *ask)
{
    if (child->state == CHILD_NEW && ask->type == MESSAGE_CONFIG)
        be_configured(child, ask);
    else if (child->state == CHILD_READY && ask->type == MESSAGE_TOKEN)
        tokens_ask(child->tokens, ask);
    else if (child->state == CHILD_READY && handlers[ask->type])
        handlers[ask->type](child, ask);
    else
        refuse_message(child, message_name(ask->type));
}

static void on_frame(void *ctx, const void *frame, size_t len)
{
    struct child *child = ctx;
    struct message ask;
    struct err err = {0};
    if (message_parse(frame, len, &ask, &err) != 0) {
        refuse_message(child, err.message);
        return;
    }
    dispatch(child, &ask);
    if (child->link && link_backlog(child->link) > BACKLOG_BYTES_MAX)
        link_pause(child->link);
}

static void on_end(void *ctx, const char *why)
{
    struct child *child = ctx;
    if (strcmp(why, "closed") == 0)
        leave(child);
    else
        refuse_message(child, why);
}

static void on_tick(uv_timer_t *timer)
{
    struct child *child = timer->data;
    int64_t now_mono_ms = clock_mono_ms();
    if (child->tokens)
        tokens_tick(child->tokens, now_mono_ms);
    if (child->leave_at_mono_ms && (is_idle(child) || now_mono_ms >= child->leave_at_mono_ms))
        uv_stop(&child->loop);
}

/* ---- life ---- */

static int open_loop(struct child *child, struct err *err)
{
    int rc = uv_loop_init(&child->loop);
    return rc == 0 ? 0 : err_set(err, ERR_INTERNAL, "the event loop cannot be opened: %s", uv_strerror(rc));
}

static int child_open(struct child *child, int fd, struct err *err)
{
    uv_timer_init(&child->loop, &child->tick);
    child->tick.data = child;
    uv_timer_start(&child->tick, on_tick, TICK_MS, TICK_MS);
    share_open(child);
    struct link_events events = {.frame = on_frame, .ended = on_end, .ctx = child};
    return link_open(&child->loop, fd, &events, &child->link, err);
}

static void child_close(struct child *child)
{
    child->is_closing = true;
    login_device_forget(child);
    share_stop(child);
    if (child->http)
        http_close(child->http); /* ends what is under way: flights land, logins are answered */
    service_stop(child->service);
    link_close(child->link);
    child->link = NULL;
    uv_close((uv_handle_t *)&child->tick, NULL);
    uv_run(&child->loop, UV_RUN_DEFAULT);
    uv_loop_close(&child->loop);
    tokens_free(child->tokens);
    service_free(child->service);
    tenant_keys_free(child->keys);
    store_close(child->store);
    vault_ring_free(child->ring);
    mem_free(child->api_root);
    mem_free(child->tenants);
    mem_free(child->who);
    mem_free(child->served);
    mem_free(child->ports);
    cdn_signing_release(&child->cdn);
}

int broker_main(int fd)
{
    struct child child = {.exit_code = 0};
    struct err err = {0};
    harden("sluice-broker", fd);
    log_setup(LOG_INFO, LOG_LOGFMT);
    vault_start();
    yt_setup();
    if (open_loop(&child, &err) != 0) {
        LOG(LOG_ERROR, "the broker cannot start", F_STR("message", err.message));
        return 1;
    }
    if (child_open(&child, fd, &err) == 0) {
        uv_run(&child.loop, UV_RUN_DEFAULT);
    } else {
        LOG(LOG_ERROR, "the broker cannot start", F_STR("message", err.message));
        child.exit_code = 1;
    }
    child_close(&child);
    allow_leak_check();
    return child.exit_code;
}
