/* `client …`: OAuth clients, each of a Google Cloud project with a daily quota of its own. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/families.h"
#include "cli/output.h"

enum { CLIENT_FILE_BYTES_MAX = 65536 };

static json_t *client_json(const struct store_client *client)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:o}", "tenant", client->tenant,
                     "name", client->name, "client_id", client->client_id, "kind", client->kind, "auth_uri",
                     client->auth_uri, "token_uri", client->token_uri, "uploads_per_day",
                     (int)client->uploads_per_day, "units_per_day", (int)client->units_per_day, "channels",
                     (int)client->channel_count, "state", client_state_text(client->state), "reason",
                     json_text(client->state_reason));
}

/* ---- import ---- */

/* A token_uri says where refresh tokens will be sent. */
static void tell_imported(struct cli *cli, const struct store_client *client)
{
    if (!text_starts_with(client->token_uri, "https://oauth2.googleapis.com/") &&
        !text_starts_with(client->token_uri, "https://accounts.google.com/"))
        note(cli, "Refresh tokens of this client will be sent to %s, which is not Google's usual address.",
             client->token_uri);
    if (strcmp(client->kind, "web") == 0)
        note(cli, "This client is of type \"web\": Google lets it log in only through the redirect URIs "
                  "registered for it. A client of type \"Desktop app\" needs none.");
    if (cli->json)
        out_json(client_json(client));
    else
        out_line("%s", client->name);
}

static int run_import(struct cli *cli, struct err *err)
{
    const char *name = cli_value(cli, "name");
    struct store_client client;
    struct cli_broker broker;
    struct buf json;
    buf_init(&json, CLIENT_FILE_BYTES_MAX);
    int code = cli_check_name("client name", name ? name : "default", err);
    if (code == 0)
        code = cli_check_name("tenant", cli->settings.tenant, err);
    if (code == 0)
        code = file_read(cli->args[0], &json, err);
    if (code == 0)
        code = cli_broker_open(cli, &broker, err);
    if (code == 0) {
        code = broker_client_import(broker.broker, cli->settings.tenant, name, json.data, json.len, &client,
                                    err);
        cli_broker_close(&broker);
        if (code == 0)
            tell_imported(cli, &client);
        else
            err_wrap(err, "%s", cli->args[0]);
    }
    buf_wipe(&json);
    return code;
}

/* ---- list ---- */

struct client_walk {
    struct cli *cli;
    struct table table;
};

static int on_client(void *ctx, const struct store_client *client)
{
    struct client_walk *walk = ctx;
    const char *tenant = cli_tenant_filter(walk->cli);
    if (tenant && strcmp(tenant, client->tenant) != 0)
        return 0;
    if (walk->cli->json) {
        out_json(client_json(client));
        return 0;
    }
    table_cell(&walk->table, client->tenant);
    table_cell(&walk->table, client->name);
    table_cell(&walk->table, client_state_text(client->state));
    table_cell(&walk->table, client->kind);
    table_cell_f(&walk->table, "%" PRIu32, client->channel_count);
    table_cell_f(&walk->table, "%" PRIu32, client->uploads_per_day);
    table_cell_f(&walk->table, "%" PRIu32, client->units_per_day);
    table_cell(&walk->table, client->client_id);
    return 0;
}

static int run_list(struct cli *cli, struct err *err)
{
    static const char *const headers[] = {"TENANT",    "NAME",      "STATE",     "KIND", "CHANNELS",
                                          "UPLOADS/D", "UNITS/DAY", "CLIENT ID", NULL};
    struct client_walk walk = {.cli = cli};
    int code = cli_open_store(cli, err);
    if (code < 0)
        return code;
    table_init(&walk.table, headers);
    code = store_client_list(cli->store, on_client, &walk, err);
    if (code == 0) {
        table_print(&walk.table);
        if (!cli->json && walk.table.cell_count == 0)
            note(cli, "There is no client yet: `sluice client import client_secret.json` makes one.");
    }
    table_release(&walk.table);
    return code;
}

/* ---- remove, limits ---- */

static int find_client(struct cli *cli, const char *name, struct store_client *ret, struct err *err)
{
    int code = cli_open_store(cli, err);
    return code < 0 ? code : store_client_find(cli->store, cli->settings.tenant, name, ret, err);
}

static int run_remove(struct cli *cli, struct err *err)
{
    struct store_client client;
    int code = find_client(cli, cli->args[0], &client, err);
    if (code == 0)
        code = store_client_remove(cli->store, client.id, cli_who(), err);
    if (code == 0 && cli->json)
        out_json(client_json(&client));
    return code;
}

