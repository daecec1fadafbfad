#include "unit.h"

#include <string.h>

#include "base/conf.h"
#include "base/nearest.h"
#include "base/random.h"

enum flavour { SWEET, SOUR };

struct target {
    char *name;
    char *path;
    bool loud;
    uint32_t count;
    uint64_t size;
    int64_t pause_ms;
    enum flavour flavour;
};

#define FIELD(field) .name = #field, .offset = offsetof(struct target, field)

static const struct conf_choice flavours[] = {{"sweet", SWEET}, {"sour", SOUR}, {NULL, 0}};
static const struct conf_key keys[] = {
    {FIELD(name), .type = CONF_TEXT, .default_value = "anna", .help = "A name."},
    {FIELD(path), .type = CONF_PATH, .help = "A path."},
    {FIELD(loud), .type = CONF_BOOL, .default_value = "no", .help = "Loud."},
    {FIELD(count), .type = CONF_COUNT, .default_value = "3", .min = 1, .max = 10, .help = "How many."},
    {FIELD(size), .type = CONF_BYTES, .default_value = "1M", .min = 1024, .multiple_of = 1024},
    {FIELD(pause_ms), .type = CONF_DURATION, .default_value = "2s", .min = 10},
    {FIELD(flavour), .type = CONF_CHOICE, .default_value = "sour", .choices = flavours},
};

struct fixture {
    struct target target;
    unsigned char origins[ARRAY_LEN(keys)];
    struct conf conf;
    struct err err;
};

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture.conf = (struct conf){.keys = keys,
                                 .key_count = ARRAY_LEN(keys),
                                 .env_prefix = "TEST_",
                                 .target = &fixture.target,
                                 .origins = fixture.origins};
    conf_init(&fixture.conf);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    conf_release(&((struct fixture *)*state)->conf);
    return 0;
}

static int read_text(struct fixture *fixture, const char *text)
{
    return conf_read_text(&fixture->conf, "t.conf", text, strlen(text), &fixture->err);
}

static void defaults_are_those_of_the_table(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(f->target.name, "anna");
    assert_null(f->target.path);
    assert_false(f->target.loud);
    assert_int_equal(f->target.count, 3);
    assert_int_equal(f->target.size, 1048576);
    assert_int_equal(f->target.pause_ms, 2000);
    assert_int_equal(f->target.flavour, SOUR);
}

static void a_file_sets_every_type(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_text(f, "# all of them\r\n"
                                  "  name =  berta # not a comment  \r\n"
                                  "path=\" /a b \"\n"
                                  "\n"
                                  "loud = yes\n"
                                  "count = 10\n"
                                  "size = 2K\n"
                                  "\tpause_ms = 5m\n"
                                  "flavour = sweet"),
                     0);
    assert_string_equal(f->target.name, "berta # not a comment");
    assert_string_equal(f->target.path, " /a b ");
    assert_true(f->target.loud);
    assert_int_equal(f->target.count, 10);
    assert_int_equal(f->target.size, 2048);
    assert_int_equal(f->target.pause_ms, 300000);
    assert_int_equal(f->target.flavour, SWEET);
    assert_int_equal(conf_origin_of(&f->conf, &keys[0]), CONF_FILE);
}

static void a_line_may_be_long(void **state)
{
    struct fixture *f = *state;
    static char text[200007];
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "name =", 6);
    assert_int_equal(read_text(f, text), 0);
    assert_int_equal(strlen(f->target.name), 200000);
}

static void an_empty_text_unsets_only_what_has_no_default(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_text(f, "name =\npath =\n"), 0);
    assert_string_equal(f->target.name, "");
    assert_null(f->target.path);
}

static void assert_refused(struct fixture *f, const char *text, const char *place, const char *why)
{
    f->err = (struct err){0};
    assert_int_equal(read_text(f, text), ERR_INVALID);
    if (strncmp(f->err.message, place, strlen(place)) != 0 || !strstr(f->err.message, why))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", f->err.message, place, why);
}

static void a_mistake_names_file_line_and_what_is_allowed(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "\n\ncoutn = 3\n", "t.conf:3:", "did you mean \"count\"");
    assert_refused(f, "zzzzzzzzz = 3\n", "t.conf:1:", "unknown key \"zzzzzzzzz\"");
    assert_refused(f, "count = 3\n#\ncount = 4\n", "t.conf:3:", "first on line 1");
    assert_refused(f, "count = 11\n", "t.conf:1:", "at most 10");
    assert_refused(f, "count = 0\n", "t.conf:1:", "at least 1");
    assert_refused(f, "count = 3 # three\n", "t.conf:1:", "whole number");
    assert_refused(f, "count = -1\n", "t.conf:1:", "whole number");
    assert_refused(f, "count = 4294967299\n", "t.conf:1:", "at most 10");
    assert_refused(f, "size = 1500\n", "t.conf:1:", "multiple of 1024");
    assert_refused(f, "pause_ms = soon\n", "t.conf:1:", "a duration");
    assert_refused(f, "loud = perhaps\n", "t.conf:1:", "yes or no");
    assert_refused(f, "flavour = salty\n", "t.conf:1:", "one of sweet sour");
    assert_refused(f, "[section]\n", "t.conf:1:", "no sections");
    assert_refused(f, "count\n", "t.conf:1:", "key = value");
    assert_refused(f, "= 3\n", "t.conf:1:", "key = value");
    assert_refused(f, "name = \"a\n", "t.conf:1:", "quotes");
    assert_refused(f, "name = \"a\"b\"\n", "t.conf:1:", "quotes");
    assert_refused(f, "name = \xff\n", "t.conf:1:", "UTF-8");
    assert_refused(f, "Name = a\n", "t.conf:1:", "did you mean \"name\"");
}

