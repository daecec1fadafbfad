/* `version`, `help`, and the hidden `reference`, from which the manual's tables are made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/sanitizer.h"
#include "cli/families.h"
#include "cli/hardening.h"
#include "cli/output.h"
#include "web/metrics.h"

#ifndef SLUICE_LIBRARIES
#define SLUICE_LIBRARIES ""
#endif

enum { TEXT_LEN_MAX = 262144 };

/* ---- version ---- */

static const char *const sanitizers = HAS_ADDRESS_SANITIZER ? "address" : "none";

static int run_version(struct cli *cli, struct err *err)
{
    (void)err;
    if (cli->json) {
        out_json(json_pack("{s:s, s:s, s:s, s:s, s:o}", "version", SLUICE_VERSION, "compiler", __VERSION__,
                           "sanitizers", sanitizers, "libraries", SLUICE_LIBRARIES, "hardening",
                           hardening_json()));
        return 0;
    }
    out_line("sluice %s", SLUICE_VERSION);
    if (!cli_has(cli, "build"))
        return 0;
    out_field("compiler", __VERSION__);
    out_field("sanitizers", sanitizers);
    out_field("libraries", SLUICE_LIBRARIES);
    hardening_tell();
    return 0;
}

/* ---- help ---- */

static int run_help(struct cli *cli, struct err *err)
{
    struct buf text AUTO_BUF = BUF_INIT(TEXT_LEN_MAX);
    char name[80];
    const struct cli_command *command = NULL;
    if (cli->arg_count > 0) {
        snprintf(name, sizeof(name), "%s%s%s", cli->args[0], cli->arg_count > 1 ? " " : "",
                 cli->arg_count > 1 ? cli->args[1] : "");
        command = cli_command_find(name);
        if (!command)
            return err_set(err, ERR_USAGE, "there is no command \"%s\"; `sluice help` lists them", name);
    }
    cli_usage(command, &text);
    fputs(text.data, stdout);
    return 0;
}

/* ---- the manual's tables ---- */

/* How the two kinds of page write the same things. */
struct style {
    const char *heading_start, *heading_end;
    const char *term_start, *term_end; /* around a term, before its text */
    const char *entry_end;
    const char *escaped; /* characters that get a backslash */
};
static const struct style markdown = {"\n### `", "`\n\n", "- `", "`: ", "\n", "<*"};
static const struct style scdoc = {"\n*", "*\n", "\t*", "*\n\t\t", "\n", "\\_*#[]<>~"};

static void put_text(struct buf *ret, const struct style *style, const char *text)
{
    for (; *text; text++) {
        if (strchr(style->escaped, *text))
            buf_putc(ret, '\\');
        buf_putc(ret, *text);
    }
}

/* Within a term: a code span takes everything as it is. */
static void put_term(struct buf *ret, const struct style *style, const char *text)
{
    if (style == &markdown)
        buf_puts(ret, text);
    else
        put_text(ret, style, text);
}

static void put_paragraphs(struct buf *ret, const struct style *style, const char *text)
{
    const char *indent = style == &scdoc ? "\t" : "";
    for (;;) {
        const char *end = strstr(text, "\n\n");
        char part[2048];
        snprintf(part, sizeof(part), "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
        buf_puts(ret, indent);
        put_text(ret, style, part);
        buf_puts(ret, "\n");
        if (!end)
            return;
        buf_puts(ret, "\n");
        text = end + 2;
    }
}

static void put_option_list(struct buf *ret, const struct style *style, const struct cli_option *options)
{
    for (; options && options->name; options++) {
        char term[96];
        snprintf(term, sizeof(term), "--%s%s%s", options->name, options->argument ? " " : "",
                 options->argument ? options->argument : "");
        buf_puts(ret, style->term_start);
        put_term(ret, style, term);
        buf_puts(ret, style->term_end);
        put_text(ret, style, options->help);
        buf_puts(ret, style->entry_end);
    }
}

static void put_command(struct buf *ret, const struct style *style, const struct cli_command *command)
{
    buf_puts(ret, style->heading_start);
    put_term(ret, style, "sluice ");
    put_term(ret, style, command->name);
    if (*command->arguments) {
        buf_putc(ret, ' ');
        put_term(ret, style, command->arguments);
    }
    buf_puts(ret, style->heading_end);
    put_paragraphs(ret, style, command->summary);
    if (command->details) {
        buf_puts(ret, "\n");
        put_paragraphs(ret, style, command->details);
    }
    if (command->options)
        buf_puts(ret, "\n");
    put_option_list(ret, style, command->options);
}

static void put_commands(struct buf *ret, const struct style *style)
{
    for (const struct cli_command *const *at = cli_commands(); *at; at++)
        if (!(*at)->is_hidden)
            put_command(ret, style, *at);
}

static const char *type_text(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_TEXT:
        return "text";
    case CONF_PATH:
        return "path";
    case CONF_BOOL:
        return "yes or no";
    case CONF_COUNT:
        return "number";
    case CONF_BYTES:
        return "size";
    case CONF_DURATION:
        return "duration";
    case CONF_CHOICE:
        return "one of";
    }
    return "";
}

