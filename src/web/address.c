#include "web/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "http/http.h"

enum { HOST_SIZE = 48 };

static int refuse(const char *text, const char *why, struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "cannot listen on \"%s\": %s; expected ADDRESS:PORT, [IPv6]:PORT, or a PORT for this "
                   "machine only",
                   text, why);
}

/* Parts "HOST:PORT" or "[HOST]:PORT"; the host of a port alone is "". */
static bool split(const char *text, char host[HOST_SIZE], const char **ret_port)
{
    const char *begin = text, *end = strrchr(text, ':');
    *ret_port = end ? end + 1 : text;
    if (!end)
        end = text;
    if (*begin == '[') {
        begin++;
        if (end <= begin + 1 || end[-1] != ']')
            return false;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return false; /* which colon is the port's? */
    }
    if (end - begin >= HOST_SIZE)
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    return true;
}

static bool set_host(const char *host, uint16_t port, struct web_address *ret)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&ret->socket;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ret->socket;
    if (!*host || strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    ret->is_loopback = http_host_is_loopback(host);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        ret->len = sizeof(*four);
        return true;
    }
    if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1)
        return false;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    ret->len = sizeof(*six);
    return true;
}

int web_address_parse(const char *text, struct web_address *ret, struct err *err)
{
    char host[HOST_SIZE];
    const char *port_text;
    uint64_t port;
    *ret = (struct web_address){.len = 0};
    if (!split(text, host, &port_text))
        return refuse(text, "an IPv6 address stands in brackets", err);
    if (!parse_u64(port_text, &port) || port > 65535)
        return refuse(text, "the port is not a number up to 65535", err);
    if (!set_host(host, (uint16_t)port, ret))
        return refuse(text, "the address is not an IP address", err);
    return 0;
}

void web_address_format(char ret[WEB_ADDRESS_SIZE], const struct sockaddr_storage *socket)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)socket;
    char host[INET6_ADDRSTRLEN] = "";
    bool is_six = socket->ss_family == AF_INET6;
    inet_ntop(socket->ss_family, is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, host,
              sizeof(host));
    snprintf(ret, WEB_ADDRESS_SIZE, is_six ? "[%s]:%u" : "%s:%u", host,
             ntohs(is_six ? six->sin6_port : four->sin_port));
}

bool web_host_is_local(const char *host)
{
    char name[HOST_SIZE];
    bool is_six = *host == '[';
    size_t len = strcspn(host + is_six, is_six ? "]" : ":");
    if (len >= sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)len, host + is_six);
    return http_host_is_loopback(name);
}
