/* The command families: one file and one table each; a row with a NULL name ends a table. */
#ifndef CLI_FAMILIES_H
#define CLI_FAMILIES_H

#include "cli/cli.h"

extern const struct cli_command init_commands[];
extern const struct cli_command client_commands[];
extern const struct cli_command channel_commands[];
extern const struct cli_command add_commands[];
extern const struct cli_command upload_commands[];
extern const struct cli_command worker_commands[];
extern const struct cli_command job_commands[];
extern const struct cli_command status_commands[];
extern const struct cli_command audit_commands[];
extern const struct cli_command alarm_commands[];
extern const struct cli_command key_commands[];
extern const struct cli_command check_commands[];
extern const struct cli_command reference_commands[]; /* version, help, and what the manual is made from */

#endif
