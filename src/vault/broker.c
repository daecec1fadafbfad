/*
 * The parent's side: starts the child, asks, matches answers, and starts the child again when it died, sent
 * garbage or hangs (X06).
 */
#include "vault/broker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "core/backoff.h"
#include "vault/keeper.h"
#include "vault/parent.h"
#include "vault/process.h"
#include "vault/ring.h"

enum {
    /* A sound child answers within 25 s (broker_token.c), or a little later where the store is locked: then
     * it may hold a new refresh token that is nowhere else, and is not to be ended lightly. */
    ANSWER_MS = 60000,
    TICK_MS = 250,
    RESTART_BASE_MS = 100,
    RESTART_CAP_MS = 30000,
    STABLE_MS = 60000, /* a child that lived so long starts the pauses anew */
    END_MS = 2000,     /* longer than the child's own grace */
    PENDING_MAX = 4096,
};

/* A child process; it outlives its time as the broker until its end was seen. */
struct process {
    uv_process_t handle;
    struct broker *broker; /* NULL: not its child any more */
};

struct pending {
    struct pending *next;
    uint64_t id;
    int64_t deadline_mono_ms; /* 0: not sent and not to be: its answer is "none" */
    struct question question;
    struct secret frame; /* until the child has said hello */
    size_t frame_len;
};

enum broker_state {
    BROKER_STARTING, /* questions wait */
    BROKER_READY,
    BROKER_DOWN, /* until restart_at: questions are answered with "none" */
    BROKER_CLOSED,
};

struct broker {
    uv_loop_t *loop;
    uv_timer_t tick;
    enum broker_state state;
    struct process *process;
    struct link *link;
    struct secret config; /* the first frame, kept for restarts */
    size_t config_len;
    char *executable;
    struct keeper *keeper; /* not owned; NULL: it is started directly */
    int64_t kept_pid;      /* the keeper's child; 0: none */
    char *key_variable;    /* what holds the key; NULL: none */
    int64_t answer_ms;
    unsigned char digest_key[VAULT_DIGEST_KEY_SIZE];

    struct pending *first, **last;
    uint32_t pending_count;
    uint64_t next_id;
    bool is_open; /* the first hello came */
    uint32_t restarts;
    int64_t started_at_mono_ms;
    int64_t restart_at_mono_ms;
    struct err refusal; /* of the child's start */
};

enum { CONFIG_ID = 1 };

static void tick_soon(struct broker *broker);
static void broker_down(struct broker *broker, const char *why);

/* ---- questions ---- */

static struct pending *take_pending(struct broker *broker, struct pending **at)
{
    struct pending *pending = *at;
    *at = pending->next;
    if (broker->last == &pending->next)
        broker->last = at;
    broker->pending_count--;
    return pending;
}

static void finish(struct pending *pending, const struct message *answer, const char *why,
                   int64_t retry_after_ms)
{
    pending->question.answered(&pending->question, answer, why, retry_after_ms);
    secret_release(&pending->frame);
    mem_free(pending);
}

static int64_t restart_wait_ms(const struct broker *broker)
{
    int64_t wait_ms = broker->restart_at_mono_ms - clock_mono_ms();
    return broker->state == BROKER_DOWN && wait_ms > 0 ? wait_ms : RESTART_BASE_MS;
}

static void finish_all(struct broker *broker, const char *why)
{
    /* Answers may ask again: what is asked from now on is not part of this. */
    uint64_t before_id = broker->next_id;
    while (broker->first && broker->first->id < before_id)
        finish(take_pending(broker, &broker->first), NULL, why, restart_wait_ms(broker));
}

uint64_t broker_next_id(struct broker *broker)
{
    return broker->next_id;
}

uv_loop_t *broker_loop(const struct broker *broker)
{
    return broker->loop;
}

static void send_pending(struct broker *broker, struct pending *pending)
{
    pending->deadline_mono_ms = clock_mono_ms() + broker->answer_ms;
    link_send(broker->link, &pending->frame, pending->frame_len);
}

void broker_ask(struct broker *broker, struct message_out *out, const struct question *question)
{
    struct pending *pending = mem_alloc(sizeof(*pending));
    pending->id = broker->next_id++;
    pending->question = *question;
    *broker->last = pending;
    broker->last = &pending->next;
    bool fits = message_finish(out, &pending->frame, &pending->frame_len);
    bool may_wait = broker->pending_count++ < PENDING_MAX && fits;
    if (may_wait && broker->state == BROKER_READY)
        send_pending(broker, pending);
    else if (may_wait && broker->state == BROKER_STARTING)
        pending->deadline_mono_ms = clock_mono_ms() + broker->answer_ms;
    tick_soon(broker);
}

