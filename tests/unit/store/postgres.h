/*
 * Tests on Postgres: a database for each program, $STORE_TEST_DATABASE, emptied for each test, on the server
 * that tests/support/postgres.py has started and told of in $STORE_TEST_ADMIN_URL.
 *
 * Virtual time: in the test's database the function now_ms() is replaced by one that reads a table, and the
 * table is written before each statement for which the test's time has moved on.
 */
#ifndef TESTS_STORE_POSTGRES_H
#define TESTS_STORE_POSTGRES_H

#include <libpq-fe.h>

#include "fixture.h"

struct postgres {
    PGconn *admin; /* in the server's own database */
    PGconn *side;  /* in the test's */
    char database[32];
    int64_t clock_ms; /* what its now_ms() says */
    bool is_spoilt;   /* by a test that changed more than rows: the next test gets a new one */
};

/* Makes or empties the database and sets fix->url. */
struct postgres *postgres_setup(struct fixture *fix);
void postgres_teardown(struct postgres *postgres); /* NULL is fine */
void postgres_set_clock(struct store *store);
int64_t postgres_number(struct postgres *postgres, const char *sql);
int postgres_run_sql(struct postgres *postgres, const char *sql, char message[256]);

/* With $STORE_TEST_ROLES the store is used by a login as deploy/postgres/roles.sql makes them, with the
 * rights of all groups: "every": it reaches all tenants; "member": those that it is admitted to. NULL: by the
 * superuser. */
const char *postgres_roles(void);
/* A second handle that reaches every tenant. */
struct store *postgres_open_as_owner(struct fixture *fix);
void postgres_admit(struct postgres *postgres, const char *role, const char *tenant);

/* The URL of a database on that server; `role` NULL: the superuser, and no PgBouncer in between. */
void postgres_url(char ret[512], const char *variable, const char *database);
/* A connection of the test's own; it must be made. */
PGconn *postgres_connection(const char *database);
/* It must succeed. */
void postgres_must(PGconn *conn, const char *sql);

#endif
