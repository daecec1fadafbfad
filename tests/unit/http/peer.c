#include "peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"

enum { CONNECTIONS_MAX = 64 };

struct peer {
    struct peer_server *server;
    int fd;
    int number;
    bool is_sealed;
    gnutls_session_t tls;
    pthread_t thread;
};

struct peer_server {
    int fd;
    int stop_fd; /* readable: the test is over */
    int port;
    enum peer_certificate certificate;
    const char *priority;
    peer_script *script;
    void *ctx;
    pthread_t thread;
    atomic_int accepted;
    atomic_int closed;
    struct peer peers[CONNECTIONS_MAX];
    gnutls_certificate_credentials_t credentials;
};

/* ---- certificates ---- */

static char ca_file[64];
static gnutls_x509_privkey_t ca_key, other_key;
static gnutls_x509_crt_t ca, other_ca;

static gnutls_x509_privkey_t new_key(void)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_privkey_init(&key);
    assert(!gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    return key;
}

static gnutls_x509_crt_t new_certificate(gnutls_x509_privkey_t key, const char *name, int64_t from_s,
                                         int64_t until_s)
{
    gnutls_x509_crt_t certificate;
    static unsigned char serial;
    serial++;
    gnutls_x509_crt_init(&certificate);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, &serial, 1);
    gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
    gnutls_x509_crt_set_activation_time(certificate, (time_t)from_s);
    gnutls_x509_crt_set_expiration_time(certificate, (time_t)until_s);
    gnutls_x509_crt_set_key(certificate, key);
    return certificate;
}

static int64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

enum { DAY_S = 86400 };

static gnutls_x509_crt_t new_ca(gnutls_x509_privkey_t key, const char *name)
{
    gnutls_x509_crt_t certificate = new_certificate(key, name, now_s() - DAY_S, now_s() + 30 * DAY_S);
    gnutls_x509_crt_set_ca_status(certificate, 1);
    gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN);
    assert(!gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0));
    return certificate;
}

static void remove_ca_file(void)
{
    unlink(ca_file);
    gnutls_x509_crt_deinit(ca);
    gnutls_x509_crt_deinit(other_ca);
    gnutls_x509_privkey_deinit(ca_key);
    gnutls_x509_privkey_deinit(other_key);
}

static void write_ca_file(void)
{
    gnutls_datum_t pem;
    snprintf(ca_file, sizeof ca_file, "/tmp/sluice-test-ca-XXXXXX");
    int fd = mkstemp(ca_file);
    assert(fd >= 0 && !gnutls_x509_crt_export2(ca, GNUTLS_X509_FMT_PEM, &pem));
    assert(write(fd, pem.data, pem.size) == (ssize_t)pem.size);
    close(fd);
    gnutls_free(pem.data);
    atexit(remove_ca_file);
}

const char *peer_ca_file(void)
{
    if (ca)
        return ca_file;
    ca_key = new_key();
    other_key = new_key();
    ca = new_ca(ca_key, "test CA");
    other_ca = new_ca(other_key, "another CA");
    write_ca_file();
    return ca_file;
}

static gnutls_x509_crt_t new_leaf(enum peer_certificate kind, gnutls_x509_privkey_t key)
{
    int64_t from_s = now_s() - DAY_S + (kind == PEER_NOT_YET_VALID ? 3 * DAY_S : 0);
    int64_t until_s = now_s() + 10 * DAY_S - (kind == PEER_EXPIRED ? 10 * DAY_S + 3600 : 0);
    gnutls_x509_crt_t leaf = new_certificate(key, "test server", from_s, until_s);
    if (kind == PEER_WRONG_HOST) {
        gnutls_x509_crt_set_subject_alt_name(leaf, GNUTLS_SAN_DNSNAME, "elsewhere.example", 17, 0);
    } else {
        struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
        gnutls_x509_crt_set_subject_alt_name(leaf, GNUTLS_SAN_IPADDRESS, &loopback, 4, 0);
        gnutls_x509_crt_set_subject_alt_name(leaf, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_APPEND);
    }
    if (kind == PEER_SELF_SIGNED)
        assert(!gnutls_x509_crt_sign2(leaf, leaf, key, GNUTLS_DIG_SHA256, 0));
    else if (kind == PEER_UNKNOWN_CA)
        assert(!gnutls_x509_crt_sign2(leaf, other_ca, other_key, GNUTLS_DIG_SHA256, 0));
    else
        assert(!gnutls_x509_crt_sign2(leaf, ca, ca_key, GNUTLS_DIG_SHA256, 0));
    return leaf;
}

