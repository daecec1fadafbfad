/* A rotation of data keys: a new one a tenant, every value sealed anew, the old ones forgotten. */
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/rotation_inside.h"

enum {
    TENANTS_A_STEP = 100,
    ROWS_A_STEP = 500, /* others wait for so many at most: some ten milliseconds */
    PASSES_MAX = 50,   /* each looks for what was being written by others during the one before */
    KNOWN_COUNT = 16384,
};

/* The active keys as they were during this pass, by tenant; what falls on the same place is asked again. */
struct known_key {
    int64_t tenant_id;
    char id[VAULT_KEY_ID_SIZE];
};

struct pass {
    struct rotating *rotating;
    struct known_key *known;
    uint32_t replaced;
    uint32_t missed; /* somebody was at them */
    uint32_t corrupt;
    bool is_told; /* the walk before has told of those */
};

static const struct {
    const char *table, *field;
} places[] = {
    [SEALED_TOKEN] = {"token", "refresh_token"},
    [SEALED_ACCESS] = {"token", "access_token"},
    [SEALED_CLIENT] = {"client", "client_secret"},
    [SEALED_SESSION] = {"upload", "session_url"},
};

/* ---- new keys ---- */

/* One that a rotation before has left pending is as good. */
static int add_keys(struct rotating *rotating, const int64_t *tenants, uint32_t count, struct err *err)
{
    int code = store_begin(rotating->store, err);
    if (code != 0)
        return code;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        struct store_key row;
        tenant_key_make(rotating->keys, tenants[i], KEY_PENDING, &row);
        code = store_key_add(rotating->store, &row, err);
        code = code == ERR_EXISTS ? 0 : code;
        mem_free((void *)row.wrapped.data);
    }
    return store_end(rotating->store, code, err);
}

static int promote_keys(struct rotating *rotating, const int64_t *tenants, uint32_t count, struct err *err)
{
    int code = store_begin(rotating->store, err);
    if (code != 0)
        return code;
    for (uint32_t i = 0; i < count && code == 0; i++)
        code = store_key_promote(rotating->store, tenants[i], rotating->rotation->who, err);
    return store_end(rotating->store, code, err);
}

static int change_keys(struct rotating *rotating, struct err *err)
{
    int64_t tenants[TENANTS_A_STEP], after = INT64_MIN;
    uint32_t count = 0;
    int code;
    do {
        code = store_key_stale_tenants(rotating->store, rotating->record.started_at_ms, after, TENANTS_A_STEP,
                                       tenants, &count, err);
        if (code != 0 || count == 0)
            return code;
        after = tenants[count - 1];
        rotating->progress->keys += count;
        code = add_keys(rotating, tenants, count, err);
        if (code == 0)
            code = promote_keys(rotating, tenants, count, err);
        if (code == 0)
            code = rotating_went_on(rotating, err);
    } while (code == 0);
    return code;
}

/* ---- values ---- */

/* A tenant may have values and no key yet: those of a store from before there were data keys. */
static int ask_active(struct rotating *rotating, int64_t tenant, char ret[VAULT_KEY_ID_SIZE], struct err *err)
{
    int code = store_key_active(rotating->store, tenant, ret, err);
    if (code != ERR_NOT_FOUND)
        return code;
    code = tenant_keys_prepare(rotating->keys, tenant, err);
    rotating->progress->keys += code == 0;
    return code != 0 ? code : store_key_active(rotating->store, tenant, ret, err);
}

static int active_of(struct pass *pass, int64_t tenant, const char **ret, struct err *err)
{
    struct known_key *known = &pass->known[(uint64_t)tenant % KNOWN_COUNT];
    int code =
        known->id[0] && known->tenant_id == tenant ? 0 : ask_active(pass->rotating, tenant, known->id, err);
    known->tenant_id = tenant;
    *ret = known->id;
    if (code != 0)
        known->id[0] = '\0';
    return code;
}

static void note_corrupt(struct pass *pass, const struct seal_place *place, const struct err *why)
{
    struct store_event event = {.http_status = 0};
    struct err err = {0};
    pass->corrupt++;
    if (pass->is_told)
        return;
    LOG(LOG_ERROR, "a sealed value does not open", F_I64("tenant", place->tenant_id),
        F_STR("table", place->table), F_STR("row", place->row), F_STR("field", place->field),
        F_STR("message", why->message));
    text_copy(event.who, sizeof(event.who), pass->rotating->rotation->who);
    text_copy(event.what, sizeof(event.what), "decrypt failed");
    text_copy(event.reason, sizeof(event.reason), place->field);
    text_copy(event.message, sizeof(event.message), why->message);
    if (store_tenant_name(pass->rotating->store, place->tenant_id, event.tenant, &err) != 0)
        event.tenant[0] = '\0';
    if (strcmp(place->table, "upload") == 0)
        text_copy(event.job, sizeof(event.job), place->row);
    if (store_event_add(pass->rotating->store, &event, &err) != 0)
        LOG(LOG_WARN, "a line of the audit trail could not be stored", F_STR("message", err.message));
}

