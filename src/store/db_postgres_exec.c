/* Sending and waiting: never longer than the deadline, whatever the server does. */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "store/db_postgres.h"

int postgres_wait(PGconn *conn, short events, int64_t end_mono_ms)
{
    for (;;) {
        int64_t left_ms = end_mono_ms - clock_mono_ms();
        struct pollfd fd = {.fd = PQsocket(conn), .events = events};
        int rc = left_ms > 0 && fd.fd >= 0 ? poll(&fd, 1, (int)left_ms) : 0;
        if (rc >= 0)
            return rc;
        if (errno != EINTR)
            return 0;
    }
}

/* 1: all is sent; 0: the time is over; -1: the connection is. What the server says meanwhile is read, or both
 * sides could wait for each other. */
static int flush(PGconn *conn, int64_t end_mono_ms)
{
    int rc;
    while ((rc = PQflush(conn)) == 1) {
        if (postgres_wait(conn, POLLIN | POLLOUT, end_mono_ms) == 0)
            return 0;
        if (PQconsumeInput(conn) == 0)
            return -1;
    }
    return rc < 0 ? -1 : 1;
}

/* The same for what comes back. */
static int receive(PGconn *conn, int64_t end_mono_ms)
{
    while (PQisBusy(conn)) {
        if (postgres_wait(conn, POLLIN, end_mono_ms) == 0)
            return 0;
        if (PQconsumeInput(conn) == 0)
            return -1;
    }
    return 1;
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY;
}

/* The first error, or else the last result. */
static int read_results(PGconn *conn, int64_t end_mono_ms, PGresult **ret)
{
    int rc;
    while ((rc = receive(conn, end_mono_ms)) > 0) {
        PGresult *result = PQgetResult(conn);
        if (!result)
            break;
        if (*ret && is_error(*ret)) {
            PQclear(result);
        } else {
            PQclear(*ret);
            *ret = result;
        }
    }
    return rc;
}

static int send_query(PGconn *conn, const struct postgres_query *query)
{
    if (query->is_script)
        return PQsendQuery(conn, query->sql);
    if (query->is_preparation)
        return PQsendPrepare(conn, query->name, query->sql, query->count, query->types);
    if (query->name)
        return PQsendQueryPrepared(conn, query->name, query->count, query->values, query->lengths,
                                   query->formats, 1);
    return PQsendQueryParams(conn, query->sql, query->count, query->types, query->values, query->lengths,
                             query->formats, 1);
}

static int transfer(struct db_postgres *db, const struct postgres_query *query, PGresult **ret,
                    struct err *err)
{
    int64_t end_mono_ms = clock_mono_ms() + db->reply_ms;
    int rc = send_query(db->conn, query) ? flush(db->conn, end_mono_ms) : -1;
    if (rc > 0)
        rc = read_results(db->conn, end_mono_ms, ret);
    if (*ret && is_error(*ret))
        return postgres_error(db, *ret, err);
    if (rc == 0)
        return postgres_hung(db, err);
    return rc < 0 || !*ret ? postgres_lost(db, err) : 0;
}

int postgres_exec(struct db_postgres *db, const struct postgres_query *query, PGresult **ret, struct err *err)
{
    *ret = NULL;
    int rc = postgres_connect(db, err);
    if (rc == 0)
        rc = transfer(db, query, ret, err);
    if (rc < 0) {
        PQclear(*ret);
        *ret = NULL;
    }
    return rc;
}

int postgres_exec_text(struct db_postgres *db, const char *sql, struct err *err)
{
    PGresult *result;
    int rc = postgres_exec(db, &(struct postgres_query){.sql = sql, .is_script = true}, &result, err);
    PQclear(result);
    return rc;
}
