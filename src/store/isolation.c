/* Whether the database keeps a login to its tenants, asked of its catalogue: what the login is, what it may
 * do, what its tables let through, whom it reaches. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/claim.h"
#include "store/isolation.h"

enum { FOR_WORKER = 1, FOR_BROKER = 2, FOR_ALL = 3 };

#define MEND_LOGIN "make a login of its own with deploy/postgres/login.sql and set %s to it"
#define MEND_ROLES "run deploy/postgres/roles.sql again"

/* Each asks for what is wrong, as one text; no row or '' is as it should be. `what` has it in the place of
 * %s. */
struct rule {
    int concerns;
    const char *sql;
    const char *what;
    const char *mend;
};

#define TABLES                                                                                               \
    " from pg_catalog.pg_class c where c.relnamespace = current_schema()::regnamespace"                      \
    " and c.relkind in ('r', 'p') "
#define LIST(column) "select string_agg(" column "::text, ', ' order by " column "::text)"

static const struct rule rules[] = {
    {FOR_ALL,
     LIST("r.rolname") " from pg_catalog.pg_roles r where r.rolname in (session_user, current_user)"
                       " and (r.rolsuper or r.rolbypassrls)",
     "the login %s is a superuser, or has BYPASSRLS: it sees the rows of every tenant", MEND_LOGIN},
    {FOR_ALL,
     LIST("r.rolname") " from pg_catalog.pg_roles r where r.rolname in (session_user, current_user)"
                       " and r.rolcreaterole",
     "the login %s may make roles, and so make itself a member of any", MEND_LOGIN},
    {FOR_ALL, LIST("c.relname") TABLES " and pg_catalog.pg_has_role(session_user, c.relowner, 'member')",
     "the login owns the tables (%s), and may change who reaches what", MEND_LOGIN},
    {FOR_ALL,
     "select current_schema() where pg_catalog.has_schema_privilege(current_schema()::text, 'create')",
     "the login may make tables and functions in the schema %s", MEND_ROLES},
    {FOR_ALL,
     LIST("c.relname") TABLES
     " and (c.relname = 'tenant' or exists (select from pg_catalog.pg_attribute a"
     "  where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))"
     " and not (c.relrowsecurity and c.relforcerowsecurity)",
     "row-level security is not enabled and forced on: %s", MEND_ROLES},
    {FOR_ALL,
     LIST(
         "c.relname || '.' || p.polname") " from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid ="
                                          " p.polrelid where c.relnamespace = current_schema()::regnamespace"
                                          " and p.polname not in ('own', 'every', 'owner', 'whole', "
                                          "'stopped')",
     "policies that are not sluice's let through what they like: %s", MEND_ROLES},
    {FOR_ALL,
     "select priv from unnest(array['update', 'delete', 'truncate']) as priv"
     " where pg_catalog.has_table_privilege('event', priv)"
     " or (priv = 'update' and pg_catalog.has_any_column_privilege('event', priv)) limit 1",
     "the login may %s lines of the audit trail", MEND_ROLES},
    {FOR_ALL,
     "select priv from unnest(array['insert', 'update', 'delete', 'truncate']) as priv"
     " where pg_catalog.has_table_privilege('tenant_member', priv) limit 1",
     "the login may %s rows of tenant_member, and so reach any tenant", MEND_ROLES},
    {FOR_WORKER,
     LIST("item") " from (values ('token', 'sealed'), ('token', 'access_sealed'),"
                  " ('client', 'secret_sealed'), ('tenant_key', 'wrapped')) as secret (tab, col)"
                  " cross join lateral (select tab || '.' || col as item) as name"
                  " where pg_catalog.has_column_privilege(tab, col, 'select')",
     "the login may read secrets: %s", MEND_LOGIN},
    {FOR_WORKER,
     "select 'client.token_uri' where pg_catalog.has_column_privilege('client', 'token_uri', 'update')",
     "the login may change where refresh tokens are sent: %s", MEND_LOGIN},
    {FOR_BROKER,
     LIST("item") " from (values ('token', 'sealed'), ('token', 'access_sealed'),"
                  " ('client', 'secret_sealed'), ('tenant_key', 'wrapped')) as secret (tab, col)"
                  " cross join lateral (select tab || '.' || col as item) as name"
                  " where not pg_catalog.has_column_privilege(tab, col, 'select')",
     "the login may not read what a broker needs: %s", MEND_LOGIN},
};

