#include "vault/tenant_keys.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "vault/key.h"

_Static_assert((int)KEY_ID_SIZE == (int)VAULT_KEY_ID_SIZE, "the store and the vault name keys alike");

enum {
    BUCKET_COUNT = 1024,
    OPEN_MAX = 8192, /* two megabytes of locked memory */
    WRAPPED_MAX = 256,
};

struct open_key {
    struct open_key *next;
    int64_t tenant_id;
    struct vault_key *key;
};

struct tenant_keys {
    struct store *store;
    struct vault_ring *ring;
    struct open_key *buckets[BUCKET_COUNT];
    uint32_t count;
};

/* ---- the table ---- */

struct tenant_keys *tenant_keys_new(struct store *store, struct vault_ring *ring)
{
    struct tenant_keys *keys = mem_alloc(sizeof(*keys));
    keys->store = store;
    keys->ring = ring;
    return keys;
}

static void forget_all(struct tenant_keys *keys)
{
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        while (keys->buckets[i]) {
            struct open_key *open = keys->buckets[i];
            keys->buckets[i] = open->next;
            vault_key_free(open->key);
            mem_free(open);
        }
    keys->count = 0;
}

void tenant_keys_free(struct tenant_keys *keys)
{
    if (!keys)
        return;
    forget_all(keys);
    mem_free(keys);
}

static struct open_key **bucket_of(struct tenant_keys *keys, int64_t tenant)
{
    return &keys->buckets[(uint64_t)tenant % BUCKET_COUNT];
}

static const struct vault_key *find_open(struct tenant_keys *keys, int64_t tenant, const char *id)
{
    for (struct open_key *open = *bucket_of(keys, tenant); open; open = open->next)
        if (open->tenant_id == tenant && strcmp(open->key->id_text, id) == 0)
            return open->key;
    return NULL;
}

static const struct vault_key *keep_open(struct tenant_keys *keys, int64_t tenant, struct vault_key *key)
{
    if (keys->count == OPEN_MAX)
        forget_all(keys);
    struct open_key *open = mem_alloc(sizeof(*open));
    *open = (struct open_key){.next = *bucket_of(keys, tenant), .tenant_id = tenant, .key = key};
    *bucket_of(keys, tenant) = open;
    keys->count++;
    return key;
}

/* ---- wrapping ---- */

/* The row is the key's own id: a wrapped key put in another's place does not open. */
static struct seal_place place_of_key(int64_t tenant, const char *id)
{
    return (struct seal_place){.tenant_id = tenant, .table = "tenant_key", .row = id, .field = "data_key"};
}

static const struct vault_key *find_root(struct tenant_keys *keys, const char *id)
{
    const struct vault_key *root = vault_ring_find(keys->ring, id);
    struct err err = {0};
    if (root)
        return root;
    /* The key file may have got another key since it was read. */
    if (vault_ring_reload(keys->ring, &err) != 0)
        LOG(LOG_ERROR, "the keys could not be read again", F_STR("message", err.message));
    return vault_ring_find(keys->ring, id);
}

static int unwrap(struct tenant_keys *keys, const struct store_key *row, struct secret *ret, struct err *err)
{
    struct seal_place place = place_of_key(row->tenant_id, row->id);
    const struct vault_key *root = find_root(keys, row->root_id);
    if (!root) {
        LOG(LOG_ERROR, "a data key is wrapped with a key that is not at hand", F_STR("key", row->root_id),
            F_I64("tenant", row->tenant_id));
        return err_set(err, ERR_NOT_YET,
                       "data key %s of tenant %" PRId64 " is wrapped with key %s, which is not in %s",
                       row->id, row->tenant_id, row->root_id, vault_ring_name(keys->ring));
    }
    int code = vault_open(root, &place, row->wrapped.data, row->wrapped.len, ret, err);
    if (code == 0 && ret->len != KEY_ROOT_BYTES) {
        secret_release(ret);
        code = err_set(err, ERR_CORRUPT, "data key %s is no key", row->id);
    }
    return code;
}

