/* What a store needs of the machine: for those who give up everything else. */
#include <libpq-fe.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/store.h"

/* ---- SQLite ---- */

/* The file and what stands beside it while it is open; SQLite makes and removes the latter. */
static void needs_of_sqlite(const char *path, const struct store_needs *needs)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char *folder AUTO_FREE = file_folder(path);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char *file AUTO_FREE = mem_printf("%s%s", path, suffixes[i]);
        needs->path(needs->ctx, file, STORE_FILE);
    }
    needs->path(needs->ctx, folder, STORE_FOLDER);
}

/* ---- Postgres ---- */

static void tell_ports(const char *ports, const struct store_needs *needs)
{
    while (*ports) {
        size_t len = strcspn(ports, ",");
        char *text AUTO_FREE = mem_dup_n(ports, len);
        uint64_t port;
        if (parse_u64(text, &port) && port > 0 && port <= UINT16_MAX)
            needs->port(needs->ctx, (uint16_t)port);
        ports += len + (ports[len] == ',');
    }
}

static void tell_options(PQconninfoOption *options, const struct store_needs *needs)
{
    static const char *const files[] = {"sslcert", "sslkey",    "sslrootcert",
                                        "sslcrl",  "sslcrldir", "passfile"};
    for (PQconninfoOption *option = options; option && option->keyword; option++) {
        for (size_t i = 0; option->val && i < ARRAY_LEN(files); i++)
            if (strcmp(option->keyword, files[i]) == 0 && option->val[0] == '/')
                needs->path(needs->ctx, option->val, STORE_CREDENTIAL);
        if (option->val && needs->port && strcmp(option->keyword, "port") == 0)
            tell_ports(option->val, needs);
    }
    PQconninfoFree(options);
}

/* Where libpq looks if nothing is named. */
static void tell_home(const struct store_needs *needs)
{
    static const char *const names[] = {".pgpass", ".postgresql"};
    char buffer[4096];
    struct passwd entry, *found = NULL;
    const char *home = getenv("HOME");
    if (!home && getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
        home = found->pw_dir;
    for (size_t i = 0; home && i < ARRAY_LEN(names); i++) {
        char *path AUTO_FREE = mem_printf("%s/%s", home, names[i]);
        needs->path(needs->ctx, path, STORE_CREDENTIAL);
    }
}

static void needs_of_postgres(const char *url, const struct store_needs *needs)
{
    tell_options(PQconndefaults(), needs);
    tell_options(PQconninfoParse(url, NULL), needs);
    tell_home(needs);
}

void store_needs_of(const char *url, const struct store_needs *needs)
{
    if (text_starts_with(url, "sqlite:"))
        needs_of_sqlite(url + strlen("sqlite:"), needs);
    else
        needs_of_postgres(url, needs);
}
