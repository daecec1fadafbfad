/*
 * What the broker sends to the token service: over connections of its own, that trust the service's CA alone
 * and show our certificate to nobody else. Its name may lead to a private address, where such services live:
 * the operator named it, and TLS proves that it is the one. No proxy is asked, no redirect followed.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/child.h"

enum { EXCHANGE_MS = 12000, ASK_BYTES_MAX = 4096, CONNECTIONS_MAX = 16 };

struct service {
    struct http *http;
    char *url;
    char *bearer_file; /* NULL: none */
};

/* ---- the handle ---- */

int service_open(struct child *child, const struct service_config *config, struct err *err)
{
    int code = service_check(config, child->allow_plain_loopback, err);
    if (code != 0)
        return code;
    struct http_config http = {.ca_file = config->ca_file,
                               .cert_file = config->cert_file,
                               .cert_key_file = config->key_file,
                               .user_agent = "sluice/" SLUICE_VERSION,
                               .allow_plain_loopback = child->allow_plain_loopback,
                               .allow_private_hosts = true,
                               .allow_private_names = true,
                               .connect_timeout_ms = 10000,
                               .low_speed_ms = 10000,
                               .low_speed_bytes = 1,
                               .connections_max = CONNECTIONS_MAX,
                               .connects_per_turn_max = 8};
    struct service *service = mem_alloc(sizeof(*service));
    service->url = mem_dup(config->url);
    service->bearer_file = mem_dup(config->bearer_file);
    code = http_open(&child->loop, &http, &service->http, err);
    child->service = service;
    return code;
}

void service_stop(struct service *service)
{
    if (service && service->http)
        http_close(service->http);
}

void service_free(struct service *service)
{
    if (!service)
        return;
    mem_free(service->url);
    mem_free(service->bearer_file);
    mem_free(service);
}

/* ---- an exchange ---- */

struct service_call {
    struct service *service;
    void (*done)(void *ctx, const struct service_reply *reply);
    void *ctx;
};

static struct service_call *new_call(struct service *service,
                                     void (*done)(void *ctx, const struct service_reply *reply), void *ctx)
{
    struct service_call *call = mem_alloc(sizeof(*call));
    *call = (struct service_call){.service = service, .done = done, .ctx = ctx};
    return call;
}

/* The bearer is read anew for each exchange: there are few, and so a renewed one is used at once. */
static int start(struct service *service, const char *method, const struct buf *body,
                 void (*ended)(void *ctx, const struct http_reply *reply), struct service_call *call,
                 struct err *err)
{
    struct secret bearer AUTO_SECRET = {0};
    struct http_request *request;
    const char *headers[4] = {"Accept: application/json"};
    size_t count = 1;
    int code = service->bearer_file ? service_read_bearer(service->bearer_file, &bearer, err) : 0;
    if (body)
        headers[count++] = "Content-Type: application/json";
    if (bearer.data)
        headers[count++] = bearer.data;
    if (code == 0)
        code = http_start(service->http,
                          &(struct http_exchange){.method = method,
                                                  .url = service->url,
                                                  .headers = headers,
                                                  .body = body ? body->data : NULL,
                                                  .body_len = body ? body->len : 0,
                                                  .reply_len_max = REPLY_BYTES_MAX,
                                                  .deadline_ms = EXCHANGE_MS,
                                                  .done = ended,
                                                  .ctx = call},
                          &request, err);
    if (code != 0) {
        LOG(LOG_ERROR, "the token service cannot be asked", F_STR("message", err->message));
        mem_free(call);
    }
    return code;
}

static void text_append(char message[MESSAGE_SIZE], const char *more)
{
    size_t len = strlen(message);
    text_copy(message + len, MESSAGE_SIZE - len, more);
}

