/* What callers ask the broker for: questions, and the reading of their answers. */
#include "base/text.h"
#include "vault/parent.h"

static bool is_known_result(int64_t result)
{
    return result >= TOKEN_OK && result <= TOKEN_CORRUPT;
}

/* ---- for the worker: answers by callback ---- */

static void token_answered(const struct question *question, const struct message *answer, const char *why,
                           int64_t retry_after_ms)
{
    struct broker_token token = {
        .result = TOKEN_TRANSIENT, .retry_after_ms = retry_after_ms, .message = why ? why : ""};
    if (answer && is_known_result(answer->fields[ANSWER_RESULT].number)) {
        token.result = (enum token_result)answer->fields[ANSWER_RESULT].number;
        token.retry_after_ms = answer->fields[ANSWER_RETRY_AFTER_MS].number;
        token.message = answer->fields[ANSWER_MESSAGE].text;
        token.expires_at_mono_ms = answer->fields[ANSWER_EXPIRES_AT_MS].number;
        token.access_token = token.result == TOKEN_OK ? answer->fields[ANSWER_TOKEN].text : NULL;
    }
    question->done.token(question->ctx, &token);
}

void broker_token(struct broker *broker, int64_t tenant_id, int64_t channel_id, struct job_id job,
                  int64_t lease_epoch, bool fresh, void (*done)(void *ctx, const struct broker_token *token),
                  void *ctx)
{
    struct message_out out;
    message_start(&out, MESSAGE_TOKEN, broker_next_id(broker));
    message_put_number(&out, tenant_id);
    message_put_number(&out, channel_id);
    message_put_text(&out, job.text);
    message_put_number(&out, lease_epoch);
    message_put_number(&out, fresh);
    struct question question = {
        .expects = MESSAGE_TOKEN_ANSWER, .answered = token_answered, .done.token = done, .ctx = ctx};
    broker_ask(broker, &out, &question);
}

static enum open_result open_result_of(const struct message *answer, unsigned field)
{
    int64_t result = answer ? answer->fields[field].number : OPEN_TRANSIENT;
    return result == OPEN_OK || result == OPEN_TRANSIENT ? (enum open_result)result : OPEN_CORRUPT;
}

static void seal_answered(const struct question *question, const struct message *answer, const char *why,
                          int64_t retry_after_ms)
{
    struct blob sealed = {0};
    enum open_result result = open_result_of(answer, SEALED_RESULT);
    (void)why, (void)retry_after_ms;
    if (result == OPEN_OK)
        sealed =
            (struct blob){.data = answer->fields[SEALED_BYTES].text, .len = answer->fields[SEALED_BYTES].len};
    question->done.seal(question->ctx, result, sealed);
}

void broker_seal_session(struct broker *broker, int64_t tenant_id, struct job_id job, const char *url,
                         void (*done)(void *ctx, enum open_result result, struct blob sealed), void *ctx)
{
    struct message_out out;
    message_start(&out, MESSAGE_SEAL, broker_next_id(broker));
    message_put_number(&out, tenant_id);
    message_put_text(&out, job.text);
    message_put_text(&out, url);
    struct question question = {
        .expects = MESSAGE_SEALED, .answered = seal_answered, .done.seal = done, .ctx = ctx};
    broker_ask(broker, &out, &question);
}

static void open_answered(const struct question *question, const struct message *answer, const char *why,
                          int64_t retry_after_ms)
{
    enum open_result result = open_result_of(answer, OPENED_RESULT);
    (void)why, (void)retry_after_ms;
    question->done.open(question->ctx, result, result == OPEN_OK ? answer->fields[OPENED_URL].text : NULL);
}

void broker_open_session(struct broker *broker, int64_t tenant_id, struct job_id job, struct blob sealed,
                         void (*done)(void *ctx, enum open_result result, const char *url), void *ctx)
{
    struct message_out out;
    message_start(&out, MESSAGE_OPEN, broker_next_id(broker));
    message_put_number(&out, tenant_id);
    message_put_text(&out, job.text);
    message_put_bytes(&out, sealed.data, sealed.len);
    struct question question = {
        .expects = MESSAGE_OPENED, .answered = open_answered, .done.open = done, .ctx = ctx};
    broker_ask(broker, &out, &question);
}

static void sign_answered(const struct question *question, const struct message *answer, const char *why,
                          int64_t retry_after_ms)
{
    struct broker_signed signed_url = {.result = SIGN_TRANSIENT, .message = why ? why : ""};
    (void)retry_after_ms;
    if (answer) {
        int64_t result = answer->fields[SIGNED_RESULT].number;
        signed_url.result =
            result == SIGN_OK || result == SIGN_REFUSED ? (enum sign_result)result : SIGN_NO_KEY;
        signed_url.url = result == SIGN_OK ? answer->fields[SIGNED_URL].text : NULL;
        signed_url.message = answer->fields[SIGNED_MESSAGE].text;
    }
    question->done.sign(question->ctx, &signed_url);
}

