/*
 * The sockets that curl has open, so that one that died while it was kept idle is known before anything is
 * sent on it. The loop's thread only.
 *
 * A server that closes an idle connection says so with a TLS alert before its FIN, and curl takes the unread
 * alert for a sign of life. What is sent there is lost, and afterwards nobody can tell that it was not read
 * and charged.
 */
#ifndef HTTP_KEPT_H
#define HTTP_KEPT_H

#include <stdbool.h>
#include <sys/queue.h>

struct kept_socket;
LIST_HEAD(kept_list, kept_socket);

void kept_add(struct kept_list *list, int fd);
void kept_forget(struct kept_list *list, int fd);
void kept_release(struct kept_list *list); /* curl closes some sockets without telling */
/* The connection from our port to their address, where the other side has ended it: nothing can be sent on it
 * from now on. False: it lives, or it is not known. */
bool kept_retire_dead(struct kept_list *list, int our_port, const char *their_ip);

#endif
