#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static const int SEND_TIMEOUT_MS = 60 * 1000;
static const int64_t LINGER_MS = 2000;
static const int64_t WAIT_SLICE_MS = 100;

static atomic_bool is_stopping;

struct wire wire_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return (struct wire){.fd = fd->connect_fd, .tls = tls ? tls->tls_session : NULL};
}

/* Bytes taken, 0 for "try again when it can be written", or -1. */
static ssize_t send_some(const struct wire *wire, const void *data, size_t len)
{
    if (wire->tls) {
        ssize_t n = gnutls_record_send(wire->tls, data, len);
        return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? 0 : n;
    }
    ssize_t n = send(wire->fd, data, len, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

bool wire_send(const struct wire *wire, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send_some(wire, at, len);
        if (n < 0)
            return false;
        at += n;
        len -= (size_t)n;
        struct pollfd writable = {.fd = wire->fd, .events = POLLOUT};
        if (n == 0 && (atomic_load(&is_stopping) || poll(&writable, 1, SEND_TIMEOUT_MS) <= 0))
            return false;
    }
    return true;
}

/* Bytes read, 0 for "try again when there is more", or -1 at the end. */
static ssize_t receive_some(const struct wire *wire, void *data, size_t size)
{
    if (wire->tls) {
        ssize_t n = gnutls_record_recv(wire->tls, data, size);
        return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? 0 : n <= 0 ? -1 : n;
    }
    ssize_t n = recv(wire->fd, data, size, 0);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n <= 0 ? -1 : n;
}

uint64_t wire_finish(const struct wire *wire)
{
    char dropped[16384];
    uint64_t dropped_bytes = 0;
    int64_t end_ms = clock_mono_ms() + LINGER_MS;
    if (wire->tls)
        gnutls_bye(wire->tls, GNUTLS_SHUT_WR);
    shutdown(wire->fd, SHUT_WR);
    for (int64_t left_ms = LINGER_MS; left_ms > 0; left_ms = end_ms - clock_mono_ms()) {
        ssize_t n = receive_some(wire, dropped, sizeof dropped);
        if (n < 0)
            break;
        dropped_bytes += (uint64_t)n;
        struct pollfd readable = {.fd = wire->fd, .events = POLLIN};
        if (n == 0 && poll(&readable, 1, (int)left_ms) <= 0)
            break;
    }
    return dropped_bytes;
}

void wire_reset(const struct wire *wire)
{
    /* Both ways: connecting to no address resets at once; lingering for no time resets when the descriptor
     * goes. */
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    connect(wire->fd, &nowhere, sizeof nowhere);
}

bool wire_wait(const struct wire *wire, int64_t ms)
{
    int64_t end_ms = clock_mono_ms() + ms;
    for (int64_t left_ms = ms; left_ms > 0; left_ms = end_ms - clock_mono_ms()) {
        struct pollfd hangup = {.fd = wire->fd, .events = POLLRDHUP};
        int slice_ms = (int)(left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS);
        if (poll(&hangup, 1, slice_ms) != 0 || atomic_load(&is_stopping))
            return false;
    }
    return true;
}

void wire_stop_waiting(void)
{
    atomic_store(&is_stopping, true);
}