void broker_sign_url(struct broker *broker, const char *url,
                     void (*done)(void *ctx, const struct broker_signed *answer), void *ctx)
{
    struct message_out out;
    message_start(&out, MESSAGE_SIGN, broker_next_id(broker));
    message_put_text(&out, url);
    struct question question = {
        .expects = MESSAGE_SIGNED, .answered = sign_answered, .done.sign = done, .ctx = ctx};
    broker_ask(broker, &out, &question);
}

/* ---- for the command line: the loop runs until the answer is there ---- */

struct call {
    void (*take)(void *ret, const struct message *answer);
    void *ret;
    bool is_done;
    int code;
    struct err *err;
};

int broker_take_error(const struct message *answer, struct err *err)
{
    int64_t code = answer->fields[ERROR_CODE].number;
    bool is_known = code > ERR_BEFORE_FIRST_ && code < 0;
    return err_set(err, is_known ? (int)code : ERR_INTERNAL, "%s", answer->fields[ERROR_MESSAGE].text);
}

static void call_answered(const struct question *question, const struct message *answer, const char *why,
                          int64_t retry_after_ms)
{
    struct call *call = question->ctx;
    (void)retry_after_ms;
    call->is_done = true;
    if (!answer)
        call->code = err_set(call->err, ERR_TIMEOUT, "%s: try again", why);
    else if (answer->type == MESSAGE_ERROR)
        call->code = broker_take_error(answer, call->err);
    else
        call->take(call->ret, answer);
}

static int call_and_wait(struct broker *broker, struct message_out *out, enum message_type expects,
                         struct call *call)
{
    struct question question = {.expects = expects, .answered = call_answered, .ctx = call};
    if (out->overflowed) {
        secret_release(&out->frame);
        return err_set(call->err, ERR_INVALID, "a name, a text or the file is too long");
    }
    broker_ask(broker, out, &question);
    while (!call->is_done)
        uv_run(broker_loop(broker), UV_RUN_ONCE);
    return call->code;
}

#define TAKE_TEXT(to, field) text_copy(to, sizeof(to), answer->fields[field].text)

static void take_client(void *ret, const struct message *answer)
{
    struct store_client *client = ret;
    *client = (struct store_client){.id = answer->fields[GOT_CLIENT_ID].number,
                                    .tenant_id = answer->fields[GOT_CLIENT_TENANT_ID].number,
                                    .uploads_per_day = (uint32_t)answer->fields[GOT_CLIENT_UPLOADS].number,
                                    .units_per_day = (uint32_t)answer->fields[GOT_CLIENT_UNITS].number,
                                    .channel_count = (uint32_t)answer->fields[GOT_CLIENT_CHANNELS].number};
    TAKE_TEXT(client->tenant, GOT_CLIENT_TENANT);
    TAKE_TEXT(client->name, GOT_CLIENT_NAME);
    TAKE_TEXT(client->client_id, GOT_CLIENT_PUBLIC_ID);
    TAKE_TEXT(client->auth_uri, GOT_CLIENT_AUTH_URI);
    TAKE_TEXT(client->token_uri, GOT_CLIENT_TOKEN_URI);
    TAKE_TEXT(client->kind, GOT_CLIENT_KIND);
}

int broker_client_import(struct broker *broker, const char *tenant, const char *name, const char *json,
                         size_t len, struct store_client *ret, struct err *err)
{
    struct call call = {.take = take_client, .ret = ret, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_IMPORT, broker_next_id(broker));
    message_put_text(&out, tenant);
    message_put_text(&out, name);
    message_put_bytes(&out, json, len);
    return call_and_wait(broker, &out, MESSAGE_CLIENT, &call);
}

static void take_channel(void *ret, const struct message *answer)
{
    struct store_channel *channel = ret;
    int64_t state = answer->fields[GOT_CHANNEL_STATE].number;
    *channel = (struct store_channel){.id = answer->fields[GOT_CHANNEL_ID].number,
                                      .tenant_id = answer->fields[GOT_CHANNEL_TENANT_ID].number,
                                      .client_id = answer->fields[GOT_CHANNEL_CLIENT_ID].number,
                                      .until_ms = answer->fields[GOT_CHANNEL_UNTIL_MS].number,
                                      .added_at_ms = answer->fields[GOT_CHANNEL_ADDED_AT_MS].number,
                                      .has_token = answer->fields[GOT_CHANNEL_HAS_TOKEN].number != 0};
    channel->state = state >= 0 && state < CHANNEL_STATE_COUNT ? (enum channel_state)state : CHANNEL_FROZEN;
    TAKE_TEXT(channel->tenant, GOT_CHANNEL_TENANT);
    TAKE_TEXT(channel->client, GOT_CHANNEL_CLIENT);
    TAKE_TEXT(channel->name, GOT_CHANNEL_NAME);
    TAKE_TEXT(channel->yt_channel_id, GOT_CHANNEL_YT_ID);
    TAKE_TEXT(channel->title, GOT_CHANNEL_TITLE);
    TAKE_TEXT(channel->uploads_playlist, GOT_CHANNEL_PLAYLIST);
    TAKE_TEXT(channel->state_reason, GOT_CHANNEL_REASON);
}

