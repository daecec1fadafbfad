/* `channel …`: YouTube channels, each bound to one login. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/text.h"
#include "cli/families.h"
#include "cli/login.h"
#include "cli/output.h"

static json_t *channel_json(const struct cli *cli, const struct store_channel *channel)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:b, s:o, s:I, s:I, s:o}", "tenant",
                     channel->tenant, "name", channel->name, "client", channel->client, "yt_channel_id",
                     channel->yt_channel_id, "title", json_text(channel->title), "state",
                     channel_state_text(channel->state), "reason", json_text(channel->state_reason), "until",
                     json_time(channel->until_ms), "logged_in", cli_has_login(cli, channel), "added_at",
                     json_time(channel->added_at_ms), "uploads_per_day", (json_int_t)channel->uploads_per_day,
                     "places", (json_int_t)channel->places, "rests_until", json_time(channel->rest_until_ms));
}

static void tell_channel(struct cli *cli, const struct store_channel *channel)
{
    char time[32];
    if (cli->json) {
        out_json(channel_json(cli, channel));
        return;
    }
    out_field("channel", channel->name);
    out_field("tenant", channel->tenant);
    out_field("client", channel->client);
    out_field_f("youtube", "%s (%s)", channel->yt_channel_id, channel->title);
    out_field("state", channel_state_text(channel->state));
    out_field("reason", channel->state_reason);
    out_field("until", time_text(time, channel->until_ms));
    if (channel->uploads_per_day > 0)
        out_field_f("uploads a day", "%" PRIu32, channel->uploads_per_day);
    if (channel->places > 0)
        out_field_f("jobs at once", "%" PRIu32, channel->places);
    else
        out_field_f("jobs at once", "none until %s: all that were tried of late failed",
                    time_text(time, channel->rest_until_ms));
    out_field("logged in", channel->has_token            ? "yes"
                           : cli_has_login(cli, channel) ? "the token service has it"
                                                         : "no: sluice channel login it");
    out_field("added", time_text(time, channel->added_at_ms));
}

/* ---- login ---- */

static void tell_login(const struct store_channel *channel)
{
    struct buf line AUTO_BUF = BUF_INIT(1024);
    buf_printf(&line, "%s %s %s", channel->name, channel->yt_channel_id, channel->title);
    out_text(line.data);
}

static int run_login(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    int code = login_run(cli, &channel, err);
    if (code == 0)
        code = cli_find_channel(cli, cli->args[0], &channel, err); /* as it is stored */
    if (code < 0)
        return code;
    if (cli->json)
        out_json(channel_json(cli, &channel));
    else
        tell_login(&channel);
    note(cli,
         "Should this login end after 7 days: the consent screen of its Google Cloud project is still in "
         "status \"Testing\"; publish the app there.");
    return 0;
}

static int run_import(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    int code = login_import(cli, &channel, err);
    if (code == 0)
        code = cli_find_channel(cli, cli->args[0], &channel, err); /* as it is stored */
    if (code < 0)
        return code;
    if (cli->json)
        out_json(channel_json(cli, &channel));
    else
        tell_login(&channel);
    return 0;
}

/* ---- list, show ---- */

struct channel_walk {
    struct cli *cli;
    struct table table;
};

static int on_channel(void *ctx, const struct store_channel *channel)
{
    struct channel_walk *walk = ctx;
    if (walk->cli->json) {
        out_json(channel_json(walk->cli, channel));
        return 0;
    }
    table_cell(&walk->table, channel->tenant);
    table_cell(&walk->table, channel->name);
    table_cell(&walk->table, channel_state_text(channel->state));
    table_cell(&walk->table, cli_has_login(walk->cli, channel) ? "yes" : "no");
    table_cell(&walk->table, channel->client);
    table_cell(&walk->table, channel->yt_channel_id);
    table_cell(&walk->table, channel->title);
    return 0;
}

static int run_list(struct cli *cli, struct err *err)
{
    static const char *const headers[] = {"TENANT", "NAME",    "STATE", "LOGIN",
                                          "CLIENT", "YOUTUBE", "TITLE", NULL};
    struct channel_walk walk = {.cli = cli};
    int code = cli_open_store(cli, err);
    if (code < 0)
        return code;
    table_init(&walk.table, headers);
    code = store_channel_list(cli->store, cli_tenant_filter(cli), on_channel, &walk, err);
    if (code == 0) {
        table_print(&walk.table);
        if (!cli->json && walk.table.cell_count == 0)
            note(cli, "There is no channel yet: `sluice channel login NAME` makes one.");
    }
    table_release(&walk.table);
    return code;
}

