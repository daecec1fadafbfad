/* Help, made from the tables of commands. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

enum { HELP_WIDTH = 92, OPTION_COLUMN = 28 };

/* Writes text with line breaks at blanks; later lines begin at `indent`. `column` is where the first begins.
 */
static void put_wrapped(struct buf *ret, const char *text, size_t column, size_t indent)
{
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (column > indent && column + 1 + word > HELP_WIDTH) {
            buf_printf(ret, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            buf_putc(ret, ' ');
            column++;
        }
        buf_append(ret, text, word);
        column += word;
        text += word;
        if (text_starts_with(text, "\n\n")) {
            buf_printf(ret, "\n\n%*s", (int)indent, "");
            column = indent;
        }
        text += strspn(text, " \n");
    }
    buf_putc(ret, '\n');
}

static void put_options(struct buf *ret, const char *title, const struct cli_option *options)
{
    if (!options || !options->name)
        return;
    buf_printf(ret, "\n%s\n", title);
    for (; options->name; options++) {
        char left[64];
        snprintf(left, sizeof(left), "  --%s%s%s", options->name, options->argument ? " " : "",
                 options->argument ? options->argument : "");
        buf_printf(ret, "%-*s", OPTION_COLUMN, left);
        if (strlen(left) >= OPTION_COLUMN)
            buf_printf(ret, "\n%*s", OPTION_COLUMN, "");
        put_wrapped(ret, options->help, OPTION_COLUMN, OPTION_COLUMN);
    }
}

static void command_usage(const struct cli_command *command, struct buf *ret)
{
    buf_printf(ret, "usage: sluice %s%s%s%s\n\n", command->name, *command->arguments ? " " : "",
               command->arguments, command->options ? " [OPTION…]" : "");
    put_wrapped(ret, command->summary, 0, 0);
    if (command->details) {
        buf_putc(ret, '\n');
        put_wrapped(ret, command->details, 0, 0);
    }
    put_options(ret, "options", command->options);
    put_options(ret, "options of every command", cli_global_options);
}

static void overview(struct buf *ret)
{
    buf_puts(ret, "usage: sluice COMMAND [ARGUMENT…] [OPTION…]\n\n"
                  "Takes finished video files and puts each one, once, on the right YouTube channel.\n\n"
                  "commands\n");
    for (const struct cli_command *const *at = cli_commands(); *at; at++) {
        if ((*at)->is_hidden)
            continue;
        buf_printf(ret, "  %-18s", (*at)->name);
        put_wrapped(ret, (*at)->summary, 20, 20);
    }
    put_options(ret, "options of every command", cli_global_options);
    buf_puts(ret,
             "\nexit codes\n"
             "  0 done · 1 internal error · 2 wrong usage · 3 invalid input or metadata · 4 not found ·\n"
             "  5 credentials · 6 quota or limit · 7 the upload failed · 8 store unavailable ·\n"
             "  75 not yet (held or waiting)\n\n"
             "`sluice COMMAND --help` tells more about one; see also sluice(1) and sluice.conf(5).\n");
}

void cli_usage(const struct cli_command *command, struct buf *ret)
{
    if (command)
        command_usage(command, ret);
    else
        overview(ret);
}
