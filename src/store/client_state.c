/*
 * A client's state. A client that is stopped stops its channels: each keeps its own state for later, is
 * `frozen` for all that look at it, and its jobs follow, in one transaction (channel_state.c). Nobody adds a
 * channel meanwhile: whoever does keeps the client's row.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/internal.h"

struct client_row {
    int64_t tenant_id;
    char name[NAME_SIZE];
    enum client_state state;
};

/* ---- the client ---- */

static int lock_client(struct store *store, int64_t client, struct client_row *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select tenant_id, name, state from client where id = $1 and removed_at_ms = 0 {lock}",
                      DB_ARGS(DB_I(client)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0 || (rc > 0 && !client_state_parse(db_text(stmt, 2), &ret->state)))
        return err_set(err, ERR_NOT_FOUND, "there is no client with id %" PRId64, client);
    if (rc < 0)
        return rc;
    ret->tenant_id = db_int(stmt, 0);
    copy_text(ret->name, db_text(stmt, 1));
    return 0;
}

static int write_client(struct store *store, const struct client_change *change, const struct client_row *row,
                        struct err *err)
{
    int rc = db_run(store->db,
                    "update client set state = $2, state_reason = $3, state_at_ms = now_ms() where id = $1",
                    DB_ARGS(DB_I(change->client), DB_T(client_state_text(change->state)),
                            DB_T(change->state == CLIENT_ACTIVE ? "" : change->reason)),
                    err);
    if (rc < 0)
        return rc;
    struct audit_note note = {.http_status = 0};
    snprintf(note.message, sizeof(note.message), "%s: %s", row->name, change->reason);
    text_mend(note.message);
    struct trail trail = {.tenant_id = row->tenant_id,
                          .who = change->who,
                          .what = "client state set",
                          .from = client_state_text(row->state),
                          .to = client_state_text(change->state),
                          .note = &note};
    return do_trail(store, &trail, NULL, err);
}

/* What Google refuses is news to people; what one of them has done is not. */
static int tell_client(struct store *store, const struct client_change *change, const struct client_row *row,
                       struct err *err)
{
    char message[MESSAGE_SIZE];
    struct stop stop = {
        .tenant_id = row->tenant_id, .client_id = change->client, .message = message, .who = change->who};
    snprintf(message, sizeof(message), "all channels of client %s are stopped: %s", row->name,
             change->reason);
    text_mend(message);
    if (change->state == CLIENT_ACTIVE)
        return do_close_stop(store, &stop, err);
    return change->state == CLIENT_REFUSED ? do_raise_stop(store, &stop, err) : 0;
}

/* ---- its channels ---- */

static int list_channels(struct store *store, int64_t client, int64_t **ret, uint32_t *ret_count,
                         struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int64_t count = 0;
    int rc = db_number(store->db, "select count(*) from channel where client_id = $1 and removed_at_ms = 0",
                       DB_ARGS(DB_I(client)), &count, err);
    *ret = mem_alloc_array((size_t)count + 1, sizeof(**ret));
    *ret_count = 0;
    if (rc >= 0)
        rc =
            db_query(store->db,
                     "select id from channel where client_id = $1 and removed_at_ms = 0 order by id limit $2",
                     DB_ARGS(DB_I(client), DB_I(count)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        (*ret)[(*ret_count)++] = db_int(stmt, 0);
        rc = 0;
    }
    return rc;
}

static void build_reason(const struct client_change *change, const struct client_row *row,
                         char ret[MESSAGE_SIZE])
{
    snprintf(ret, MESSAGE_SIZE, "client %s is %s; once that is mended: sluice client unfreeze %s. Why: %s",
             row->name, client_state_text(change->state), row->name, change->reason);
    text_mend(ret);
}

static int change_channels(struct store *store, const struct client_change *change,
                           const struct client_row *row, struct err *err)
{
    char reason[MESSAGE_SIZE];
    int64_t *channels AUTO_FREE = NULL;
    uint32_t count;
    struct channel_change one = {.state = CHANNEL_FROZEN, .reason = reason, .who = change->who};
    int rc = list_channels(store, change->client, &channels, &count, err);
    build_reason(change, row, reason);
    if (change->state == CLIENT_ACTIVE)
        one.reason = change->reason;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        one.channel = channels[i];
        rc = change->state == CLIENT_ACTIVE ? do_channel_go_on(store, &one, err)
                                            : do_channel_stop(store, &one, err);
    }
    return rc;
}

/* ---- changes ---- */

static int change_from(struct store *store, const struct client_change *change, const struct client_row *row,
                       struct err *err)
{
    struct client_change full = *change;
    char reason[MESSAGE_SIZE];
    copy_text(reason, change->reason ? change->reason : "");
    text_mend(reason); /* others' words */
    full.reason = reason;
    full.who = change->who ? change->who : "";
    int rc = write_client(store, &full, row, err);
    if (rc == 0)
        rc = tell_client(store, &full, row, err);
    return rc < 0 ? rc : change_channels(store, &full, row, err);
}

int do_client_state(struct store *store, const struct client_change *change, struct err *err)
{
    struct client_row row;
    int rc = lock_client(store, change->client, &row, err);
    return rc < 0 ? rc : change_from(store, change, &row, err);
}

int store_client_set_state(struct store *store, int64_t client, enum client_state state, const char *reason,
                           const char *who, struct err *err)
{
    struct client_change change = {.client = client, .state = state, .reason = reason, .who = who};
    return STEP(store, err, do_client_state(store, &change, err));
}

int do_client_refused(struct store *store, int64_t channel, const char *reason, const char *who,
                      struct err *err)
{
    struct client_row row;
    struct client_change change = {.state = CLIENT_REFUSED, .reason = reason, .who = who};
    int rc = db_number(store->db, "select client_id from channel where id = $1", DB_ARGS(DB_I(channel)),
                       &change.client, err);
    if (rc <= 0)
        return rc;
    rc = lock_client(store, change.client, &row, err);
    return rc < 0 || row.state != CLIENT_ACTIVE ? rc : change_from(store, &change, &row, err);
}

/* ---- whether it may be used ---- */

int store_client_check(const struct store_client *client, struct err *err)
{
    if (client->state == CLIENT_ACTIVE)
        return 0;
    return err_set(err, ERR_INVALID, "client %s is %s (%s); once that is mended: sluice client unfreeze %s",
                   client->name, client_state_text(client->state), client->state_reason, client->name);
}

int do_keep_active_client(struct store *store, int64_t id, struct store_client *ret, struct err *err)
{
    int64_t ignored;
    int rc =
        db_number(store->db, "select id from client where id = $1 {share}", DB_ARGS(DB_I(id)), &ignored, err);
    if (rc >= 0)
        rc = store_client_get(store, id, ret, err);
    return rc < 0 ? rc : store_client_check(ret, err);
}
