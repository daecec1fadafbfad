/* `init`: the store and the key. */
#include "base/mem.h"
#include "cli/families.h"
#include "cli/output.h"
#include "cli/sealed.h"
#include "vault/seal.h"

/* A new key beside secrets sealed with the old one would look like a working set-up until the first upload.
 */
static int refuse_new_key(struct cli *cli, const struct sealed_census *census, struct err *err)
{
    return err_set(
        err, ERR_AUTH,
        "the key file %s is missing, but the store holds %u secrets sealed with it; bring the file "
        "back from its copy. If it is lost for good: move the store away, run `sluice init`, then "
        "import the clients and log the channels in anew",
        cli->settings.key_file, census->client_count + census->token_count);
}

static int refuse_other_key(struct cli *cli, const char *key_id, const struct sealed_census *census,
                            struct err *err)
{
    return err_set(
        err, ERR_AUTH,
        "%s is not this store's key: %u of its secrets were sealed with key %s, this is key %s; set "
        "`key_file` to the right file",
        cli->settings.key_file, census->other_key_count, census->other_key_id, key_id);
}

/* Loads the key, making it if the store has nothing sealed yet. */
static int make_key(struct cli *cli, struct vault_key **ret, bool *ret_is_new, struct err *err)
{
    struct sealed_census census;
    *ret_is_new = false;
    int code = vault_key_load(cli->settings.key_file, ret, err);
    if (code != ERR_NOT_FOUND)
        return code;
    code = sealed_count(cli->store, "", &census, err);
    if (code < 0)
        return code;
    if (census.client_count + census.token_count > 0)
        return refuse_new_key(cli, &census, err);
    *err = (struct err){0};
    code = vault_key_create(cli->settings.key_file, err);
    *ret_is_new = code == 0;
    if (code == 0 || code == ERR_EXISTS) /* another `init` was faster */
        code = vault_key_load(cli->settings.key_file, ret, err);
    return code;
}

static void tell(struct cli *cli, const char *key_id, bool is_new)
{
    AUTO_FREE char *store = store_url_for_people(cli->settings.store);
    if (cli->json) {
        out_json(json_pack("{s:o, s:o, s:s, s:b}", "store", json_text(store), "key_file",
                           json_text(cli->settings.key_file), "key_id", key_id, "key_is_new", is_new));
        return;
    }
    out_field("store", store);
    out_field_f("key", "%s (%s%s)", cli->settings.key_file, key_id, is_new ? ", new" : "");
    if (is_new)
        note(cli, "Keep a copy of the key file in another place than the store's: without it no login can be "
                  "used again.");
}

static int run_init(struct cli *cli, struct err *err)
{
    struct vault_key *key = NULL;
    struct sealed_census census;
    bool is_new;
    int code = store_open(cli->settings.store, STORE_CREATE, &cli->store, err);
    if (code == 0)
        code = make_key(cli, &key, &is_new, err);
    if (code == 0)
        code = sealed_count(cli->store, vault_key_id(key), &census, err);
    if (code == 0 && census.other_key_count > 0)
        code = refuse_other_key(cli, vault_key_id(key), &census, err);
    if (code == 0)
        tell(cli, vault_key_id(key), is_new);
    vault_key_free(key);
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