/* ---- freeze ---- */

static int set_state(struct cli *cli, struct store_client *client, enum client_state state,
                     const char *reason, struct err *err)
{
    int code = store_client_set_state(cli->store, client->id, state, reason, cli_who(), err);
    if (code == 0)
        code = store_client_get(cli->store, client->id, client, err);
    if (code == 0 && cli->json)
        out_json(client_json(client));
    else if (code == 0)
        out_line("%s: %s", client->name, client_state_text(client->state));
    return code;
}

static int run_freeze(struct cli *cli, struct err *err)
{
    struct store_client client;
    const char *reason = cli_value(cli, "reason");
    int code = find_client(cli, cli->args[0], &client, err);
    return code < 0 ? code
                    : set_state(cli, &client, CLIENT_FROZEN, reason ? reason : "frozen by an operator", err);
}

static int run_unfreeze(struct cli *cli, struct err *err)
{
    struct store_client client;
    int code = find_client(cli, cli->args[0], &client, err);
    if (code < 0)
        return code;
    if (client.state == CLIENT_ACTIVE)
        return err_set(err, ERR_INVALID, "client \"%s\" is not frozen", client.name);
    return set_state(cli, &client, CLIENT_ACTIVE, "its client was unfrozen", err);
}

static int run_limits(struct cli *cli, struct err *err)
{
    struct store_client client;
    int64_t uploads, units;
    if (!cli_has(cli, "uploads") && !cli_has(cli, "units"))
        return err_set(err, ERR_USAGE, "give --uploads, --units or both; see `sluice client limits --help`");
    int code = find_client(cli, cli->args[0], &client, err);
    if (code == 0)
        code = cli_number(cli, "uploads", 0, INT_MAX, client.uploads_per_day, &uploads, err);
    if (code == 0)
        code = cli_number(cli, "units", 0, INT_MAX, client.units_per_day, &units, err);
    if (code == 0)
        code = store_client_limits(cli->store, client.id, (uint32_t)uploads, (uint32_t)units, cli_who(), err);
    if (code == 0)
        code = store_client_get(cli->store, client.id, &client, err);
    if (code < 0)
        return code;
    if (cli->json)
        out_json(client_json(&client));
    else
        out_line("%s: %" PRIu32 " uploads and %" PRIu32 " units a day", client.name, client.uploads_per_day,
                 client.units_per_day);
    return 0;
}

static const struct cli_option import_options[] = {
    {"name", "NAME", NULL, "What to call the client; default: \"default\"."}, {NULL}};
static const struct cli_option freeze_options[] = {
    {"reason", "TEXT", NULL, "Why; shown with the channels and jobs that wait for it."}, {NULL}};
static const struct cli_option limits_options[] = {
    {"uploads", "N", NULL, "Calls of videos.insert a day; 100 is what Google gives at first."},
    {"units", "N", NULL, "Units of all other calls a day; 10000 is what Google gives at first."},
    {NULL}};

const struct cli_command client_commands[] = {
    {.name = "client import",
     .arguments = "FILE",
     .args_min = 1,
     .args_max = 1,
     .summary = "Take over the client_secret*.json file of a Google Cloud project.",
     .details =
         "The file comes from Google's console: APIs & Services, Credentials, an OAuth client of type "
         "\"Desktop app\". Its secret is sealed in the store; the file is not needed afterwards. "
         "Importing the same client again replaces its secret, and lets its channels go on where Google had "
         "refused it.",
     .options = import_options,
     .run = run_import},
    {.name = "client list", .arguments = "", .summary = "List the clients.", .run = run_list},
    {.name = "client remove",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Remove a client that no channel uses.",
     .run = run_remove},
    {.name = "client freeze",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Stop all channels of a client because something is wrong with it.",
     .details =
         "No token of its channels is refreshed or handed out, no channel can log in with it, and their jobs "
         "are "
         "held (`channel_frozen`). Channels keep what they were for later: one that is paused is paused "
         "again. "
         "Workers stop a client by themselves where Google refuses it; `client list` shows it as refused.",
     .options = freeze_options,
     .run = run_freeze},
    {.name = "client unfreeze",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Let the channels of a frozen or refused client go on.",
     .run = run_unfreeze},
    {.name = "client limits",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Tell how much quota a client's project has a day.",
     .details = "Jobs are held until midnight Pacific time once a limit is reached. Google's console shows a "
                "project's limits under APIs & Services, YouTube Data API v3, Quotas.",
     .options = limits_options,
     .run = run_limits},
    {NULL},
};
