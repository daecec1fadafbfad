#include "cli/login.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/browser.h"
#include "cli/loopback.h"
#include "cli/output.h"
#include "youtube/youtube.h"

enum {
    RANDOM_BYTES = 32, /* 43 characters, the least that PKCE allows (RFC 7636 section 4.1) */
    RANDOM_TEXT_SIZE = 48,
    URL_LEN_MAX = 8192,
    LOGIN_LIFE_MS = 900000,
    TOKEN_FILE_BYTES_MAX = 32768,
};

/* One login under way. */
struct login {
    struct cli *cli;
    struct store_client client;
    char state[RANDOM_TEXT_SIZE];
    struct secret verifier;
    char challenge[RANDOM_TEXT_SIZE];
    struct cli_broker broker;
    struct loopback *loopback;
    struct loopback_answer answer;
};

static void random_text(char ret[RANDOM_TEXT_SIZE])
{
    unsigned char bytes[RANDOM_BYTES];
    random_bytes(bytes, sizeof(bytes));
    text_base64url(ret, bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
}

static void make_secrets(struct login *login)
{
    char verifier[RANDOM_TEXT_SIZE];
    unsigned char digest[32];
    random_text(login->state);
    random_text(verifier);
    vault_sha256(verifier, strlen(verifier), digest);
    text_base64url(login->challenge, digest, sizeof(digest));
    secret_set(&login->verifier, verifier, strlen(verifier));
    explicit_bzero(verifier, sizeof(verifier));
}

/* ---- the person's part ---- */

static void show_url(struct login *login, const char *url)
{
    struct cli *cli = login->cli;
    bool no_browser = cli_has(cli, "no-browser");
    if (no_browser && cli->json) {
        out_json(json_pack("{s:s}", "login_url", url));
        return;
    }
    if (no_browser) {
        note(cli, "Open this page in a browser on this machine, choose the channel and agree:");
        out_line("%s", url);
        note(cli, "In a browser on another machine the last page will not load: paste its address here.");
        return;
    }
    bool is_open = browser_open(url);
    note(cli, "%s, choose the channel and agree:",
         is_open ? "Your browser opens this page; if it does not, open it yourself"
                 : "No browser could be started. Open this page in a browser on this machine");
    note(cli, "%s", url);
}

static void ask_person(struct login *login)
{
    struct buf url AUTO_BUF = BUF_INIT(URL_LEN_MAX);
    yt_build_auth_url(login->client.auth_uri, login->client.client_id, loopback_redirect_uri(login->loopback),
                      YT_SCOPES_DEFAULT, login->state, login->challenge, &url);
    if (cli_has(login->cli, "no-browser"))
        loopback_watch_input(login->loopback);
    show_url(login, url.data);
}

static int wait_for_code(struct login *login, struct err *err)
{
    int code = loopback_wait(login->loopback, LOGIN_LIFE_MS, &login->answer, err);
    if (code < 0 || !login->answer.refusal[0])
        return code;
    loopback_show(login->loopback, 200, "Not logged in",
                  "Google's answer was a refusal. You can close this page.");
    return err_set(err, ERR_AUTH, "the login was refused: %s; nothing was changed", login->answer.refusal);
}

static struct broker_login request_of(struct cli *cli, int64_t client_id)
{
    return (struct broker_login){.tenant = cli->settings.tenant,
                                 .client_id = client_id,
                                 .channel = cli->args[0],
                                 .expect_channel = cli_value(cli, "expect-channel")};
}

/* ---- the exchange ---- */

static int exchange(struct login *login, struct store_channel *ret, struct err *err)
{
    struct broker_login request = request_of(login->cli, login->client.id);
    request.code = login->answer.code.data;
    request.verifier = login->verifier.data;
    request.redirect_uri = loopback_redirect_uri(login->loopback);
    int code = broker_channel_login(login->broker.broker, &request, ret, err);
    char sentence[512];
    if (code < 0) {
        loopback_show(login->loopback, 200, "Not logged in", err->message);
        return code;
    }
    snprintf(sentence, sizeof(sentence),
             "sluice now uploads to \"%s\" (%s) when it is told \"%s\". You can close this page.", ret->title,
             ret->yt_channel_id, ret->name);
    loopback_show(login->loopback, 200, "Logged in", sentence);
    return 0;
}

static int run_with_broker(struct login *login, struct store_channel *ret, struct err *err)
{
    int code = loopback_open(&login->broker.loop, login->state, &login->loopback, err);
    if (code < 0)
        return code;
    ask_person(login);
    code = wait_for_code(login, err);
    if (code == 0)
        code = exchange(login, ret, err);
    loopback_close(login->loopback);
    return code;
}

/* ---- before ---- */

/* A known channel keeps its client unless another one is named. */
static int choose_client(struct cli *cli, struct store_client *ret, struct err *err)
{
    struct store_channel channel;
    const char *name = cli_value(cli, "client");
    int code = store_channel_find(cli->store, cli->settings.tenant, cli->args[0], &channel, err);
    if (code == 0 && !name)
        return store_client_get(cli->store, channel.client_id, ret, err);
    if (code < 0 && code != ERR_NOT_FOUND)
        return code;
    code = store_client_find(cli->store, cli->settings.tenant, name, ret, err);
    if (code == ERR_NOT_FOUND && !name)
        return err_set(err, code,
                       "tenant \"%s\" has no OAuth client yet; import one: sluice client import "
                       "client_secret.json",
                       cli->settings.tenant);
    return code;
}

static int prepare(struct cli *cli, struct store_client *ret_client, struct cli_broker *ret_broker,
                   struct err *err)
{
    int code = cli_check_name("channel name", cli->args[0], err);
    if (code == 0)
        code = cli_open_store(cli, err);
    if (code == 0)
        code = choose_client(cli, ret_client, err);
    if (code == 0)
        code = cli_broker_open(cli, ret_broker, err);
    return code;
}

/* ---- on another device ---- */

static void show_device_code(struct cli *cli, const struct broker_device_code *code)
{
    char life[32];
    struct buf line AUTO_BUF = BUF_INIT(1024);
    if (cli->json) {
        out_json(json_pack("{s:s, s:s, s:I}", "verification_url", code->url, "user_code", code->user_code,
                           "expires_in", (json_int_t)(code->expires_in_ms / 1000)));
        return;
    }
    note(cli, "On any device, open this page, enter this code within %s, choose the channel and agree:",
         format_duration(life, code->expires_in_ms));
    buf_printf(&line, "%s  %s", code->url, code->user_code);
    out_text(line.data);
}

static int run_device(struct login *login, struct store_channel *ret, struct err *err)
{
    struct broker_login request = request_of(login->cli, login->client.id);
    struct broker_device_code device;
    int code = broker_device_start(login->broker.broker, &request, &device, err);
    if (code < 0)
        return code;
    show_device_code(login->cli, &device);
    code = out_flush(err); /* somebody has to read it now */
    if (code < 0)
        return code;
    do
        code = broker_device_poll(login->broker.broker, ret, err);
    while (code == ERR_NOT_YET);
    return code;
}

static int run_loopback(struct login *login, struct store_channel *ret, struct err *err)
{
    make_secrets(login);
    int code = run_with_broker(login, ret, err);
    loopback_answer_release(&login->answer);
    secret_release(&login->verifier);
    return code;
}

int login_run(struct cli *cli, struct store_channel *ret, struct err *err)
{
    struct login login = {.cli = cli};
    if (cli_has(cli, "device") && cli_has(cli, "no-browser"))
        return err_set(err, ERR_USAGE, "--device needs no --no-browser: it opens none");
    if (*cli->settings.token_service)
        return err_set(err, ERR_USAGE,
                       "the token service keeps the logins: log the channel in there, then: sluice channel "
                       "import %s",
                       cli->args[0]);
    int code = prepare(cli, &login.client, &login.broker, err);
    if (code < 0)
        return code;
    code = cli_has(cli, "device") ? run_device(&login, ret, err) : run_loopback(&login, ret, err);
    cli_broker_close(&login.broker);
    return code;
}

/* ---- or somebody else has done it ---- */

/* The client that --client names; 0: none is named, the broker looks into the file. */
static int named_client(struct cli *cli, int64_t *ret_id, struct err *err)
{
    struct store_client client = {.id = 0};
    const char *name = cli_value(cli, "client");
    int code = cli_check_name("channel name", cli->args[0], err);
    if (code == 0 && name)
        code = cli_open_store(cli, err);
    if (code == 0 && name)
        code = store_client_find(cli->store, cli->settings.tenant, name, &client, err);
    *ret_id = client.id;
    return code;
}

static int take_file(struct cli *cli, const char *json, size_t len, struct store_channel *ret,
                     struct err *err)
{
    struct cli_broker broker;
    int64_t client_id;
    int code = named_client(cli, &client_id, err);
    if (code == 0)
        code = cli_broker_open(cli, &broker, err);
    if (code < 0)
        return code;
    struct broker_login request = request_of(cli, client_id);
    code = broker_login_take(broker.broker, &request, json, len, ret, err);
    cli_broker_close(&broker);
    return code < 0 ? err_wrap(err, "%s", cli_value(cli, "token")) : 0;
}

static int import_file(struct cli *cli, struct store_channel *ret, struct err *err)
{
    struct buf json;
    buf_init(&json, TOKEN_FILE_BYTES_MAX);
    int code = file_read(cli_value(cli, "token"), &json, err);
    if (code == 0)
        code = take_file(cli, json.data, json.len, ret, err);
    buf_wipe(&json);
    return code;
}

int login_import(struct cli *cli, struct store_channel *ret, struct err *err)
{
    struct store_client client;
    struct cli_broker broker;
    if (cli_has(cli, "token"))
        return import_file(cli, ret, err);
    if (!*cli->settings.token_service)
        return err_set(err, ERR_USAGE,
                       "there is nothing to import it from: name another program's file with --token, or set "
                       "token_service, or log the channel in: sluice channel login %s",
                       cli->args[0]);
    int code = prepare(cli, &client, &broker, err);
    if (code < 0)
        return code;
    code = broker_channel_adopt(broker.broker, cli->settings.tenant, client.id, cli->args[0],
                                cli_value(cli, "expect-channel"), ret, err);
    cli_broker_close(&broker);
    return code;
}
