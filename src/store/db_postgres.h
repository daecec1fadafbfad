/*
 * Inside the Postgres driver: its connection, shared by the files that make it, use it and tell its errors.
 *
 * Nothing that matters is kept in the session: no SET, no advisory lock of the session; prepared statements
 * only where there is no pooler. So a transaction may run on any server connection, as PgBouncer's
 * transaction mode hands them out, and a connection that was lost loses no more than its transaction.
 */
#ifndef STORE_DB_POSTGRES_H
#define STORE_DB_POSTGRES_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "store/db_rows.h"

enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25 };

/* By what the server knows a transaction. */
struct postgres_mark {
    char xid[24]; /* "" : it has written nothing, or was not asked for it */
    char timeline[9];
};

struct db_postgres {
    struct db base;
    PGconn *conn; /* NULL: there is none now */
    PQconninfoOption *options;
    char *name;          /* owned; "host:port/database", for people: the URL may hold a password */
    char *begin_sql;     /* owned */
    bool waits_for_disk; /* a commit, without being told */
    int busy_ms, reply_ms;
    uint32_t session;            /* counts the connections */
    bool names_known, has_names; /* whether statements are kept by name on the present one */
    uint32_t name_count;
    struct postgres_mark mark; /* of the present transaction */
    int changed;               /* rows, by the last statement */
    bool has_begun; /* a transaction, that may have been lost with its connection since: then it only takes a
                       rollback */
};

/* What is sent at once: one statement with its values, or a script of several without. */
struct postgres_query {
    const char *sql;
    const char *name; /* of one that the server keeps; NULL: it goes out as it is */
    bool is_script;
    bool is_preparation; /* only to be kept under its name */
    int count;
    const Oid *types;
    const char *const *values;
    const int *lengths;
    const int *formats;
};

extern const struct db_driver db_postgres_driver;

/* ---- db_postgres_open.c ---- */

/* Makes the connection if there is none, and no transaction was lost with the last. The time for it is
 * bounded. */
int postgres_connect(struct db_postgres *db, struct err *err) MUST_CHECK;
void postgres_disconnect(struct db_postgres *db);
/* What a transaction begins with: it depends on the waits. */
void postgres_set_begin(struct db_postgres *db);

/* ---- db_postgres_exec.c ---- */

/* Waits until the socket is ready (POLLIN, POLLOUT); 1: it is; 0: not until `end_mono_ms`. */
int postgres_wait(PGconn *conn, short events, int64_t end_mono_ms);
/* Sends and reads to the end of the (last) result, which the caller clears. A connection that does not answer
 * in time is dropped. */
int postgres_exec(struct db_postgres *db, const struct postgres_query *query, PGresult **ret,
                  struct err *err) MUST_CHECK;
int postgres_exec_text(struct db_postgres *db, const char *sql, struct err *err) MUST_CHECK; /* a script */

/* ---- db_postgres_named.c ---- */

/* Of a statement; zeroed before its first use. */
struct postgres_name {
    char text[16];
    uint32_t session; /* in which the server keeps it */
    bool is_known;    /* it was used before: it comes again */
};
/* 1: the connection is the server's own; 0: there is a pooler in between. */
int postgres_is_direct(struct db_postgres *db, struct err *err) MUST_CHECK;
/* Before each use: lets the query go out by name where that is possible and worth it. */
int postgres_name(struct db_postgres *db, struct postgres_name *name, struct postgres_query *query,
                  struct err *err) MUST_CHECK;

/* ---- db_postgres_rows.c ---- */

void postgres_build_rows(const struct db_columns *columns, struct buf *sql);
void postgres_build_row_value(const char *name, size_t len, uint32_t at, struct buf *sql);
/* A parameter a column, in Postgres's binary form; the values lie in `ret`, which this initialises. */
void postgres_build_arrays(const struct db_columns *columns, const struct db_rows *rows, struct buf *ret,
                           Oid *types, const char **values, int *lengths);

/* ---- db_postgres_commit.c ---- */

int postgres_release(struct db_postgres *db, struct err *err) MUST_CHECK; /* the savepoint */
/* Where the connection breaks meanwhile, a new one asks what became of it. */
int postgres_commit(struct db_postgres *db, struct err *err) MUST_CHECK;

/* ---- db_postgres_error.c ---- */

/* Turns a result that is an error into a code and a message that says what to do. */
int postgres_error(struct db_postgres *db, const PGresult *result, struct err *err) MUST_CHECK;
/* The same for a connection that could not be made. */
int postgres_connect_error(struct db_postgres *db, PGconn *conn, struct err *err) MUST_CHECK;
int postgres_lost(struct db_postgres *db, struct err *err) MUST_CHECK;
int postgres_hung(struct db_postgres *db, struct err *err) MUST_CHECK;

#endif
