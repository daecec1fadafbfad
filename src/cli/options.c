/* Turns the words of a command line into a command, its options and its arguments. */
#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/cli.h"

enum { LONG_OPTIONS_MAX = 64 };

const struct cli_option cli_global_options[] = {
    {"config", "FILE", NULL, "The configuration file to read."},
    {"store", "URL", "store", "Where jobs are kept: sqlite:PATH or postgres://USER@HOST/DATABASE."},
    {"tenant", "NAME", "tenant", "The tenant to act for."},
    {"json", NULL, NULL, "Print JSON: one object, or one object a line."},
    {"log-level", "LEVEL", "log_level", "error, warn, info or debug."},
    {"quiet", NULL, NULL, "No remarks and no progress on standard error (-q)."},
    {"help", NULL, NULL, "Show help (-h)."},
    {NULL},
};

/* ---- options ---- */

/* The long options of getopt beside the rows of our tables that they came from. */
struct option_list {
    struct option longs[LONG_OPTIONS_MAX];
    const struct cli_option *rows[LONG_OPTIONS_MAX];
    int count;
};

static void list_add(struct option_list *list, const struct cli_option *options)
{
    for (; options && options->name; options++) {
        assert(list->count < LONG_OPTIONS_MAX - 1);
        list->rows[list->count] = options;
        list->longs[list->count++] = (struct option){
            .name = options->name, .has_arg = options->argument ? required_argument : no_argument};
    }
}

static const char *help_hint(const struct cli_command *command, char *ret, size_t size)
{
    snprintf(ret, size, "see `sluice %s%s--help`", command ? command->name : "", command ? " " : "");
    return ret;
}

/* Cuts "--name=value" to "--name". */
static void option_word(const char *word, char *ret, size_t size)
{
    snprintf(ret, size, "%.*s", (int)strcspn(word, "="), word);
}

static int refuse_unknown(const struct option_list *list, const struct cli_command *command, const char *word,
                          struct err *err)
{
    char shown[80], hint[120];
    struct nearest nearest;
    option_word(word, shown, sizeof(shown));
    nearest_init(&nearest, shown + strspn(shown, "-"));
    for (int i = 0; i < list->count; i++)
        nearest_offer(&nearest, list->longs[i].name);
    const char *found = nearest_found(&nearest);
    if (found && nearest.best_distance == 0 && strchr(word, '='))
        return err_set(err, ERR_USAGE, "option %s takes no value", shown);
    return err_set(err, ERR_USAGE, "unknown option %s%s%s%s; %s", shown, found ? "; did you mean --" : "",
                   found ? found : "", found ? "?" : "", help_hint(command, hint, sizeof(hint)));
}

/* getopt takes "--priv" for "--privacy"; a script that relies on it breaks when an option is added. */
static bool is_abbreviated(const char *word, const char *name)
{
    char shown[80];
    option_word(word, shown, sizeof(shown));
    return strcmp(shown + strspn(shown, "-"), name) != 0;
}

static int take_option(struct cli *cli, const struct cli_option *option, const char *value, struct err *err)
{
    if (cli_has(cli, option->name))
        return err_set(err, ERR_USAGE, "--%s is given twice", option->name);
    assert(cli->given_count < CLI_OPTIONS_MAX);
    cli->given[cli->given_count].option = option;
    cli->given[cli->given_count++].value = value ? value : "";
    return 0;
}

static const struct cli_option *short_option(int letter)
{
    const char *name = letter == 'q' ? "quiet" : "help";
    const struct cli_option *option = cli_global_options;
    while (strcmp(option->name, name) != 0)
        option++;
    return option;
}

/* What getopt found: `letter` is 0 for a long option with the index in `index`. The word is the one before
 * the next to read, or the one before that where the value stood apart. */
static int take_found(struct cli *cli, const struct option_list *list, int letter, int index, char **argv,
                      struct err *err)
{
    char hint[120];
    const char *word = argv[optind - 1];
    if (letter == ':')
        return err_set(err, ERR_USAGE, "option %s needs a value; %s", word,
                       help_hint(cli->command, hint, sizeof(hint)));
    if (letter == '?') {
        char single[3] = {'-', (char)optopt, '\0'};
        return refuse_unknown(list, cli->command, optopt ? single : word, err);
    }
    if (letter != 0)
        return take_option(cli, short_option(letter), NULL, err);
    const struct cli_option *option = list->rows[index];
    if (option->argument && optarg == word)
        word = argv[optind - 2];
    if (is_abbreviated(word, option->name))
        return refuse_unknown(list, cli->command, word, err);
    return take_option(cli, option, optarg, err);
}

/* Reads options up to the first other word (`mode` "+") or everywhere (""); returns the index of the first
 * word left. */
static int read_options(struct cli *cli, const struct option_list *list, const char *mode, int argc,
                        char **argv, struct err *err)
{
    char shorts[16];
    int letter, index = 0;
    snprintf(shorts, sizeof(shorts), "%s:qh", mode);
    opterr = 0;
    optind = 0; /* glibc: forget what was read before */
    while ((letter = getopt_long(argc, argv, shorts, list->longs, &index)) != -1) {
        int code = take_found(cli, list, letter, index, argv, err);
        if (code < 0)
            return code;
    }
    return optind;
}