static int reseal(struct pass *pass, enum sealed_table table, struct sealed_row *row, struct err *err)
{
    struct seal_place place = {.tenant_id = row->tenant_id,
                               .table = places[table].table,
                               .row = row->row,
                               .field = places[table].field};
    struct buf fresh AUTO_BUF = BUF_INIT(2 * VAULT_SEALED_MAX);
    char key_id[VAULT_KEY_ID_SIZE] = "";
    const char *active = "";
    struct err why = {0};
    int code = active_of(pass, row->tenant_id, &active, err);
    if (code != 0 && code != ERR_NOT_FOUND)
        return code;
    if (vault_sealed_key_id(row->sealed.data, row->sealed.len, key_id) && strcmp(key_id, active) == 0)
        return 0;
    code =
        tenant_reseal(pass->rotating->keys, &place, row->sealed.data, row->sealed.len, active, &fresh, &why);
    if (code == ERR_CORRUPT || code == ERR_NOT_FOUND) {
        note_corrupt(pass, &place, &why);
        return 0;
    }
    if (code != 0)
        return err_set(err, code, "%s", why.message);
    text_copy(row->key_id, sizeof(row->key_id), active);
    void *copy = mem_alloc(fresh.len);
    row->fresh = (struct blob){.data = memcpy(copy, fresh.data, fresh.len), .len = fresh.len};
    return 0;
}

static int reseal_rows(struct pass *pass, enum sealed_table table, struct sealed_row *rows, uint32_t count,
                       struct err *err)
{
    uint32_t wanted = 0, done = 0;
    int code = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = reseal(pass, table, &rows[i], err);
        wanted += rows[i].fresh.len > 0;
    }
    if (code == 0 && wanted)
        code = store_sealed_replace(pass->rotating->store, table, rows, count, &done, err);
    pass->replaced += done;
    pass->missed += wanted - done;
    pass->rotating->record.resealed += done;
    pass->rotating->progress->resealed += done;
    pass->rotating->progress->rows += count;
    return code;
}

static void free_rows(struct sealed_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mem_free((void *)rows[i].sealed.data);
        mem_free((void *)rows[i].fresh.data);
    }
}

static int walk(struct pass *pass, enum sealed_table table, struct sealed_row *rows, struct err *err)
{
    char after[sizeof(rows->row)] = "";
    uint32_t count;
    int code;
    do {
        code = store_sealed_list(pass->rotating->store, table, after, ROWS_A_STEP, rows, &count, err);
        if (code == 0)
            code = reseal_rows(pass, table, rows, count, err);
        if (code == 0 && count)
            text_copy(after, sizeof(after), rows[count - 1].row);
        free_rows(rows, count);
        if (code == 0)
            code = rotating_went_on(pass->rotating, err);
    } while (code == 0 && count);
    return code;
}

static int walk_all(struct pass *pass, struct err *err)
{
    int code = 0;
    struct sealed_row *rows = mem_alloc_array(ROWS_A_STEP, sizeof(*rows));
    memset(pass->known, 0, KNOWN_COUNT * sizeof(*pass->known));
    pass->replaced = pass->missed = pass->corrupt = 0;
    for (int table = 0; table < SEALED_TABLE_COUNT && code == 0; table++)
        code = walk(pass, (enum sealed_table)table, rows, err);
    mem_free(rows);
    return code;
}

/* Until one walk finds nothing left to do. *ret_begun_at_ms: when that one began. */
static int reseal_all(struct rotating *rotating, int64_t *ret_begun_at_ms, struct err *err)
{
    const struct timespec rest = {.tv_nsec = 100000000};
    struct pass pass = {.rotating = rotating, .known = mem_alloc_array(KNOWN_COUNT, sizeof(*pass.known))};
    int code = 0;
    for (int i = 0; i < PASSES_MAX && code == 0; i++) {
        code = store_now(rotating->store, ret_begun_at_ms, err);
        if (code == 0)
            code = walk_all(&pass, err);
        if (code != 0 || pass.replaced + pass.missed == 0)
            break;
        pass.is_told = true;
        if (pass.missed)
            nanosleep(&rest, NULL);
    }
    rotating->progress->corrupt = pass.corrupt;
    if (code == 0 && pass.replaced + pass.missed)
        code = err_set(err, ERR_BUSY,
                       "values are written with an old key again and again: is another "
                       "rotation under way?");
    mem_free(pass.known);
    return code;
}

/* ---- all of it ---- */

static int rotate(struct rotating *rotating, struct err *err)
{
    int64_t begun_at_ms = 0;
    int code = change_keys(rotating, err);
    if (code == 0)
        code = reseal_all(rotating, &begun_at_ms, err);
    /* What does not open may do so with one of them, once it is mended. */
    if (code == 0 && rotating->progress->corrupt == 0)
        code = store_key_forget(rotating->store, begun_at_ms - rotating->rotation->keep_ms,
                                rotating->rotation->who, &rotating->progress->forgotten, err);
    if (code == 0)
        code = rotating_end(rotating, err);
    if (code == 0 && rotating->progress->corrupt)
        code = err_set(err, ERR_CORRUPT, "%u sealed values do not open; the log and `sluice audit` name them",
                       rotating->progress->corrupt);
    return code;
}

/* What does not open then never will: it is told, and no reason to begin again. */
static int rotate_former(struct rotating *rotating, struct err *err)
{
    int64_t begun_at_ms;
    int code = reseal_all(rotating, &begun_at_ms, err);
    return code != 0 ? code : rotating_end(rotating, err);
}

int rotation_of_former_values(const struct rotation *rotation, struct err *err)
{
    struct rotating rotating;
    struct rotation_progress progress;
    bool is_due;
    int code = store_rotation_is_due(rotation->store, &is_due, err);
    if (code != 0 || !is_due)
        return code;
    code = rotating_begin(&rotating, rotation, "former", &progress, err);
    if (code == 0)
        code = rotate_former(&rotating, err);
    rotating_release(&rotating);
    return code;
}

int rotation_of_data_keys(const struct rotation *rotation, struct rotation_progress *ret, struct err *err)
{
    struct rotating rotating;
    int code = rotation_of_former_values(rotation, err);
    if (code != 0)
        return code;
    code = rotating_begin(&rotating, rotation, "data", ret, err);
    if (code == 0)
        code = rotate(&rotating, err);
    rotating_release(&rotating);
    return code;
}
