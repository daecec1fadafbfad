/* The HTTP server: a thread a connection, so that a stalled or slow reply holds up nobody else. */
#ifndef EMULATOR_SERVER_H
#define EMULATOR_SERVER_H

#include "base/err.h"
#include "state.h"

struct server_options {
    uint16_t port;          /* 0: a free one */
    uint32_t receive_bytes; /* receive buffer of the sockets; 0: the system's */
    const char *cert_pem;   /* NULL: without TLS */
    const char *key_pem;
    const char *tls_priority; /* GnuTLS priority string; NULL: TLS 1.2 and 1.3 */
};

struct server;

/* Binds to 127.0.0.1 and returns the port; serving begins with server_start(). ERR_IO. */
int MUST_CHECK server_open(struct server **ret, struct state *state, const struct server_options *options,
                           uint16_t *ret_port, struct err *err);
int MUST_CHECK server_start(struct server *server, struct err *err);
/* Ends all connections and waits for their threads. NULL is fine. */
void server_close(struct server *server);

#endif
