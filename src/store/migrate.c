#include <inttypes.h>

#include "store/schema.h"

static int read_version(struct db *db, int64_t *ret, struct err *err)
{
    *ret = 0;
    int rc = db_number(db, "select coalesce(max(version), 0) from schema_version", DB_NO_ARGS, ret, err);
    return rc < 0 ? rc : 0;
}

static int refuse_newer(int64_t found, int64_t wanted, struct err *err)
{
    return err_set(err, ERR_SCHEMA,
                   "the store has schema version %" PRId64 ", this sluice knows up to %" PRId64
                   ": run a newer sluice, or restore the backup made before the upgrade",
                   found, wanted);
}

static int make_version_table(struct db *db, struct err *err)
{
    return db_script(db,
                     "create table if not exists schema_version ("
                     " version bigint primary key not null,"
                     " what text not null,"
                     " applied_at_ms bigint not null)",
                     err);
}

static int apply(struct db *db, const struct migration *migration, int64_t version, struct err *err)
{
    int rc = migration->apply(db, err);
    if (rc < 0)
        return rc;
    rc = db_run(db, "insert into schema_version (version, what, applied_at_ms) values ($1, $2, now_ms())",
                DB_ARGS(DB_I(version), DB_T(migration->what)), err);
    return rc < 0 ? rc : 0;
}

/* One step, if one is still missing now that this process has the lock. */
static int step(struct db *db, const struct migration *migrations, int64_t count, int64_t *ret_version,
                struct err *err)
{
    int rc = make_version_table(db, err);
    if (rc == 0)
        rc = read_version(db, ret_version, err);
    if (rc < 0)
        return rc;
    if (*ret_version > count)
        return refuse_newer(*ret_version, count, err);
    if (*ret_version < count) {
        rc = apply(db, &migrations[*ret_version], *ret_version + 1, err);
        if (rc == 0)
            ++*ret_version;
    }
    return rc;
}

static int locked_step(struct db *db, const struct migration *migrations, int64_t count, int64_t *ret_version,
                       struct err *err)
{
    int rc = db_begin(db, err);
    if (rc < 0)
        return rc;
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
    do
        rc = locked_step(db, migrations, count, &version, err);
    while (rc == 0 && version < count);
    return rc;
}

int migrate_check(struct db *db, int64_t wanted, struct err *err)
{
    int64_t found;
    int rc = read_version(db, &found, err);
    if (rc < 0)
        return rc;
    if (found > wanted)
        return refuse_newer(found, wanted, err);
    if (found < wanted)
        return err_set(err, ERR_SCHEMA,
                       "the store has schema version %" PRId64 ", this sluice needs %" PRId64
                       ": stop older workers and run `sluice init` to bring it up to date",
                       found, wanted);
    return 0;
}
