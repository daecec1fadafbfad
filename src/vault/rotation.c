/* What both kinds of rotation share: who drives, and what is told meanwhile. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"
#include "vault/rotation_inside.h"

enum { TELL_MS = 1000 };

static void build_owner(char ret[NAME_SIZE])
{
    char host[NAME_SIZE] = "";
    gethostname(host, sizeof(host) - 1);
    snprintf(ret, NAME_SIZE, "%.40s/%ld", host, (long)getpid());
}

/* Of this machine and gone: then there is no need to wait. */
static bool is_dead(const char *owner)
{
    char own[NAME_SIZE];
    const char *slash = strrchr(owner, '/');
    int64_t pid;
    build_owner(own);
    size_t host_len = (size_t)(strrchr(own, '/') - own);
    return slash && (size_t)(slash - owner) == host_len && memcmp(owner, own, host_len) == 0 &&
           parse_i64(slash + 1, &pid) && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

int rotating_begin(struct rotating *rotating, const struct rotation *rotation, const char *kind,
                   struct rotation_progress *progress, struct err *err)
{
    struct store_rotation wanted = {.id = 0};
    *progress = (struct rotation_progress){.keys = 0};
    *rotating = (struct rotating){.rotation = rotation, .store = rotation->store, .progress = progress};
    text_copy(wanted.kind, sizeof(wanted.kind), kind);
    build_owner(wanted.owner);
    rotating->keys = tenant_keys_new(rotation->store, rotation->ring);
    int code = tenant_keys_check(rotating->keys, err);
    text_copy(wanted.from, sizeof(wanted.from), vault_key_id(vault_ring_current(rotation->ring)));
    return code != 0 ? code : store_rotation_begin(rotation->store, &wanted, is_dead, &rotating->record, err);
}

int rotating_went_on(struct rotating *rotating, struct err *err)
{
    int64_t now_mono_ms = clock_mono_ms();
    if (now_mono_ms - rotating->told_at_mono_ms < TELL_MS)
        return 0;
    rotating->told_at_mono_ms = now_mono_ms;
    if (rotating->rotation->told)
        rotating->rotation->told(rotating->rotation->ctx, rotating->progress);
    return store_rotation_seen(rotating->store, &rotating->record, err);
}

/* The line is about no tenant: a login that is kept to its tenants may not write it. Each tenant has lines of
 * its own about its keys. */
static void write_trail(const struct rotating *rotating)
{
    struct store_event event = {.http_status = 0};
    struct err err = {0};
    text_copy(event.who, sizeof(event.who), rotating->rotation->who);
    text_copy(event.what, sizeof(event.what), "keys rotated");
    snprintf(event.message, sizeof(event.message), "%s, %lld values", rotating->record.kind,
             (long long)rotating->record.resealed);
    if (store_event_add(rotating->store, &event, &err) != 0)
        LOG(LOG_DEBUG, "a line of the audit trail could not be stored", F_STR("message", err.message));
}

int rotating_end(struct rotating *rotating, struct err *err)
{
    int code = store_rotation_end(rotating->store, &rotating->record, err);
    if (code == 0)
        write_trail(rotating);
    return code;
}

void rotating_release(struct rotating *rotating)
{
    tenant_keys_free(rotating->keys);
}