struct search {
    struct store *store;
    enum store_user user;
    int (*found)(void *ctx, const struct store_finding *finding);
    void *ctx;
};

static const char *setting_of(enum store_user user)
{
    return user == STORE_AS_BROKER ? "broker_store" : "store";
}

static int tell(const struct search *search, const char *what, const char *mend)
{
    struct store_finding finding = {.what = what, .mend = mend};
    return search->found(search->ctx, &finding);
}

/* As many names as fit. */
static int tell_of(const struct search *search, const struct rule *rule, const char *names)
{
    char what[512], mend[256];
    snprintf(what, sizeof(what), rule->what, names);
    snprintf(mend, sizeof(mend), rule->mend, setting_of(search->user));
    return tell(search, what, mend);
}

static int apply(const struct search *search, const struct rule *rule, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(search->store->db, rule->sql, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0 || !db_text(stmt, 0)[0])
        return rc < 0 ? rc : 0;
    return tell_of(search, rule, db_text(stmt, 0));
}

/* ---- tenants ---- */

static int find_missing(const struct search *search, const char *tenant, struct err *err)
{
    static const struct rule missing = {
        .what = "the login does not reach the tenant %s",
        .mend = "as the owner of the tables: select sluice_admit(LOGIN, TENANT), for the login of %s"};
    int64_t id;
    int rc = find_tenant(search->store, tenant, &id, err);
    return rc == ERR_NOT_FOUND ? tell_of(search, &missing, tenant) : rc;
}

static int find_all_missing(const struct search *search, const char *tenants, struct err *err)
{
    int rc = 0;
    for (const char *at = tenants; *at && rc == 0;) {
        size_t len = strcspn(at, ",");
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "%.*s", (int)len, at);
        rc = find_missing(search, name, err);
        at += len + (at[len] == ',');
    }
    return rc;
}

/* Those that it was not told to serve; one is enough to tell. */
static int find_others(const struct search *search, const char *tenants, struct err *err)
{
    static const struct rule others = {
        .what = "the login reaches the tenant %s, too, which it was not told to serve",
        .mend = "as the owner of the tables: select sluice_dismiss(LOGIN, TENANT), for the login of %s; or "
                "take it "
                "out of the group sluice_every"};
    const struct store_reach reach = {.tenants = tenants};
    char other[NAME_SIZE] = "";
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(search->store->db, "select name from tenant order by name", DB_NO_ARGS, &stmt, err);
    while (rc == 0 && !other[0] && (rc = db_next(stmt, err)) > 0) {
        if (!reach_has_tenant(&reach, db_text(stmt, 0)))
            copy_text(other, db_text(stmt, 0));
        rc = 0;
    }
    return rc < 0 || !other[0] ? rc : tell_of(search, &others, other);
}

/* ---- all of it ---- */

int store_isolation(struct store *store, enum store_user user, const char *tenants,
                    int (*found)(void *ctx, const struct store_finding *finding), void *ctx, struct err *err)
{
    struct search search = {.store = store, .user = user, .found = found, .ctx = ctx};
    int concern = user == STORE_AS_BROKER ? FOR_BROKER : FOR_WORKER;
    int rc = 0;
    if (!store->db->driver->has_many_writers)
        return tell(&search,
                    "SQLite keeps no login from any tenant: whoever can open the file sees all of it",
                    "use Postgres, or set isolation to auto or off");
    for (size_t i = 0; i < ARRAY_LEN(rules) && rc == 0; i++)
        if (rules[i].concerns & concern)
            rc = apply(&search, &rules[i], err);
    if (rc == 0)
        rc = find_all_missing(&search, tenants, err);
    if (rc == 0 && tenants[0])
        rc = find_others(&search, tenants, err);
    return rc;
}

/* ---- at the start ---- */

struct refusal {
    enum store_user user;
    struct err *err;
};

static int refuse(void *ctx, const struct store_finding *finding)
{
    const struct refusal *refusal = ctx;
    return err_set(
        refusal->err, ERR_AUTH,
        "tenants are not kept apart: by `%s`, %s; %s (docs/tenants.md; `isolation = off` if this login "
        "may do so)",
        setting_of(refusal->user), finding->what, finding->mend);
}

int store_require_isolation(struct store *store, enum store_user user, const char *tenants, struct err *err)
{
    struct refusal refusal = {.user = user, .err = err};
    return store_isolation(store, user, tenants, refuse, &refusal, err);
}
