#include "vault/sandbox.h"

#include "base/file.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "base/syscalls.h"
#include "base/text.h"

enum { PORT_HTTPS = 443, PORT_DNS = 53 };

struct plan {
    struct child *child;
    struct landlock *rules;
};

/* ---- files ---- */

/* The folder, since such files are replaced by renaming: a rule for the file would hold for the old one. */
static void allow_folder_of(struct landlock *rules, const char *path)
{
    if (!path[0])
        return;
    char *folder AUTO_FREE = file_folder(path);
    landlock_allow(rules, folder, LANDLOCK_READ);
}

static void allow_configured(struct landlock *rules, const struct message *config)
{
    static const unsigned files[] = {CONFIG_CA_FILE,          CONFIG_CDN_KEY_FILE,
                                     CONFIG_SERVICE_CA_FILE,  CONFIG_SERVICE_CERT_FILE,
                                     CONFIG_SERVICE_KEY_FILE, CONFIG_SERVICE_BEARER_FILE};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        allow_folder_of(rules, config->fields[files[i]].text);
    const char *key = vault_ring_source_path(config->fields[CONFIG_KEY_SOURCE].text);
    allow_folder_of(rules, key ? key : "");
}

static void allow_store_path(void *ctx, const char *path, enum store_need need)
{
    static const unsigned rights[] = {
        [STORE_FILE] = LANDLOCK_READ | LANDLOCK_WRITE,
        /* The broker may be the one that makes the log anew, when it was the last to close it. */
        [STORE_FOLDER] = LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_MAKE,
        [STORE_CREDENTIAL] = LANDLOCK_READ,
    };
    landlock_allow(((struct plan *)ctx)->rules, path, rights[need]);
}

/* ---- ports ---- */

static void allow_port(struct plan *plan, uint16_t port)
{
    struct child *child = plan->child;
    landlock_allow_connect(plan->rules, port);
    child->ports = mem_grow(child->ports, child->port_count + 1, sizeof(*child->ports));
    child->ports[child->port_count++] = port;
}

static void allow_store_port(void *ctx, uint16_t port)
{
    allow_port(ctx, port);
}

static void allow_origin(struct plan *plan, const char *url)
{
    struct http_origin origin;
    if (url[0] && http_origin_parse(url, &origin, NULL) == 0)
        allow_port(plan, origin.port);
}

static int on_client(void *ctx, const struct store_client *client)
{
    allow_origin(ctx, client->token_uri);
    return 0;
}

static int allow_network(struct plan *plan, const struct message *config, struct err *err)
{
    allow_port(plan, PORT_HTTPS);
    allow_port(plan, PORT_DNS);
    allow_origin(plan, config->fields[CONFIG_API_ROOT].text);
    allow_origin(plan, config->fields[CONFIG_PROXY].text);
    allow_origin(plan, config->fields[CONFIG_SERVICE_URL].text);
    return store_client_list(plan->child->store, on_client, plan, err);
}

bool sandbox_may_connect(const struct child *child, const char *url)
{
    struct http_origin origin;
    if (child->port_count == 0 || http_origin_parse(url, &origin, NULL) != 0)
        return true; /* not limited, or not to be reached anyway */
    for (size_t i = 0; i < child->port_count; i++)
        if (child->ports[i] == origin.port)
            return true;
    return false;
}

/* ---- all of it ---- */

static int enforce_landlock(struct child *child, const struct message *config, struct err *err)
{
    struct plan plan = {.child = child, .rules = landlock_new()};
    struct store_needs needs = {.path = allow_store_path, .port = allow_store_port, .ctx = &plan};
    landlock_allow_system(plan.rules, NULL);
    allow_configured(plan.rules, config);
    int code = 0;
    /* A test's endpoints are at ports that nobody knows beforehand. */
    if (landlock_has_network(landlock_abi()) && !child->allow_plain_loopback)
        code = allow_network(&plan, config, err);
    else
        needs.port = NULL;
    store_needs_of(config->fields[CONFIG_STORE].text, &needs);
    if (code == 0)
        code = landlock_enforce(plan.rules, err);
    landlock_free(plan.rules);
    return code;
}

/* Asked before: afterwards the questions themselves are refused. */
static void tell(void)
{
    int abi = landlock_abi();
    if (abi == 0)
        LOG(LOG_INFO, "the broker's files and ports are not limited: this kernel has no Landlock");
    else if (!landlock_has_network(abi))
        LOG(LOG_INFO, "the broker's ports are not limited: this kernel's Landlock is too old for it");
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        LOG(LOG_INFO, "the broker's system calls are not limited: no seccomp filters here");
}

int sandbox_enter(struct child *child, const struct message *config, struct err *err)
{
    if (HAS_SANITIZER) {
        LOG(LOG_DEBUG, "no sandbox: a build with sanitizers, for tests");
        return 0;
    }
    tell();
    int code = enforce_landlock(child, config, err);
    return code != 0 ? code : syscalls_allow_few(err);
}
