/* The digests of what was sent of a job. */
#include <string.h>

#include "store/internal.h"

static int read_chunk(const struct db_stmt *stmt, struct chunk_digest *ret, struct err *err)
{
    size_t len;
    const void *digest = db_blob(stmt, 2, &len);
    if (len != DIGEST_SIZE)
        return err_set(err, ERR_STORE, "a chunk's digest has %zu bytes, not %d", len, DIGEST_SIZE);
    *ret = (struct chunk_digest){.first_byte = (uint64_t)db_int(stmt, 0),
                                 .size_bytes = (uint64_t)db_int(stmt, 1)};
    memcpy(ret->digest, digest, DIGEST_SIZE);
    return 0;
}

int store_chunk_list(struct store *store, struct job_id id,
                     int (*row)(void *ctx, const struct chunk_digest *chunk), void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(
        store->db, "select first_byte, size_bytes, digest from chunk where job_id = $1 order by first_byte",
        DB_ARGS(DB_T(id.text)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct chunk_digest chunk;
        rc = read_chunk(stmt, &chunk, err);
        if (rc == 0)
            rc = row(ctx, &chunk);
        if (rc != 0)
            return rc;
    }
    return rc;
}
