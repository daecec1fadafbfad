#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/db_sqlite.h"

#define DIR_MODE  0700
#define FILE_MODE 0600

static int64_t wall_clock(void *ctx)
{
    (void)ctx;
    return clock_wall_ms();
}

static void sql_now_ms(sqlite3_context *context, int count, sqlite3_value **args)
{
    (void)count;
    (void)args;
    const struct db *db = sqlite3_user_data(context);
    sqlite3_result_int64(context, db->now_ms(db->now_ctx));
}

/* ---- files ---- */

/* Every missing directory of the path, so that `init` needs no mkdir before it. */
static int make_directories(const char *path, struct err *err)
{
    AUTO_FREE char *dir = mem_dup(path);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(dir, DIR_MODE) != 0 && errno != EEXIST)
            return err_set_errno(err, ERR_STORE, errno, "cannot make the directory %s", dir);
        *slash = '/';
    }
    return 0;
}

/* The mode is given at creation: SQLite would take the umask's. A file that exists is not opened here,
 * because closing it again would drop the locks that this process holds on it. */
static int make_file(const char *path, struct err *err)
{
    int rc = make_directories(path, err);
    if (rc < 0)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return err_set_errno(err, ERR_STORE, errno, "cannot make the store %s", path);
    return 0;
}

static int check_file(const char *path, bool create, struct err *err)
{
    if (create)
        return make_file(path, err);
    struct stat status;
    int rc = stat(path, &status);
    if (rc == 0 && status.st_size > 0)
        return 0;
    if (rc == 0 || errno == ENOENT || errno == ENOTDIR)
        return err_set(err, ERR_NOT_FOUND, "there is no store at %s: make one with `sluice init`", path);
    return err_set_errno(err, ERR_STORE, errno, "cannot reach the store %s", path);
}

/* ---- settings ---- */

static void pause_ms(int ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&span, NULL);
}

/* The change to WAL needs the file alone and does not wait by itself: two processes may be at it at once. */
static int use_wal(struct db_sqlite *db, struct err *err)
{
    int64_t end_ms = clock_mono_ms() + db->busy_wait_ms;
    for (;;) {
        int rc = sqlite3_exec(db->handle, "pragma journal_mode = wal", NULL, NULL, NULL);
        if ((rc & 0xff) != SQLITE_BUSY || clock_mono_ms() >= end_ms)
            return rc == SQLITE_OK ? 0 : db_sqlite_error(db, rc, err);
        pause_ms(5);
    }
}

/* Asked before anything is written: a path given by mistake must not cost another program its database. */
static int check_owner(struct db_sqlite *db, struct err *err)
{
    int64_t is_foreign = 0;
    int rc =
        db_number(&db->base, "select count(*) > 0 and sum(name = 'schema_version') = 0 from sqlite_master",
                  DB_NO_ARGS, &is_foreign, err);
    if (rc < 0 || !is_foreign)
        return rc < 0 ? rc : 0;
    return err_set(err, ERR_STORE, "%s is the database of another program: give `store` another path",
                   db->path);
}

/* temp_store: what a statement may have to undo stays in memory (of a pause of 100,000 jobs: 32 MiB), since a
 * sandbox leaves no folder to put it in. */
static int configure(struct db_sqlite *db, struct err *err)
{
    int rc = sqlite3_create_function_v2(db->handle, "now_ms", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, &db->base,
                                        sql_now_ms, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db->handle,
                          "pragma foreign_keys = on; pragma recursive_triggers = on;"
                          "pragma cell_size_check = on; pragma trusted_schema = off;"
                          "pragma synchronous = full; pragma journal_size_limit = 67108864;"
                          "pragma temp_store = memory",
                          NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return db_sqlite_error(db, rc, err);
    return 0;
}

static int check_writable(const struct db_sqlite *db, struct err *err)
{
    if (sqlite3_db_readonly(db->handle, "main") != 1)
        return 0;
    return err_set(err, ERR_STORE, "%s cannot be written: check owner and permissions of the file", db->path);
}

static int open_handle(struct db_sqlite *db, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    if (rc != SQLITE_OK)
        return db_sqlite_error(db, rc, err);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, db->busy_wait_ms);
    rc = check_writable(db, err);
    if (rc == 0)
        rc = check_owner(db, err);
    if (rc == 0)
        rc = use_wal(db, err);
    return rc < 0 ? rc : configure(db, err);
}

int db_sqlite_open(const char *path, bool create, struct db **ret, struct err *err)
{
    int rc = check_file(path, create, err);
    if (rc < 0)
        return rc;
    struct db_sqlite *db = mem_alloc(sizeof(*db));
    db->base.driver = &db_sqlite_driver;
    db->base.now_ms = wall_clock;
    db->path = mem_dup(path);
    db->busy_wait_ms = DB_BUSY_MS;
    rc = open_handle(db, err);
    if (rc < 0) {
        db_close(&db->base);
        return rc;
    }
    *ret = &db->base;
    return 0;
}
