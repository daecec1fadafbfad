/* The point of `check` about tenants: whether the database keeps the logins of worker and broker to theirs.
 */
#include "cli/findings.h"
#include "store/isolation.h"

struct walk {
    struct check *check;
    const char *setting;
    int count;
};

static int tell(void *ctx, const struct store_finding *finding)
{
    struct walk *walk = ctx;
    struct err err;
    walk->count++;
    err_set(&err, ERR_AUTH, "by %s, %s", walk->setting, finding->what);
    check_fail(walk->check, "isolation", finding->mend, &err);
    return 0;
}

/* Returns how much is wrong. */
static int look_at(struct check *check, struct store *store, enum store_user user, const char *tenants)
{
    struct walk walk = {.check = check, .setting = user == STORE_AS_BROKER ? "broker_store" : "store"};
    struct err err = {0};
    if (store_isolation(store, user, tenants, tell, &walk, &err) < 0) {
        check_fail(check, "isolation", NULL, &err);
        walk.count++;
    }
    return walk.count;
}

static int look_at_broker(struct check *check, const char *tenants)
{
    struct store *store;
    struct err err = {0};
    if (store_open(check->cli->settings.broker_store, STORE_USE, &store, &err) < 0) {
        check_fail(check, "isolation", "see broker_store", &err);
        return 1;
    }
    int count = look_at(check, store, STORE_AS_BROKER, tenants);
    store_close(store);
    return count;
}

void check_isolation(struct check *check)
{
    const char *tenants = settings_isolated_tenants(&check->cli->settings);
    if (!tenants) {
        check_ok(check, "isolation", "not asked for: who can log in to the store reaches every tenant");
        return;
    }
    int count = look_at(check, check->cli->store, STORE_AS_WORKER, tenants) + look_at_broker(check, tenants);
    if (count == 0)
        check_ok(check, "isolation", "the database keeps these logins to %s",
                 *tenants ? tenants : "their tenants");
}
