/* Apart from the rest because the kernel's and libc's headers for TCP cannot be included together. */
#include "http/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t socket_queued_bytes(int fd)
{
    int queued = 0;
    if (fd < 0 || ioctl(fd, SIOCOUTQ, &queued) || queued < 0)
        return 0;
    return (uint64_t)queued;
}

static bool read_info(int fd, struct tcp_info *ret)
{
    socklen_t size = sizeof *ret;
    memset(ret, 0, sizeof *ret);
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &size) == 0;
}

uint64_t socket_acked_bytes(int fd)
{
    struct tcp_info info;
    return read_info(fd, &info) ? info.tcpi_bytes_acked : 0;
}

bool socket_is_open(int fd)
{
    enum { ESTABLISHED = 1 }; /* TCP_ESTABLISHED is in libc's header, see above */
    struct tcp_info info;
    return !read_info(fd, &info) || info.tcpi_state == ESTABLISHED;
}

int socket_lack(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}
