/* What the kernel knows of a connection; 0 where the socket is not known (negative). Any thread. */
#ifndef HTTP_SOCKET_H
#define HTTP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

uint64_t socket_queued_bytes(int fd);
/* Bytes that the other side acknowledged, of all requests on this connection. What we hand to curl, and curl
 * to the kernel, comes in large steps: between them a slow reader would look like a dead one (C08). */
uint64_t socket_acked_bytes(int fd);
/* Neither side has ended it as far as the kernel knows; true also where the socket is not known. */
bool socket_is_open(int fd);
/* 0, or the errno that says why this process can open no further socket or file now. */
int socket_lack(void);

#endif
