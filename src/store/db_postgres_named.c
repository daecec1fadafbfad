/*
 * Statements that the server keeps by a name, so that it need not parse and plan them each time: a good part
 * of what a short transaction costs. They belong to the session, and behind a pooler there is none: so they
 * are only made where the connection is the server's own, and only of statements that come again. Where the
 * server does not know one after all, the transaction is repeated without any (db_postgres_error.c).
 */
#include <stdio.h>

#include "base/parse.h"
#include "store/db_postgres.h"

/* A pooler answers with a number of its own for the session that there is not. */
int postgres_is_direct(struct db_postgres *db, struct err *err)
{
    PGresult *result;
    int64_t pid;
    struct postgres_query query = {.sql = "select pg_backend_pid()", .is_script = true};
    int rc = postgres_exec(db, &query, &result, err);
    if (rc == 0)
        rc = PQntuples(result) == 1 && parse_i64(PQgetvalue(result, 0, 0), &pid) &&
             pid == PQbackendPID(db->conn);
    PQclear(result);
    return rc;
}

static int learn_direct(struct db_postgres *db, struct err *err)
{
    if (db->names_known)
        return 0;
    int rc = postgres_is_direct(db, err);
    db->names_known = rc >= 0;
    db->has_names = rc > 0;
    return rc < 0 ? rc : 0;
}

static int prepare(struct db_postgres *db, struct postgres_name *name, const struct postgres_query *query,
                   struct err *err)
{
    PGresult *result;
    struct postgres_query preparation = *query;
    snprintf(name->text, sizeof(name->text), "s%u", ++db->name_count);
    preparation.name = name->text;
    preparation.is_preparation = true;
    int rc = postgres_exec(db, &preparation, &result, err);
    PQclear(result);
    if (rc == 0)
        name->session = db->session;
    return rc;
}

int postgres_name(struct db_postgres *db, struct postgres_name *name, struct postgres_query *query,
                  struct err *err)
{
    int rc = postgres_connect(db, err);
    bool comes_again = name->is_known;
    name->is_known = true;
    if (rc == 0 && comes_again)
        rc = learn_direct(db, err);
    if (rc < 0 || !comes_again || !db->has_names)
        return rc;
    if (name->session != db->session)
        rc = prepare(db, name, query, err);
    if (rc == 0)
        query->name = name->text;
    return rc;
}
