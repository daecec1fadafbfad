/*
 * The connection beneath libmicrohttpd, for what that library refuses to do: answer while the body still
 * comes, end a connection in the middle, reset it, stop reading. Only in the connection's own thread (thread
 * per connection), and afterwards the request handler must return MHD_NO, unless only wire_wait() was used.
 */
#ifndef EMULATOR_WIRE_H
#define EMULATOR_WIRE_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
    int fd;
    gnutls_session_t tls; /* NULL without TLS */
};

struct wire wire_of(struct MHD_Connection *connection);
/* Blocks until all is written; false if the peer is gone or takes nothing for a minute. */
bool wire_send(const struct wire *wire, const void *data, size_t len);
/* Says that nothing more comes, then drops what still arrives for at most 2 s: closing with unread bytes
 * would reset the connection and could destroy the reply before it is read. Returns how many bytes were
 * dropped. */
uint64_t wire_finish(const struct wire *wire);
void wire_reset(const struct wire *wire);
/* Reads nothing for `ms`. False, and earlier, if the peer leaves or the emulator ends. */
bool wire_wait(const struct wire *wire, int64_t ms);
/* Ends every wire_wait() at once: called when the emulator is told to end. */
void wire_stop_waiting(void);

#endif