/* ---- frames ---- */

static void greeted(struct broker *broker, const struct message *hello)
{
    memcpy(broker->digest_key, hello->fields[HELLO_DIGEST_KEY].text, sizeof(broker->digest_key));
    broker->state = BROKER_READY;
    broker->is_open = true;
    broker->started_at_mono_ms = clock_mono_ms();
    for (struct pending *pending = broker->first; pending; pending = pending->next)
        if (pending->deadline_mono_ms)
            send_pending(broker, pending);
}

static void refused(struct broker *broker, const struct message *error)
{
    broker_take_error(error, &broker->refusal);
    broker_down(broker, broker->refusal.message);
}

static bool is_answer_to(const struct question *question, const struct message *answer)
{
    bool may_be_error = question->expects == MESSAGE_CLIENT || question->expects == MESSAGE_CHANNEL ||
                        question->expects == MESSAGE_DEVICE_CODE || question->expects == MESSAGE_REMOVED ||
                        question->expects == MESSAGE_PROBED;
    return answer->type == question->expects || (may_be_error && answer->type == MESSAGE_ERROR);
}

static void answered(struct broker *broker, const struct message *answer)
{
    /* Answers come nearly in the order of the questions: the walk is short. */
    struct pending **at = &broker->first;
    while (*at && (*at)->id != answer->id)
        at = &(*at)->next;
    if (!*at || (*at)->frame.data || !is_answer_to(&(*at)->question, answer))
        broker_down(broker, "it answered what was not asked");
    else
        finish(take_pending(broker, at), answer, NULL, -1);
}

static void on_frame(void *ctx, const void *frame, size_t len)
{
    struct broker *broker = ctx;
    struct message message;
    struct err err = {0};
    if (message_parse(frame, len, &message, &err) != 0)
        broker_down(broker, err.message);
    else if (broker->state == BROKER_READY)
        answered(broker, &message);
    else if (message.id == CONFIG_ID && message.type == MESSAGE_HELLO &&
             message.fields[HELLO_DIGEST_KEY].len == VAULT_DIGEST_KEY_SIZE)
        greeted(broker, &message);
    else if (message.id == CONFIG_ID && message.type == MESSAGE_ERROR)
        refused(broker, &message);
    else
        broker_down(broker, "it did not say hello");
}

static void on_link_end(void *ctx, const char *why)
{
    broker_down(ctx, strcmp(why, "closed") == 0 ? "it ended" : why);
}

/* ---- the process ---- */

static void process_freed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void on_process_end(uv_process_t *handle, int64_t status, int signal_number)
{
    struct process *process = handle->data;
    struct broker *broker = process->broker;
    (void)status, (void)signal_number;
    uv_close((uv_handle_t *)handle, process_freed);
    if (!broker)
        return;
    broker->process = NULL;
    /* What it wrote before its end is read first: a refusal says more than an exit code. */
    if (broker->state == BROKER_STARTING && broker->link)
        return;
    broker_down(broker, "it ended");
}

static int spawn(struct broker *broker, int fd, struct err *err)
{
    char program[] = "sluice", subcommand[] = "broker";
    char *args[] = {program, subcommand, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = fd},
    };
    char **environment =
        process_environment(broker->key_variable, broker->key_variable ? getenv(broker->key_variable) : NULL);
    struct process *process = mem_alloc(sizeof(*process));
    process->handle.data = process;
    process->broker = broker;
    uv_process_options_t options = {.exit_cb = on_process_end,
                                    .file = broker->executable,
                                    .args = args,
                                    .env = environment,
                                    .stdio_count = ARRAY_LEN(stdio),
                                    .stdio = stdio};
    int code = uv_spawn(broker->loop, &process->handle, &options);
    process_environment_free(environment);
    if (code != 0) {
        uv_close((uv_handle_t *)&process->handle, process_freed);
        return err_set(err, ERR_INTERNAL, "starting the broker %s: %s", broker->executable,
                       uv_strerror(code));
    }
    broker->process = process;
    return 0;
}

static void send_config(struct broker *broker)
{
    struct secret frame = {0};
    secret_set(&frame, broker->config.data, broker->config_len);
    link_send(broker->link, &frame, broker->config_len);
}

