/* Which addresses a name may lead to (docs/faults.md C11). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/attr.h"
#include "http/address.h"
#include "unit.h"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

static union address read_address(const char *text)
{
    union address address = {0};
    address.any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    void *bytes = strchr(text, ':') ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr;
    if (inet_pton(address.any.sa_family, text, bytes) != 1)
        fail_msg("no address: %s", text);
    return address;
}

static void check_all(const char *const *texts, bool is_public)
{
    for (; *texts; texts++) {
        union address address = read_address(*texts);
        if (address_is_public(&address.any) != is_public)
            fail_msg("%s is%s taken for public", *texts, is_public ? " not" : "");
    }
}

/* The first and the last address of each range. */
static void c11_addresses_that_are_not_everybodys(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fec0::1",
        "feff::1",
        "ff00::",
        "ff02::1",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "5f00::1",
        "64:ff9b:1::1",
        NULL,
    };
    check_all(texts, false);
}

/* Among them those next to each range. */
static void addresses_that_are_everybodys(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1.0.0.0",        "9.255.255.255",
        "11.0.0.0",       "100.63.255.255",
        "100.128.0.0",    "126.255.255.255",
        "128.0.0.0",      "169.253.255.255",
        "169.255.0.0",    "172.15.255.255",
        "172.32.0.0",     "191.255.255.255",
        "192.0.1.0",      "192.167.255.255",
        "192.169.0.0",    "198.17.255.255",
        "198.20.0.0",     "223.255.255.255",
        "142.250.185.74", "199.36.153.8",
        "2001:200::1",    "2a00:1450:4001:80b::200a",
        "2607:f8b0::1",   "3fff:1000::1",
        "fbff:ffff::1",   NULL,
    };
    check_all(texts, true);
}

static void c11_an_address_in_another_does_not_hide(void **state)
{
    (void)state;
    static const char *const within[] = {
        "::ffff:127.0.0.1",  "::ffff:10.1.2.3",    "::ffff:169.254.169.254", "::192.168.0.1",
        "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1",         "2002:a00:1::",
        "::ffff:100.64.0.1", "2002:c0a8:0101::1",  "64:ff9b::100.127.0.1",   NULL};
    static const char *const fine[] = {"::ffff:142.250.185.74", "64:ff9b::142.250.185.74",
                                       "2002:8efa:b94a::1", NULL};
    check_all(within, false);
    check_all(fine, true);
}

static void other_families_are_not_public(void **state)
{
    (void)state;
    union address address = {.any.sa_family = AF_UNIX};
    char text[ADDRESS_TEXT_SIZE];
    assert_false(address_is_public(&address.any) || address_is_loopback(&address.any));
    assert_string_equal(address_text(&address.any, text), "?");
}

static void loopback_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_loopback;
    } cases[] = {{"127.0.0.1", true}, {"127.255.255.255", true},   {"128.0.0.1", false},
                 {"::1", true},       {"::ffff:127.0.0.1", false}, {"::", false},
                 {"0.0.0.0", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[ADDRESS_TEXT_SIZE];
        union address address = read_address(cases[i].text);
        assert_int_equal(address_is_loopback(&address.any), cases[i].is_loopback);
        assert_string_equal(address_text(&address.any, text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c11_addresses_that_are_not_everybodys),
        cmocka_unit_test(addresses_that_are_everybodys),
        cmocka_unit_test(c11_an_address_in_another_does_not_hide),
        cmocka_unit_test(other_families_are_not_public),
        cmocka_unit_test(loopback_is_told),
    };
    return RUN_UNIT_TESTS(tests);
}
