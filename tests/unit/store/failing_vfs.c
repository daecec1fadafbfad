#include "failing_vfs.h"

#include <sqlite3.h>
#include <string.h>

/* The real file stands behind this one in the same memory. */
struct layered_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;
static long calls_left;
static bool fails_for_ever;
static long failures;

void failing_vfs_arm(long nth, bool for_ever)
{
    calls_left = nth;
    fails_for_ever = for_ever;
    failures = 0;
}

long failing_vfs_failures(void)
{
    return failures;
}

static bool fails_now(void)
{
    if (calls_left > 1)
        calls_left--;
    else if (calls_left == 1) {
        calls_left = fails_for_ever ? 1 : 0;
        failures++;
        return true;
    }
    return false;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct layered_file *)file)->real;
}

/* ---- what may fail ---- */

static int layer_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (!fails_now())
        return real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
    /* Half of it gets there: a torn write. */
    real_of(file)->pMethods->xWrite(real_of(file), data, len / 2, at);
    return SQLITE_IOERR_WRITE;
}

/* No power is lost here, so a sync that does not fail need not reach the disk. */
static int layer_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return fails_now() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int layer_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return fails_now() ? SQLITE_IOERR_TRUNCATE : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int layer_delete(sqlite3_vfs *self, const char *name, int sync_dir)
{
    (void)self;
    return fails_now() ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync_dir);
}

/* ---- what is passed on ---- */

static int layer_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int layer_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, len, at);
}

static int layer_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int layer_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int layer_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int layer_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int layer_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int layer_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int layer_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int layer_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int layer_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), first, count, flags);
}

static void layer_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int layer_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = layer_close,
    .xRead = layer_read,
    .xWrite = layer_write,
    .xTruncate = layer_truncate,
    .xSync = layer_sync,
    .xFileSize = layer_size,
    .xLock = layer_lock,
    .xUnlock = layer_unlock,
    .xCheckReservedLock = layer_check_lock,
    .xFileControl = layer_control,
    .xSectorSize = layer_sector,
    .xDeviceCharacteristics = layer_traits,
    .xShmMap = layer_shm_map,
    .xShmLock = layer_shm_lock,
    .xShmBarrier = layer_shm_barrier,
    .xShmUnmap = layer_shm_unmap,
};

static int layer_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)self;
    struct layered_file *layered = (struct layered_file *)file;
    layered->real = (sqlite3_file *)(layered + 1);
    int rc = real_vfs->xOpen(real_vfs, name, layered->real, flags, ret_flags);
    layered->base.pMethods = layered->real->pMethods ? &methods : NULL;
    return rc;
}

void failing_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "failing";
    vfs.szOsFile = (int)sizeof(struct layered_file) + real_vfs->szOsFile;
    vfs.xOpen = layer_open;
    vfs.xDelete = layer_delete;
    sqlite3_vfs_register(&vfs, 1);
}
