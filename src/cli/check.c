/* `check`: finds what is wrong with a set-up and says how to mend it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/families.h"
#include "cli/findings.h"
#include "cli/output.h"

enum { MESSAGE_LEN_MAX = 1200 };

static void tell(struct check *check, const char *status, const char *what, const char *message,
                 const char *mend)
{
    if (check->cli->json) {
        out_json(json_pack("{s:s, s:s, s:o, s:o}", "check", what, "status", status, "message",
                           json_text(message), "mend", json_text(mend)));
        return;
    }
    struct buf line AUTO_BUF = BUF_INIT(2 * MESSAGE_LEN_MAX);
    buf_printf(&line, "%-5s %-13s %s", status, what, message);
    out_text(line.data);
    if (mend && *mend) {
        buf_clear(&line);
        buf_printf(&line, "%19s -> %s", "", mend);
        out_text(line.data);
    }
}

void check_ok(struct check *check, const char *what, const char *format, ...)
{
    char message[MESSAGE_LEN_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    tell(check, "ok", what, message, NULL);
}

void check_warn(struct check *check, const char *what, const char *mend, const char *format, ...)
{
    char message[MESSAGE_LEN_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    check->warn_count++;
    tell(check, "warn", what, message, mend);
}

void check_fail(struct check *check, const char *what, const char *mend, const struct err *err)
{
    if (check->fail_count++ == 0)
        check->first_code = err->code;
    tell(check, "FAIL", what, err->message, mend);
}

static int run_check(struct cli *cli, struct err *err)
{
    struct check check = {.cli = cli, .now_ms = clock_wall_ms()};
    check_configuration(&check);
    check_clock(&check);
    bool has_store = check_store(&check);
    if (has_store)
        check_isolation(&check);
    if (has_store)
        check_key(&check);
    check_confinement(&check);
    check_media_root(&check);
    check_network(&check, cli_has(cli, "online"));
    check_cdn(&check);
    check_token_service(&check, cli_has(cli, "online"));
    if (has_store) {
        check_logins(&check);
        check_work(&check);
        check_alarms(&check);
        check_videos(&check);
    }
    if (check.fail_count == 0)
        return 0;
    return err_set(err, check.first_code, "%d thing%s must be mended before sluice can work",
                   check.fail_count, check.fail_count == 1 ? "" : "s");
}

static const struct cli_option check_options[] = {
    {"online", NULL, NULL,
     "Also connect to the API and to the clients' token endpoints, or to the token service."},
    {NULL}};

const struct cli_command check_commands[] = {
    {.name = "check",
     .arguments = "",
     .summary = "Find what is wrong with the set-up, and say how to mend it.",
     .details = "Changes nothing. Exit code: that of the first failure; warnings do not count.",
     .options = check_options,
     .run = run_check},
    {NULL},
};
