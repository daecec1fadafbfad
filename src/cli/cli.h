/*
 * The command line: a table of commands, from which parsing, help and the reference pages are made, and what
 * a running command has at hand.
 *
 * Standard output is for results, standard error for everything else. A command returns 0, a negative
 * `enum err_code` with its error set (the dispatcher reports it), or a positive exit code where it has told
 * already what there is to tell. Everything here belongs to the main thread.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "vault/broker.h"
#include "worker/settings.h"

struct cli;

struct cli_option {
    const char *name;     /* without dashes; NULL ends a table */
    const char *argument; /* what the help calls its value; NULL: a switch */
    const char *setting;  /* the configuration key that it sets; NULL: none */
    const char *help;     /* one sentence */
};

struct cli_command {
    const char *name;      /* "init", "job list"; NULL ends a table */
    const char *arguments; /* as the usage line shows them; "" : none */
    int args_min;
    int args_max;                     /* INT_MAX: any number */
    const char *summary;              /* one line */
    const char *details;              /* paragraphs parted by "\n\n"; NULL: none */
    const struct cli_option *options; /* NULL: none but the global ones */
    int (*run)(struct cli *cli, struct err *err);
    bool is_bare;   /* reads no configuration */
    bool is_hidden; /* not for people: absent from help */
    bool is_daemon; /* logs at level info unless told otherwise */
};

enum { CLI_OPTIONS_MAX = 32 };

struct cli {
    const struct cli_command *command;
    char **args; /* what is neither command nor option */
    int arg_count;
    struct {
        const struct cli_option *option;
        const char *value; /* "" for a switch */
    } given[CLI_OPTIONS_MAX];
    int given_count;
    bool json;
    bool quiet;
    struct settings settings;
    struct store *store; /* opened by cli_open_store() */
};

/* The configuration as this command line wants it, read now. Errors of settings_load(). */
int cli_read_settings(struct cli *cli, struct settings *ret, struct err *err) MUST_CHECK;

/* ---- the tables ---- */

extern const struct cli_option cli_global_options[];
/* Every command, in the order of the help; NULL-terminated. */
const struct cli_command *const *cli_commands(void);
const struct cli_command *cli_command_find(const char *name); /* NULL: none */

/* ---- parsing ---- */

/* Fills command, args, given, json, quiet. ERR_USAGE says what is wrong and where help is. A call for help
 * sets *ret_wants_help (command may then be NULL). `argv` is reordered and must outlive `cli`. */
int cli_parse(struct cli *cli, int argc, char **argv, bool *ret_wants_help, struct err *err) MUST_CHECK;
/* The option's value, "" for a switch that was given; NULL: not given. */
const char *cli_value(const struct cli *cli, const char *option);
bool cli_has(const struct cli *cli, const char *option);
/* The value as a number or duration; `fallback` if not given. ERR_USAGE. */
int cli_number(const struct cli *cli, const char *option, int64_t min, int64_t max, int64_t fallback,
               int64_t *ret, struct err *err) MUST_CHECK;
int cli_duration_ms(const struct cli *cli, const char *option, int64_t fallback, int64_t *ret,
                    struct err *err) MUST_CHECK;
/* Names of tenants, clients, channels and regions: letters, digits, '.', '_', '-', at most 63, not beginning
 * with a '.' or '-'. ERR_INVALID says what `what` is wrong. */
int cli_check_name(const char *what, const char *name, struct err *err) MUST_CHECK;

/* ---- what commands need ---- */

int cli_open_store(struct cli *cli, struct err *err) MUST_CHECK;
void cli_release(struct cli *cli);
/* Parses, loads settings and runs: the whole program but for process-wide setup. Returns the exit code. */
int cli_main(int argc, char **argv);
/* The tenant of --tenant and its kin, as a filter: NULL where nobody asked for one. */
const char *cli_tenant_filter(const struct cli *cli);
/* Who did it, for the audit trail: "cli:USER". */
const char *cli_who(void);
int cli_find_channel(struct cli *cli, const char *name, struct store_channel *ret,
                     struct err *err) MUST_CHECK;

/* Whether it has a login: in the store, or as the token service's, of which nothing is known before it is
 * asked. */
bool cli_has_login(const struct cli *cli, const struct store_channel *channel);

/* A broker with a loop of its own, for commands that handle credentials. */
struct cli_broker {
    uv_loop_t loop;
    struct broker *broker;
};
int cli_broker_open(struct cli *cli, struct cli_broker *ret, struct err *err) MUST_CHECK;
void cli_broker_close(struct cli_broker *broker);

/* ---- help ---- */

/* The help of one command, or the overview where `command` is NULL. */
void cli_usage(const struct cli_command *command, struct buf *ret);

#endif
