#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access.h"
#include "base/mem.h"
#include "base/text.h"
#include "deliver.h"
#include "form.h"
#include "insert.h"
#include "oauth_caller.h"
#include "ops.h"
#include "resumable.h"
#include "routes.h"
#include "wire.h"

enum { BODY_BYTES_USUAL = 65536, CONNECTION_MEMORY = 128 * 1024 };

struct server {
    struct state *state;
    struct MHD_Daemon *daemon;
    struct server_options options;
    int fd;
};

/* ---- the journal ---- */

/* Never in the journal: whoever reads it must not be able to act for somebody. */
static bool is_secret(const char *name)
{
    static const char *const names[] = {"upload_id", "code",          "state", "access_token",
                                        "key",       "refresh_token", "token", "code_challenge"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static enum MHD_Result put_param(void *query, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct buf *out = query;
    (void)kind;
    if (is_secret(name))
        return MHD_YES;
    if (out->len > 0)
        buf_putc(out, '&');
    form_put_encoded(out, name);
    buf_putc(out, '=');
    form_put_encoded(out, value ? value : "");
    return MHD_YES;
}

static void journal_open(struct request *request)
{
    struct state *state = request->state;
    request->journal_number = journal_add(&state->journal, state_now_ms(state));
    struct journal_entry *entry = journal_at(&state->journal, request->journal_number);
    AUTO_BUF struct buf query;
    buf_init(&query, 4096);
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, put_param, &query);
    text_copy(entry->method, sizeof entry->method, request->method);
    text_copy(entry->op, sizeof entry->op, request->op->name);
    entry->path = mem_dup(request->path);
    entry->query = query.len ? buf_take_text(&query) : NULL;
    entry->content_range = mem_dup(request_header(request, "Content-Range"));
    if (request->session)
        entry->stored_before = (int64_t)request->session->stored_bytes;
}

static void journal_close(struct request *request)
{
    struct journal_entry *entry = journal_at(&request->state->journal, request->journal_number);
    if (!entry || request->op->style == OP_CONTROL)
        return;
    bool is_silent = request->reply.delivery == DELIVER_NOTHING || request->reply.delivery == DELIVER_RESET;
    entry->status = is_silent ? 0 : request->reply.status;
    entry->received_bytes = request->received_bytes + request->dropped_bytes;
    if (request->caller.channel)
        text_copy(entry->channel, sizeof entry->channel, request->caller.channel->id);
    if (request->session) {
        text_copy(entry->session, sizeof entry->session, request->session->digest);
        entry->stored_after = (int64_t)request->session->stored_bytes;
    }
    if (request->plan.is_consumed && !entry->fault)
        entry->fault = mem_dup(request->plan.fault->text);
}

/* Adds the bytes of the body, stored or not, to the sums of the session and its video: from them a test
 * learns how much was sent twice. */
static void count_bytes(struct request *request)
{
    uint64_t bytes = request->received_bytes + request->dropped_bytes;
    struct session *session = request->session;
    if (!session || request->op == &op_start)
        return;
    session->received_bytes += bytes - request->counted_bytes;
    request->counted_bytes = bytes;
    if (session->video)
        session->video->received_bytes = session->received_bytes;
}

/* ---- one request's life ---- */

static struct request *request_new(struct state *state, struct MHD_Connection *connection, const char *method,
                                   const char *path)
{
    struct request *request = mem_alloc(sizeof *request);
    *request = (struct request){.state = state, .connection = connection, .method = method, .path = path};
    fault_plan_init(&request->plan);
    reply_init(&request->reply);
    return request;
}

static void request_free(struct request *request)
{
    pthread_mutex_lock(&request->state->lock);
    count_bytes(request);
    put_free(request->put);
    journal_close(request);
    fault_plan_release(&request->plan);
    session_drop(request->session);
    pthread_mutex_unlock(&request->state->lock);
    insert_free(request->insert);
    reply_release(&request->reply);
    buf_wipe(&request->body); /* may hold tokens */
    buf_release(&request->body);
    mem_free(request);
}

/* The token endpoint names its channel in the body, so its faults are chosen once that is there. */
static void plan_faults(struct request *request)
{
    faults_plan(&request->state->faults, &request->state->dice, request, &request->plan);
    if (request->plan.stage == FAULT_ON_BODY)
        fault_plan_consume(&request->plan);
}

static void act(struct request *request)
{
    fault_plan_consume(&request->plan);
    request->plan.fault->word->act(request, request->plan.fault);
}

/* Under the lock. */
static void open_request(struct request *request)
{
    request->op = route(request);
    buf_init(&request->body, request->op->body_bytes_max ? request->op->body_bytes_max : BODY_BYTES_USUAL);
    access_identify(request);
    access_charge(request);
    if (request->op->style != OP_CONTROL)
        journal_open(request);
    if (request->op->style == OP_API)
        plan_faults(request);
    if (request->plan.stage == FAULT_INSTEAD) {
        act(request);
        return;
    }
    access_check(request);
    if (!request_is_answered(request) && request->op->admit)
        request->op->admit(request);
}

/* A fault that waits for its byte has got it: everything taken so far counts, then the fault acts. */
static enum MHD_Result fire(struct request *request)
{
    pthread_mutex_lock(&request->state->lock);
    put_cut(request->put);
    request->plan.at_byte = UINT64_MAX;
    act(request);
    journal_close(request);
    int64_t stall_ms = request->stall_ms;
    pthread_mutex_unlock(&request->state->lock);
    if (stall_ms == 0)
        return deliver_early(request);
    struct wire wire = wire_of(request->connection);
    return wire_wait(&wire, stall_ms) ? MHD_YES : MHD_NO;
}

static enum MHD_Result begin(struct request *request)
{
    pthread_mutex_lock(&request->state->lock);
    open_request(request);
    pthread_mutex_unlock(&request->state->lock);
    return request->plan.at_byte == 0 ? fire(request) : MHD_YES;
}

static void take(struct request *request, const char *data, size_t len)
{
    request->received_bytes += len;
    if (request_is_answered(request))
        return;
    if (request->op->take)
        request->op->take(request, data, len);
    else
        buf_append(&request->body, data, len);
}

static enum MHD_Result take_until_fault(struct request *request, const char *data, size_t len)
{
    uint64_t left = request->plan.at_byte - request->received_bytes;
    if (left > len) {
        take(request, data, len);
        return MHD_YES;
    }
    take(request, data, (size_t)left);
    if (fire(request) != MHD_YES) {
        request->dropped_bytes += len - (size_t)left;
        return MHD_NO;
    }
    take(request, data + left, len - (size_t)left);
    return MHD_YES;
}

static void refuse_body_size(struct request *request)
{
    static const struct api_error error = {413,  "global", "uploadTooLarge", "Request is too large.",
                                           NULL, NULL};
    refuse(request, &error);
}

/* Under the lock. */
static void carry_out(struct request *request)
{
    if (request->op->style == OP_OAUTH) {
        oauth_identify(request);
        plan_faults(request);
        if (request->plan.stage == FAULT_INSTEAD || request->plan.stage == FAULT_AT_BYTE) {
            act(request);
            return;
        }
    }
    if (request->body.overflowed)
        refuse_body_size(request);
    if (!request_is_answered(request))
        request->op->end(request);
    if (request->plan.stage == FAULT_ON_REPLY)
        act(request);
}

static enum MHD_Result finish(struct request *request)
{
    pthread_mutex_lock(&request->state->lock);
    count_bytes(request);
    carry_out(request);
    request->video = NULL;
    journal_close(request);
    pthread_mutex_unlock(&request->state->lock);
    return deliver(request);
}

static enum MHD_Result handle(void *server_, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *data_len,
                              void **slot)
{
    struct server *server = server_;
    struct request *request = *slot;
    (void)version;
    if (!request) {
        *slot = request_new(server->state, connection, method, url);
        return begin(*slot);
    }
    if (*data_len == 0)
        return finish(request);
    size_t len = *data_len;
    *data_len = 0;
    return take_until_fault(request, data, len);
}

static void completed(void *server, struct MHD_Connection *connection, void **slot,
                      enum MHD_RequestTerminationCode why)
{
    (void)server;
    (void)connection;
    (void)why;
    if (*slot)
        request_free(*slot);
    *slot = NULL;
}

/* ---- the daemon ---- */

static int bind_loopback(int fd, uint16_t port, uint16_t *ret_port)
{
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -1;
    *ret_port = ntohs(address.sin_port);
    return 0;
}

int server_open(struct server **ret, struct state *state, const struct server_options *options,
                uint16_t *ret_port, struct err *err)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot make a socket");
    int receive_bytes = (int)options->receive_bytes;
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (bind_loopback(fd, options->port, ret_port) != 0) {
        int rc = err_set_errno(err, ERR_IO, errno, "cannot listen on 127.0.0.1:%u", options->port);
        close(fd);
        return rc;
    }
    struct server *server = mem_alloc(sizeof *server);
    *server = (struct server){.state = state, .options = *options, .fd = fd};
    *ret = server;
    return 0;
}

int server_start(struct server *server, struct err *err)
{
    const struct server_options *options = &server->options;
    const char *priority =
        options->tls_priority ? options->tls_priority : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->cert_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)priority},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                     (options->cert_pem ? MHD_USE_TLS : 0);
    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_LISTEN_SOCKET, server->fd,
                         MHD_OPTION_NOTIFY_COMPLETED, completed, server, MHD_OPTION_CONNECTION_LIMIT, 2000u,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                         MHD_OPTION_THREAD_STACK_SIZE, (size_t)512 * 1024, MHD_OPTION_ARRAY,
                         options->cert_pem ? tls : &tls[ARRAY_LEN(tls) - 1], MHD_OPTION_END);
    if (!server->daemon)
        return err_set(err, ERR_IO, "cannot start the HTTP server (certificate, key or TLS priority wrong?)");
    return 0;
}

void server_close(struct server *server)
{
    if (!server)
        return;
    wire_stop_waiting();
    if (server->daemon)
        MHD_stop_daemon(server->daemon); /* closes the listening socket too */
    else
        close(server->fd);
    mem_free(server);
}