static void read_reply(const struct http_reply *reply, struct service_reply *ret)
{
    if (reply->end == HTTP_OK) {
        struct yt_http http = reply_for_youtube(reply);
        service_parse_reply(&http, clock_wall_ms(), ret);
        /* Counted from before the question: the service's clock began somewhere in between. */
        ret->token.expires_in_ms -= reply->elapsed_ms;
        return;
    }
    ret->token.result = TOKEN_TRANSIENT;
    ret->token.retry_after_ms = -1;
    ret->is_for_operator = reply->end == HTTP_TLS;
    text_copy(ret->token.message, sizeof(ret->token.message), reply->message);
    /* With TLS 1.3 our certificate is judged when the handshake is over, and often without a word to us. */
    if (reply->end == HTTP_BROKEN && reply->status == 0)
        text_append(ret->token.message, "; does it want another client certificate?");
}

/* Its words are for people and logs: not, if it repeats what we log in with. */
static void hide_bearer(const struct service *service, char message[MESSAGE_SIZE])
{
    struct secret bearer AUTO_SECRET = {0};
    if (service->bearer_file && service_read_bearer(service->bearer_file, &bearer, NULL) == 0 &&
        strstr(message, strrchr(bearer.data, ' ') + 1))
        text_copy(message, MESSAGE_SIZE, "its message holds our bearer and is not repeated");
}

/* ---- a token ---- */

static void tell_operator(const struct service_reply *reply)
{
    const char *what = reply->http_status == 401 ? "the token service refuses the broker"
                                                 : "the token service does not answer as it should";
    LOG(LOG_ERROR, what, F_I64("status", reply->http_status), F_STR("message", reply->token.message));
}

static void ask_ended(void *ctx, const struct http_reply *http)
{
    struct service_call call = *(struct service_call *)ctx;
    struct secret memory AUTO_SECRET = {0};
    secret_reserve(&memory, sizeof(struct service_reply));
    struct service_reply *reply = (struct service_reply *)memory.data;
    mem_free(ctx);
    read_reply(http, reply);
    hide_bearer(call.service, reply->token.message);
    if (reply->is_for_operator)
        tell_operator(reply);
    call.done(call.ctx, reply);
}

int ask_service(struct child *child, const struct service_ask *ask,
                void (*done)(void *ctx, const struct service_reply *reply), void *ctx, struct err *err)
{
    struct buf body AUTO_BUF = BUF_INIT(ASK_BYTES_MAX);
    service_build_ask(ask, &body);
    if (body.overflowed)
        return err_set(err, ERR_INTERNAL, "the question to the token service is too long");
    return start(child->service, "POST", &body, ask_ended, new_call(child->service, done, ctx), err);
}

/* ---- is it there, and does it know us? ---- */

struct probe {
    struct child *child;
    uint64_t id;
};

static void answer_probe(const struct probe *probe, const struct service_reply *reply)
{
    struct message_out out;
    message_start(&out, MESSAGE_PROBED, probe->id);
    message_put_number(&out, reply->http_status);
    message_put_text(&out, reply->token.message);
    child_answer(probe->child, &out);
}

static void probe_ended(void *ctx, const struct service_reply *reply)
{
    struct probe *probe = ctx;
    answer_probe(probe, reply);
    probe->child->busy_count--;
    mem_free(probe);
}

/* A 200 to a GET is no token, and is not read as one. */
static void probe_answered(void *ctx, const struct http_reply *http)
{
    struct service_call call = *(struct service_call *)ctx;
    struct service_reply reply = {.http_status = http->status};
    mem_free(ctx);
    if (http->end != HTTP_OK || http->status != 200)
        read_reply(http, &reply);
    hide_bearer(call.service, reply.token.message);
    call.done(call.ctx, &reply);
}

void probe_start(struct child *child, const struct message *ask)
{
    struct err err = {0};
    struct probe *probe = mem_alloc(sizeof(*probe));
    *probe = (struct probe){.child = child, .id = ask->id};
    int code = child->service ? start(child->service, "GET", NULL, probe_answered,
                                      new_call(child->service, probe_ended, probe), &err)
                              : err_set(&err, ERR_USAGE, "there is no token service");
    if (code == 0) {
        child->busy_count++;
        return;
    }
    child_answer_error(child, ask->id, &err);
    mem_free(probe);
}
