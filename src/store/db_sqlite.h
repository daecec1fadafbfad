/* Inside the SQLite driver: its connection, shared by the file that opens it and the file that uses it. */
#ifndef STORE_DB_SQLITE_H
#define STORE_DB_SQLITE_H

#include <sqlite3.h>

#include "store/db.h"

struct db_sqlite {
    struct db base;
    sqlite3 *handle;
    char *path; /* owned */
    int busy_wait_ms;
    bool is_broken; /* a sync failed: what is on the disk is not known any more */
};

extern const struct db_driver db_sqlite_driver;

/* Turns a result of SQLite into a code and a message that says what to do. */
int db_sqlite_error(struct db_sqlite *db, int rc, struct err *err) MUST_CHECK;

#endif
