/*
 * Commit, and what became of it where its answer was lost (D01).
 *
 * The server remembers how each of its transactions ended. So before the commit its number is asked for, and
 * if the connection breaks before the answer came, a new connection asks how that number ended. The number
 * alone would lie after a fail-over to a server that never saw it and has given it to another: so the
 * timeline of the server's log, which each fail-over changes, must be the same too.
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/db_postgres.h"

enum { PAUSE_FIRST_MS = 20, PAUSE_MAX_MS = 500 };

#define TIMELINE "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"

#define SELECT_MARK "select pg_current_xact_id_if_assigned()::text, " TIMELINE

/* Where the transaction has written nothing yet, it has no number. */
static int read_mark(struct db_postgres *db, const char *sql, struct err *err)
{
    PGresult *result;
    int rc = postgres_exec(db, &(struct postgres_query){.sql = sql, .is_script = true}, &result, err);
    if (rc == 0 && PQntuples(result) == 1 && !PQgetisnull(result, 0, 0)) {
        text_copy(db->mark.xid, sizeof(db->mark.xid), PQgetvalue(result, 0, 0));
        text_copy(db->mark.timeline, sizeof(db->mark.timeline), PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return rc;
}

/* The number stays the same to the transaction's end: asked for here, it needs no way of its own. */
int postgres_release(struct db_postgres *db, struct err *err)
{
    if (db->mark.xid[0])
        return postgres_exec_text(db, "release savepoint step", err);
    return read_mark(db, "release savepoint step; " SELECT_MARK, err);
}

/* A transaction in which something failed is rolled back by a commit, which says so only in its tag. */
static int send_commit(struct db_postgres *db, struct err *err)
{
    PGresult *result;
    int rc = postgres_exec(db, &(struct postgres_query){.sql = "commit", .is_script = true}, &result, err);
    if (rc == 0 && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        rc =
            err_set(err, ERR_STORE, "the transaction was lost to an earlier failure: nothing of it was kept");
    PQclear(result);
    return rc;
}

/* ---- in doubt ---- */

enum outcome { OUTCOME_UNKNOWN, OUTCOME_COMMITTED, OUTCOME_ABORTED, OUTCOME_OPEN };

static enum outcome parse_outcome(const char *text)
{
    if (strcmp(text, "committed") == 0)
        return OUTCOME_COMMITTED;
    if (strcmp(text, "aborted") == 0)
        return OUTCOME_ABORTED;
    return strcmp(text, "in progress") == 0 ? OUTCOME_OPEN : OUTCOME_UNKNOWN;
}

/* 0 or an error that may pass; *ret is known then. */
static int ask(struct db_postgres *db, const struct postgres_mark *mark, enum outcome *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(&db->base, "select coalesce(pg_xact_status($1::text::xid8), ''), " TIMELINE,
                      DB_ARGS(DB_T(mark->xid)), &stmt, err);
    if (rc == ERR_INVALID) /* a number that this server has not reached yet */
        *ret = OUTCOME_UNKNOWN;
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        *ret =
            strcmp(db_text(stmt, 1), mark->timeline) == 0 ? parse_outcome(db_text(stmt, 0)) : OUTCOME_UNKNOWN;
    return rc < 0 && rc != ERR_INVALID ? rc : 0;
}

static void pause_ms(int ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&span, NULL);
}

/* A server that is just starting again, or still at it, is asked until it knows. */
static enum outcome find_outcome(struct db_postgres *db, const struct postgres_mark *mark)
{
    struct err ignored;
    enum outcome outcome = OUTCOME_OPEN;
    int64_t end_mono_ms = clock_mono_ms() + db->reply_ms;
    int pause = PAUSE_FIRST_MS;
    for (;;) {
        if (ask(db, mark, &outcome, &ignored) == 0 && outcome != OUTCOME_OPEN)
            return outcome;
        if (clock_mono_ms() >= end_mono_ms)
            return OUTCOME_UNKNOWN;
        pause_ms(pause);
        pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    }
}

static int resolve(struct db_postgres *db, const struct postgres_mark *mark, int rc, struct err *err)
{
    switch (find_outcome(db, mark)) {
    case OUTCOME_COMMITTED:
        return 0;
    case OUTCOME_ABORTED:
        return rc;
    case OUTCOME_UNKNOWN:
    case OUTCOME_OPEN:
        break;
    }
    return err_set(err, ERR_STORE,
                   "the connection to %s was lost during a commit, and whether it was made is not known: look"
                   " before you repeat it",
                   db->name);
}

int postgres_commit(struct db_postgres *db, struct err *err)
{
    int rc = db->mark.xid[0] ? 0 : read_mark(db, SELECT_MARK, err);
    bool was_sent = rc == 0;
    if (rc == 0)
        rc = send_commit(db, err);
    if (rc == 0 || db->conn) {
        db->has_begun = rc < 0 && PQtransactionStatus(db->conn) != PQTRANS_IDLE;
        return rc;
    }
    db->has_begun = !was_sent; /* a rollback is still to come */
    struct postgres_mark mark = db->mark;
    return was_sent && mark.xid[0] ? resolve(db, &mark, rc, err) : rc;
}
