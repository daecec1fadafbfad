#include "vault/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "vault/harden.h"
#include "vault/parent.h"
#include "vault/process.h"
#include "vault/ring.h"

enum {
    KEEPER_FD = 3,
    BROKER_END_MS = 2000, /* longer than its own grace */
    END_MS = 4000,
    ANSWER_MS = 10000,
};

/* One message a packet: SOCK_SEQPACKET keeps them apart. The configuration follows TAKE in the same packet.
 */
enum word { WORD_TAKE = 'T', WORD_START = 'S', WORD_KILL = 'K' };

struct answer {
    int64_t pid;   /* 0: it could not be started; the descriptor comes beside it otherwise */
    int32_t error; /* an errno: why not */
};

/* ---- the child ---- */

struct state {
    int fd;
    struct secret config; /* a frame (message.h) */
    size_t config_len;
    char *key_variable; /* what holds the key, NULL: nothing; and its value, no longer in our environment */
    struct secret key;
    pid_t broker; /* 0: none */
};

static void end_broker(struct state *state, int grace_ms)
{
    if (state->broker > 0)
        process_end(state->broker, grace_ms);
    state->broker = 0;
}

/* The frame fits into the socket's buffer: nobody reads at the other end yet. */
static bool send_config(const struct state *state, int fd)
{
    return send(fd, state->config.data, state->config_len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)state->config_len;
}

static void reply(const struct state *state, const struct answer *answer, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct iovec bytes = {.iov_base = (void *)answer, .iov_len = sizeof(*answer)};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.room);
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
    }
    if (sendmsg(state->fd, &message, MSG_NOSIGNAL) < 0)
        LOG(LOG_ERROR, "the broker's keeper cannot answer", F_STR("message", strerror(errno)));
}

static void start_broker(struct state *state)
{
    struct answer answer = {.pid = 0};
    int ends[2];
    end_broker(state, 0);
    if (state->config_len == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        answer.error = state->config_len == 0 ? EINVAL : errno;
        reply(state, &answer, -1);
        return;
    }
    char **environment = process_environment(state->key_variable, state->key.data);
    answer.error = process_start("/proc/self/exe", "broker", ends[1], environment, &state->broker);
    process_environment_free(environment);
    close(ends[1]);
    if (answer.error == 0 && !send_config(state, ends[0]))
        answer.error = EPIPE;
    else if (answer.error == 0)
        answer.pid = state->broker;
    reply(state, &answer, answer.pid ? ends[0] : -1);
    close(ends[0]);
}

/* Out of the environment, where it can be looked at for as long as a process lives. */
static void take_key(struct state *state, const char *source)
{
    const char *variable = vault_ring_source_variable(source);
    const char *value = variable ? getenv(variable) : NULL;
    if (!value)
        return; /* the broker says what is missing */
    state->key_variable = mem_dup(variable);
    secret_set(&state->key, value, strlen(value));
    vault_ring_wipe_source(source);
}

static void take_config(struct state *state, const char *data, size_t len)
{
    struct message config;
    if (state->config_len > 0 || len <= MESSAGE_HEAD_BYTES)
        return; /* once: whoever has taken the parent over may not change it */
    secret_set(&state->config, data, len);
    state->config_len = len;
    if (message_parse(data + MESSAGE_HEAD_BYTES, len - MESSAGE_HEAD_BYTES, &config, NULL) == 0 &&
        config.type == MESSAGE_CONFIG)
        take_key(state, config.fields[CONFIG_KEY_SOURCE].text);
}

static bool serve_one(struct state *state, struct secret *packet)
{
    ssize_t len = recv(state->fd, packet->data, packet->len, 0);
    if (len < 0 && errno == EINTR)
        return true;
    if (len <= 0)
        return false;
    switch (packet->data[0]) {
    case WORD_TAKE:
        take_config(state, packet->data + 1, (size_t)len - 1);
        break;
    case WORD_START:
        start_broker(state);
        break;
    case WORD_KILL:
        end_broker(state, 0);
        break;
    default:
        return false;
    }
    secret_wipe(packet->data, (size_t)len);
    return true;
}

int keeper_main(int fd)
{
    struct state state = {.fd = fd};
    struct secret packet AUTO_SECRET = {0};
    harden("sluice-keeper", fd);
    log_setup(LOG_INFO, LOG_LOGFMT);
    vault_start();
    secret_reserve(&packet, MESSAGE_LEN_MAX + 16);
    while (serve_one(&state, &packet))
        ;
    end_broker(&state, BROKER_END_MS);
    secret_release(&state.config);
    secret_release(&state.key);
    mem_free(state.key_variable);
    allow_leak_check();
    return 0;
}