static void wrap(const struct vault_key *root, const struct secret *bytes, struct store_key *row)
{
    struct seal_place place = place_of_key(row->tenant_id, row->id);
    struct buf wrapped AUTO_BUF = BUF_INIT(WRAPPED_MAX);
    vault_seal(root, &place, bytes->data, bytes->len, &wrapped);
    void *copy = mem_alloc(wrapped.len);
    row->wrapped = (struct blob){.data = memcpy(copy, wrapped.data, wrapped.len), .len = wrapped.len};
    text_copy(row->root_id, sizeof(row->root_id), root->id_text);
}

void tenant_key_make(const struct tenant_keys *keys, int64_t tenant, enum key_state state,
                     struct store_key *ret)
{
    struct secret bytes AUTO_SECRET = {0};
    secret_reserve(&bytes, KEY_ROOT_BYTES);
    random_bytes(bytes.data, KEY_ROOT_BYTES);
    struct vault_key *key = vault_key_new((const unsigned char *)bytes.data);
    *ret = (struct store_key){.tenant_id = tenant, .state = state};
    text_copy(ret->id, sizeof(ret->id), key->id_text);
    vault_key_free(key);
    wrap(vault_ring_current(keys->ring), &bytes, ret);
}

int tenant_key_rewrap(struct tenant_keys *keys, struct store_key *row, struct err *err)
{
    struct secret bytes AUTO_SECRET = {0};
    struct blob old = row->wrapped;
    int code = unwrap(keys, row, &bytes, err);
    if (code != 0)
        return code;
    wrap(vault_ring_current(keys->ring), &bytes, row);
    mem_free((void *)old.data);
    return 0;
}

/* ---- opening ---- */

static int load(struct tenant_keys *keys, int64_t tenant, const char *id, const struct vault_key **ret,
                struct err *err)
{
    struct secret bytes AUTO_SECRET = {0};
    struct store_key row;
    *ret = find_open(keys, tenant, id);
    if (*ret)
        return 0;
    int code = store_key_get(keys->store, tenant, id, &row, err);
    if (code != 0)
        return code;
    code = unwrap(keys, &row, &bytes, err);
    mem_free((void *)row.wrapped.data);
    if (code != 0)
        return code;
    struct vault_key *key = vault_key_new((const unsigned char *)bytes.data);
    if (strcmp(key->id_text, id) == 0) {
        *ret = keep_open(keys, tenant, key);
        return 0;
    }
    vault_key_free(key);
    return err_set(err, ERR_CORRUPT, "what is stored as data key %s is another key", id);
}

/* No data key has that id: then it is a root key's, which sealed values itself before there were data keys;
 * or nobody's. */
static int open_former(struct tenant_keys *keys, const struct seal_place *place, const char *id,
                       const void *sealed, size_t len, struct secret *ret, struct err *err)
{
    const struct vault_key *root = find_root(keys, id);
    bool is_live;
    if (root)
        return vault_open(root, place, sealed, len, ret, err);
    int code = store_root_is_live(keys->store, id, &is_live, err);
    if (code != 0)
        return code;
    if (is_live)
        return err_set(err, ERR_NOT_YET, "the sealed %s of %s %s needs key %s, which is not in %s",
                       place->field, place->table, place->row, id, vault_ring_name(keys->ring));
    return err_set(err, ERR_CORRUPT,
                   "the sealed %s of %s %s was sealed with key %s, which tenant %" PRId64
                   " does not have: it was changed, or moved from another tenant",
                   place->field, place->table, place->row, id, place->tenant_id);
}

int tenant_open(struct tenant_keys *keys, const struct seal_place *place, const void *sealed, size_t len,
                struct secret *ret, struct err *err)
{
    char id[VAULT_KEY_ID_SIZE];
    const struct vault_key *key;
    if (!vault_sealed_key_id(sealed, len, id))
        return err_set(err, ERR_CORRUPT, "the sealed %s of %s %s is cut short, or no sealed value",
                       place->field, place->table, place->row);
    int code = load(keys, place->tenant_id, id, &key, err);
    if (code == ERR_NOT_FOUND)
        return open_former(keys, place, id, sealed, len, ret, err);
    return code != 0 ? code : vault_open(key, place, sealed, len, ret, err);
}

/* ---- sealing ---- */

