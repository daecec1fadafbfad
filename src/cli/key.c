/* `key`: the root key and the tenants' data keys. These commands hold keys themselves, as the broker does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sanitizer.h"
#include "base/text.h"
#include "cli/families.h"
#include "cli/output.h"
#include "store/key.h"
#include "vault/rotation.h"
#include "vault/tenant_keys.h"

/* ---- what they share ---- */

/* As the broker does (docs/vault.md). LeakSanitizer needs to look. */
static void forbid_looks(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (!HAS_ADDRESS_SANITIZER)
        prctl(PR_SET_DUMPABLE, 0);
}

/* Opens the store with the broker's login: no other may reach keys. */
static int open_both(struct cli *cli, struct vault_ring **ret, struct err *err)
{
    forbid_looks();
    int code = vault_ring_load(cli->settings.key_source, ret, err);
    if (code == 0)
        code = store_open(cli->settings.broker_store, STORE_USE, &cli->store, err);
    return code;
}

/* ---- key status ---- */

struct key_counts {
    uint32_t by_state[KEY_STATE_COUNT];
};

static int on_key(void *ctx, const struct store_key *key)
{
    struct key_counts *counts = ctx;
    counts->by_state[key->state]++;
    return 0;
}

struct root_walk {
    const struct vault_ring *ring;
    json_t *missing;
};

static int on_root(void *ctx, const char *root_id)
{
    struct root_walk *walk = ctx;
    if (!vault_ring_find(walk->ring, root_id))
        json_array_append_new(walk->missing, json_string(root_id));
    return 0;
}

static const char *role_of(const struct vault_ring *ring, size_t at)
{
    return at == 0 ? "current" : vault_ring_is_next(ring, at) ? "next" : "former";
}

static json_t *json_ring(const struct vault_ring *ring)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < vault_ring_count(ring); i++)
        json_array_append_new(
            keys, json_pack("{s:s, s:s}", "id", vault_ring_id(ring, i), "role", role_of(ring, i)));
    return keys;
}

static json_t *json_rotation(const struct store_rotation *rotation)
{
    if (!rotation->id)
        return json_null();
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "kind", rotation->kind, "owner", rotation->owner,
                     "started_at", json_time(rotation->started_at_ms), "seen_at",
                     json_time(rotation->seen_at_ms), "ended_at", json_time(rotation->ended_at_ms),
                     "resealed", (json_int_t)rotation->resealed);
}

static void tell_rotation(const struct store_rotation *rotation)
{
    char started[32], ended[32];
    if (!rotation->id)
        return;
    time_text(started, rotation->started_at_ms);
    if (rotation->ended_at_ms)
        out_field_f("rotation", "%s, %s to %s, %" PRId64 " values", rotation->kind, started,
                    time_text(ended, rotation->ended_at_ms), rotation->resealed);
    else
        out_field_f("rotation",
                    "%s, begun %s by %s, not ended: `sluice key rotate%s` goes on, %" PRId64 " values",
                    rotation->kind, started, rotation->owner,
                    strcmp(rotation->kind, "root") == 0 ? " --root" : "", rotation->resealed);
}

static void tell_status(struct cli *cli, const struct vault_ring *ring, const struct key_counts *counts,
                        json_t *missing, const struct store_rotation *rotation)
{
    if (cli->json) {
        out_json(json_pack("{s:s, s:o, s:O, s:i, s:i, s:i, s:o}", "source", vault_ring_name(ring), "keys",
                           json_ring(ring), "missing", missing, "active", (int)counts->by_state[KEY_ACTIVE],
                           "pending", (int)counts->by_state[KEY_PENDING], "retired",
                           (int)counts->by_state[KEY_RETIRED], "rotation", json_rotation(rotation)));
        return;
    }
    out_field("source", vault_ring_name(ring));
    for (size_t i = 0; i < vault_ring_count(ring); i++)
        out_field_f(i ? "" : "root keys", "%s (%s)", vault_ring_id(ring, i), role_of(ring, i));
    for (size_t i = 0; i < json_array_size(missing); i++)
        out_field_f("", "%s (missing: data keys may be wrapped with it)",
                    json_string_value(json_array_get(missing, i)));
    out_field_f("data keys", "%u active, %u retired%s", counts->by_state[KEY_ACTIVE],
                counts->by_state[KEY_RETIRED], counts->by_state[KEY_PENDING] ? ", some pending" : "");
    tell_rotation(rotation);
}

static int run_status(struct cli *cli, struct err *err)
{
    struct vault_ring *ring = NULL;
    struct key_counts counts = {.by_state = {0}};
    struct store_rotation rotation = {.id = 0};
    struct root_walk walk = {.missing = json_array()};
    int code = open_both(cli, &ring, err);
    walk.ring = ring;
    if (code == 0)
        code = store_key_list(cli->store, on_key, &counts, err);
    if (code == 0)
        code = store_root_list(cli->store, on_root, &walk, err);
    if (code == 0)
        code = store_rotation_last(cli->store, &rotation, err);
    if (code == ERR_NOT_FOUND && ring && cli->store)
        code = 0;
    if (code == 0)
        tell_status(cli, ring, &counts, walk.missing, &rotation);
    json_decref(walk.missing);
    vault_ring_free(ring);
    return code;
}

/* ---- key rotate ---- */