static void put_kind(struct buf *ret, const struct conf_key *key)
{
    const char *unit = key->type == CONF_DURATION ? " ms" : key->type == CONF_BYTES ? " bytes" : "";
    buf_puts(ret, type_text(key));
    for (const struct conf_choice *choice = key->choices; choice && choice->name; choice++)
        buf_printf(ret, "%s%s", choice == key->choices ? " " : ", ", choice->name);
    if (key->min || key->max)
        buf_printf(ret, "; at least %" PRIu64 "%s", key->min, unit);
    if (key->max)
        buf_printf(ret, ", at most %" PRIu64 "%s", key->max, unit);
    if (key->multiple_of)
        buf_printf(ret, ", a multiple of %" PRIu64, key->multiple_of);
    const char *fallback = key->default_help ? key->default_help : key->default_value;
    buf_printf(ret, "; default: %s", fallback && *fallback ? fallback : "empty");
    if (key->type == CONF_DURATION && fallback && strspn(fallback, "0123456789") == strlen(fallback))
        buf_puts(ret, " ms");
}

static void put_key(struct buf *ret, const struct style *style, const struct conf *conf,
                    const struct conf_key *key)
{
    struct buf kind AUTO_BUF = BUF_INIT(1024);
    struct buf variable AUTO_BUF = BUF_INIT(128);
    put_kind(&kind, key);
    conf_env_name(conf, key, &variable);
    buf_puts(ret, style->heading_start);
    put_term(ret, style, key->name);
    buf_puts(ret, style->heading_end);
    put_paragraphs(ret, style, key->help);
    buf_puts(ret, style == &scdoc ? "\n\t(" : "\n*");
    put_text(ret, style, kind.data);
    if (key->reloadable)
        buf_puts(ret, "; taken at SIGHUP");
    buf_puts(ret, style == &scdoc ? "; environment: " : "*; environment: `");
    put_term(ret, style, variable.data);
    buf_puts(ret, style == &scdoc ? ")\n" : "`\n");
}

static void put_keys(struct buf *ret, const struct style *style)
{
    struct settings none = {0};
    struct conf conf = settings_conf(&none);
    for (size_t i = 0; i < conf.key_count; i++)
        put_key(ret, style, &conf, &conf.keys[i]);
}

static void put_metrics(struct buf *ret, const struct style *style)
{
    for (const struct metric *metric = metrics; metric < metrics + metric_count; metric++) {
        buf_puts(ret, style->heading_start);
        put_term(ret, style, metric->name);
        buf_puts(ret, style->heading_end);
        put_paragraphs(ret, style, metric->help);
        buf_puts(ret, style == &scdoc ? "\n\t(" : "\n*");
        put_text(ret, style, metric_type_text(metric->type));
        buf_puts(ret, *metric->labels ? "; labels: " : "");
        put_text(ret, style, metric->labels);
        buf_puts(ret, style == &scdoc ? ")\n" : "*\n");
    }
}

static int run_reference(struct cli *cli, struct err *err)
{
    struct buf text AUTO_BUF = BUF_INIT(TEXT_LEN_MAX);
    bool is_man = cli_has(cli, "man");
    if (strcmp(cli->args[0], "commands") == 0)
        put_commands(&text, is_man ? &scdoc : &markdown);
    else if (strcmp(cli->args[0], "options") == 0)
        put_option_list(&text, is_man ? &scdoc : &markdown, cli_global_options);
    else if (strcmp(cli->args[0], "keys") == 0)
        put_keys(&text, is_man ? &scdoc : &markdown);
    else if (strcmp(cli->args[0], "metrics") == 0)
        put_metrics(&text, is_man ? &scdoc : &markdown);
    else
        return err_set(err, ERR_USAGE, "commands, options, keys or metrics is expected, not \"%s\"",
                       cli->args[0]);
    fputs(text.data, stdout);
    return 0;
}

static const struct cli_option version_options[] = {
    {"build", NULL, NULL, "Also tell how and with which libraries it was built."}, {NULL}};
static const struct cli_option reference_options[] = {{"man", NULL, NULL, "For scdoc instead of Markdown."},
                                                      {NULL}};

const struct cli_command reference_commands[] = {
    {.name = "version",
     .arguments = "",
     .summary = "Print the version.",
     .options = version_options,
     .run = run_version,
     .is_bare = true},
    {.name = "help",
     .arguments = "[COMMAND]",
     .args_max = 2,
     .summary = "Show all commands, or one.",
     .run = run_help,
     .is_bare = true},
    {.name = "reference",
     .arguments = "commands|options|keys|metrics",
     .args_min = 1,
     .args_max = 1,
     .summary = "Print a part of the manual, made from the program's own tables.",
     .options = reference_options,
     .run = run_reference,
     .is_bare = true,
     .is_hidden = true},
    {NULL},
};
