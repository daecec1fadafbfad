/*
 * What a worker gives up before it opens anything: programs to start, files but for its sources, its store
 * and certificates, a look into other processes, being looked into. The key file above all: what is sealed in
 * the store stays so to whoever takes the worker over. Its keeper (vault/keeper.h) stays outside.
 *
 * Main thread, while it is the only one.
 */
#ifndef WORKER_CONFINE_H
#define WORKER_CONFINE_H

#include "store/store.h"
#include "vault/keeper.h"
#include "worker/settings.h"

struct confinement {
    struct keeper *keeper;
    /* Open from before to after everything else: SQLite's log and index stand for as long, and rules go with
     * files that are there. NULL: Postgres. */
    struct store *anchor;
};
/* Errors of store_open() and keeper_open(), and ERR_INTERNAL. Release `ret` in any case. */
int confine(const struct settings *settings, struct confinement *ret, struct err *err) MUST_CHECK;
void confinement_release(struct confinement *confinement);
/* Whether the worker must be able to read the key file, since it lies beneath media_root. */
bool confine_leaves_key(const struct settings *settings);

#endif
