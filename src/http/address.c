#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct range {
    unsigned char bytes[16];
    unsigned bits;
};

static const struct range v4_ranges[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared: carriers' NAT */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local: where clouds keep their metadata */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, and broadcast */
};

static const struct range v6_ranges[] = {
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}, /* a network's own NAT64 */
    {{0x01}, 64},                               /* discard */
    {{0x20, 0x01, 0x00}, 23},                   /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},             /* documentation */
    {{0x3f, 0xff}, 20},                         /* documentation */
    {{0x5f}, 16},                               /* segment routing */
    {{0xfc}, 7},                                /* unique local */
    {{0xfe, 0x80}, 10},                         /* link-local */
    {{0xfe, 0xc0}, 10},                         /* site-local */
    {{0xff}, 8},                                /* multicast */
};

/* Where an IPv4 address stands within an IPv6 one. */
static const struct {
    struct range prefix;
    unsigned at;
} embeddings[] = {
    {{{0}, 96}, 12},                                        /* compatible; ::1 and :: too */
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, 12}, /* mapped */
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},                   /* NAT64 */
    {{{0x20, 0x02}, 16}, 2},                                /* 6to4 */
};

static bool is_within(const unsigned char *bytes, const struct range *range)
{
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    unsigned char mask = (unsigned char)(0xff << (8 - rest));
    return !memcmp(bytes, range->bytes, whole) &&
           (rest == 0 || (bytes[whole] & mask) == (range->bytes[whole] & mask));
}

static bool is_public_v4(const unsigned char *bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(v4_ranges); i++) {
        if (is_within(bytes, &v4_ranges[i]))
            return false;
    }
    return true;
}

static bool is_public_v6(const unsigned char *bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(embeddings); i++) {
        if (is_within(bytes, &embeddings[i].prefix))
            return is_public_v4(bytes + embeddings[i].at);
    }
    for (size_t i = 0; i < ARRAY_LEN(v6_ranges); i++) {
        if (is_within(bytes, &v6_ranges[i]))
            return false;
    }
    return true;
}

/* The address in the order of the network; NULL for other families. */
static const unsigned char *bytes_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (const unsigned char *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (address->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
    return NULL;
}

bool address_is_public(const struct sockaddr *address)
{
    const unsigned char *bytes = bytes_of(address);
    if (!bytes)
        return false;
    return address->sa_family == AF_INET ? is_public_v4(bytes) : is_public_v6(bytes);
}

bool address_is_loopback(const struct sockaddr *address)
{
    const unsigned char *bytes = bytes_of(address);
    if (!bytes)
        return false;
    return address->sa_family == AF_INET ? bytes[0] == 127
                                         : !memcmp(bytes, &in6addr_loopback, sizeof in6addr_loopback);
}

const char *address_text(const struct sockaddr *address, char ret[ADDRESS_TEXT_SIZE])
{
    const unsigned char *bytes = bytes_of(address);
    if (!bytes || !inet_ntop(address->sa_family, bytes, ret, ADDRESS_TEXT_SIZE))
        snprintf(ret, ADDRESS_TEXT_SIZE, "?");
    return ret;
}
