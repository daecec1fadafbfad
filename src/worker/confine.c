#include "worker/confine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "vault/ring.h"
#include "worker/worker.h"

struct plan {
    const char *key_file; /* as the kernel names it; owned by the caller; NULL: it is in no file */
    struct landlock *rules;
};

/* ---- names ---- */

/* Links followed, so that one path can be told to be beneath another; as given if there is nothing. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = mem_dup(real ? real : path);
    mem_free(real);
    return copy;
}

/* NULL: the key is in no file. */
static char *key_path(const struct settings *settings)
{
    const char *path = vault_ring_source_path(settings->key_source);
    return path ? real_path(path) : NULL;
}

bool confine_leaves_key(const struct settings *settings)
{
    char *key AUTO_FREE = key_path(settings);
    if (!key)
        return false;
    char *root AUTO_FREE = real_path(settings->media_root);
    size_t len = strlen(root);
    return text_starts_with(key, root) && (len == 1 || key[len] == '/');
}

/* ---- files ---- */

static void allow(struct plan *plan, const char *path, unsigned rights)
{
    char *real AUTO_FREE = real_path(path);
    landlock_allow_except(plan->rules, real, plan->key_file, rights);
}

/* The folder, since such files are replaced by renaming. */
static void allow_folder_of(struct plan *plan, const char *file)
{
    if (!file || !file[0])
        return;
    char *folder AUTO_FREE = file_folder(file);
    allow(plan, folder, LANDLOCK_READ);
}

static void allow_store_path(void *ctx, const char *path, enum store_need need)
{
    static const unsigned rights[] = {
        [STORE_FILE] = LANDLOCK_READ | LANDLOCK_WRITE,
        [STORE_FOLDER] = LANDLOCK_LIST,
        [STORE_CREDENTIAL] = LANDLOCK_READ,
    };
    struct plan *plan = ctx;
    /* Only names: nothing to except, and the folder itself is meant. */
    if (need == STORE_FOLDER)
        landlock_allow(plan->rules, path, rights[need]);
    else
        allow(plan, path, rights[need]);
}

/* Not the whole of it where the key lies there: the key is worth more than a choice of sources, and so it is
 * told (confine_leaves_key()). */
static void allow_sources(struct plan *plan, const struct settings *settings)
{
    landlock_allow(plan->rules, settings->media_root, LANDLOCK_READ);
    if (confine_leaves_key(settings))
        LOG(LOG_INFO, "the worker may read the key file: it lies beneath media_root",
            F_STR("key_file", vault_ring_source_path(settings->key_source)),
            F_STR("media_root", settings->media_root));
}

static int limit_files(const struct settings *settings, struct err *err)
{
    char *key AUTO_FREE = key_path(settings);
    struct plan plan = {.key_file = key, .rules = landlock_new()};
    const struct store_needs needs = {.path = allow_store_path, .ctx = &plan};
    landlock_allow_system(plan.rules, key);
    landlock_allow(plan.rules, "/proc/self", LANDLOCK_READ);
    allow_sources(&plan, settings);
    allow_folder_of(&plan, settings->ca_file);
    allow_folder_of(&plan, settings->cdn_ca_file);
    allow_folder_of(&plan, settings->config_file);
    allow_folder_of(&plan, settings->notify_ca_file);
    if (settings->notify_key_file)
        allow(&plan, settings->notify_key_file, LANDLOCK_READ);
    store_needs_of(settings->store, &needs);
    if (*settings->listen)
        landlock_allow_listen(plan.rules);
    int code = landlock_enforce(plan.rules, err);
    landlock_free(plan.rules);
    return code;
}

/* ---- the rest ---- */

/* Access tokens and session URLs pass through here. */
static void forbid_looks(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

static void tell(void)
{
    if (landlock_abi() == 0)
        LOG(LOG_WARN, "the worker's files are not limited: this kernel has no Landlock");
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        LOG(LOG_WARN, "the worker's system calls are not limited: no seccomp filters here");
}

static int give_up(const struct settings *settings, struct err *err)
{
    if (HAS_SANITIZER)
        return 0;
    tell();
    forbid_looks();
    int code = limit_files(settings, err);
    return code != 0 ? code : syscalls_forbid(err);
}

int confine(const struct settings *settings, struct confinement *ret, struct err *err)
{
    struct broker_config config = worker_broker_config(settings);
    *ret = (struct confinement){.keeper = NULL};
    int code = keeper_open(&config, &ret->keeper, err);
    vault_ring_wipe_source(settings->key_source);
    if (code == 0 && text_starts_with(settings->store, "sqlite:"))
        code = store_open(settings->store, STORE_USE, &ret->anchor, err);
    return code != 0 ? code : give_up(settings, err);
}

void confinement_release(struct confinement *confinement)
{
    store_close(confinement->anchor);
    keeper_close(confinement->keeper);
    *confinement = (struct confinement){.keeper = NULL};
}
