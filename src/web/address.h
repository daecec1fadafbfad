/*
 * Where to listen: `ADDRESS:PORT`, `[IPv6]:PORT`, or a port alone, which means this machine only. Names are
 * not looked up (but `localhost`), so that what is open to others is written down as such. Any thread.
 */
#ifndef WEB_ADDRESS_H
#define WEB_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

struct web_address {
    struct sockaddr_storage socket;
    socklen_t len;
    bool is_loopback;
};

/* Port 0 takes a free one. ERR_INVALID says what is expected. */
int web_address_parse(const char *text, struct web_address *ret, struct err *err) MUST_CHECK;

enum { WEB_ADDRESS_SIZE = 64 };
void web_address_format(char ret[WEB_ADDRESS_SIZE], const struct sockaddr_storage *socket);

/* Whether a request's Host header may be answered where only this machine is served: a name that leads here
 * by itself. A page in a browser on this machine could otherwise read the endpoint under its own name (DNS
 * rebinding). */
bool web_host_is_local(const char *host);

#endif
