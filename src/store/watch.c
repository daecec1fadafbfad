/* News from Postgres: LISTEN on a connection of its own. A trigger on `job` tells (guards_postgres.c). */
#include "store/watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/db_postgres.h"

struct store_watch {
    struct db_postgres *db;
    const struct store_reach *reach;
    char schema[NAME_SIZE]; /* another store in the same database tells on the same line */
};

static int read_schema(struct store_watch *watch, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(&watch->db->base, "select current_schema()", DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        text_copy(watch->schema, sizeof(watch->schema), db_text(stmt, 0));
    return rc;
}

/* 1: it listens; 0: it would be in vain. */
static int listen_to(struct store_watch *watch, struct err *err)
{
    int rc = postgres_is_direct(watch->db, err);
    if (rc > 0)
        rc = read_schema(watch, err);
    if (rc <= 0)
        return rc;
    rc = db_script(&watch->db->base, "listen sluice", err);
    return rc < 0 ? rc : 1;
}

int store_watch_open(const char *url, const struct store_reach *reach, struct store_watch **ret,
                     struct err *err)
{
    struct db *db;
    *ret = NULL;
    if (!text_starts_with(url, "postgres"))
        return 0;
    int rc = db_postgres_open(url, false, &db, err);
    if (rc < 0)
        return rc;
    struct store_watch *watch = mem_alloc(sizeof(*watch));
    *watch = (struct store_watch){.db = (struct db_postgres *)db, .reach = reach};
    rc = listen_to(watch, err);
    if (rc > 0)
        *ret = watch;
    else
        store_watch_close(watch);
    return rc < 0 ? rc : 0;
}

void store_watch_close(struct store_watch *watch)
{
    if (!watch)
        return;
    db_close(&watch->db->base);
    mem_free(watch);
}

/* ---- news ---- */

/* "SCHEMA REGION" */
static bool concerns(const struct store_watch *watch, const char *news)
{
    size_t len = strlen(watch->schema);
    if (strncmp(news, watch->schema, len) != 0 || news[len] != ' ')
        return false;
    const char *region = news + len + 1, *own = watch->reach->region;
    return watch->reach->any_region || !region[0] || (own && strcmp(region, own) == 0);
}

static bool take_news(struct store_watch *watch)
{
    bool has_news = false;
    for (PGnotify *one; (one = PQnotifies(watch->db->conn)); PQfreemem(one))
        has_news = has_news || concerns(watch, one->extra);
    return has_news;
}

/* 1: the connection has something; 0: time or stop. */
static int wait_for_input(struct store_watch *watch, int stop_fd, int64_t end_mono_ms)
{
    for (;;) {
        int64_t left_ms = end_mono_ms - clock_mono_ms();
        struct pollfd fds[] = {{.fd = PQsocket(watch->db->conn), .events = POLLIN},
                               {.fd = stop_fd, .events = POLLIN}};
        int rc = poll(fds, 2, left_ms > 0 ? (int)left_ms : 0);
        if (rc < 0 && errno == EINTR)
            continue;
        return rc > 0 && !fds[1].revents;
    }
}

int store_watch_wait(struct store_watch *watch, int stop_fd, int timeout_ms, struct err *err)
{
    int64_t end_mono_ms = clock_mono_ms() + timeout_ms;
    while (!take_news(watch)) {
        if (wait_for_input(watch, stop_fd, end_mono_ms) == 0)
            return 0;
        if (PQconsumeInput(watch->db->conn) == 0)
            return postgres_lost(watch->db, err);
    }
    return 1;
}