static void on_progress(void *ctx, const struct rotation_progress *progress)
{
    note(ctx, "%u keys, %" PRId64 " values looked at, %" PRId64 " sealed anew", progress->keys,
         progress->rows, progress->resealed);
}

static void tell_rotated(struct cli *cli, bool is_root, const struct rotation_progress *done)
{
    if (cli->json) {
        out_json(json_pack("{s:s, s:i, s:I, s:i, s:i, s:i}", "kind", is_root ? "root" : "data", "keys",
                           (int)done->keys, "resealed", (json_int_t)done->resealed, "corrupt",
                           (int)done->corrupt, "forgotten", (int)done->forgotten, "retired",
                           (int)done->retired));
        return;
    }
    if (is_root)
        out_line("%u data keys wrapped anew, %u former root keys retired", done->keys, done->retired);
    else
        out_line("%u new data keys, %" PRId64 " values sealed anew, %u retired keys forgotten", done->keys,
                 done->resealed, done->forgotten);
}

static void advise(struct cli *cli, const struct vault_ring *ring)
{
    if (vault_ring_file(ring))
        note(cli,
             "The key file has a new key (%s). Copy it to every machine of this store, and apart from its "
             "backups; the old copy opens backups made until now.",
             vault_ring_id(ring, 0));
    else
        note(cli, "The former keys may be taken out of %s now; keep them for backups made until now.",
             vault_ring_name(ring));
}

static int run_rotate(struct cli *cli, struct err *err)
{
    struct vault_ring *ring = NULL;
    struct rotation_progress done = {.keys = 0};
    struct rotation rotation = {.who = cli_who(), .told = on_progress, .ctx = cli};
    bool is_root = cli_has(cli, "root");
    int code = cli_duration_ms(cli, "keep", ROTATION_KEEP_MS, &rotation.keep_ms, err);
    if (code == 0)
        code = open_both(cli, &ring, err);
    rotation.store = cli->store;
    rotation.ring = ring;
    if (code == 0)
        code = is_root ? rotation_of_root_key(&rotation, &done, err)
                       : rotation_of_data_keys(&rotation, &done, err);
    if (code == 0 || code == ERR_CORRUPT)
        tell_rotated(cli, is_root, &done);
    if (code == 0 && is_root)
        advise(cli, ring);
    vault_ring_free(ring);
    return code;
}

/* ---- key add, key new ---- */

static int run_add(struct cli *cli, struct err *err)
{
    struct vault_ring *ring = NULL;
    forbid_looks();
    int code = vault_ring_load(cli->settings.key_source, &ring, err);
    if (code == 0 && !vault_ring_file(ring))
        code = err_set(err, ERR_USAGE,
                       "%s is not sluice's to change: make a new key with `sluice key new FILE`, and put its "
                       "line there",
                       vault_ring_name(ring));
    if (code == 0)
        code = vault_key_file_add(vault_ring_file(ring), err);
    if (code == 0)
        code = vault_ring_reload(ring, err);
    if (code == 0 && cli->json)
        out_json(json_pack("{s:s, s:o}", "source", vault_ring_name(ring), "keys", json_ring(ring)));
    else if (code == 0)
        out_line("%s", vault_ring_id(ring, vault_ring_count(ring) - 1));
    if (code == 0)
        note(cli, "Copy the key file to every machine of this store, then run `sluice key rotate --root`.");
    vault_ring_free(ring);
    return code;
}

static int run_new(struct cli *cli, struct err *err)
{
    struct vault_ring *ring = NULL;
    forbid_looks();
    int code = vault_key_create(cli->args[0], err);
    if (code != 0)
        return code;
    AUTO_FREE char *source = mem_printf("file:%s", cli->args[0]);
    code = vault_ring_load(source, &ring, err);
    if (code == 0 && cli->json)
        out_json(
            json_pack("{s:o, s:s}", "key_file", json_text(cli->args[0]), "key_id", vault_ring_id(ring, 0)));
    else if (code == 0)
        out_line("%s", vault_ring_id(ring, 0));
    vault_ring_free(ring);
    return code;
}

/* ---- the table ---- */

static const struct cli_option rotate_options[] = {
    {"root", NULL, NULL, "The root key instead of the data keys: data keys are wrapped anew, values stay."},
    {"keep", "DURATION", NULL,
     "How long a retired data key is kept for what is still under way (1h). The next rotation forgets it."},
    {NULL}};

const struct cli_command key_commands[] = {
    {.name = "key status",
     .arguments = "",
     .summary = "Show which keys there are, and how far a rotation has come. Never a key itself.",
     .run = run_status},
    {.name = "key rotate",
     .arguments = "",
     .summary = "Give every tenant a new data key, and seal everything anew; or change the root key.",
     .details =
         "Workers and uploads go on meanwhile. It may be broken off at any moment, and the next one goes on "
         "where it was. Where several machines have copies of the key file: `sluice key add`, copy the file "
         "to "
         "all of them, then `sluice key rotate --root`.",
     .options = rotate_options,
     .run = run_rotate},
    {.name = "key add",
     .arguments = "",
     .summary = "Add the next root key to the key file, to be copied to other machines before it is used.",
     .run = run_add},
    {.name = "key new",
     .arguments = "FILE",
     .args_min = 1,
     .args_max = 1,
     .summary = "Make a file with a new root key, for a secret manager or a systemd credential.",
     .run = run_new,
     .is_bare = true},
    {NULL},
};
