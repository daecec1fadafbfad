/* The points of `check` that concern this machine: configuration, clock, store, key, files. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/landlock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/sanitizer.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "media/media.h"
#include "vault/tenant_keys.h"
#include "worker/confine.h"

enum { CLOCK_SLACK_MS = 300000, SPACE_BYTES_MIN = 268435456 };
#define FIRST_RELEASE "2026-11-01" /* no clock of a machine that runs this can be before it */

/* ---- configuration ---- */

static void on_unknown_variable(void *ctx, const char *variable, const char *nearest)
{
    char mend[160];
    snprintf(mend, sizeof(mend), "%s%s", nearest ? "did you mean the key " : "sluice.conf(5) lists the keys",
             nearest ? nearest : "");
    check_warn(ctx, "configuration", mend, "the environment has %s, which is no key and has no effect",
               variable);
}

void check_configuration(struct check *check)
{
    const char *file = check->cli->settings.config_file;
    check_ok(check, "configuration", "%s%s", file ? "read from " : "no file; defaults and environment",
             file ? file : "");
    settings_unknown_env(on_unknown_variable, check);
}

/* ---- clock ---- */

static int64_t changed_at_ms(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000 : 0;
}

/* "sqlite:PATH" without its first part; NULL for another engine. */
static const char *store_path(const struct check *check)
{
    const char *store = check->cli->settings.store;
    return text_starts_with(store, "sqlite:") ? store + strlen("sqlite:") : NULL;
}

/* Quota days, leases and TLS all need the right time; a machine without a battery often starts in the past.
 */
void check_clock(struct check *check)
{
    const char *mend = "set the clock, for example by running a time service (systemd-timesyncd, chrony)";
    char now[32];
    int64_t first_ms = 0, latest_ms = changed_at_ms("/proc/self/exe"), store_ms;
    struct err err;
    time_text(now, check->now_ms);
    if (store_path(check) && (store_ms = changed_at_ms(store_path(check))) > latest_ms)
        latest_ms = store_ms;
    parse_time(FIRST_RELEASE, &first_ms);
    if (check->now_ms < first_ms) {
        err_set(&err, ERR_INVALID, "the clock shows %s, which is before this program was made", now);
        check_fail(check, "clock", mend, &err);
    } else if (check->now_ms + CLOCK_SLACK_MS < latest_ms) {
        err_set(&err, ERR_INVALID, "the clock shows %s, but files here were written later than that", now);
        check_fail(check, "clock", mend, &err);
    } else {
        check_ok(check, "clock", "%s", now);
    }
}

/* ---- store ---- */

static void check_space(struct check *check)
{
    struct statvfs info;
    const char *path = store_path(check);
    char text[32];
    if (!path || statvfs(path, &info) != 0)
        return;
    uint64_t free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    if (free_bytes < SPACE_BYTES_MIN)
        check_warn(check, "store", "make room: a full disk stops all uploads",
                   "only %s are free on the store's disk", format_bytes(text, free_bytes));
}

bool check_store(struct check *check)
{
    struct err err = {0};
    int code = cli_open_store(check->cli, &err);
    if (code == 0)
        code = store_verify(check->cli->store, &err);
    if (code < 0) {
        check_fail(check, "store", NULL, &err);
        return false;
    }
    check_ok(check, "store", "%s is sound", store_path(check) ? store_path(check) : "the database");
    check_space(check);
    return true;
}

/* ---- key ---- */

static void tell_keys(struct check *check, const struct vault_ring *ring)
{
    size_t count = vault_ring_count(ring);
    check_ok(check, "key", "%s (%s) fits the store", vault_ring_name(ring), vault_ring_id(ring, 0));
    if (count > 1)
        check_warn(check, "key", "end the rotation with `sluice key rotate --root`",
                   "%s holds %zu keys: a rotation has begun and was not ended", vault_ring_name(ring), count);
    if (text_starts_with(check->cli->settings.key_source, "variable:"))
        check_warn(check, "key", "set key_file, key_credential or key_command instead",
                   "other programs of this user may see %s", vault_ring_name(ring));
}

/* With the broker's login: no other may reach keys. */
static int compare_keys(struct check *check, struct vault_ring *ring, struct err *err)
{
    struct store *store = NULL;
    int code = store_open(check->cli->settings.broker_store, STORE_USE, &store, err);
    if (code < 0)
        return code;
    struct tenant_keys *keys = tenant_keys_new(store, ring);
    code = tenant_keys_check(keys, err);
    tenant_keys_free(keys);
    store_close(store);
    return code;
}

void check_key(struct check *check)
{
    struct vault_ring *ring = NULL;
    struct err err = {0};
    int code = vault_ring_load(check->cli->settings.key_source, &ring, &err);
    if (code < 0) {
        check_fail(check, "key", NULL, &err);
        return;
    }
    if (compare_keys(check, ring, &err) < 0)
        check_fail(check, "key", "set key_file to the file that belongs to this store", &err);
    else
        tell_keys(check, ring);
    vault_ring_free(ring);
}

/* ---- what a worker gives up ---- */

void check_confinement(struct check *check)
{
    const struct settings *settings = &check->cli->settings;
    int abi = landlock_abi();
    if (HAS_SANITIZER)
        check_warn(check, "sandbox", "use another build for anything but tests",
                   "a build with sanitizers gives nothing up");
    else if (abi == 0 || !syscalls_filter_is_known() || !syscalls_filter_is_there())
        check_warn(check, "sandbox",
                   "a kernel of 5.13 or newer with Landlock and seccomp switched on has both",
                   "%s: a process that is taken over can do what its user can",
                   abi == 0 ? "this kernel has no Landlock" : "there are no seccomp filters here");
    else if (confine_leaves_key(settings))
        check_warn(check, "sandbox", "set media_root to the folder of your sources, or move the key file",
                   "%s lies beneath media_root %s: a worker must be able to read it",
                   vault_ring_source_path(settings->key_source), settings->media_root);
    else
        check_ok(check, "sandbox", "Landlock (ABI %d) and seccomp; the worker cannot read the key", abi);
}

/* ---- source files ---- */

void check_media_root(struct check *check)
{
    struct media_root *root = NULL;
    struct err err = {0};
    if (media_root_open(check->cli->settings.media_root, &root, &err) < 0) {
        check_fail(check, "media_root", "set media_root to a directory that this user may enter", &err);
        return;
    }
    check_ok(check, "media_root", "%s", check->cli->settings.media_root);
    media_root_close(root);
}
