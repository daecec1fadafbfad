/* Logins: a channel is bound to one YouTube channel and gets its token. */
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

/* ---- tokens ---- */

static int do_token_put(struct store *store, const struct store_channel *channel, struct blob sealed,
                        const char *scopes, const char *key_id, struct err *err)
{
    if (sealed.len == 0)
        return err_set(err, ERR_INVALID, "an empty token is not stored");
    int rc = db_run(store->db,
                    "insert into token (channel_id, tenant_id, sealed, scopes, key_id, stored_at_ms)"
                    " values ($1, $2, $3, $4, $5, now_ms()) on conflict (channel_id) do update set"
                    " sealed = excluded.sealed, scopes = excluded.scopes, key_id = excluded.key_id,"
                    " stored_at_ms = excluded.stored_at_ms, access_sealed = null,"
                    " access_serial = token.access_serial + 1, access_until_ms = 0",
                    DB_ARGS(DB_I(channel->id), DB_I(channel->tenant_id), DB_B(sealed.data, sealed.len),
                            DB_T(scopes ? scopes : ""), DB_T(key_id ? key_id : "")),
                    err);
    return rc < 0 ? rc : 0;
}

static int trail_channel(struct store *store, const struct store_channel *channel, const char *who,
                         const char *what, struct err *err)
{
    struct trail trail = {
        .tenant_id = channel->tenant_id, .channel_id = channel->id, .who = who, .what = what};
    return do_trail(store, &trail, NULL, err);
}

static int do_token_set(struct store *store, int64_t id, struct blob sealed, const char *scopes,
                        const char *key_id, struct err *err)
{
    struct store_channel channel;
    int rc = store_channel_get(store, id, &channel, err);
    if (rc == 0)
        rc = do_token_put(store, &channel, sealed, scopes, key_id, err);
    return rc < 0 ? rc : trail_channel(store, &channel, "broker", "token replaced", err);
}

int store_token_set(struct store *store, int64_t channel, struct blob sealed, const char *scopes,
                    const char *key_id, struct err *err)
{
    return STEP(store, err, do_token_set(store, channel, sealed, scopes, key_id, err));
}

/* ---- logins ---- */

/* Two names for one YouTube channel would let one job take the other's video for its own. */
static int check_yt_channel_is_free(struct store *store, const struct store_channel *channel, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select name from channel where tenant_id = $1 and yt_channel_id = $2 and name <> $3"
                      " and removed_at_ms = 0",
                      DB_ARGS(DB_I(channel->tenant_id), DB_T(channel->yt_channel_id), DB_T(channel->name)),
                      &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        return err_set(
            err, ERR_EXISTS,
            "the YouTube channel %s is channel %s already: log in to another account, or use that name",
            channel->yt_channel_id, db_text(stmt, 0));
    return rc;
}

static int check_login(struct store *store, const struct store_channel *channel, struct err *err)
{
    if (!channel->name[0] || !channel->yt_channel_id[0])
        return err_set(err, ERR_INVALID, "a channel needs a name and a YouTube channel id");
    struct store_client client;
    int rc = do_keep_active_client(store, channel->client_id, &client, err);
    if (rc == 0 && client.tenant_id != channel->tenant_id)
        return err_set(err, ERR_NOT_FOUND, "client %s belongs to another tenant", client.name);
    return rc < 0 ? rc : check_yt_channel_is_free(store, channel, err);
}

static int insert_channel(struct store *store, struct store_channel *channel, struct err *err)
{
    int rc = db_number(
        store->db,
        "insert into channel (tenant_id, client_id, name, yt_channel_id, title, uploads_playlist,"
        " added_at_ms) values ($1, $2, $3, $4, $5, $6, now_ms()) returning id",
        DB_ARGS(DB_I(channel->tenant_id), DB_I(channel->client_id), DB_T(channel->name),
                DB_T(channel->yt_channel_id), DB_T(channel->title), DB_T(channel->uploads_playlist)),
        &channel->id, err);
    if (rc > 0)
        rc = db_run(store->db, "insert into turn (tenant_id, channel_id) values ($1, $2)",
                    DB_ARGS(DB_I(channel->tenant_id), DB_I(channel->id)), err);
    return rc < 0 ? rc : 0;
}

