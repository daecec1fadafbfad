#include "unit.h"

#include <string.h>

#include "base/mem.h"
#include "form.h"

static void check(const char *form, const char *name, const char *expected)
{
    AUTO_FREE char *value = form_get(form, name);
    if (expected)
        assert_string_equal(value, expected);
    else
        assert_null(value);
}

static void finds_and_decodes_fields(void **state)
{
    (void)state;
    check("a=1&b=2", "b", "2");
    check("a=1&b=2", "c", NULL);
    check("", "a", NULL);
    check("a=&b", "a", "");
    check("a=&b", "b", "");
    check("code=4%2F0Ab%2f+x", "code", "4/0Ab/ x");
    check("%61=1", "a", "1");
    check("a=1&a=2", "a", "1");
    check("aa=1&a=2", "a", "2");
}

static void leaves_bad_escapes_as_they_are(void **state)
{
    (void)state;
    check("a=%", "a", "%");
    check("a=%2", "a", "%2");
    check("a=%zz&b=1", "a", "%zz");
    check("a=100%&b=1", "a", "100%");
}

static void joins_fields_of_one_name(void **state)
{
    (void)state;
    AUTO_FREE char *both = form_get_all("scope=a&x=1&scope=b%20c", "scope");
    AUTO_FREE char *none = form_get_all("x=1", "scope");
    assert_string_equal(both, "a b c");
    assert_null(none);
}

static void encodes(void **state)
{
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, 1000);
    form_put_encoded(&out, "a b/ü&=~");
    assert_string_equal(out.data, "a%20b%2F%C3%BC%26%3D~");
    buf_clear(&out);
    form_put_html(&out, "<a href=\"x\">&'");
    assert_null(strpbrk(out.data, "<>\"'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_and_decodes_fields),
        cmocka_unit_test(leaves_bad_escapes_as_they_are),
        cmocka_unit_test(joins_fields_of_one_name),
        cmocka_unit_test(encodes),
    };
    return RUN_UNIT_TESTS(tests);
}
