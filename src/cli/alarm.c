/* `alarm`: what looked like misuse. */
#include "cli/alarm.h"

#include <inttypes.h>
#include <string.h>

#include "base/parse.h"
#include "cli/families.h"
#include "cli/output.h"

json_t *alarm_json(const struct store_alarm *alarm)
{
    const struct misuse_rule *rule = misuse_rule(alarm->signal);
    json_t *object =
        json_pack("{s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "id", (json_int_t)alarm->id, "signal",
                  rule->name, "severity", misuse_severity(rule), "tenant", alarm->tenant, "channel",
                  json_text(alarm->channel), "youtube", json_text(alarm->yt_channel_id), "client",
                  json_text(alarm->client), "count", (json_int_t)alarm->count);
    json_object_set_new(object, "since", json_time(alarm->since_ms));
    json_object_set_new(object, "last", json_time(alarm->last_at_ms));
    json_object_set_new(object, "closed", json_time(alarm->closed_at_ms));
    json_object_set_new(object, "message", json_text(alarm->message));
    json_object_set_new(object, "reaction", json_text(alarm->reaction));
    return object;
}

void alarm_table_init(struct table *table)
{
    static const char *const headers[] = {"ID",    "SEVERITY", "SIGNAL",   "TENANT",  "CHANNEL", "CLIENT",
                                          "SINCE", "COUNT",    "REACTION", "MESSAGE", "CLOSED",  NULL};
    table_init(table, headers);
}

void alarm_row(struct table *table, const struct store_alarm *alarm)
{
    const struct misuse_rule *rule = misuse_rule(alarm->signal);
    char since[32], closed[32];
    table_cell_f(table, "%" PRId64, alarm->id);
    table_cell(table, misuse_severity(rule));
    table_cell(table, rule->name);
    table_cell(table, alarm->tenant);
    table_cell(table, alarm->channel);
    table_cell(table, alarm->client);
    table_cell(table, time_text(since, alarm->since_ms));
    table_cell_f(table, "%" PRIu64, alarm->count);
    table_cell(table, alarm->reaction);
    table_cell(table, alarm->message);
    table_cell(table, time_text(closed, alarm->closed_at_ms));
}

struct alarm_walk {
    struct cli *cli;
    struct table table;
};

static int on_alarm(void *ctx, const struct store_alarm *alarm)
{
    struct alarm_walk *walk = ctx;
    const char *tenant = cli_tenant_filter(walk->cli);
    if (tenant && strcmp(tenant, alarm->tenant) != 0)
        return 0;
    if (walk->cli->json)
        out_json(alarm_json(alarm));
    else
        alarm_row(&walk->table, alarm);
    return 0;
}

static int run_list(struct cli *cli, struct err *err)
{
    struct alarm_walk walk = {.cli = cli};
    int code = cli_open_store(cli, err);
    if (code < 0)
        return code;
    alarm_table_init(&walk.table);
    code = store_alarm_list(cli->store, cli_has(cli, "all"), on_alarm, &walk, err);
    if (code == 0)
        table_print(&walk.table);
    table_release(&walk.table);
    return code;
}

static int run_close(struct cli *cli, struct err *err)
{
    int64_t id;
    if (!parse_i64(cli->args[0], &id))
        return err_set(err, ERR_USAGE, "\"%s\" is no alarm's number; see `sluice alarm list`", cli->args[0]);
    int code = cli_open_store(cli, err);
    if (code == 0)
        code = store_alarm_close(cli->store, id, cli_who(), err);
    if (code == 0 && cli->json)
        out_json(json_pack("{s:I, s:b}", "id", (json_int_t)id, "closed", 1));
    return code;
}

static const struct cli_option list_options[] = {{"all", NULL, NULL, "Closed ones too."}, {NULL}};

const struct cli_command alarm_commands[] = {
    {.name = "alarm list",
     .arguments = "",
     .summary = "List what looks like misuse, and what was done about it.",
     .details =
         "Workers look for it in the audit trail (docs/operations.md). An alarm stays open, and its count "
         "grows, until somebody closes it.",
     .options = list_options,
     .run = run_list},
    {.name = "alarm close",
     .arguments = "ID",
     .args_min = 1,
     .args_max = 1,
     .summary = "Say that an alarm was dealt with.",
     .details =
         "A channel that was frozen for it stays so: see `sluice channel unfreeze`. If it goes on, there "
         "is another alarm.",
     .run = run_close},
    {NULL},
};
