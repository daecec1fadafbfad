/* What Postgres says, as a code of ours and a message that says what to do. */
#include <string.h>

#include "store/db_postgres.h"

struct fault {
    const char *state; /* SQLSTATE, or the beginning of it */
    int code;
    bool is_conflict;
    const char *advice; /* NULL: the server's own words are enough */
};

/* The first that fits counts. */
static const struct fault faults[] = {
    {"23505", ERR_EXISTS, false, NULL},
    {"23", ERR_INVALID, false, NULL}, /* a constraint or one of our guards */
    {"22021", ERR_INVALID, false, "text in Postgres is UTF-8: rename the file, or type it differently"},
    {"22", ERR_INVALID, false, NULL},    /* a value that its column cannot take */
    {"54", ERR_INVALID, false, NULL},    /* too long for an index */
    {"P0001", ERR_INVALID, false, NULL}, /* raised by a function of ours */
    {"40001", ERR_BUSY, true, "another transaction was in the way: try again"},
    {"40P01", ERR_BUSY, true, "another transaction was in the way: try again"},
    {"55P03", ERR_BUSY, true, "another transaction has it locked: try again"},
    {"26000", ERR_BUSY, true, "the server has forgotten a statement: try again"},
    {"42P05", ERR_BUSY, true, "the server has another statement of that name: try again"},
    {"0A000", ERR_BUSY, true, "the tables have just been changed: try again"},
    {"42P01", ERR_STORE, false, "a table is not there: was the role's search_path changed?"},
    {"42501", ERR_STORE, false, "the login may not do this: docs/tenants.md says what each kind may"},
    {"53100", ERR_STORE, false,
     "the database's disk is full: make room and try again; nothing of this change was kept"},
    {"53300", ERR_STORE, false,
     "the server has no connection left: run fewer workers, raise max_connections, or use PgBouncer"},
    {"25006", ERR_STORE, false,
     "the database can only be read: it is a standby, or default_transaction_read_only is set"},
    {"57014", ERR_STORE, false, "the statement took too long and was ended; nothing of it was kept"},
    {"28", ERR_STORE, false, "the login was refused: check user, password and pg_hba.conf"},
    {"3D000", ERR_STORE, false, "there is no such database: make it with `createdb`"},
    {"", ERR_STORE, false, NULL},
};

static const struct fault *find_fault(const char *state)
{
    const struct fault *fault = faults;
    while (strncmp(state, fault->state, strlen(fault->state)) != 0)
        fault++;
    return fault;
}

static int say(const struct db_postgres *db, const struct fault *fault, const char *text, struct err *err)
{
    if ((fault->code == ERR_EXISTS || fault->code == ERR_INVALID) && !fault->advice)
        return err_set(err, fault->code, "%s", text);
    if (fault->advice)
        return err_set(err, fault->code, "%s: %s (%s)", db->name, fault->advice, text);
    return err_set(err, fault->code, "%s: %s", db->name, text);
}

/* The server ends such a connection itself; a read-only one is looked for anew where there are several. */
static bool ends_connection(const char *state)
{
    return strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0 || strcmp(state, "25006") == 0 ||
           strcmp(state, "25P03") == 0;
}

/* The session is not ours alone after all; or the tables were changed, and statements that are kept with
 * them. */
static bool ends_names(const char *state)
{
    return strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0 || strcmp(state, "0A000") == 0;
}

int postgres_error(struct db_postgres *db, const PGresult *result, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state) /* libpq's own: the connection broke */
        return postgres_lost(db, err);
    const struct fault *fault = find_fault(state);
    db->base.was_conflict = fault->is_conflict;
    int rc = say(db, fault, text ? text : state, err);
    if (ends_names(state))
        db->has_names = false;
    if (ends_connection(state))
        postgres_disconnect(db);
    return rc;
}

int postgres_lost(struct db_postgres *db, struct err *err)
{
    postgres_disconnect(db);
    return err_set(err, ERR_STORE, "the connection to %s was lost; nothing of this change was acknowledged",
                   db->name);
}

int postgres_hung(struct db_postgres *db, struct err *err)
{
    postgres_disconnect(db);
    return err_set(err, ERR_STORE, "%s has not answered for %d ms: is the server overloaded or stopped?",
                   db->name, db->reply_ms);
}

/* ---- connecting ---- */

/* libpq tells why there is no connection only in words; asked to be verbose, it puts the SQLSTATE in them:
 * "FATAL:  53300: sorry, too many clients already". */
static const char *state_in_text(const char *text)
{
    const char *mark = strstr(text, "FATAL:  ");
    return mark && strlen(mark) > 14 && mark[13] == ':' ? mark + 8 : "";
}

/* Up to the end of the line: what follows is where in the server's sources it happened. */
static int line_len(const char *text)
{
    return (int)strcspn(text, "\n");
}

int postgres_connect_error(struct db_postgres *db, PGconn *conn, struct err *err)
{
    const char *text = PQerrorMessage(conn);
    const char *state = state_in_text(text);
    const struct fault *fault = find_fault(state);
    if (state[0] && fault->advice)
        return err_set(err, ERR_STORE, "%s: %s (%.*s)", db->name, fault->advice, line_len(state + 7),
                       state + 7);
    return err_set(err, ERR_STORE, "cannot reach the database %s: %.*s", db->name, line_len(text), text);
}
