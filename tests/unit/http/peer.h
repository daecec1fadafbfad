/*
 * The other side of a connection, for tests: a server on a loopback port that runs a script for each
 * connection in a thread of its own, in the clear or with TLS. Scripts misbehave as they like. Certificates
 * are made on the spot.
 */
#ifndef TESTS_HTTP_PEER_H
#define TESTS_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer; /* one connection */
struct peer_server;

enum peer_certificate {
    PEER_PLAIN, /* no TLS */
    PEER_GOOD,  /* for 127.0.0.1 and localhost, signed by the CA in peer_ca_file() */
    PEER_EXPIRED,
    PEER_NOT_YET_VALID,
    PEER_WRONG_HOST,
    PEER_UNKNOWN_CA,
    PEER_SELF_SIGNED,
};

typedef void peer_script(struct peer *peer, int connection, void *ctx); /* connections count from 0 */

struct peer_server *peer_start(enum peer_certificate certificate, const char *priority, peer_script *script,
                               const void *ctx);
void peer_stop(struct peer_server *server); /* ends what scripts wait for, joins */
int peer_port(const struct peer_server *server);
int peer_accepted(struct peer_server *server);                 /* connections so far, handshake or not */
void peer_await_closed(struct peer_server *server, int count); /* until so many were closed from this side */
const char *peer_ca_file(void);

/* For scripts. Reading ends early (false, or fewer bytes) at the end of the connection or of the test. */
bool peer_read_head(struct peer *peer, char *ret, size_t size); /* up to and with the empty line */
uint64_t peer_read_bytes(struct peer *peer, uint64_t count);    /* thrown away */
size_t peer_read_text(struct peer *peer, char *ret, size_t count);
bool peer_write(struct peer *peer, const char *text);
bool peer_write_n(struct peer *peer, const void *data, size_t len);
void peer_reset(struct peer *peer);         /* RST instead of FIN */
void peer_cut(struct peer *peer);           /* FIN without TLS's close_notify */
void peer_alert(struct peer *peer);         /* a fatal TLS alert */
void peer_garbage(struct peer *peer);       /* a TLS record that nobody sealed */
void peer_stall(struct peer *peer);         /* until the test is over */
bool peer_pause(struct peer *peer, int ms); /* false: the test is over */
/* How much it takes in ahead of being read. */
void peer_window(struct peer *peer, int bytes);

/* Reads one whole request with its body and answers; for scripts that are not about that. Returns the length
 * of the body; -1: no request came. */
int64_t peer_serve(struct peer *peer, const char *reply);
uint64_t peer_body_length(const char *head);

#endif