static int run_show(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    if (code == 0)
        tell_channel(cli, &channel);
    return code;
}

/* ---- pause, resume, remove ---- */

static int set_state(struct cli *cli, struct store_channel *channel, enum channel_state state,
                     const char *reason, struct err *err)
{
    int code = store_channel_set_state(cli->store, channel->id, state, 0, reason, cli_who(), err);
    if (code == 0)
        code = store_channel_get(cli->store, channel->id, channel, err);
    if (code == 0 && cli->json)
        out_json(channel_json(cli, channel));
    else if (code == 0)
        out_line("%s: %s", channel->name, channel_state_text(channel->state));
    return code;
}

static int run_pause(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    const char *reason = cli_value(cli, "reason");
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    if (code < 0)
        return code;
    if (channel.own_state == CHANNEL_AUTH || channel.own_state == CHANNEL_FROZEN)
        return err_set(err, ERR_INVALID, "channel \"%s\" is not active anyway (%s): nothing of it is sent",
                       channel.name, channel_state_text(channel.own_state));
    return set_state(cli, &channel, CHANNEL_PAUSED, reason ? reason : "paused by an operator", err);
}

static int run_freeze(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    const char *reason = cli_value(cli, "reason");
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    return code < 0
               ? code
               : set_state(cli, &channel, CHANNEL_FROZEN, reason ? reason : "frozen by an operator", err);
}

static int run_resume(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    if (code < 0)
        return code;
    bool is_mended_elsewhere = *cli->settings.token_service;
    if (!is_mended_elsewhere && (channel.own_state == CHANNEL_AUTH || !channel.has_token))
        return err_set(err, ERR_AUTH, "channel \"%s\" needs a new login first: sluice channel login %s",
                       channel.name, channel.name);
    return set_state(cli, &channel, CHANNEL_ACTIVE, "", err);
}

static int run_unfreeze(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    if (code < 0)
        return code;
    if (channel.own_state != CHANNEL_FROZEN && channel.is_client_stopped)
        return err_set(err, ERR_INVALID, "channel \"%s\" is not frozen by itself: %s", channel.name,
                       channel.state_reason);
    if (channel.own_state != CHANNEL_FROZEN)
        return err_set(err, ERR_INVALID, "channel \"%s\" is not frozen (%s)", channel.name,
                       channel_state_text(channel.own_state));
    return set_state(cli, &channel, CHANNEL_ACTIVE, "", err);
}

static int run_limits(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    int64_t uploads;
    if (!cli_has(cli, "uploads"))
        return err_set(err, ERR_USAGE, "give --uploads; see `sluice channel limits --help`");
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    if (code == 0)
        code = cli_number(cli, "uploads", 0, INT_MAX, channel.uploads_per_day, &uploads, err);
    if (code == 0)
        code = store_channel_limits(cli->store, channel.id, (uint32_t)uploads, cli_who(), err);
    if (code == 0)
        code = store_channel_get(cli->store, channel.id, &channel, err);
    if (code < 0)
        return code;
    if (cli->json)
        out_json(channel_json(cli, &channel));
    else if (channel.uploads_per_day == 0)
        out_line("%s: no limit of its own", channel.name);
    else
        out_line("%s: %" PRIu32 " uploads a day", channel.name, channel.uploads_per_day);
    return 0;
}

static int run_remove(struct cli *cli, struct err *err)
{
    struct store_channel channel;
    struct cli_broker broker;
    bool revoke = !cli_has(cli, "no-revoke"), is_revoked = false;
    int code = cli_find_channel(cli, cli->args[0], &channel, err);
    if (code == 0)
        code = cli_broker_open(cli, &broker, err);
    if (code < 0)
        return code;
    code = broker_channel_remove(broker.broker, channel.id, revoke, &is_revoked, err);
    cli_broker_close(&broker);
    if (code < 0)
        return code;
    if (revoke && channel.has_token && !is_revoked)
        note(cli, "Google could not be told to revoke the login; do it at "
                  "https://myaccount.google.com/permissions");
    if (cli->json)
        out_json(json_pack("{s:s, s:s, s:b}", "tenant", channel.tenant, "name", channel.name, "revoked",
                           is_revoked));
    return 0;
}

