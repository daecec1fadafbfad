/*
 * Tells of alarms: a POST of a small JSON to notify_url, signed with the key of notify_key_file
 * (docs/notify.md). At least once each; what was not taken is told again later, by whichever worker looks
 * then. The worker signs and not the broker: the key opens nothing here, it only lets the other side know who
 * speaks, and the broker's network stays as narrow as it is.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "vault/hmac.h"
#include "worker/shell.h"
#include "youtube/json.h"

enum { BODY_LEN_MAX = 4096, REPLY_LEN_MAX = 4096, CONNECTIONS_MAX = 2 };

struct notify {
    struct worker *worker;
    struct http *http;
    struct secret key;
    bool is_busy;
    int64_t alarm_id; /* that is told now */
};

/* ---- the message ---- */

static bool build_body(const struct store_alarm *alarm, int64_t now_ms, struct buf *ret)
{
    const struct misuse_rule *rule = misuse_rule(alarm->signal);
    json_t *body AUTO_JSON =
        json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "id",
                  (json_int_t)alarm->id, "signal", rule->name, "severity", misuse_severity(rule), "tenant",
                  alarm->tenant, "channel", alarm->channel, "youtube", alarm->yt_channel_id, "client",
                  alarm->client, "count", (json_int_t)alarm->count, "since_ms", (json_int_t)alarm->since_ms,
                  "last_ms", (json_int_t)alarm->last_at_ms, "at_ms", (json_int_t)now_ms, "message",
                  alarm->message, "reaction", alarm->reaction);
    return body && yt_json_put(ret, body);
}

struct stamp {
    char time[64], signature[96];
};

/* Over the time too, so that an old message cannot be sent once more as a new one. */
static void sign(const struct notify *notify, const struct buf *body, int64_t now_ms, struct stamp *ret)
{
    char hex[65];
    struct buf text AUTO_BUF = BUF_INIT(BODY_LEN_MAX + 32);
    buf_printf(&text, "%" PRId64 ".%s", now_ms / 1000, body->data);
    hmac_sha256(&notify->key, text.data, text.len, hex);
    snprintf(ret->time, sizeof(ret->time), "Sluice-Timestamp: %" PRId64, now_ms / 1000);
    snprintf(ret->signature, sizeof(ret->signature), "Sluice-Signature: v1=%s", hex);
}

/* ---- one after another ---- */

static void on_noted(void *ctx, bool ok)
{
    struct notify *notify = ctx;
    notify->is_busy = false;
    if (ok && !notify->worker->closed)
        notify_tell(notify->worker);
}

static void on_reply(void *ctx, const struct http_reply *reply)
{
    struct notify *notify = ctx;
    bool is_taken = reply->end == HTTP_OK && reply->status >= 200 && reply->status < 300;
    if (is_taken && !notify->worker->closed) {
        store_thread_told(notify->worker->looker, notify->alarm_id, on_noted, notify);
        return;
    }
    notify->is_busy = false;
    LOG(LOG_WARN, "an alarm could not be told; it is tried again", F_I64("alarm", notify->alarm_id),
        F_I64("status", reply->status), F_STR("message", reply->message));
}

static int post(struct notify *notify, const struct store_alarm *alarm, struct err *err)
{
    const struct settings *settings = notify->worker->settings;
    int64_t now_ms = clock_wall_ms();
    struct buf body AUTO_BUF = BUF_INIT(BODY_LEN_MAX);
    struct stamp stamp;
    struct http_request *ignored;
    if (!build_body(alarm, now_ms, &body))
        return err_set(err, ERR_INTERNAL, "the message is too long");
    sign(notify, &body, now_ms, &stamp);
    const char *headers[] = {"Content-Type: application/json", stamp.time, stamp.signature, NULL};
    return http_start(notify->http,
                      &(struct http_exchange){.method = "POST",
                                              .url = settings->notify_url,
                                              .headers = headers,
                                              .body = body.data,
                                              .body_len = body.len,
                                              .is_repeatable = true,
                                              .reply_len_max = REPLY_LEN_MAX,
                                              .deadline_ms = settings->request_timeout_ms,
                                              .done = on_reply,
                                              .ctx = notify},
                      &ignored, err);
}

static void on_untold(void *ctx, bool ok, const struct store_alarm *alarm)
{
    struct notify *notify = ctx;
    struct err err = {0};
    notify->is_busy = false;
    if (!ok || alarm->id == 0 || notify->worker->closed)
        return;
    notify->is_busy = true;
    notify->alarm_id = alarm->id;
    if (post(notify, alarm, &err) == 0)
        return;
    notify->is_busy = false;
    LOG(LOG_ERROR, "an alarm cannot be told", F_I64("alarm", alarm->id), F_STR("message", err.message));
}

void notify_tell(struct worker *worker)
{
    struct notify *notify = worker->notify;
    if (!notify || notify->is_busy)
        return;
    notify->is_busy = true;
    store_thread_untold(worker->looker, worker->settings->request_timeout_ms, on_untold, notify);
}

/* ---- where to ---- */

static int check_url(const struct settings *settings, struct err *err)
{
    struct http_origin origin;
    int code = http_origin_parse(settings->notify_url, &origin, err);
    if (code != 0)
        return code;
    if (!origin.https && !(settings->allow_plain_loopback && http_host_is_loopback(origin.host)))
        return err_set(err, ERR_INVALID, "notify_url: %s is told over https alone", origin.host);
    if (http_host_is_private(origin.host) && !settings->notify_allow_private)
        return err_set(err, ERR_INVALID,
                       "notify_url: %s is a private address; notify_allow_private would allow it",
                       origin.host);
    return 0;
}

static int open_http(struct notify *notify, struct err *err)
{
    const struct settings *settings = notify->worker->settings;
    struct http_config config = {
        .ca_file = settings->notify_ca_file,
        .proxy = settings->proxy,
        .user_agent = "sluice/" SLUICE_VERSION,
        .allow_plain_loopback = settings->allow_plain_loopback,
        .allow_private_hosts = settings->notify_allow_private,
        .allow_private_names = settings->notify_allow_private,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .low_speed_ms = settings->stall_timeout_ms,
        .connections_max = CONNECTIONS_MAX,
        .connects_per_turn_max = CONNECTIONS_MAX,
    };
    return http_open(&notify->worker->loop, &config, &notify->http, err);
}

int notify_open(struct worker *worker, struct err *err)
{
    const struct settings *settings = worker->settings;
    if (!*settings->notify_url)
        return 0;
    worker->notify = mem_alloc(sizeof(*worker->notify));
    worker->notify->worker = worker;
    int code = check_url(settings, err);
    if (code == 0)
        code = hmac_read_key(settings->notify_key_file, "notify key file", &worker->notify->key, err);
    return code != 0 ? code : open_http(worker->notify, err);
}

void notify_hang_up(struct worker *worker)
{
    if (worker->notify && worker->notify->http)
        http_close(worker->notify->http);
}

void notify_free(struct worker *worker)
{
    if (worker->notify)
        secret_release(&worker->notify->key);
    mem_free(worker->notify);
}
