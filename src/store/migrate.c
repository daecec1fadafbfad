#include <inttypes.h>

#include "store/schema.h"

struct version {
    int64_t number;
    int64_t compatible_from; /* the oldest version of sluice's own that may still use the store */
};

static int read_version(struct db *db, struct version *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret = (struct version){.number = 0};
    int rc = db_query(db, "select version, compatible_from from schema_version order by version desc limit 1",
                      DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        *ret = (struct version){.number = db_int(stmt, 0), .compatible_from = db_int(stmt, 1)};
    return rc < 0 ? rc : 0;
}

/* A newer store may say that an older sluice can still work with it: so the binaries of several machines can
 * be replaced one after another. */
static bool may_be_used(const struct version *found, int64_t wanted)
{
    return found->number == wanted || (found->number > wanted && found->compatible_from <= wanted);
}

static int refuse_newer(const struct version *found, int64_t wanted, struct err *err)
{
    return err_set(err, ERR_SCHEMA,
                   "the store has schema version %" PRId64 ", this sluice knows up to %" PRId64
                   ": run a newer sluice, or restore the backup made before the upgrade",
                   found->number, wanted);
}

static int make_version_table(struct db *db, struct err *err)
{
    return db_script(db,
                     "create table if not exists schema_version ("
                     " version bigint primary key not null,"
                     " what text not null,"
                     " compatible_from bigint not null,"
                     " applied_at_ms bigint not null)",
                     err);
}

static int apply(struct db *db, const struct migration *migration, int64_t version, struct err *err)
{
    int rc = migration->apply(db, err);
    if (rc < 0)
        return rc;
    rc = db_run(db,
                "insert into schema_version (version, what, compatible_from, applied_at_ms)"
                " values ($1, $2, $3, now_ms())",
                DB_ARGS(DB_I(version), DB_T(migration->what), DB_I(migration->compatible_from)), err);
    return rc < 0 ? rc : 0;
}

/* One step, if one is still missing now that this process has the lock. */
static int step(struct db *db, const struct migration *migrations, int64_t count, int64_t *ret_version,
                struct err *err)
{
    struct version found;
    int rc = make_version_table(db, err);
    if (rc == 0)
        rc = read_version(db, &found, err);
    if (rc < 0)
        return rc;
    if (found.number > count && !may_be_used(&found, count))
        return refuse_newer(&found, count, err);
    *ret_version = found.number;
    if (found.number < count)
        rc = apply(db, &migrations[found.number], ++*ret_version, err);
    return rc;
}

static int locked_step(struct db *db, const struct migration *migrations, int64_t count, int64_t *ret_version,
                       struct err *err)
{
    int rc = db_begin(db, err);
    if (rc < 0)
        return rc;
    rc = db->driver->lock_schema(db, err);
    if (rc == 0)
        rc = step(db, migrations, count, ret_version, err);
    if (rc == 0)
        rc = db_commit(db, err);
    if (rc < 0)
        db_rollback(db);
    return rc;
}

int migrate(struct db *db, const struct migration *migrations, int64_t count, struct err *err)
{
    int64_t version = 0;
    int rc;
    db_set_long(db, true);
    do
        rc = locked_step(db, migrations, count, &version, err);
    while (rc == 0 && version < count);
    db_set_long(db, false);
    return rc;
}

int migrate_check(struct db *db, int64_t wanted, struct err *err)
{
    struct version found;
    int rc = read_version(db, &found, err);
    if (rc < 0 || may_be_used(&found, wanted))
        return rc;
    if (found.number > wanted)
        return refuse_newer(&found, wanted, err);
    return err_set(err, ERR_SCHEMA,
                   "the store has schema version %" PRId64 ", this sluice needs %" PRId64
                   ": run `sluice init` to bring it up to date",
                   found.number, wanted);
}
