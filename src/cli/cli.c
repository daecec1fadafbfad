/* Runs one command line: parse, configure, run, report, give back. */
#include "cli/cli.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/families.h"
#include "cli/output.h"
#include "worker/worker.h"

enum { COMMANDS_MAX = 64 };

/* ---- the table ---- */

static const struct cli_command *const families[] = {
    init_commands,   client_commands, channel_commands,   add_commands,   upload_commands,
    worker_commands, job_commands,    status_commands,    audit_commands, alarm_commands,
    key_commands,    check_commands,  reference_commands,
};

const struct cli_command *const *cli_commands(void)
{
    static const struct cli_command *all[COMMANDS_MAX];
    if (all[0])
        return all;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        for (const struct cli_command *at = families[i]; at->name && count < COMMANDS_MAX - 1; at++)
            all[count++] = at;
    return all;
}

const struct cli_command *cli_command_find(const char *name)
{
    for (const struct cli_command *const *at = cli_commands(); *at; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

/* ---- what commands need ---- */

int cli_open_store(struct cli *cli, struct err *err)
{
    return cli->store ? 0 : store_open(cli->settings.store, STORE_USE, &cli->store, err);
}

void cli_release(struct cli *cli)
{
    store_close(cli->store);
    cli->store = NULL;
    settings_release(&cli->settings);
}

const char *cli_tenant_filter(const struct cli *cli)
{
    bool is_asked = settings_origin(&cli->settings, "tenant") != CONF_DEFAULT;
    return is_asked ? cli->settings.tenant : NULL;
}

const char *cli_who(void)
{
    static char who[NAME_SIZE];
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
        snprintf(who, sizeof(who), "cli:%s", found->pw_name);
    else
        snprintf(who, sizeof(who), "cli:%ld", (long)getuid());
    return who;
}

int cli_find_channel(struct cli *cli, const char *name, struct store_channel *ret, struct err *err)
{
    int code = cli_open_store(cli, err);
    if (code < 0)
        return code;
    code = store_channel_find(cli->store, cli->settings.tenant, name, ret, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code,
                       "there is no channel \"%s\" in tenant \"%s\"; `sluice channel list` shows those there "
                       "are, `sluice channel %s %s` makes it",
                       name, cli->settings.tenant, *cli->settings.token_service ? "import" : "login", name);
    return code;
}

bool cli_has_login(const struct cli *cli, const struct store_channel *channel)
{
    return channel->has_token || *cli->settings.token_service;
}

int cli_broker_open(struct cli *cli, struct cli_broker *ret, struct err *err)
{
    struct broker_config config = worker_broker_config(&cli->settings);
    config.tenants = NULL; /* those are a worker's; a person acts for --tenant */
    if (config.isolated_tenants)
        config.isolated_tenants = "";
    config.who = cli_who();
    *ret = (struct cli_broker){0};
    if (uv_loop_init(&ret->loop) != 0)
        return err_set(err, ERR_INTERNAL, "no event loop can be made (out of file descriptors?)");
    int code = broker_open(&ret->loop, &config, &ret->broker, err);
    if (code < 0)
        cli_broker_close(ret);
    return code;
}

void cli_broker_close(struct cli_broker *broker)
{
    if (broker->broker)
        broker_close(broker->broker);
    broker->broker = NULL;
    uv_run(&broker->loop, UV_RUN_DEFAULT);
    uv_loop_close(&broker->loop);
}

/* ---- the run ---- */

int cli_read_settings(struct cli *cli, struct settings *ret, struct err *err)
{
    struct settings_flag flags[CLI_OPTIONS_MAX];
    char names[CLI_OPTIONS_MAX][40];
    size_t count = 0;
    for (int i = 0; i < cli->given_count; i++) {
        const struct cli_option *option = cli->given[i].option;
        if (!option->setting)
            continue;
        snprintf(names[count], sizeof(names[count]), "--%s", option->name);
        flags[count] = (struct settings_flag){option->setting, names[count], cli->given[i].value};
        count++;
    }
    int code = settings_load(cli_value(cli, "config"), flags, count, ret, err);
    /* A command's own lines are its results; only a daemon talks of what it does unless it is asked to. */
    if (code == 0 && settings_origin(ret, "log_level") == CONF_DEFAULT)
        ret->log_level = cli->quiet ? LOG_ERROR : cli->command->is_daemon ? LOG_INFO : LOG_WARN;
    return code;
}

static int run_command(struct cli *cli, struct err *err)
{
    if (!cli->command->is_bare) {
        int code = cli_read_settings(cli, &cli->settings, err);
        if (code < 0)
            return code;
        log_setup(cli->settings.log_level, cli->settings.log_format);
    }
    int code = cli->command->run(cli, err);
    int flushed = out_flush(code < 0 ? NULL : err);
    return code == 0 ? flushed : code;
}

static int show_help(const struct cli *cli, struct err *err)
{
    struct buf text AUTO_BUF = BUF_INIT(65536);
    cli_usage(cli->command, &text);
    fputs(text.data, stdout);
    return out_flush(err);
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {0};
    struct err err = {0};
    bool wants_help = false;
    int code = cli_parse(&cli, argc, argv, &wants_help, &err);
    if (code == 0)
        code = wants_help ? show_help(&cli, &err) : run_command(&cli, &err);
    if (code < 0)
        report(&cli, &err);
    cli_release(&cli);
    return code < 0 ? err_exit_code(code) : code;
}
