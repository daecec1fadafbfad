/*
 * `channel login`: OAuth for an installed app with the loopback redirect and PKCE [native], or with a code
 * that is entered on another device [device]; and `channel import`, where a token service or another
 * program's file has the login. Main thread.
 */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include "cli/cli.h"

/* Reads the command's options; the new or renewed channel is in `ret`. */
int login_run(struct cli *cli, struct store_channel *ret, struct err *err) MUST_CHECK;
int login_import(struct cli *cli, struct store_channel *ret, struct err *err) MUST_CHECK;

#endif
