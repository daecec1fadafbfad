#include "unit.h"

#include <string.h>

#include "web/address.h"

static void assert_listens(const char *text, const char *expected, bool is_loopback)
{
    struct web_address address;
    char formatted[WEB_ADDRESS_SIZE];
    struct err err = {0};
    if (web_address_parse(text, &address, &err) != 0)
        fail_msg("%s", err.message);
    web_address_format(formatted, &address.socket);
    assert_string_equal(formatted, expected);
    assert_int_equal(address.is_loopback, is_loopback);
}

static void a_port_alone_means_this_machine_only(void **state)
{
    (void)state;
    assert_listens("9464", "127.0.0.1:9464", true);
    assert_listens(":9464", "127.0.0.1:9464", true);
    assert_listens("localhost:9464", "127.0.0.1:9464", true);
    assert_listens("0", "127.0.0.1:0", true);
}

static void an_address_is_taken_as_it_is_named(void **state)
{
    (void)state;
    assert_listens("127.0.0.2:1", "127.0.0.2:1", true);
    assert_listens("[::1]:65535", "[::1]:65535", true);
    assert_listens("0.0.0.0:9464", "0.0.0.0:9464", false);
    assert_listens("[::]:9464", "[::]:9464", false);
    assert_listens("192.0.2.7:9464", "192.0.2.7:9464", false);
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",          ":",          "x",           "65536",         "-1",      " 9464",
        "9464 ",     "1.2.3:80",   "::1:80",      "[::1]",         "[]:80",   "[127.0.0.1:80",
        "host:9464", "*:9464",     "1.2.3.4",     "1.2.3.4:",      "[::1]80", "http://127.0.0.1:80",
        "0x10",      "[::1%lo]:1", "256.0.0.1:1", "127.0.0.1:80:1"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct web_address address;
        struct err err = {0};
        if (web_address_parse(texts[i], &address, &err) != ERR_INVALID)
            fail_msg("\"%s\" was taken", texts[i]);
        assert_non_null(strstr(err.message, "expected ADDRESS:PORT"));
    }
}

static void only_names_of_this_machine_are_local(void **state)
{
    static const char *const local[] = {"localhost", "localhost:9464", "127.0.0.1",  "127.0.0.1:9464",
                                        "[::1]",     "[::1]:9464",     "LocalHost:1"};
    static const char *const other[] = {
        "",         "example.com", "example.com:9464", "127.0.0.1.example.com",
        "10.0.0.1", "[::2]:1",     "localhost.evil",   "[fe80::1]"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        if (!web_host_is_local(local[i]))
            fail_msg("%s is local", local[i]);
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        if (web_host_is_local(other[i]))
            fail_msg("%s is not local", other[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_alone_means_this_machine_only),
        cmocka_unit_test(an_address_is_taken_as_it_is_named),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(only_names_of_this_machine_are_local),
    };
    return RUN_UNIT_TESTS(tests);
}
