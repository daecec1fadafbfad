/* Inside the store: the versions of its tables, and how a store gets to this binary's. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdint.h>

#include "store/db.h"

/* One step from version N-1 to N; runs inside the transaction that also records N. */
struct migration {
    const char *what;
    int (*apply)(struct db *db, struct err *err);
    int64_t compatible_from; /* the oldest version whose sluice may go on with the store afterwards */
};

int schema_add_keys(struct db *db, struct err *err) MUST_CHECK;
extern const struct migration schema_migrations[]; /* the first makes version 1 */
extern const int64_t schema_version;               /* of this binary: their count */

/* Brings the store from any older version, or from nothing, to `count`. Each step is a transaction of its own
 * and looks again at the version once it has the lock, so any number of processes may do this at once. A
 * newer store stays untouched: ERR_SCHEMA unless it says that this version may use it. */
int migrate(struct db *db, const struct migration *migrations, int64_t count, struct err *err) MUST_CHECK;
/* ERR_SCHEMA unless the store has that version, or a newer one that it may be used in. */
int migrate_check(struct db *db, int64_t wanted, struct err *err) MUST_CHECK;

/* The view sluice_backlog; SQL for the time, and for the time as far as a job (`j`) has come. */
void schema_build_backlog(struct buf *sql, const char *now, const char *job_now);

#endif