static gnutls_certificate_credentials_t new_credentials(enum peer_certificate kind)
{
    gnutls_certificate_credentials_t credentials;
    peer_ca_file();
    gnutls_x509_privkey_t key = new_key();
    gnutls_x509_crt_t leaf = new_leaf(kind, key);
    gnutls_certificate_allocate_credentials(&credentials);
    assert(!gnutls_certificate_set_x509_key(credentials, &leaf, 1, key));
    gnutls_x509_crt_deinit(leaf);
    gnutls_x509_privkey_deinit(key);
    return credentials;
}

/* ---- bytes ---- */

/* Waits until the socket is ready; false: the test is over. */
static bool await(struct peer *peer, short events)
{
    struct pollfd fds[2] = {{.fd = peer->fd, .events = events},
                            {.fd = peer->server->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return !(fds[1].revents & POLLIN) || fds[0].revents & events;
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *data, size_t len)
{
    struct peer *peer = ctx;
    if (peer->fd < 0 || !await(peer, POLLIN))
        return 0;
    return recv(peer->fd, data, len, 0);
}

static ssize_t push(gnutls_transport_ptr_t ctx, const void *data, size_t len)
{
    struct peer *peer = ctx;
    if (peer->fd < 0 || !await(peer, POLLOUT)) {
        errno = EPIPE;
        return -1;
    }
    return send(peer->fd, data, len, MSG_NOSIGNAL);
}

static ssize_t receive(struct peer *peer, void *data, size_t len)
{
    if (!peer->is_sealed)
        return pull(peer, data, len);
    ssize_t got;
    do
        got = gnutls_record_recv(peer->tls, data, len);
    while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
    return got;
}

bool peer_read_head(struct peer *peer, char *ret, size_t size)
{
    size_t len = 0;
    ret[0] = '\0';
    while (len + 1 < size && receive(peer, ret + len, 1) == 1) {
        ret[++len] = '\0';
        if (len >= 4 && !memcmp(ret + len - 4, "\r\n\r\n", 4))
            return true;
    }
    return false;
}

size_t peer_read_text(struct peer *peer, char *ret, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t got = receive(peer, ret + done, count - done);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

uint64_t peer_read_bytes(struct peer *peer, uint64_t count)
{
    char block[16384];
    uint64_t done = 0;
    while (done < count) {
        size_t len = count - done < sizeof block ? (size_t)(count - done) : sizeof block;
        size_t got = peer_read_text(peer, block, len);
        done += got;
        if (got < len)
            break;
    }
    return done;
}

bool peer_write_n(struct peer *peer, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t put = peer->is_sealed ? gnutls_record_send(peer->tls, at, len) : push(peer, at, len);
        if (put == GNUTLS_E_AGAIN || put == GNUTLS_E_INTERRUPTED)
            continue;
        if (put <= 0)
            return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

bool peer_write(struct peer *peer, const char *text)
{
    return peer_write_n(peer, text, strlen(text));
}

/* ---- misbehaviour ---- */

void peer_cut(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

void peer_reset(struct peer *peer)
{
    struct linger hard = {1, 0};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    peer_cut(peer);
}

void peer_alert(struct peer *peer)
{
    gnutls_alert_send(peer->tls, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
    peer_cut(peer);
}

void peer_garbage(struct peer *peer)
{
    static const char record[] = "\x17\x03\x03\x00\x20"
                                 "0123456789abcdef0123456789abcdef";
    push(peer, record, sizeof record - 1);
}

bool peer_pause(struct peer *peer, int ms)
{
    struct pollfd stop = {.fd = peer->server->stop_fd, .events = POLLIN};
    return poll(&stop, 1, ms) == 0;
}

void peer_stall(struct peer *peer)
{
    peer_pause(peer, -1);
}

void peer_window(struct peer *peer, int bytes)
{
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

uint64_t peer_body_length(const char *head)
{
    const char *line = strcasestr(head, "\r\nContent-Length: ");
    char digits[24] = "";
    uint64_t length = 0;
    if (line)
        snprintf(digits, sizeof digits, "%.*s", (int)strspn(line + 18, "0123456789"), line + 18);
    return parse_u64(digits, &length) ? length : 0;
}

int64_t peer_serve(struct peer *peer, const char *reply)
{
    char head[16384];
    if (!peer_read_head(peer, head, sizeof head))
        return -1;
    uint64_t length = peer_body_length(head);
    if (peer_read_bytes(peer, length) < length)
        return -1;
    return peer_write(peer, reply) ? (int64_t)length : -1;
}

/* ---- the server ---- */

static bool shake_hands(struct peer *peer)
{
    struct peer_server *server = peer->server;
    gnutls_init(&peer->tls, GNUTLS_SERVER);
    gnutls_priority_set_direct(peer->tls, server->priority ? server->priority : "NORMAL", NULL);
    gnutls_credentials_set(peer->tls, GNUTLS_CRD_CERTIFICATE, server->credentials);
    gnutls_transport_set_ptr(peer->tls, peer);
    gnutls_transport_set_pull_function(peer->tls, pull);
    gnutls_transport_set_push_function(peer->tls, push);
    gnutls_handshake_set_timeout(peer->tls, 0);
    int code;
    do
        code = gnutls_handshake(peer->tls);
    while (code < 0 && !gnutls_error_is_fatal(code) && peer_pause(peer, 0));
    if (code < 0)
        gnutls_alert_send_appropriate(peer->tls, code);
    return code == 0;
}

static void *run_peer(void *arg)
{
    struct peer *peer = arg;
    struct peer_server *server = peer->server;
    bool is_tls = server->certificate != PEER_PLAIN;
    if (!is_tls || shake_hands(peer)) {
        peer->is_sealed = is_tls;
        server->script(peer, peer->number, server->ctx);
        if (is_tls && peer->fd >= 0)
            gnutls_bye(peer->tls, GNUTLS_SHUT_WR);
    }
    if (is_tls)
        gnutls_deinit(peer->tls);
    peer_cut(peer);
    atomic_fetch_add(&peer->server->closed, 1);
    return NULL;
}

static void take_connection(struct peer_server *server)
{
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    int number = atomic_load(&server->accepted);
    if (fd < 0 || number == CONNECTIONS_MAX)
        return;
    struct peer *peer = &server->peers[number];
    *peer = (struct peer){.server = server, .fd = fd, .number = number};
    atomic_store(&server->accepted, number + 1); /* before anything can be answered */
    assert(!pthread_create(&peer->thread, NULL, run_peer, peer));
}

static void *run_server(void *arg)
{
    struct peer_server *server = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = server->fd, .events = POLLIN},
                                {.fd = server->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            return NULL;
        take_connection(server);
    }
}

struct peer_server *peer_start(enum peer_certificate certificate, const char *priority, peer_script *script,
                               const void *ctx)
{
    struct peer_server *server = mem_alloc(sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    server->certificate = certificate;
    server->priority = priority;
    server->script = script;
    server->ctx = (void *)(uintptr_t)ctx;
    if (certificate != PEER_PLAIN)
        server->credentials = new_credentials(certificate);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    int segment = 1400; /* as on a real line: with loopback's 64 KiB a small window hardly moves */
    assert(!setsockopt(server->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment));
    assert(server->fd >= 0 && !bind(server->fd, (struct sockaddr *)&address, sizeof address));
    assert(!listen(server->fd, 64) && !getsockname(server->fd, (struct sockaddr *)&address, &size));
    server->port = ntohs(address.sin_port);
    assert(!pthread_create(&server->thread, NULL, run_server, server));
    return server;
}

void peer_stop(struct peer_server *server)
{
    uint64_t one = 1;
    assert(write(server->stop_fd, &one, sizeof one) == sizeof one);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < atomic_load(&server->accepted); i++)
        pthread_join(server->peers[i].thread, NULL);
    if (server->credentials)
        gnutls_certificate_free_credentials(server->credentials);
    close(server->fd);
    close(server->stop_fd);
    mem_free(server);
}

int peer_port(const struct peer_server *server)
{
    return server->port;
}

void peer_await_closed(struct peer_server *server, int count)
{
    struct timespec moment = {.tv_nsec = 1000000};
    while (atomic_load(&server->closed) < count)
        nanosleep(&moment, NULL);
}

int peer_accepted(struct peer_server *server)
{
    return atomic_load(&server->accepted);
}
