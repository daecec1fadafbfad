/*
 * Which addresses a name on the Internet may lead to. Pure.
 *
 * A name that leads into our own networks is a mistake or an attack on what is there (docs/faults.md C11):
 * only who names such an address itself gets it.
 */
#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False: not reachable from everywhere, as IANA's registries of special addresses say [RFC 6890]: private,
 * shared (CGNAT), link-local, loopback, unspecified, multicast, for documentation and tests, reserved; the
 * same for an IPv4 address within an IPv6 one; and all of other families. */
bool address_is_public(const struct sockaddr *address);
bool address_is_loopback(const struct sockaddr *address);

enum { ADDRESS_TEXT_SIZE = 46 };
/* Returns ret: as people write it, without port; "?" for other families. */
const char *address_text(const struct sockaddr *address, char ret[ADDRESS_TEXT_SIZE]);

#endif
