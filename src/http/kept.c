#include "http/kept.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "http/socket.h"

struct kept_socket {
    LIST_ENTRY(kept_socket) link;
    int fd;
};

void kept_add(struct kept_list *list, int fd)
{
    kept_forget(list, fd); /* curl closed it without telling, and the number came back */
    struct kept_socket *kept = mem_alloc(sizeof *kept);
    kept->fd = fd;
    LIST_INSERT_HEAD(list, kept, link);
}

void kept_forget(struct kept_list *list, int fd)
{
    struct kept_socket *kept;
    LIST_FOREACH(kept, list, link)
    {
        if (kept->fd == fd) {
            LIST_REMOVE(kept, link);
            mem_free(kept);
            return;
        }
    }
}

void kept_release(struct kept_list *list)
{
    while (!LIST_EMPTY(list))
        kept_forget(list, LIST_FIRST(list)->fd);
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int port_of(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

static bool has_ip(const union address *address, const char *ip)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    bool is_v6 = address->any.sa_family == AF_INET6;
    const void *own = is_v6 ? (const void *)&address->v6.sin6_addr : &address->v4.sin_addr;
    size_t len = is_v6 ? sizeof address->v6.sin6_addr : sizeof address->v4.sin_addr;
    return inet_pton(address->any.sa_family, ip, bytes) == 1 && !memcmp(bytes, own, len);
}

static bool is_between(int fd, int our_port, const char *their_ip)
{
    union address ours = {0}, theirs = {0};
    socklen_t our_size = sizeof ours, their_size = sizeof theirs;
    return !getsockname(fd, &ours.any, &our_size) && port_of(&ours) == our_port &&
           !getpeername(fd, &theirs.any, &their_size) && has_ip(&theirs, their_ip);
}

bool kept_retire_dead(struct kept_list *list, int our_port, const char *their_ip)
{
    struct kept_socket *kept;
    LIST_FOREACH(kept, list, link)
    {
        if (is_between(kept->fd, our_port, their_ip))
            return !socket_is_open(kept->fd) && shutdown(kept->fd, SHUT_RDWR) == 0;
    }
    return false;
}