static const struct cli_option login_options[] = {
    {"client", "NAME", NULL, "The OAuth client to log in with; needed where the tenant has several."},
    {"no-browser", NULL, NULL,
     "Print the page's URL instead of opening it, and take the redirect pasted in."},
    {"device", NULL, NULL,
     "For machines without a browser: show a code to enter on any other device. Needs a client of type \"TVs "
     "and Limited Input devices\"."},
    {"expect-channel", "ID", NULL, "Refuse the login unless it is of this YouTube channel (UC…)."},
    {NULL}};
static const struct cli_option import_options[] = {
    {"token", "FILE", NULL, "Take the login from this file of another program."},
    {"client", "NAME", NULL,
     "The OAuth client whose quota pays; needed where the tenant has several "
     "and the file does not name one."},
    {"expect-channel", "ID", NULL, "Refuse it unless it is this YouTube channel (UC…)."},
    {NULL}};
static const struct cli_option pause_options[] = {
    {"reason", "TEXT", NULL, "Why; shown with the jobs that wait for it."}, {NULL}};
static const struct cli_option limits_options[] = {
    {"uploads", "N", NULL, "Uploads a day; 0: only the client's limit counts."}, {NULL}};
static const struct cli_option remove_options[] = {
    {"no-revoke", NULL, NULL, "Do not ask Google to revoke the login."}, {NULL}};

const struct cli_command channel_commands[] = {
    {.name = "channel login",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Log a YouTube channel in, or renew its login.",
     .details =
         "Opens Google's page, where you choose the account and the channel. The login is bound to that "
         "channel for good: a later login of another channel under the same name is refused. Jobs that "
         "were held for want of a login go on.",
     .options = login_options,
     .run = run_login},
    {.name = "channel import",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Take over a channel whose login another program or the token service has.",
     .details =
         "With --token: reads youtubeuploader's request.token, a credentials file of tokland/youtube-upload "
         "(oauth2client), or google-auth's token.json, whichever FILE is. The login is tried at once, and "
         "bound to the channel that YouTube names. The OAuth client that it was made with must have been "
         "imported before. The file is not changed and is not needed afterwards; remove it, since it is not "
         "encrypted.\n\n"
         "Without: asks the service (the key token_service) for an access token under this name, and YouTube "
         "whose "
         "channel that token is for. The name is bound to that channel for good. Given again for a refused "
         "channel, it lets its jobs go on if the service's token is good now.",
     .options = import_options,
     .run = run_import},
    {.name = "channel list", .arguments = "", .summary = "List the channels.", .run = run_list},
    {.name = "channel show",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Show one channel.",
     .run = run_show},
    {.name = "channel pause",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Hold a channel's jobs until it is resumed.",
     .details = "A transfer that is under way stops within a lease's time and goes on later where it was.",
     .options = pause_options,
     .run = run_pause},
    {.name = "channel resume",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Let the jobs of a paused, limited or frozen channel go on.",
     .run = run_resume},
    {.name = "channel freeze",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Hold a channel's jobs because something is wrong with it.",
     .details =
         "As `channel pause`, but it weighs more: a new login does not lift it, and `status` and the jobs "
         "say frozen. Workers freeze a channel by themselves where misuse is suspected (`alarm list`).",
     .options = pause_options,
     .run = run_freeze},
    {.name = "channel unfreeze",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Let the jobs of a frozen channel go on.",
     .run = run_unfreeze},
    {.name = "channel limits",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Give a channel a daily limit of its own, beneath its client's.",
     .details = "A job over the limit is held until midnight Pacific; jobs that are held for quota already "
                "are looked "
                "at again.",
     .options = limits_options,
     .run = run_limits},
    {.name = "channel remove",
     .arguments = "NAME",
     .args_min = 1,
     .args_max = 1,
     .summary = "Revoke a channel's login at Google and forget it.",
     .details =
         "Refused while the channel has jobs that are not finished. Revoking ends every login that this "
         "Google account gave to the client's project.",
     .options = remove_options,
     .run = run_remove},
    {NULL},
};