/* ---- the parent ---- */

struct keeper {
    int fd;
    pid_t pid;
};

static int send_word(const struct keeper *keeper, enum word word, const struct secret *frame, size_t len,
                     struct err *err)
{
    char head = (char)word;
    struct iovec parts[] = {{.iov_base = &head, .iov_len = 1},
                            {.iov_base = frame ? frame->data : NULL, .iov_len = len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = frame ? 2 : 1};
    if (sendmsg(keeper->fd, &message, MSG_NOSIGNAL) < 0)
        return err_set_errno(err, ERR_INTERNAL, errno, "the broker's keeper is gone");
    return 0;
}

static int send_whole_config(const struct keeper *keeper, const struct broker_config *config, struct err *err)
{
    struct secret frame AUTO_SECRET = {0};
    size_t len;
    if (!broker_build_config(config, &frame, &len))
        return err_set(err, ERR_INVALID, "the broker's configuration holds a text that is too long");
    return send_word(keeper, WORD_TAKE, &frame, len, err);
}

int keeper_open(const struct broker_config *config, struct keeper **ret, struct err *err)
{
    int ends[2];
    if (!config->executable)
        return err_set(err, ERR_INVALID, "no program is named that is to be the broker's keeper");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return err_set_errno(err, ERR_INTERNAL, errno, "making the keeper's socket");
    struct keeper *keeper = mem_alloc(sizeof(*keeper));
    keeper->fd = ends[0];
    const char *variable = vault_ring_source_variable(config->key_source);
    char **environment = process_environment(variable, variable ? getenv(variable) : NULL);
    int error = process_start(config->executable, "keeper", ends[1], environment, &keeper->pid);
    process_environment_free(environment);
    close(ends[1]);
    int code = error == 0
                   ? send_whole_config(keeper, config, err)
                   : err_set_errno(err, ERR_INTERNAL, error, "starting the keeper %s", config->executable);
    if (code != 0) {
        keeper_close(keeper);
        return code;
    }
    *ret = keeper;
    return 0;
}

/* The descriptor that came beside the answer; -1: none. */
static int take_descriptor(struct msghdr *message)
{
    int fd = -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    return fd;
}

static int wait_for_answer(const struct keeper *keeper)
{
    struct pollfd ready = {.fd = keeper->fd, .events = POLLIN};
    int rc;
    do
        rc = poll(&ready, 1, ANSWER_MS);
    while (rc < 0 && errno == EINTR);
    return rc > 0 ? 0 : rc == 0 ? ETIMEDOUT : errno;
}

/* The descriptor; -1: ret->error tells why there is none. */
static int receive(const struct keeper *keeper, struct answer *ret)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec bytes = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room)};
    ret->error = wait_for_answer(keeper);
    if (ret->error != 0)
        return -1;
    ssize_t len = recvmsg(keeper->fd, &message, MSG_CMSG_CLOEXEC);
    if (len != (ssize_t)sizeof(*ret)) {
        ret->error = len < 0 ? errno : ECONNRESET;
        return -1;
    }
    int fd = take_descriptor(&message);
    if (fd < 0 && ret->error == 0)
        ret->error = EMFILE; /* it was sent, and found no room here */
    return fd;
}

int keeper_start(struct keeper *keeper, int *ret_fd, int64_t *ret_pid, struct err *err)
{
    struct answer answer = {.pid = 0};
    int code = send_word(keeper, WORD_START, NULL, 0, err);
    if (code != 0)
        return code;
    int fd = receive(keeper, &answer);
    if (fd < 0)
        return err_set_errno(err, ERR_INTERNAL, answer.error, "the broker's keeper cannot start it");
    *ret_fd = fd;
    *ret_pid = answer.pid;
    return 0;
}

void keeper_kill(struct keeper *keeper)
{
    (void)send_word(keeper, WORD_KILL, NULL, 0, NULL); /* one that is gone took its broker along */
}

void keeper_close(struct keeper *keeper)
{
    if (!keeper)
        return;
    close(keeper->fd);
    if (keeper->pid > 0)
        process_end(keeper->pid, END_MS);
    mem_free(keeper);
}