static void put_login(struct message_out *out, const struct broker_login *login)
{
    message_put_text(out, login->tenant);
    message_put_number(out, login->client_id);
    message_put_text(out, login->channel);
    message_put_text(out, login->expect_channel);
}

int broker_channel_login(struct broker *broker, const struct broker_login *login, struct store_channel *ret,
                         struct err *err)
{
    struct call call = {.take = take_channel, .ret = ret, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_LOGIN, broker_next_id(broker));
    put_login(&out, login);
    message_put_text(&out, login->code);
    message_put_text(&out, login->verifier);
    message_put_text(&out, login->redirect_uri);
    return call_and_wait(broker, &out, MESSAGE_CHANNEL, &call);
}

int broker_channel_adopt(struct broker *broker, const char *tenant, int64_t client_id, const char *channel,
                         const char *expect_channel, struct store_channel *ret, struct err *err)
{
    struct call call = {.take = take_channel, .ret = ret, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_ADOPT, broker_next_id(broker));
    message_put_text(&out, tenant);
    message_put_number(&out, client_id);
    message_put_text(&out, channel);
    message_put_text(&out, expect_channel);
    return call_and_wait(broker, &out, MESSAGE_CHANNEL, &call);
}

static void take_device_code(void *ret, const struct message *answer)
{
    struct broker_device_code *code = ret;
    TAKE_TEXT(code->user_code, DEVICE_USER_CODE);
    TAKE_TEXT(code->url, DEVICE_URL);
    code->expires_in_ms = answer->fields[DEVICE_EXPIRES_IN_MS].number;
}

int broker_device_start(struct broker *broker, const struct broker_login *login,
                        struct broker_device_code *ret, struct err *err)
{
    struct call call = {.take = take_device_code, .ret = ret, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_DEVICE, broker_next_id(broker));
    put_login(&out, login);
    return call_and_wait(broker, &out, MESSAGE_DEVICE_CODE, &call);
}

int broker_device_poll(struct broker *broker, struct store_channel *ret, struct err *err)
{
    struct call call = {.take = take_channel, .ret = ret, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_POLL, broker_next_id(broker));
    message_put_number(&out, 0);
    return call_and_wait(broker, &out, MESSAGE_CHANNEL, &call);
}

int broker_login_take(struct broker *broker, const struct broker_login *login, const char *json, size_t len,
                      struct store_channel *ret, struct err *err)
{
    struct call call = {.take = take_channel, .ret = ret, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_TAKE, broker_next_id(broker));
    put_login(&out, login);
    message_put_bytes(&out, json, len);
    return call_and_wait(broker, &out, MESSAGE_CHANNEL, &call);
}

struct probed {
    int status;
    char *message;
};

static void take_probed(void *ret, const struct message *answer)
{
    struct probed *probed = ret;
    probed->status = (int)answer->fields[PROBED_STATUS].number;
    text_copy(probed->message, MESSAGE_SIZE, answer->fields[PROBED_MESSAGE].text);
}

int broker_service_probe(struct broker *broker, int *ret_status, char ret_message[MESSAGE_SIZE],
                         struct err *err)
{
    struct probed probed = {.message = ret_message};
    struct call call = {.take = take_probed, .ret = &probed, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_PROBE, broker_next_id(broker));
    message_put_number(&out, 0);
    int code = call_and_wait(broker, &out, MESSAGE_PROBED, &call);
    *ret_status = probed.status;
    return code;
}

static void take_removal(void *ret, const struct message *answer)
{
    *(bool *)ret = answer->fields[REMOVED_REVOKED].number != 0;
}

int broker_channel_remove(struct broker *broker, int64_t channel_id, bool revoke, bool *ret_revoked,
                          struct err *err)
{
    bool ignored;
    struct call call = {.take = take_removal, .ret = ret_revoked ? ret_revoked : &ignored, .err = err};
    struct message_out out;
    message_start(&out, MESSAGE_REMOVE, broker_next_id(broker));
    message_put_number(&out, channel_id);
    message_put_number(&out, revoke);
    return call_and_wait(broker, &out, MESSAGE_REMOVED, &call);
}
