/* What is near: the store's thread and the broker. Each action is answered once, whatever happens. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/shell.h"

/* ---- store ---- */

static void bind_task(struct worker *worker, uint32_t slot, struct store_work *work)
{
    struct task *task = &worker->tasks[slot];
    task->used = true;
    task->work = *work; /* taken over */
    yt_slug(work->storage_path, work->claim.id.text, task->slug);
    tell_claimed(task);
}

static void on_claimed(void *ctx, uint64_t op, bool ok, struct store_work *works, uint32_t count)
{
    struct worker *worker = ctx;
    for (uint32_t i = 0; i < count && worker->closed; i++)
        store_work_release(&works[i]); /* claimed while we leave: the leases run out by themselves */
    for (uint32_t i = 0; i < count && !worker->closed; i++) {
        uint32_t slot = engine_next_slot(worker->engine);
        struct event event = event_make(EVENT_JOB, slot, op);
        event.job = works[i].claim;
        bind_task(worker, slot, &works[i]);
        answer(worker, &event);
    }
    struct event event = event_make(EVENT_CLAIMED, 0, op);
    event.claimed.ok = ok;
    event.claimed.claimed_count = count;
    answer(worker, &event);
}

void near_claim(struct worker *worker, const struct action *action)
{
    store_thread_claim(worker->store, action->claim.count, on_claimed, worker, action->op);
}

static void on_written(void *ctx, uint64_t op, const struct job_write *write, enum write_result result)
{
    struct task *task = ctx;
    tell_written(task, write, result);
    struct event event = event_make(EVENT_STORED, task->slot, op);
    event.stored.result = result;
    answer(task->worker, &event);
}

/* A write that waits until the session's URL is sealed. */
struct sealing {
    struct task *task;
    uint64_t op;
    struct job_write write;
};

static void on_sealed(void *ctx, enum open_result result, struct blob sealed)
{
    struct sealing *sealing = ctx;
    struct task *task = sealing->task;
    if (result == OPEN_OK)
        store_thread_write(task->worker->store, &sealing->write, sealed, on_written, task, sealing->op);
    else
        on_written(task, sealing->op, &sealing->write, WRITE_FAILED);
    mem_free(sealing);
}

void near_store(struct task *task, const struct action *action)
{
    struct worker *worker = task->worker;
    if (!action->write.set_session) {
        store_thread_write(worker->store, &action->write, (struct blob){0}, on_written, task, action->op);
        return;
    }
    struct sealing *sealing = mem_alloc(sizeof(*sealing));
    *sealing = (struct sealing){.task = task, .op = action->op, .write = action->write};
    memcpy(sealing->write.note.request_id, task->request_id, sizeof(task->request_id));
    broker_seal_session(worker->broker, task->work.claim.tenant_id, task->work.claim.id,
                        task->session_url.data, on_sealed, sealing);
}

static void on_renewed(void *ctx, uint64_t op, const struct store_renewal *renewal)
{
    struct task *task = ctx;
    struct event event = event_make(EVENT_RENEWED, task->slot, op);
    event.renewed.result = renewal->result;
    event.renewed.cancel_wanted = renewal->cancel_wanted;
    event.renewed.channel = renewal->channel;
    answer(task->worker, &event);
}

void near_renew(struct task *task, const struct action *action)
{
    store_thread_renew(task->worker->leases, action->job, action->lease_epoch, on_renewed, task, action->op);
}

/* ---- broker ---- */

/* Whose answer it is: the broker hands back one pointer. */
struct asked {
    struct task *task; /* NULL: answered already */
    uint64_t op;
    enum event_type answer;
};

static struct asked *asked_new(struct task *task, const struct action *action, enum event_type answer)
{
    struct asked *asked = mem_alloc(sizeof(*asked));
    *asked = (struct asked){.task = task, .op = action->op, .answer = answer};
    task->asked = asked;
    return asked;
}

/* Whose answer has come; NULL: nobody waits for it any more. */
static struct task *asked_end(struct asked *asked)
{
    struct task *task = asked->task;
    if (task)
        task->asked = NULL;
    mem_free(asked);
    return task;
}

void near_abort(struct task *task, uint64_t op)
{
    struct asked *asked = task->asked;
    if (!asked || asked->op != op)
        return;
    struct event event = event_make(asked->answer, task->slot, op);
    if (asked->answer == EVENT_TOKEN)
        event.token.result = TOKEN_TRANSIENT;
    else if (asked->answer == EVENT_OPENED)
        event.opened.result = OPEN_TRANSIENT;
    else
        event.reply = (struct reply){.transport = TRANSPORT_ABORTED, .retry_after_ms = -1};
    task->asked = NULL;
    asked->task = NULL;
    answer(task->worker, &event);
}

static void take_token(struct task *task, const char *access_token, char ret_id[TOKEN_ID_SIZE])
{
    size_t len = strlen(access_token);
    secret_set(&task->access_token, access_token, len);
    vault_digest(broker_digest_key(task->worker->broker), access_token, len, ret_id);
}

static void on_token(void *ctx, const struct broker_token *token)
{
    struct asked *asked = ctx;
    uint64_t op = asked->op;
    struct task *task = asked_end(asked);
    if (!task)
        return;
    struct event event = event_make(EVENT_TOKEN, task->slot, op);
    event.token.result = token->result;
    event.token.retry_after_ms = token->retry_after_ms;
    event.token.expires_at_mono_ms = token->expires_at_mono_ms;
    snprintf(event.token.message, sizeof(event.token.message), "%s", token->message ? token->message : "");
    if (token->result == TOKEN_OK)
        take_token(task, token->access_token, event.token.id);
    answer(task->worker, &event);
}

void near_token(struct task *task, const struct action *action)
{
    const struct job_claim *claim = &task->work.claim;
    broker_token(task->worker->broker, claim->tenant_id, claim->channel_id, claim->id, claim->lease_epoch,
                 action->token.fresh, on_token, asked_new(task, action, EVENT_TOKEN));
}

static void on_opened(void *ctx, enum open_result result, const char *url)
{
    struct asked *asked = ctx;
    uint64_t op = asked->op;
    struct task *task = asked_end(asked);
    if (!task)
        return;
    struct event event = event_make(EVENT_OPENED, task->slot, op);
    event.opened.result = result;
    if (result == OPEN_OK && yt_check_session(url, task->worker->settings->api_root, NULL) != 0)
        event.opened.result = OPEN_ELSEWHERE;
    else if (result == OPEN_OK)
        secret_set(&task->session_url, url, strlen(url));
    answer(task->worker, &event);
}

void near_open_session(struct task *task, const struct action *action)
{
    broker_open_session(task->worker->broker, task->work.claim.tenant_id, task->work.claim.id,
                        task->work.sealed_session, on_opened, asked_new(task, action, EVENT_OPENED));
}

static void on_signed(void *ctx, const struct broker_signed *answer)
{
    struct asked *asked = ctx;
    uint64_t op = asked->op;
    struct task *task = asked_end(asked);
    if (task)
        cdn_signed(task, op, answer);
}

void near_sign_url(struct task *task, const struct action *action)
{
    broker_sign_url(task->worker->broker, task->work.cdn_url, on_signed,
                    asked_new(task, action, EVENT_REPLY));
}
