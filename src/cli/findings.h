/* What `check` found: one line a point, with how to mend it. Main thread. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include "cli/cli.h"

struct check {
    struct cli *cli;
    int64_t now_ms;
    int fail_count;
    int warn_count;
    int first_code; /* enum err_code of the first failure */
};

void check_ok(struct check *check, const char *what, const char *format, ...) PRINTF_LIKE(3, 4);
void check_warn(struct check *check, const char *what, const char *mend, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* `mend` may be NULL where the message says it. */
void check_fail(struct check *check, const char *what, const char *mend, const struct err *err);

/* The points, in the order in which they are looked at; each one tells what it finds. */
void check_configuration(struct check *check);
bool check_store(struct check *check); /* whether the others may ask it */
void check_isolation(struct check *check);
void check_key(struct check *check);
void check_confinement(struct check *check);
void check_media_root(struct check *check);
void check_clock(struct check *check);
void check_ca_file(struct check *check, const char *key, const char *path);
void check_cdn(struct check *check);
void check_network(struct check *check, bool is_online);
void check_token_service(struct check *check, bool is_online);
void check_logins(struct check *check);
void check_work(struct check *check);
void check_alarms(struct check *check);
void check_videos(struct check *check); /* nothing where they are not looked at */

#endif
