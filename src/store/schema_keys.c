/* Version 3, the tables of keys: docs/vault.md. */
#include "base/mem.h"
#include "base/text.h"
#include "store/internal.h"
#include "store/key.h"
#include "store/schema.h"

#define STATE_IS(name, text) "state = '" text "' or "

/* A root key that is retired loses its live_id, which the database allows only while no data key of any
 * tenant refers to it, and which no insert brings back. */
static const char keys_sql[] =
    "create table root_key ("
    " id {key} primary key not null,"
    " live_id {key} unique,"
    " added_at_ms bigint not null,"
    " retired_at_ms bigint not null default 0,"
    " check (live_id is null or live_id = id));"

    "create table tenant_key ("
    " tenant_id bigint not null references tenant (id),"
    " id {key} not null,"
    " root_key_id {key} not null references root_key (live_id),"
    " state {key} not null,"
    " wrapped {blob} not null,"
    " added_at_ms bigint not null,"
    " retired_at_ms bigint not null default 0,"
    " primary key (tenant_id, id),"
    " check (" KEY_STATE_TABLE(
        STATE_IS) "1 = 0));"
                  "create unique index tenant_key_active on tenant_key (tenant_id) where state = 'active';"
                  "create unique index tenant_key_pending on tenant_key (tenant_id) where state = 'pending';"
                  "create index tenant_key_root on tenant_key (root_key_id);"

                  "create table key_rotation ("
                  " id {serial},"
                  " kind text not null,"
                  " from_key text not null default '',"
                  " owner text not null,"
                  " started_at_ms bigint not null,"
                  " seen_at_ms bigint not null,"
                  " ended_at_ms bigint not null default 0,"
                  " resealed bigint not null default 0);"
                  "create unique index key_rotation_under_way on key_rotation (ended_at_ms) where "
                  "ended_at_ms = 0;";

/* The access token that was got with a login, for all brokers, and which of them gets the next one. */
static const char access_sql[] = "alter table token add column access_sealed {blob};"
                                 "alter table token add column access_serial bigint not null default 0;"
                                 "alter table token add column access_until_ms bigint not null default 0;"
                                 "alter table token add column refresh_owner text not null default '';"
                                 "alter table token add column refresh_until_ms bigint not null default 0;";

/* ---- what was sealed before ---- */

/* Before, there were no data keys: all values were sealed with a root key itself, and are until the next
 * rotation (vault/rotation.h). Which one it was must be known, lest it be retired before. */
static int know_former_root(struct db *db, const char *id, struct err *err)
{
    int rc = db_run(db,
                    "insert into root_key (id, live_id, added_at_ms) values ($1, $1, now_ms())"
                    " on conflict (id) do nothing",
                    DB_ARGS(DB_T(id)), err);
    return rc < 0 ? rc : 0;
}

/* A sealed value has its key's id behind its version, which is one byte. 1: there is a value. */
static int look_at_sample(struct db *db, const char *sql, char ret_id[KEY_ID_SIZE], struct err *err)
{
    enum { ID_AT = 1, ID_BYTES = (KEY_ID_SIZE - 1) / 2 };
    AUTO_STMT struct db_stmt *stmt = NULL;
    struct blob sealed = {0};
    int rc = db_query(db, sql, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0 || !copy_blob(stmt, 0, &sealed))
        return rc < 0 ? rc : 0;
    bool is_one = sealed.len >= ID_AT + ID_BYTES;
    if (is_one)
        text_hex(ret_id, (const char *)sealed.data + ID_AT, ID_BYTES);
    mem_free((void *)sealed.data);
    return is_one;
}

/* One key has sealed them all, so one value of each kind is enough. */
static int know_former_roots(struct db *db, struct err *err)
{
    static const char *const samples[] = {
        "select sealed from token order by channel_id limit 1",
        "select secret_sealed from client where secret_sealed is not null order by id limit 1",
        "select session_url from upload where session_url is not null order by job_id limit 1"};
    char id[KEY_ID_SIZE];
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(samples) && rc >= 0; i++) {
        rc = look_at_sample(db, samples[i], id, err);
        if (rc > 0)
            rc = know_former_root(db, id, err);
    }
    return rc < 0 ? rc : 0;
}

int schema_add_keys(struct db *db, struct err *err)
{
    int rc = db_script(db, keys_sql, err);
    if (rc == 0)
        rc = db_script(db, access_sql, err);
    if (rc == 0)
        rc = know_former_roots(db, err);
    if (rc == 0)
        rc = db_run(db,
                    "insert into key_rotation (kind, owner, started_at_ms, seen_at_ms)"
                    " select 'former', '', now_ms(), 0 where exists (select 1 from root_key)",
                    DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}
