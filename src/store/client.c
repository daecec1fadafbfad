/* Tenants, and the OAuth clients whose daily quota their channels share. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

/* ---- tenants ---- */

int find_tenant(struct store *store, const char *name, int64_t *ret, struct err *err)
{
    int rc = db_number(store->db, "select id from tenant where name = $1", DB_ARGS(DB_T(name)), ret, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no tenant %s", name);
    return rc < 0 ? rc : 0;
}

int store_tenant_name(struct store *store, int64_t tenant, char ret[NAME_SIZE], struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, "select name from tenant where id = $1", DB_ARGS(DB_I(tenant)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no tenant with id %" PRId64, tenant);
    if (rc > 0)
        text_copy(ret, NAME_SIZE, db_text(stmt, 0));
    return rc < 0 ? rc : 0;
}

int lock_tenant(struct store *store, int64_t tenant, struct err *err)
{
    int64_t ignored;
    int rc = db_number(store->db, "select id from tenant where id = $1 {lock}", DB_ARGS(DB_I(tenant)),
                       &ignored, err);
    return rc < 0 ? rc : 0;
}

/* A database role that is bound to its tenants may not even try to make one, so it is looked for first. */
static int insert_tenant(struct store *store, const char *name, int64_t *ret, struct err *err)
{
    int rc =
        db_run(store->db,
               "insert into tenant (name, added_at_ms) values ($1, now_ms()) on conflict (name) do nothing",
               DB_ARGS(DB_T(name)), err);
    bool is_new = rc > 0;
    if (rc >= 0)
        rc = find_tenant(store, name, ret, err);
    if (rc == 0 && is_new)
        rc = db_run(store->db, "insert into turn (tenant_id, channel_id) values ($1, 0)", DB_ARGS(DB_I(*ret)),
                    err);
    return rc < 0 ? rc : 0;
}

int make_tenant(struct store *store, const char *name, int64_t *ret, struct err *err)
{
    if (!name[0])
        return err_set(err, ERR_INVALID, "a tenant needs a name");
    int rc = find_tenant(store, name, ret, err);
    if (rc == ERR_NOT_FOUND)
        rc = insert_tenant(store, name, ret, err);
    return rc < 0 ? rc : lock_tenant(store, *ret, err);
}

/* ---- reading ---- */

#define SELECT_CLIENT                                                                                        \
    "select c.id, c.tenant_id, t.name, c.name, c.client_id, c.auth_uri, c.token_uri, c.kind,"                \
    " c.uploads_per_day, c.units_per_day,"                                                                   \
    " (select count(*) from channel h where h.client_id = c.id and h.removed_at_ms = 0),"                    \
    " c.state, c.state_reason, c.state_at_ms"                                                                \
    " from client c join tenant t on t.id = c.tenant_id where c.removed_at_ms = 0"

static void read_client(const struct db_stmt *stmt, struct store_client *ret)
{
    *ret = (struct store_client){.id = db_int(stmt, 0),
                                 .tenant_id = db_int(stmt, 1),
                                 .uploads_per_day = (uint32_t)db_int(stmt, 8),
                                 .units_per_day = (uint32_t)db_int(stmt, 9),
                                 .channel_count = (uint32_t)db_int(stmt, 10),
                                 .state = CLIENT_FROZEN, /* what cannot be read is not used */
                                 .state_at_ms = db_int(stmt, 13)};
    copy_text(ret->tenant, db_text(stmt, 2));
    copy_text(ret->name, db_text(stmt, 3));
    copy_text(ret->client_id, db_text(stmt, 4));
    copy_text(ret->auth_uri, db_text(stmt, 5));
    copy_text(ret->token_uri, db_text(stmt, 6));
    copy_text(ret->kind, db_text(stmt, 7));
    client_state_parse(db_text(stmt, 11), &ret->state);
    copy_text(ret->state_reason, db_text(stmt, 12));
}

static int no_client(int64_t client, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no client with id %" PRId64, client);
}

int store_client_get(struct store *store, int64_t client, struct store_client *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_CLIENT " and c.id = $1", DB_ARGS(DB_I(client)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        read_client(stmt, ret);
    return rc == 0 ? no_client(client, err) : rc < 0 ? rc : 0;
}

static int not_found(const char *tenant, const char *name, struct err *err)
{
    if (name[0])
        return err_set(err, ERR_NOT_FOUND, "tenant %s has no client %s: see `sluice client list`", tenant,
                       name);
    return err_set(err, ERR_NOT_FOUND, "tenant %s has no client: import one with `sluice client import FILE`",
                   tenant);
}

int store_client_find(struct store *store, const char *tenant, const char *name, struct store_client *ret,
                      struct err *err)
{
    name = name ? name : "";
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      SELECT_CLIENT " and t.name = $1 and ($2 = '' or c.name = $2) order by c.id limit 2",
                      DB_ARGS(DB_T(tenant), DB_T(name)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return not_found(tenant, name, err);
    if (rc < 0)
        return rc;
    read_client(stmt, ret);
    rc = db_next(stmt, err);
    if (rc > 0)
        return err_set(err, ERR_USAGE, "tenant %s has several clients: say which with --client", tenant);
    return rc;
}

int store_client_list(struct store *store, int (*row)(void *ctx, const struct store_client *client),
                      void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_CLIENT " order by t.name, c.name", DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_client client;
        read_client(stmt, &client);
        rc = row(ctx, &client);
        if (rc != 0)
            return rc;
    }
    return rc;
}

/* ---- writing ---- */

static int trail_client(struct store *store, int64_t tenant, const char *who, const char *what,
                        const char *name, struct err *err)
{
    struct audit_note note = {.http_status = 0};
    copy_text(note.message, name);
    struct trail trail = {.tenant_id = tenant, .who = who, .what = what, .note = &note};
    return do_trail(store, &trail, NULL, err);
}

/* The limits that an operator has set outlive a new import of the same client. */
static int replace_client(struct store *store, const struct store_client *old, struct store_client *client,
                          struct err *err)
{
    if (strcmp(old->client_id, client->client_id) != 0)
        return err_set(err, ERR_EXISTS,
                       "client %s of tenant %s is another one (%s): give this one another --name",
                       client->name, client->tenant, old->client_id);
    client->id = old->id;
    client->uploads_per_day = old->uploads_per_day;
    client->units_per_day = old->units_per_day;
    client->channel_count = old->channel_count;
    client->state = old->state;
    int rc = db_run(
        store->db, "update client set auth_uri = $2, token_uri = $3, kind = $4 where id = $1",
        DB_ARGS(DB_I(old->id), DB_T(client->auth_uri), DB_T(client->token_uri), DB_T(client->kind)), err);
    return rc < 0 ? rc : 0;
}

static int insert_client(struct store *store, struct store_client *client, struct err *err)
{
    if (client->uploads_per_day == 0)
        client->uploads_per_day = UPLOADS_PER_DAY_DEFAULT;
    if (client->units_per_day == 0)
        client->units_per_day = UNITS_PER_DAY_DEFAULT;
    int rc = db_number(store->db,
                       "insert into client (tenant_id, name, client_id, auth_uri, token_uri, kind,"
                       " uploads_per_day, units_per_day, added_at_ms)"
                       " values ($1, $2, $3, $4, $5, $6, $7, $8, now_ms()) returning id",
                       DB_ARGS(DB_I(client->tenant_id), DB_T(client->name), DB_T(client->client_id),
                               DB_T(client->auth_uri), DB_T(client->token_uri), DB_T(client->kind),
                               DB_I(client->uploads_per_day), DB_I(client->units_per_day)),
                       &client->id, err);
    return rc < 0 ? rc : 0;
}

static int do_client_put(struct store *store, struct store_client *client, const char *who, struct err *err)
{
    if (!client->name[0])
        return err_set(err, ERR_INVALID, "a client needs a name");
    struct store_client old;
    int rc = make_tenant(store, client->tenant, &client->tenant_id, err);
    if (rc < 0)
        return rc;
    rc = store_client_find(store, client->tenant, client->name, &old, err);
    if (rc == 0)
        rc = replace_client(store, &old, client, err);
    else if (rc == ERR_NOT_FOUND)
        rc = insert_client(store, client, err);
    if (rc == 0)
        rc = trail_client(store, client->tenant_id, who, "client imported", client->name, err);
    if (rc < 0 || client->state != CLIENT_REFUSED)
        return rc;
    struct client_change change = {
        .client = client->id, .state = CLIENT_ACTIVE, .reason = "imported anew", .who = who};
    return do_client_state(store, &change, err);
}

int store_client_put(struct store *store, struct store_client *client, const char *who, struct err *err)
{
    return STEP(store, err, do_client_put(store, client, who, err));
}

static int one_client(int changed, int64_t client, struct err *err)
{
    return changed == 0 ? no_client(client, err) : changed < 0 ? changed : 0;
}

static int do_set_secret(struct store *store, int64_t client, struct blob sealed, struct err *err)
{
    int rc = db_run(store->db, "update client set secret_sealed = $2 where id = $1 and removed_at_ms = 0",
                    DB_ARGS(DB_I(client), DB_B(sealed.data, sealed.len)), err);
    return one_client(rc, client, err);
}

int store_client_set_secret(struct store *store, int64_t client, struct blob sealed, struct err *err)
{
    return STEP(store, err, do_set_secret(store, client, sealed, err));
}

int store_client_get_secret(struct store *store, int64_t client, struct blob *ret_sealed, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, "select secret_sealed from client where id = $1 and removed_at_ms = 0",
                      DB_ARGS(DB_I(client)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return no_client(client, err);
    if (rc > 0 && copy_blob(stmt, 0, ret_sealed) == 0)
        return err_set(err, ERR_NOT_FOUND, "client %" PRId64 " has no secret: import it again", client);
    return rc < 0 ? rc : 0;
}

static int do_limits(struct store *store, const struct store_client *limits, const char *who, struct err *err)
{
    struct store_client client;
    char text[NAME_SIZE + 64];
    int rc = store_client_get(store, limits->id, &client, err);
    if (rc == 0)
        rc = db_run(store->db, "update client set uploads_per_day = $2, units_per_day = $3 where id = $1",
                    DB_ARGS(DB_I(limits->id), DB_I(limits->uploads_per_day), DB_I(limits->units_per_day)),
                    err);
    if (rc >= 0)
        rc = do_recheck_quota_holds(store, limits->id, err);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof(text), "%s: %" PRIu32 " uploads, %" PRIu32 " units a day", client.name,
             limits->uploads_per_day, limits->units_per_day);
    return trail_client(store, client.tenant_id, who, "client limits set", text, err);
}

int store_client_limits(struct store *store, int64_t client, uint32_t uploads_per_day, uint32_t units_per_day,
                        const char *who, struct err *err)
{
    struct store_client limits = {
        .id = client, .uploads_per_day = uploads_per_day, .units_per_day = units_per_day};
    return STEP(store, err, do_limits(store, &limits, who, err));
}

/* The row stays for what has been counted on it; the secret goes. */
static int do_client_remove(struct store *store, int64_t id, const char *who, struct err *err)
{
    struct store_client client;
    int rc = store_client_get(store, id, &client, err);
    if (rc == 0)
        rc = lock_tenant(store, client.tenant_id, err);
    if (rc == 0)
        rc = store_client_get(store, id, &client, err); /* as it is now */
    if (rc < 0)
        return rc;
    if (client.channel_count > 0)
        return err_set(err, ERR_EXISTS, "client %s is used by %" PRIu32 " channel(s): remove them first",
                       client.name, client.channel_count);
    rc = db_run(store->db, "update client set removed_at_ms = now_ms(), secret_sealed = null where id = $1",
                DB_ARGS(DB_I(id)), err);
    return rc < 0 ? rc : trail_client(store, client.tenant_id, who, "client removed", client.name, err);
}

int store_client_remove(struct store *store, int64_t client, const char *who, struct err *err)
{
    return STEP(store, err, do_client_remove(store, client, who, err));
}