static int connect_link(struct broker *broker, int fd, struct err *err)
{
    struct link_events events = {.frame = on_frame, .ended = on_link_end, .ctx = broker};
    return link_open(broker->loop, fd, &events, &broker->link, err);
}

/* It comes with its configuration; its end shows by its socket's. */
static int start_by_keeper(struct broker *broker, struct err *err)
{
    int fd;
    int code = keeper_start(broker->keeper, &fd, &broker->kept_pid, err);
    return code != 0 ? code : connect_link(broker, fd, err);
}

static int start_directly(struct broker *broker, struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return err_set_errno(err, ERR_INTERNAL, errno, "making the broker's socket");
    int code = spawn(broker, ends[1], err);
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        return code;
    }
    code = connect_link(broker, ends[0], err);
    if (code == 0)
        send_config(broker);
    return code;
}

static int start(struct broker *broker, struct err *err)
{
    broker->state = BROKER_STARTING;
    broker->started_at_mono_ms = clock_mono_ms();
    return broker->keeper ? start_by_keeper(broker, err) : start_directly(broker, err);
}

/* ---- going down and up ---- */

static void let_go(struct broker *broker)
{
    link_close(broker->link);
    broker->link = NULL;
    if (broker->kept_pid)
        keeper_kill(broker->keeper);
    broker->kept_pid = 0;
    if (broker->process) {
        broker->process->broker = NULL;
        uv_process_kill(&broker->process->handle, SIGKILL);
        broker->process = NULL;
    }
}

static void broker_down(struct broker *broker, const char *why)
{
    if (broker->state == BROKER_DOWN || broker->state == BROKER_CLOSED)
        return;
    int64_t now_mono_ms = clock_mono_ms();
    if (broker->state == BROKER_READY && now_mono_ms - broker->started_at_mono_ms > STABLE_MS)
        broker->restarts = 0;
    let_go(broker);
    broker->state = BROKER_DOWN;
    broker->restart_at_mono_ms =
        now_mono_ms + backoff_half_ms(RESTART_BASE_MS, RESTART_CAP_MS, broker->restarts++, random_u64());
    if (!broker->refusal.code)
        err_set(&broker->refusal, ERR_INTERNAL, "the broker: %s", why);
    /* Nobody is asked who could tell: the caller of broker_open() is long gone. */
    if (broker->is_open)
        LOG(LOG_WARN, "the broker is started again", F_STR("why", why),
            F_I64("in_ms", broker->restart_at_mono_ms - now_mono_ms));
    finish_all(broker, "the broker is not there just now");
    tick_soon(broker);
}

static void restart(struct broker *broker)
{
    struct err err = {0};
    broker->refusal = (struct err){0};
    if (start(broker, &err) != 0)
        broker_down(broker, err.message);
}

/* A hello is owed from the start, an answer since it was asked for. */
static void look_for_hangs(struct broker *broker, int64_t now_mono_ms)
{
    bool is_mute =
        broker->state == BROKER_STARTING && now_mono_ms - broker->started_at_mono_ms >= broker->answer_ms;
    for (struct pending *pending = broker->first; pending && !is_mute; pending = pending->next)
        is_mute = pending->deadline_mono_ms && now_mono_ms >= pending->deadline_mono_ms;
    if (is_mute)
        broker_down(broker, "it does not answer");
}