static void a_nul_byte_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(conf_read_text(&f->conf, "t.conf", "name = a\0b", 10, &f->err), ERR_INVALID);
    assert_non_null(strstr(f->err.message, "NUL"));
}

static void a_missing_file_is_told_apart(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(conf_read_file(&f->conf, "/nonexistent/t.conf", &f->err), ERR_NOT_FOUND);
    assert_int_equal(conf_read_file(&f->conf, "/", &f->err), ERR_INVALID);
}

static void the_environment_wins_over_the_file(void **state)
{
    struct fixture *f = *state;
    const char *const environment[] = {"TEST_COUNT=7", "TEST_NAME=", "TEST_OTHER=1", "COUNT=9", NULL};
    assert_int_equal(read_text(f, "count = 4\nname = berta\n"), 0);
    assert_int_equal(conf_read_env(&f->conf, environment, &f->err), 0);
    assert_int_equal(f->target.count, 7);
    assert_string_equal(f->target.name, "berta");
    const char *const wrong[] = {"TEST_PAUSE_MS=x", NULL};
    assert_int_equal(conf_read_env(&f->conf, wrong, &f->err), ERR_INVALID);
    assert_non_null(strstr(f->err.message, "TEST_PAUSE_MS"));
}

static void what_is_formatted_reads_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_text(f, "count = 4\nsize=3K\npause_ms = 1500\nflavour = sweet\nloud = on\n"), 0);
    struct buf out AUTO_BUF;
    buf_init(&out, 1000);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        buf_printf(&out, "%s=", keys[i].name);
        conf_format(&f->conf, &keys[i], &out);
        buf_putc(&out, '\n');
    }
    assert_string_equal(out.data, "name=anna\npath=\nloud=yes\ncount=4\nsize=3072\npause_ms=1500ms\n"
                                  "flavour=sweet\n");
    assert_int_equal(conf_read_text(&f->conf, "again", out.data, out.len, &f->err), 0);
}

/* Lines of random bytes and of random pieces of grammar: never a crash, and a refusal always names the file.
 */
static void random_text_never_breaks_the_reader(void **state)
{
    struct fixture *f = *state;
    static const char *const pieces[] = {"name", "=",  " ",    "\n", "\"", "#",        "count", "7",
                                         "[",    "\r", "\xff", "=",  "\n", "pause_ms", "10s",   "\t"};
    uint64_t seed = random_u64(), bits = seed;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 5000; round++) {
        struct buf text AUTO_BUF;
        buf_init(&text, 4096);
        for (int i = 0; i < 12; i++) {
            bits = bits * 6364136223846793005u + 1442695040888963407u;
            buf_puts(&text, pieces[bits >> 60]);
        }
        f->err = (struct err){0};
        int code = conf_read_text(&f->conf, "t.conf", text.data, text.len, &f->err);
        assert_true(code == 0 || (code == ERR_INVALID && strncmp(f->err.message, "t.conf:", 7) == 0));
    }
}

static void only_a_near_word_is_proposed(void **state)
{
    (void)state;
    struct nearest nearest;
    nearest_init(&nearest, "no-browsr");
    nearest_offer(&nearest, "tenant");
    assert_null(nearest_found(&nearest));
    nearest_offer(&nearest, "no-browser");
    assert_string_equal(nearest_found(&nearest), "no-browser");
    nearest_init(&nearest, "chan");
    nearest_offer(&nearest, "meta");
    nearest_offer(&nearest, "channel");
    assert_string_equal(nearest_found(&nearest), "channel");
    nearest_init(&nearest, "x");
    nearest_offer(&nearest, "");
    nearest_offer(&nearest, "abc");
    assert_null(nearest_found(&nearest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_those_of_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_sets_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_may_be_long, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_text_unsets_only_what_has_no_default, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mistake_names_file_line_and_what_is_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nul_byte_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_file_is_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(the_environment_wins_over_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_formatted_reads_back, setup, teardown),
        cmocka_unit_test_setup_teardown(random_text_never_breaks_the_reader, setup, teardown),
        cmocka_unit_test(only_a_near_word_is_proposed),
    };
    return RUN_UNIT_TESTS(tests);
}
