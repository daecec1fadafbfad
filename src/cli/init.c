/* `init`: the store and the key. */
#include "base/mem.h"
#include "base/text.h"
#include "cli/families.h"
#include "cli/output.h"
#include "vault/tenant_keys.h"

static int note_root(void *ctx, const char *root_id)
{
    text_copy(ctx, KEY_ID_SIZE, root_id);
    return 0;
}

/* A new key beside secrets sealed with the old one would look like a working set-up until the first upload.
 */
static int refuse_new_key(struct cli *cli, const char *root_id, struct err *err)
{
    return err_set(err, ERR_AUTH,
                   "the key file %s is missing, but the store's data keys are wrapped with key %s; bring the "
                   "file back from its copy. If it is lost for good: move the store away, run `sluice init`, "
                   "then import the clients and log the channels in anew",
                   cli->settings.key_file, root_id);
}

/* Loads the keys, making one if the store has nothing sealed yet. */
static int make_key(struct cli *cli, struct vault_ring **ret, bool *ret_is_new, struct err *err)
{
    char root_id[KEY_ID_SIZE] = "";
    *ret_is_new = false;
    int code = vault_ring_load(cli->settings.key_source, ret, err);
    if (code != ERR_NOT_FOUND || !text_starts_with(cli->settings.key_source, "file:"))
        return code;
    code = store_root_list(cli->store, note_root, root_id, err);
    if (code < 0)
        return code;
    if (root_id[0])
        return refuse_new_key(cli, root_id, err);
    *err = (struct err){0};
    code = vault_key_create(cli->settings.key_file, err);
    *ret_is_new = code == 0;
    if (code == 0 || code == ERR_EXISTS) /* another `init` was faster */
        code = vault_ring_load(cli->settings.key_source, ret, err);
    return code;
}

static void tell(struct cli *cli, const struct vault_ring *ring, bool is_new)
{
    AUTO_FREE char *store = store_url_for_people(cli->settings.store);
    const char *key_id = vault_ring_id(ring, 0);
    if (cli->json) {
        out_json(json_pack("{s:o, s:o, s:s, s:s, s:b}", "store", json_text(store), "key_file",
                           json_text(vault_ring_file(ring)), "key_source", vault_ring_name(ring), "key_id",
                           key_id, "key_is_new", is_new));
        return;
    }
    out_field("store", store);
    out_field_f("key", "%s (%s%s)", vault_ring_file(ring) ? vault_ring_file(ring) : vault_ring_name(ring),
                key_id, is_new ? ", new" : "");
    if (is_new)
        note(cli, "Keep a copy of the key file in another place than the store's: without it no login can be "
                  "used again.");
}

static int run_init(struct cli *cli, struct err *err)
{
    struct vault_ring *ring = NULL;
    struct tenant_keys *keys = NULL;
    bool is_new;
    int code = store_open(cli->settings.store, STORE_CREATE, &cli->store, err);
    if (code == 0)
        code = make_key(cli, &ring, &is_new, err);
    if (code == 0) {
        keys = tenant_keys_new(cli->store, ring);
        code = tenant_keys_check(keys, err);
    }
    if (code == 0)
        tell(cli, ring, is_new);
    tenant_keys_free(keys);
    vault_ring_free(ring);
    return code;
}

const struct cli_command init_commands[] = {
    {.name = "init",
     .arguments = "",
     .summary = "Make the store and the key if they are missing, and bring the store to this version.",
     .details = "Safe to repeat. A key is never made for a store that already holds secrets sealed with "
                "another one.",
     .run = run_init},
    {NULL},
};