static void answer_hopeless(struct broker *broker)
{
    struct pending **at = &broker->first;
    uint64_t before_id = broker->next_id;
    while (*at && (*at)->id < before_id) {
        if ((*at)->deadline_mono_ms) {
            at = &(*at)->next;
            continue;
        }
        finish(take_pending(broker, at), NULL, "the broker is not there just now", restart_wait_ms(broker));
        at = &broker->first; /* the callback may have changed the list */
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct broker *broker = timer->data;
    int64_t now_mono_ms = clock_mono_ms();
    answer_hopeless(broker);
    if (broker->state == BROKER_DOWN && broker->is_open && now_mono_ms >= broker->restart_at_mono_ms)
        restart(broker);
    else if (broker->state == BROKER_STARTING || broker->state == BROKER_READY)
        look_for_hangs(broker, now_mono_ms);
    if (broker->state != BROKER_CLOSED && !broker->first && broker->state == BROKER_READY)
        uv_timer_stop(timer);
}

/* Ticks only while something is awaited. */
static void tick_soon(struct broker *broker)
{
    bool is_hopeless = broker->first && broker->state == BROKER_DOWN;
    if (broker->state != BROKER_CLOSED && (is_hopeless || !uv_is_active((uv_handle_t *)&broker->tick)))
        uv_timer_start(&broker->tick, on_tick, is_hopeless ? 0 : TICK_MS, TICK_MS);
}

/* ---- opening and closing ---- */

bool broker_build_config(const struct broker_config *config, struct secret *ret, size_t *ret_len)
{
    struct message_out out;
    message_start(&out, MESSAGE_CONFIG, CONFIG_ID);
    message_put_text(&out, config->store);
    message_put_text(&out, config->key_source);
    message_put_text(&out, config->api_root);
    message_put_text(&out, config->ca_file);
    message_put_text(&out, config->proxy);
    message_put_number(&out, config->allow_plain_loopback);
    message_put_number(&out, config->log_level);
    message_put_number(&out, config->log_format);
    message_put_text(&out, config->cdn_key_file);
    message_put_text(&out, config->cdn_key_id);
    message_put_text(&out, config->cdn_sign_hosts);
    message_put_number(&out, config->cdn_sign_hash);
    message_put_text(&out, config->service.url);
    message_put_text(&out, config->service.ca_file);
    message_put_text(&out, config->service.cert_file);
    message_put_text(&out, config->service.key_file);
    message_put_text(&out, config->service.bearer_file);
    message_put_text(&out, config->tenants);
    message_put_number(&out, config->isolated_tenants != NULL);
    message_put_text(&out, config->isolated_tenants);
    message_put_text(&out, config->who);
    message_put_number(&out, config->watch_videos_ms);
    return message_finish(&out, ret, ret_len);
}

static struct broker *broker_new(uv_loop_t *loop, const struct broker_config *config)
{
    struct broker *broker = mem_alloc(sizeof(*broker));
    broker->loop = loop;
    broker->last = &broker->first;
    broker->next_id = CONFIG_ID + 1;
    broker->executable = mem_dup(config->executable);
    broker->keeper = config->keeper;
    const char *variable = vault_ring_source_variable(config->key_source);
    broker->key_variable = variable ? mem_dup(variable) : NULL;
    broker->answer_ms = config->answer_ms > 0 ? config->answer_ms : ANSWER_MS;
    uv_timer_init(loop, &broker->tick);
    broker->tick.data = broker;
    return broker;
}

int broker_open(uv_loop_t *loop, const struct broker_config *config, struct broker **ret, struct err *err)
{
    if (!config->executable)
        return err_set(err, ERR_INVALID, "no program is named that is to be the broker");
    struct broker *broker = broker_new(loop, config);
    int code = 0;
    signal(SIGPIPE, SIG_IGN); /* a dead child is found by its closed socket, not by our death (X10) */
    if (!broker_build_config(config, &broker->config, &broker->config_len))
        code = err_set(err, ERR_INVALID, "the broker's configuration holds a text that is too long");
    if (code == 0)
        code = start(broker, err);
    if (code == 0) {
        tick_soon(broker);
        while (broker->state == BROKER_STARTING)
            uv_run(loop, UV_RUN_ONCE);
        if (broker->state != BROKER_READY)
            code = err_set(err, broker->refusal.code, "%s", broker->refusal.message);
    }
    if (code != 0) {
        broker_close(broker);
        return code;
    }
    *ret = broker;
    return 0;
}

static void broker_freed(uv_handle_t *handle)
{
    struct broker *broker = handle->data;
    finish_all(broker, "the broker is closed"); /* asked from within the last answers */
    secret_release(&broker->config);
    mem_free(broker->executable);
    mem_free(broker->key_variable);
    mem_free(broker);
}

/* The socket's end is the word to go; the child is waited for, so that none is left when the parent ends. */
static void end_process(struct broker *broker)
{
    struct process *process = broker->process;
    if (!process)
        return;
    pid_t pid = process->handle.pid;
    broker->process = NULL;
    process->broker = NULL;
    uv_close((uv_handle_t *)&process->handle, process_freed);
    process_end(pid, END_MS);
}

void broker_close(struct broker *broker)
{
    if (!broker || broker->state == BROKER_CLOSED)
        return;
    broker->state = BROKER_CLOSED;
    finish_all(broker, "the broker is closed");
    link_close(broker->link);
    broker->link = NULL;
    end_process(broker);
    uv_close((uv_handle_t *)&broker->tick, broker_freed);
}

const unsigned char *broker_digest_key(const struct broker *broker)
{
    return broker->digest_key;
}

int64_t broker_pid(const struct broker *broker)
{
    return broker->process ? broker->process->handle.pid : broker->kept_pid;
}