/* ---- the command ---- */

static bool is_family(const char *word)
{
    size_t len = strlen(word);
    for (const struct cli_command *const *at = cli_commands(); *at; at++)
        if (strncmp((*at)->name, word, len) == 0 && (*at)->name[len] == ' ')
            return true;
    return false;
}

static int refuse_command(const char *name, struct err *err)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (const struct cli_command *const *at = cli_commands(); *at; at++)
        if (!(*at)->is_hidden)
            nearest_offer(&nearest, (*at)->name);
    const char *found = nearest_found(&nearest);
    return err_set(err, ERR_USAGE, "unknown command \"%s\"%s%s%s; see `sluice help`", name,
                   found ? "; did you mean \"" : "", found ? found : "", found ? "\"?" : "");
}

/* Finds the command of one or two words; returns how many words it took. */
static int read_command(struct cli *cli, int argc, char **argv, struct err *err)
{
    char name[80];
    if (argc == 0)
        return err_set(err, ERR_USAGE, "no command is given; see `sluice help`");
    int words = is_family(argv[0]) && argc > 1 ? 2 : 1;
    snprintf(name, sizeof(name), "%s%s%s", argv[0], words == 2 ? " " : "", words == 2 ? argv[1] : "");
    cli->command = cli_command_find(name);
    if (!cli->command && (cli->command = cli_command_find(argv[0])))
        words = 1; /* a family with a command of its own: "audit ID" beside "audit archive" */
    return cli->command ? words : refuse_command(name, err);
}

static int check_arguments(const struct cli *cli, struct err *err)
{
    char hint[120];
    help_hint(cli->command, hint, sizeof(hint));
    if (cli->arg_count < cli->command->args_min)
        return err_set(err, ERR_USAGE, "%s needs %s; %s", cli->command->name, cli->command->arguments, hint);
    if (cli->arg_count > cli->command->args_max)
        return err_set(err, ERR_USAGE, "%s: \"%s\" is one word too many; %s", cli->command->name,
                       cli->args[cli->command->args_max], hint);
    return 0;
}

/* The words behind the command; options may stand anywhere among them. `argv[0]` is a word that getopt skips.
 */
static int read_rest(struct cli *cli, int argc, char **argv, struct err *err)
{
    struct option_list list = {0};
    list_add(&list, cli_global_options);
    list_add(&list, cli->command->options);
    int first = read_options(cli, &list, "", argc, argv, err);
    if (first < 0)
        return first;
    cli->args = argv + first;
    cli->arg_count = argc - first;
    return cli_has(cli, "help") ? 0 : check_arguments(cli, err);
}

int cli_parse(struct cli *cli, int argc, char **argv, bool *ret_wants_help, struct err *err)
{
    struct option_list list = {0};
    list_add(&list, cli_global_options);
    int first = read_options(cli, &list, "+", argc, argv, err);
    int code = first;
    if (code >= 0 && !(cli_has(cli, "help") && first == argc)) {
        code = read_command(cli, argc - first, argv + first, err);
        if (code >= 0)
            code = read_rest(cli, argc - first - (code - 1), argv + first + (code - 1), err);
    }
    cli->json = cli_has(cli, "json");
    cli->quiet = cli_has(cli, "quiet");
    *ret_wants_help = cli_has(cli, "help");
    return code < 0 ? code : 0;
}

/* ---- values ---- */

const char *cli_value(const struct cli *cli, const char *option)
{
    for (int i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].option->name, option) == 0)
            return cli->given[i].value;
    return NULL;
}

bool cli_has(const struct cli *cli, const char *option)
{
    return cli_value(cli, option) != NULL;
}

int cli_number(const struct cli *cli, const char *option, int64_t min, int64_t max, int64_t fallback,
               int64_t *ret, struct err *err)
{
    const char *text = cli_value(cli, option);
    int64_t number = fallback;
    if (text && (!parse_i64(text, &number) || number < min || number > max))
        return err_set(err, ERR_USAGE, "--%s: \"%s\" is not a whole number from %lld to %lld", option, text,
                       (long long)min, (long long)max);
    *ret = number;
    return 0;
}

int cli_duration_ms(const struct cli *cli, const char *option, int64_t fallback, int64_t *ret,
                    struct err *err)
{
    const char *text = cli_value(cli, option);
    if (text && !parse_duration_ms(text, &fallback))
        return err_set(err, ERR_USAGE, "--%s: \"%s\" is not a duration such as 30s, 5m or 2h", option, text);
    *ret = fallback;
    return 0;
}

static bool is_name(const char *name)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len < NAME_SIZE && strspn(name, letters) == len && *name != '.' && *name != '-';
}

int cli_check_name(const char *what, const char *name, struct err *err)
{
    if (is_name(name))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s \"%s\" is not possible: 1 to %d letters, digits, '.', '_' or '-' are allowed, not "
                   "beginning with '.' or '-'",
                   what, name, NAME_SIZE - 1);
}
