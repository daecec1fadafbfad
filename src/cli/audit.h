/* The audit trail on the command line: audit.c prints it, audit_archive.c moves old lines to a file. Main
 * thread. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include <jansson.h>

#include "cli/cli.h"

json_t *audit_json(const struct store_event *event);
int audit_archive(struct cli *cli, struct err *err) MUST_CHECK;

#endif
