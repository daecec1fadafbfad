#include "unit.h"

#include <string.h>

#include "cli/cli.h"

enum { WORDS_MAX = 16 };

/* One parsed command line; the words are copied because getopt reorders them. */
struct line {
    char *words[WORDS_MAX + 1];
    struct cli cli;
    struct err err;
    bool wants_help;
    int code;
};

static void parse(struct line *ret, char *const *words)
{
    int count = 0;
    *ret = (struct line){0};
    for (; words[count]; count++)
        ret->words[count] = words[count];
    ret->code = cli_parse(&ret->cli, count, ret->words, &ret->wants_help, &ret->err);
}

#define PARSE(line, ...) parse(line, (char *const[]){(char *)"sluice", __VA_ARGS__, NULL})
#define W(text)          ((char *)(text))

static void assert_refused(const struct line *line, const char *part)
{
    assert_int_equal(line->code, ERR_USAGE);
    if (!strstr(line->err.message, part))
        fail_msg("\"%s\" lacks \"%s\"", line->err.message, part);
}

static void options_stand_anywhere(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("--json"), W("add"), W("a.mp4"), W("--channel"), W("main"), W("b.mp4"), W("--title=x=y"),
          W("-q"));
    assert_int_equal(line.code, 0);
    assert_string_equal(line.cli.command->name, "add");
    assert_int_equal(line.cli.arg_count, 2);
    assert_string_equal(line.cli.args[0], "a.mp4");
    assert_string_equal(line.cli.args[1], "b.mp4");
    assert_string_equal(cli_value(&line.cli, "channel"), "main");
    assert_string_equal(cli_value(&line.cli, "title"), "x=y");
    assert_null(cli_value(&line.cli, "tags"));
    assert_true(line.cli.json);
    assert_true(line.cli.quiet);
}

static void a_double_dash_ends_the_options(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("add"), W("--channel"), W("main"), W("--"), W("--title"), W("-q"));
    assert_int_equal(line.code, 0);
    assert_int_equal(line.cli.arg_count, 2);
    assert_string_equal(line.cli.args[0], "--title");
    assert_false(line.cli.quiet);
}

static void commands_of_two_words_are_found(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("--tenant"), W("acme"), W("job"), W("list"), W("--state"), W("held"));
    assert_int_equal(line.code, 0);
    assert_string_equal(line.cli.command->name, "job list");
    assert_string_equal(cli_value(&line.cli, "tenant"), "acme");
    assert_int_equal(line.cli.arg_count, 0);
}

static void what_is_unknown_is_named_with_the_nearest(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("add"), W("a"), W("--chanel"), W("x"));
    assert_refused(&line, "unknown option --chanel; did you mean --channel?; see `sluice add --help`");
    PARSE(&line, W("channel"), W("login"), W("x"), W("--devise"));
    assert_refused(&line, "unknown option --devise; did you mean --device?");
    PARSE(&line, W("init"), W("-x"));
    assert_refused(&line, "unknown option -x");
    PARSE(&line, W("uplaod"), W("a"));
    assert_refused(&line, "did you mean \"upload\"?");
    PARSE(&line, W("job"), W("lst"));
    assert_refused(&line, "did you mean \"job list\"?");
    PARSE(&line, W("--verbose"), W("init"));
    assert_refused(&line, "unknown option --verbose");
    parse(&line, (char *const[]){W("sluice"), NULL});
    assert_refused(&line, "no command");
}

static void options_are_not_abbreviated(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("add"), W("a"), W("--chan"), W("x"));
    assert_refused(&line, "unknown option --chan; did you mean --channel?");
    PARSE(&line, W("add"), W("a"), W("--priv=public"));
    assert_refused(&line, "unknown option --priv; did you mean --privacy?");
}

static void values_are_asked_for(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("add"), W("a"), W("--channel"));
    assert_refused(&line, "--channel needs a value");
    PARSE(&line, W("status"), W("--json=yes"));
    assert_refused(&line, "--json takes no value");
    PARSE(&line, W("add"), W("a"), W("--title"), W("x"), W("--title"), W("y"));
    assert_refused(&line, "--title is given twice");
}

static void arguments_are_counted(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("add"), W("--channel"), W("x"));
    assert_refused(&line, "add needs FILE");
    PARSE(&line, W("init"), W("now"));
    assert_refused(&line, "\"now\" is one word too many");
}

static void help_needs_nothing_else(void **state)
{
    struct line line;
    (void)state;
    PARSE(&line, W("add"), W("--help"));
    assert_int_equal(line.code, 0);
    assert_true(line.wants_help);
    assert_string_equal(line.cli.command->name, "add");
    PARSE(&line, W("-h"));
    assert_int_equal(line.code, 0);
    assert_true(line.wants_help);
    assert_null(line.cli.command);
}

static void numbers_and_durations_are_checked(void **state)
{
    struct line line;
    int64_t number = 0;
    (void)state;
    PARSE(&line, W("add"), W("a"), W("--priority"), W("-7"));
    assert_int_equal(cli_number(&line.cli, "priority", -10, 10, 0, &number, &line.err), 0);
    assert_int_equal(number, -7);
    assert_int_equal(cli_number(&line.cli, "priority", 0, 10, 0, &number, &line.err), ERR_USAGE);
    assert_int_equal(cli_number(&line.cli, "limit", 0, 10, 3, &number, &line.err), 0);
    assert_int_equal(number, 3);
    PARSE(&line, W("job"), W("wait"), W("x"), W("--timeout"), W("2h"));
    assert_int_equal(cli_duration_ms(&line.cli, "timeout", 1, &number, &line.err), 0);
    assert_int_equal(number, 7200000);
    PARSE(&line, W("job"), W("wait"), W("x"), W("--timeout"), W("soon"));
    assert_int_equal(cli_duration_ms(&line.cli, "timeout", 1, &number, &line.err), ERR_USAGE);
}

static void names_are_checked(void **state)
{
    char long_name[NAME_SIZE + 1];
    (void)state;
    memset(long_name, 'a', NAME_SIZE);
    long_name[NAME_SIZE] = '\0';
    assert_int_equal(cli_check_name("channel", long_name, NULL), ERR_INVALID);
    long_name[NAME_SIZE - 1] = '\0';
    assert_int_equal(cli_check_name("channel", long_name, NULL), 0);
    assert_int_equal(cli_check_name("channel", "Main_2.test-x", NULL), 0);
    static const char *const wrong[] = {"", ".x", "-x", "a b", "a/b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(cli_check_name("channel", wrong[i], NULL), ERR_INVALID);
}

/* Every row of the table must be usable: named, summed up, without an option of the global ones' names. */
static void the_table_is_sound(void **state)
{
    (void)state;
    for (const struct cli_command *const *at = cli_commands(); *at; at++) {
        assert_non_null((*at)->run);
        assert_non_null((*at)->summary);
        assert_ptr_equal(cli_command_find((*at)->name), *at);
        for (const struct cli_option *option = (*at)->options; option && option->name; option++)
            for (const struct cli_option *global = cli_global_options; global->name; global++)
                assert_string_not_equal(option->name, global->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(a_double_dash_ends_the_options),
        cmocka_unit_test(commands_of_two_words_are_found),
        cmocka_unit_test(what_is_unknown_is_named_with_the_nearest),
        cmocka_unit_test(options_are_not_abbreviated),
        cmocka_unit_test(values_are_asked_for),
        cmocka_unit_test(arguments_are_counted),
        cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(numbers_and_durations_are_checked),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(the_table_is_sound),
    };
    return RUN_UNIT_TESTS(tests);
}
