/* Which tenants the broker serves: those of its parent, if the parent has been told to keep to some. */
#include <inttypes.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/child.h"

static int refuse(const struct child *child, const char *tenant, struct err *err)
{
    LOG(LOG_ERROR, "the broker was asked for something of a tenant that it does not serve",
        F_STR("tenant", tenant));
    return err_set(err, ERR_INVALID, "this worker serves %s, not tenant %s", child->tenants, tenant);
}

int child_check_tenant(struct child *child, const char *tenant, struct err *err)
{
    return !child->tenants[0] || text_list_has(child->tenants, tenant) ? 0 : refuse(child, tenant, err);
}

static bool is_known(const struct child *child, int64_t tenant_id)
{
    for (size_t i = 0; i < child->served_count; i++)
        if (child->served[i] == tenant_id)
            return true;
    return false;
}

/* A tenant keeps its id and its name. */
int child_check_tenant_id(struct child *child, int64_t tenant_id, struct err *err)
{
    char name[NAME_SIZE];
    if (!child->tenants[0] || is_known(child, tenant_id))
        return 0;
    int code = store_tenant_name(child->store, tenant_id, name, err);
    if (code == ERR_NOT_FOUND)
        snprintf(name, sizeof(name), "%" PRId64, tenant_id);
    if (code == 0 && text_list_has(child->tenants, name)) {
        child->served = mem_grow(child->served, child->served_count + 1, sizeof(*child->served));
        child->served[child->served_count++] = tenant_id;
        return 0;
    }
    return code == 0 || code == ERR_NOT_FOUND ? refuse(child, name, err) : code;
}
