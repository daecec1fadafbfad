/*
 * Removing a channel: first from the store, which may refuse (it has jobs), then its token at Google, best
 * effort. The other way round, a channel with jobs would lose its login and stay.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vault/child.h"
#include "vault/tokens.h"

struct removal {
    struct child *child;
    uint64_t id;
};

static void removal_end(struct removal *removal, bool revoked)
{
    struct message_out out;
    message_start(&out, MESSAGE_REMOVED, removal->id);
    message_put_number(&out, revoked);
    child_answer(removal->child, &out);
    removal->child->busy_count--;
    mem_free(removal);
}

static void revoke_ended(void *ctx, const struct http_reply *reply)
{
    bool revoked = reply->end == HTTP_OK && reply->status == 200;
    if (!revoked)
        LOG(LOG_WARN, "the token could not be revoked", F_I64("status", reply->status),
            F_STR("message", reply->message));
    removal_end(ctx, revoked);
}

static int revoke_token(struct removal *removal, const char *token_uri, const struct secret *token,
                        struct err *err)
{
    struct buf uri AUTO_BUF = BUF_INIT(1024);
    struct buf form;
    /* The client file does not name the endpoint; it is the token endpoint's neighbour [oauth]. */
    if (!neighbour_uri(token_uri, "revoke", &uri))
        return err_set(err, ERR_INVALID, "the client's token_uri has no neighbour to revoke at");
    buf_init(&form, 8192);
    yt_build_revoke(token->data, &form);
    int code = post_form(removal->child, uri.data, &form, revoke_ended, removal, err);
    buf_wipe(&form);
    return code;
}

/* What is needed to revoke, read while the channel is still there. An empty token: nothing to revoke. */
static void read_token(struct child *child, const struct store_channel *channel,
                       struct store_client *ret_client, struct secret *ret_token)
{
    struct err err = {0};
    if (store_client_get(child->store, channel->client_id, ret_client, &err) != 0 ||
        open_refresh_token(child, channel, ret_token, NULL, NULL, &err) != 0)
        LOG(LOG_WARN, "no token to revoke", F_STR("channel", channel->name), F_STR("message", err.message));
}

void removal_start(struct child *child, const struct message *ask)
{
    int64_t channel_id = ask->fields[REMOVE_CHANNEL_ID].number;
    struct store_channel channel;
    struct store_client client = {.id = 0};
    struct secret token AUTO_SECRET = {0};
    struct err err = {0};
    int code = store_channel_get(child->store, channel_id, &channel, &err);
    if (code == 0)
        code = child_check_tenant(child, channel.tenant, &err);
    if (code == 0 && ask->fields[REMOVE_REVOKE].number && !child->service)
        read_token(child, &channel, &client, &token);
    if (code == 0)
        code = store_channel_remove(child->store, channel_id, child->who, &err);
    if (code != 0) {
        child_answer_error(child, ask->id, &err);
        return;
    }
    tokens_forget(child->tokens, channel_id);
    struct removal *removal = mem_alloc(sizeof(*removal));
    *removal = (struct removal){.child = child, .id = ask->id};
    child->busy_count++;
    if (!token.data || revoke_token(removal, client.token_uri, &token, &err) != 0)
        removal_end(removal, false);
}
