#include "cli/sealed.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum { KEY_ID_AT = 1, KEY_ID_LEN = 8 }; /* behind the version byte: vault/seal.h */

struct census_walk {
    struct store *store;
    const char *key_id;
    struct sealed_census *census;
    int64_t *ids; /* owned: the store may not be asked while it walks */
    size_t id_count;
};

static void compare_key(struct census_walk *walk, const char *key_id)
{
    if (strcmp(key_id, walk->key_id) == 0)
        return;
    walk->census->other_key_count++;
    text_copy(walk->census->other_key_id, sizeof(walk->census->other_key_id), key_id);
}

static void add_id(struct census_walk *walk, int64_t id)
{
    walk->ids = mem_grow(walk->ids, walk->id_count + 1, sizeof(*walk->ids));
    walk->ids[walk->id_count++] = id;
}

static int on_client(void *ctx, const struct store_client *client)
{
    add_id(ctx, client->id);
    return 0;
}

static int on_channel(void *ctx, const struct store_channel *channel)
{
    if (channel->has_token)
        add_id(ctx, channel->id);
    return 0;
}

static int look_at_client(struct census_walk *walk, int64_t id, struct err *err)
{
    struct blob sealed = {0};
    char key_id[2 * KEY_ID_LEN + 1];
    int code = store_client_get_secret(walk->store, id, &sealed, err);
    if (code == 0 && sealed.len >= KEY_ID_AT + KEY_ID_LEN) {
        text_hex(key_id, (const char *)sealed.data + KEY_ID_AT, KEY_ID_LEN);
        walk->census->client_count++;
        compare_key(walk, key_id);
    }
    mem_free((void *)sealed.data);
    return code == ERR_NOT_FOUND ? 0 : code;
}

static int look_at_token(struct census_walk *walk, int64_t id, struct err *err)
{
    struct store_token token = {0};
    int code = store_token_get(walk->store, id, &token, err);
    if (code == 0) {
        walk->census->token_count++;
        compare_key(walk, token.key_id);
    }
    mem_free((void *)token.sealed.data);
    return code == ERR_NOT_FOUND ? 0 : code;
}

static int look_at_all(struct census_walk *walk, int (*look)(struct census_walk *, int64_t, struct err *),
                       struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < walk->id_count && code == 0; i++)
        code = look(walk, walk->ids[i], err);
    walk->id_count = 0;
    return code;
}

int sealed_count(struct store *store, const char *key_id, struct sealed_census *ret, struct err *err)
{
    *ret = (struct sealed_census){0};
    struct census_walk walk = {.store = store, .key_id = key_id, .census = ret};
    int code = store_client_list(store, on_client, &walk, err);
    if (code == 0)
        code = look_at_all(&walk, look_at_client, err);
    if (code == 0)
        code = store_channel_list(store, NULL, on_channel, &walk, err);
    if (code == 0)
        code = look_at_all(&walk, look_at_token, err);
    mem_free(walk.ids);
    return code;
}