static int make_first(struct tenant_keys *keys, int64_t tenant, struct err *err)
{
    struct store_key row;
    tenant_key_make(keys, tenant, KEY_ACTIVE, &row);
    int code = store_key_add(keys->store, &row, err);
    mem_free((void *)row.wrapped.data);
    return code == ERR_EXISTS ? 0 : code; /* another process was faster */
}

int tenant_keys_prepare(struct tenant_keys *keys, int64_t tenant, struct err *err)
{
    char id[VAULT_KEY_ID_SIZE];
    int code = store_key_active(keys->store, tenant, id, err);
    if (code != ERR_NOT_FOUND)
        return code;
    code = make_first(keys, tenant, err);
    /* Its root key was retired: there is a new one. */
    if (code == ERR_INVALID && vault_ring_reload(keys->ring, err) == 0)
        code = make_first(keys, tenant, err);
    return code == ERR_INVALID ? (err ? (err->code = ERR_AUTH) : ERR_AUTH) : code;
}

/* The active key, which is opened if it is not yet. */
static int active(struct tenant_keys *keys, int64_t tenant, const struct vault_key **ret, struct err *err)
{
    char id[VAULT_KEY_ID_SIZE];
    int code = store_key_active(keys->store, tenant, id, err);
    if (code == ERR_NOT_FOUND) {
        code = tenant_keys_prepare(keys, tenant, err);
        if (code == 0)
            code = store_key_active(keys->store, tenant, id, err);
    }
    return code != 0 ? code : load(keys, tenant, id, ret, err);
}

int tenant_seal(struct tenant_keys *keys, const struct seal_place *place, const void *plain, size_t len,
                struct buf *ret, char ret_key_id[VAULT_KEY_ID_SIZE], struct err *err)
{
    const struct vault_key *key;
    int code = active(keys, place->tenant_id, &key, err);
    if (code != 0)
        return code;
    vault_seal(key, place, plain, len, ret);
    if (ret_key_id)
        text_copy(ret_key_id, VAULT_KEY_ID_SIZE, key->id_text);
    return ret->overflowed ? err_set(err, ERR_INVALID, "the %s is too long", place->field) : 0;
}

int tenant_reseal(struct tenant_keys *keys, const struct seal_place *place, const void *sealed, size_t len,
                  const char *key_id, struct buf *ret, struct err *err)
{
    struct secret plain AUTO_SECRET = {0};
    const struct vault_key *key;
    int code = tenant_open(keys, place, sealed, len, &plain, err);
    if (code == 0)
        code = load(keys, place->tenant_id, key_id, &key, err);
    if (code != 0)
        return code;
    vault_seal(key, place, plain.data, plain.len, ret);
    return ret->overflowed ? err_set(err, ERR_INVALID, "the %s is too long", place->field) : 0;
}

/* ---- do they belong together? ---- */

struct root_census {
    const struct vault_ring *ring;
    uint32_t known, unknown;
    char unknown_id[VAULT_KEY_ID_SIZE];
};

static int on_root(void *ctx, const char *root_id)
{
    struct root_census *census = ctx;
    bool is_known = vault_ring_find(census->ring, root_id) != NULL;
    census->known += is_known;
    census->unknown += !is_known;
    if (!is_known)
        text_copy(census->unknown_id, sizeof(census->unknown_id), root_id);
    return 0;
}

static int take_census(struct tenant_keys *keys, struct root_census *ret, struct err *err)
{
    *ret = (struct root_census){.ring = keys->ring};
    return store_root_list(keys->store, on_root, ret, err);
}

int tenant_keys_check(struct tenant_keys *keys, struct err *err)
{
    struct root_census census;
    int code = take_census(keys, &census, err);
    /* The key file may have got another key since it was read. */
    if (code == 0 && census.unknown > 0 && vault_ring_reload(keys->ring, err) == 0)
        code = take_census(keys, &census, err);
    if (code != 0 || census.unknown == 0)
        return code;
    if (census.known == 0)
        return err_set(
            err, ERR_AUTH,
            "%s is not this store's key: the store's data keys are wrapped with key %s, this is key %s",
            vault_ring_name(keys->ring), census.unknown_id, vault_key_id(vault_ring_current(keys->ring)));
    LOG(LOG_ERROR, "some of the store's data keys may be wrapped with a key that is not at hand",
        F_STR("key", census.unknown_id));
    return 0;
}