static int update_channel(struct store *store, const struct store_channel *old, struct store_channel *channel,
                          struct err *err)
{
    if (strcmp(old->yt_channel_id, channel->yt_channel_id) != 0)
        return err_set(err, ERR_EXISTS,
                       "channel %s is the YouTube channel %s, this login is for %s: use another name for it",
                       channel->name, old->yt_channel_id, channel->yt_channel_id);
    channel->id = old->id;
    int rc = db_run(store->db,
                    "update channel set client_id = $2, title = $3, uploads_playlist = $4 where id = $1",
                    DB_ARGS(DB_I(old->id), DB_I(channel->client_id), DB_T(channel->title),
                            DB_T(channel->uploads_playlist)),
                    err);
    return rc < 0 ? rc : 0;
}

static int find_by_name(struct store *store, const struct store_channel *channel, int64_t *ret,
                        struct err *err)
{
    *ret = 0;
    int rc = db_number(
        store->db, "select id from channel where tenant_id = $1 and name = $2 and removed_at_ms = 0 {lock}",
        DB_ARGS(DB_I(channel->tenant_id), DB_T(channel->name)), ret, err);
    return rc < 0 ? rc : 0;
}

/* *ret_old: what the channel was before. */
static int put_channel(struct store *store, struct store_channel *channel, struct store_channel *ret_old,
                       struct err *err)
{
    int64_t id;
    int rc = find_by_name(store, channel, &id, err);
    *ret_old = (struct store_channel){.state = CHANNEL_ACTIVE};
    if (rc < 0)
        return rc;
    if (id == 0)
        return insert_channel(store, channel, err);
    rc = store_channel_get(store, id, ret_old, err);
    return rc < 0 ? rc : update_channel(store, ret_old, channel, err);
}

static int seal_token(struct store *store, struct store_login *login, struct err *err)
{
    struct blob sealed = {0};
    int rc = login->seal(login->seal_ctx, login->channel.tenant_id, login->channel.id, &sealed, err);
    if (rc == 0)
        rc = do_token_put(store, &login->channel, sealed, login->scopes, login->key_id, err);
    /* What is being got with the old one is not to be stored beside the new one. */
    if (rc == 0)
        rc = db_run(store->db,
                    "update token set refresh_owner = '', refresh_until_ms = 0 where channel_id = $1",
                    DB_ARGS(DB_I(login->channel.id)), err);
    return rc < 0 ? rc : 0;
}

/* What lifts it: the login itself, or that it is another client's, which is not stopped. */
static int let_go_on(struct store *store, const struct store_login *login, const struct store_channel *old,
                     struct err *err)
{
    struct channel_change change = {
        .channel = login->channel.id, .state = CHANNEL_ACTIVE, .reason = "new login", .who = login->who};
    int rc = old->is_client_stopped ? do_channel_go_on(store, &change, err) : 0;
    return rc < 0 || old->own_state != CHANNEL_AUTH ? rc : do_channel_state(store, &change, err);
}

static int do_login(struct store *store, struct store_login *login, struct err *err)
{
    struct store_channel old;
    int rc = lock_tenant(store, login->channel.tenant_id, err);
    if (rc == 0)
        rc = check_login(store, &login->channel, err);
    if (rc == 0)
        rc = put_channel(store, &login->channel, &old, err);
    if (rc == 0 && login->seal)
        rc = seal_token(store, login, err);
    if (rc == 0)
        rc = trail_channel(store, &login->channel, login->who, login->seal ? "login" : "imported", err);
    return rc < 0 ? rc : let_go_on(store, login, &old, err);
}

int store_channel_login(struct store *store, struct store_login *login, struct err *err)
{
    return STEP(store, err, do_login(store, login, err));
}
