#include "worker/settings.h"

#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define FIELD(field) .name = #field, .offset = offsetof(struct settings, field)
#define TEXT_OF_(x)  #x
#define TEXT_OF(x)   TEXT_OF_(x)

static const struct conf_choice chunk_modes[] = {
    {"chunked", CHUNK_MODE_CHUNKED}, {"whole", CHUNK_MODE_WHOLE}, {"auto", CHUNK_MODE_AUTO}, {NULL, 0}};
static const struct conf_choice sign_hashes[] = {
    {"sha256", CLOUDFRONT_SHA256}, {"sha1", CLOUDFRONT_SHA1}, {NULL, 0}};
static const struct conf_choice isolations[] = {
    {"auto", ISOLATION_AUTO}, {"strict", ISOLATION_STRICT}, {"off", ISOLATION_OFF}, {NULL, 0}};
static const struct conf_choice log_levels[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
static const struct conf_choice log_formats[] = {{"logfmt", LOG_LOGFMT}, {"json", LOG_JSON}, {NULL, 0}};

/* clang-format off */
static const struct conf_key keys[] = {
    {FIELD(store), .type = CONF_TEXT, .default_help = "sqlite:$XDG_STATE_HOME/sluice/sluice.db",
     .help = "Where jobs, channels and the audit trail are kept: sqlite:PATH, or a postgres:// URL as libpq knows it. "
             "$XDG_STATE_HOME is ~/.local/state where it is not set."},
    {FIELD(broker_store), .type = CONF_TEXT, .default_help = "the value of store",
     .help = "The token broker's own login to the same database."},
    {FIELD(key_file), .type = CONF_PATH, .default_help = "sluice.key beside the SQLite file",
     .help = "The key under which the tenants' data keys are wrapped, and so all tokens, client secrets and "
             "session URLs. Without it they cannot be opened: keep a copy apart from the store's. Only its owner "
             "may be able to read it."},
    {FIELD(key_credential), .type = CONF_TEXT, .default_help = "none",
     .help = "Instead of key_file: the name of a systemd credential that holds the key (LoadCredential= or "
             "LoadCredentialEncrypted= in the unit)."},
    {FIELD(key_command), .type = CONF_TEXT, .default_help = "none",
     .help = "Instead of key_file: a program that prints the key, and its arguments, parted by blanks. It begins "
             "with a whole path; no shell is asked, its environment has PATH alone, and it has 20 s. It is run at "
             "the broker's start."},
    {FIELD(key_variable), .type = CONF_TEXT, .default_help = "none",
     .help = "Instead of key_file: the name of an environment variable that holds the key. Other programs of the "
             "same user may see it there: a warning says so each time."},
    {FIELD(tenant), .type = CONF_TEXT, .default_value = "default",
     .help = "The tenant that commands act for."},
    {FIELD(media_root), .type = CONF_PATH, .default_value = "/",
     .help = "Source files must lie beneath this directory; links that lead out of it are not followed."},
    {FIELD(region), .type = CONF_TEXT, .default_value = "",
     .help = "A worker's region. It takes the jobs of this region and those without one."},
    {FIELD(tenants), .type = CONF_TEXT, .default_value = "",
     .help = "The tenants a worker serves, parted by commas; empty: all."},
    {FIELD(isolation), .type = CONF_CHOICE, .default_value = "auto", .choices = isolations,
     .help = "Whether workers and brokers refuse to run where Postgres does not keep their logins to their tenants "
             "(docs/tenants.md). auto: if the store is Postgres, and tenants are named or broker_store is a login of "
             "its own. strict: always. off: never."},
    {FIELD(concurrency), .type = CONF_COUNT, .default_value = TEXT_OF(CONCURRENCY_DEFAULT),
     .min = 1, .max = SLOTS_MAX, .help = "How many jobs a worker has under way at once."},
    {FIELD(per_channel), .reloadable = true, .type = CONF_COUNT, .default_value = "0", .max = SLOTS_MAX,
     .help = "How many jobs of one channel may be under way at once, over all workers; 0: as many as its window "
             "allows, which begins with " TEXT_OF(WINDOW_START) ", grows with success to " TEXT_OF(WINDOW_MAX)
             " and shrinks with trouble. It never allows more than the window."},
    {FIELD(per_tenant), .reloadable = true, .type = CONF_COUNT, .default_value = "0", .max = 1000000,
     .help = "How many jobs of one tenant may be under way at once, over all workers; 0: no limit. Claims of "
             "several workers at the same moment may go a little beyond."},
    {FIELD(quota_soft_percent), .type = CONF_COUNT, .default_value = TEXT_OF(QUOTA_SOFT_PERCENT), .min = 1,
     .max = 100,
     .help = "How much of a client's uploads of a day is for jobs of any priority; what is above is kept for "
             "those that were added with a priority over 0."},
    {FIELD(watch_every_ms), .type = CONF_DURATION, .default_value = "30s", .max = 3600000,
     .help = "How often the audit trail is looked through for misuse (docs/operations.md). Of any number of workers "
             "one does it. 0: this one never does."},
    {FIELD(watch_videos_ms), .type = CONF_DURATION, .default_value = "0", .max = 604800000,
     .help = "How often a channel's uploads are looked at for videos that no job of it has made, while it has work "
             "(docs/operations.md). For channels that nobody uploads to by hand. A look costs a quota unit for each "
             "50 videos of the last day, and is left out where the client has spent " TEXT_OF(QUOTA_SOFT_PERCENT)
             " % of its units. 0: never."},
    {FIELD(notify_url), .type = CONF_TEXT, .default_value = "",
     .help = "Where alarms are told: a URL that gets a POST for each (docs/notify.md). https only. Empty: nowhere."},
    {FIELD(notify_key_file), .type = CONF_PATH, .default_help = "none",
     .help = "The key that these are signed with, 16 to 1024 bytes. Only its owner may be able to read it."},
    {FIELD(notify_ca_file), .type = CONF_PATH, .default_help = "the system's",
     .help = "PEM file of the certificate authorities to trust for notify_url."},
    {FIELD(notify_allow_private), .type = CONF_BOOL, .default_value = "no",
     .help = "notify_url may lead to a private address."},
    {FIELD(listen), .type = CONF_TEXT, .default_value = "",
     .help = "Where a worker serves its metrics and health, over plain http and read-only: ADDRESS:PORT, or a "
             "PORT alone for this machine only (127.0.0.1). An IPv6 address stands in brackets. Empty: nowhere."},
    {FIELD(limit_rate), .reloadable = true, .type = CONF_BYTES, .default_value = "0",
     .help = "Upload bytes a second over all transfers of a worker; 0: no limit. Tenants that want more than "
             "there is have equal shares, however many transfers each has."},
    {FIELD(limit_rate_tenant), .reloadable = true, .type = CONF_BYTES, .default_value = "0",
     .help = "Upload bytes a second over all transfers of one tenant in a worker; 0: no limit."},
    {FIELD(chunk_bytes), .type = CONF_BYTES, .default_value = "8388608",
     .min = CHUNK_GRANULE_BYTES, .max = CHUNK_BYTES_MAX, .multiple_of = CHUNK_GRANULE_BYTES,
     .help = "The size of one PUT. At most this much is sent a second time after a break."},
    {FIELD(chunk_mode), .type = CONF_CHOICE, .default_value = "chunked", .choices = chunk_modes,
     .help = "chunked: PUTs of chunk_bytes. whole: one PUT for all that is left. auto: chunked until waiting "
             "for replies takes over a tenth of the time, then whole."},
    {FIELD(check_video), .type = CONF_BOOL, .default_value = "yes",
     .help = "Look each new video up (one quota unit) before its job counts as completed."},
    {FIELD(reconcile_restarts), .type = CONF_BOOL, .default_value = "no",
     .help = "What to do when a session died just before the end and the channel's list of uploads shows no "
             "video: yes: upload again; no: hold the job as ambiguous until a person has looked."},
    {FIELD(lease_ms), .type = CONF_DURATION, .default_value = TEXT_OF(LEASE_MS_DEFAULT),
     .min = 12000, .max = 3600000,
     .help = "How long a worker that died keeps its jobs from the others."},
    {FIELD(retry_base_ms), .type = CONF_DURATION, .default_value = TEXT_OF(RETRY_BASE_MS),
     .min = 1, .max = 3600000,
     .help = "The first retry waits a random time up to this; the bound doubles with each try."},
    {FIELD(retry_cap_ms), .type = CONF_DURATION, .default_value = TEXT_OF(RETRY_CAP_MS),
     .min = 1, .max = 3600000, .help = "No retry waits longer than this, unless the server asks for it."},
    {FIELD(retry_tries), .type = CONF_COUNT, .default_value = TEXT_OF(RETRY_TRIES_MAX),
     .min = 1, .max = 100,
     .help = "Tries in a row without progress, after which the job is put aside for a longer while."},
    {FIELD(retry_life_ms), .type = CONF_DURATION, .default_value = TEXT_OF(JOB_LIFE_MS), .min = 1000,
     .help = "A job that has been tried for this long in all fails with its last reason."},
    {FIELD(connect_timeout_ms), .type = CONF_DURATION, .default_value = "15s", .min = 100, .max = 3600000,
     .help = "For name lookup, connection and TLS together."},
    {FIELD(request_timeout_ms), .type = CONF_DURATION, .default_value = "60s", .min = 100, .max = 3600000,
     .help = "For a small call, and for the reply after the last byte of a chunk."},
    {FIELD(stall_timeout_ms), .type = CONF_DURATION, .default_value = "60s", .min = 1000, .max = 3600000,
     .help = "A transfer that moves fewer than stall_bytes a second for this long is broken off and resumed."},
    {FIELD(stall_bytes), .type = CONF_BYTES, .default_value = "1024", .max = 4294967295,
     .help = "See stall_timeout_ms; 0: a transfer is never broken off for being slow."},
    {FIELD(read_timeout_ms), .type = CONF_DURATION, .default_value = "30s", .min = 100, .max = 3600000,
     .help = "For one read of a source file, so that a hanging disk or network mount is noticed."},
    {FIELD(api_root), .type = CONF_TEXT, .default_value = "https://www.googleapis.com",
     .help = "The API's scheme and host. A name must lead to a public address; a private one is used only "
             "where it stands here itself, or behind the proxy."},
    {FIELD(ca_file), .type = CONF_PATH, .default_help = "the system's",
     .help = "PEM file of the certificate authorities to trust, instead of the system's."},
    {FIELD(proxy), .type = CONF_TEXT, .default_help = "none",
     .help = "URL of an HTTP proxy. The http_proxy variables of the environment are not asked."},
    {FIELD(cdn_ca_file), .type = CONF_PATH, .default_help = "the system's",
     .help = "PEM file of the certificate authorities to trust when a job's CDN is asked for the size of its "
             "copy."},
    {FIELD(cdn_allow_private), .type = CONF_BOOL, .default_value = "no",
     .help = "Ask CDNs at private addresses, too. Who may add jobs can then see which hosts of the private "
             "network answer."},
    {FIELD(cdn_sign_hosts), .type = CONF_TEXT, .default_value = "",
     .help = "Hosts of CloudFront, parted by commas, whose URLs are signed before they are asked (canned policy, "
             "good for five minutes)."},
    {FIELD(cdn_key_id), .type = CONF_TEXT, .default_help = "none",
     .help = "The id that CloudFront gave to the public key, for cdn_sign_hosts."},
    {FIELD(cdn_key_file), .type = CONF_PATH, .default_help = "none",
     .help = "PEM file of the private key that belongs to cdn_key_id: RSA or ECDSA P-256. The broker alone reads "
             "it, at each signature. Only its owner may be able to read it."},
    {FIELD(cdn_sign_hash), .type = CONF_CHOICE, .default_value = "sha256", .choices = sign_hashes,
     .help = "The hash that is signed. sha1 is for what imitates CloudFront and knows no other."},
    {FIELD(token_service), .type = CONF_TEXT, .default_value = "",
     .help = "URL of a service that keeps the channels' logins and hands out access tokens, instead of the store; "
             "docs/token-service.md tells what it has to answer. https only; its name may lead to a private "
             "address, and the proxy is not used. Empty: logins are kept in the store."},
    {FIELD(token_service_bearer_file), .type = CONF_PATH, .default_help = "none",
     .help = "A file of one line by which the token service knows the broker (Authorization: Bearer). Only its "
             "owner may be able to read it; read again for each question."},
    {FIELD(token_service_cert_file), .type = CONF_PATH, .default_help = "none",
     .help = "PEM file of the certificate by which the token service knows the broker (mutual TLS); it may be "
             "renewed in place."},
    {FIELD(token_service_key_file), .type = CONF_PATH, .default_help = "none",
     .help = "PEM file of that certificate's private key, without a password. Only its owner may be able to "
             "read it."},
    {FIELD(token_service_ca_file), .type = CONF_PATH, .default_help = "the system's",
     .help = "PEM file of the certificate authorities to trust when the token service is asked."},
    {FIELD(allow_plain_loopback), .type = CONF_BOOL, .default_value = "no",
     .help = "For tests: allow http:// where the host is a loopback address."},
    {FIELD(log_level), .reloadable = true, .type = CONF_CHOICE, .default_value = "info", .choices = log_levels,
     .default_help = "info for worker, warn for the other commands",
     .help = "The least important lines that are still written to standard error."},
    {FIELD(log_format), .reloadable = true, .type = CONF_CHOICE, .default_value = "logfmt", .choices = log_formats,
     .help = "The form of log lines."},
};
/* clang-format on */
_Static_assert(ARRAY_LEN(keys) <= SETTINGS_KEYS_MAX, "struct settings has room for every key's origin");

extern char **environ;

struct conf settings_conf(struct settings *settings)
{
    return (struct conf){.keys = keys,
                         .key_count = ARRAY_LEN(keys),
                         .env_prefix = "SLUICE_",
                         .target = settings,
                         .origins = settings->origins};
}

enum conf_origin settings_origin(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].name, name) == 0)
            return (enum conf_origin)settings->origins[i];
    assert(!"a key that does not exist");
    return CONF_DEFAULT;
}

static bool is_isolated(const struct settings *settings)
{
    bool names_tenants = settings_origin(settings, "tenants") != CONF_DEFAULT && *settings->tenants;
    if (settings->isolation != ISOLATION_AUTO)
        return settings->isolation == ISOLATION_STRICT;
    return text_starts_with(settings->store, "postgres") &&
           (names_tenants || strcmp(settings->store, settings->broker_store) != 0);
}

const char *settings_isolated_tenants(const struct settings *settings)
{
    if (!is_isolated(settings))
        return NULL;
    return settings_origin(settings, "tenants") != CONF_DEFAULT ? settings->tenants : "";
}

void settings_release(struct settings *settings)
{
    struct conf conf = settings_conf(settings);
    conf_release(&conf);
    mem_free(settings->config_file);
    mem_free(settings->key_source);
    settings->config_file = settings->key_source = NULL;
}

/* ---- where the file is ---- */

/* $variable/rest, or $HOME/fallback/rest; NULL where neither is known. The base directories must be absolute
 * to count (XDG Base Directory Specification). */
static char *base_dir_path(const char *variable, const char *fallback, const char *rest)
{
    const char *dir = getenv(variable), *home = getenv("HOME");
    if (dir && *dir == '/')
        return mem_printf("%s/%s", dir, rest);
    return home && *home == '/' ? mem_printf("%s/%s/%s", home, fallback, rest) : NULL;
}

/* The file to read; NULL: there is none. One that was named must be there; the usual places may be empty. */
static char *find_config(const char *named)
{
    const char *from_env = getenv("SLUICE_CONFIG");
    if (named || (from_env && *from_env))
        return mem_dup(named ? named : from_env);
    if (access("/etc/sluice/sluice.conf", F_OK) == 0)
        return mem_dup("/etc/sluice/sluice.conf");
    char *own = base_dir_path("XDG_CONFIG_HOME", ".config", "sluice/sluice.conf");
    if (own && access(own, F_OK) == 0)
        return own;
    mem_free(own);
    return NULL;
}

/* ---- what depends on other values ---- */

static int default_store(struct settings *settings, struct err *err)
{
    if (settings->store)
        return 0;
    char *path AUTO_FREE = base_dir_path("XDG_STATE_HOME", ".local/state", "sluice/sluice.db");
    if (!path)
        return err_set(err, ERR_INVALID,
                       "there is no place for the store: HOME is not set; set `store` or SLUICE_STORE");
    settings->store = mem_printf("sqlite:%s", path);
    return 0;
}

static char *path_in(const char *folder, const char *name)
{
    return mem_printf("%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", name);
}

static void make_absolute(char **path)
{
    char dir[4096];
    if (!*path || **path == '/' || !getcwd(dir, sizeof(dir)))
        return;
    char *whole = path_in(dir, *path);
    mem_free(*path);
    *path = whole;
}

/* The broker is another process and the worker a daemon: neither may depend on where they were started. */
static void make_store_absolute(char **store)
{
    if (!*store || !text_starts_with(*store, "sqlite:"))
        return;
    char *path = mem_dup(*store + strlen("sqlite:"));
    if (*path)
        make_absolute(&path);
    mem_free(*store);
    *store = mem_printf("sqlite:%s", path);
    mem_free(path);
}

static void make_paths_absolute(struct settings *settings)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].type == CONF_PATH)
            make_absolute((char **)(void *)((char *)settings + keys[i].offset));
}

static int default_key_file(struct settings *settings, struct err *err)
{
    if (settings->key_file)
        return 0;
    if (text_starts_with(settings->store, "sqlite:/")) {
        char *folder AUTO_FREE = file_folder(settings->store + strlen("sqlite:"));
        settings->key_file = path_in(folder, "sluice.key");
    } else {
        settings->key_file = base_dir_path("XDG_STATE_HOME", ".local/state", "sluice/sluice.key");
    }
    if (!settings->key_file)
        return err_set(err, ERR_INVALID, "HOME is not set; set `key_file` or SLUICE_KEY_FILE");
    return 0;
}

static int check_key_sources(const struct settings *settings, struct err *err)
{
    int count = (settings_origin(settings, "key_file") != CONF_DEFAULT) + (settings->key_credential != NULL) +
                (settings->key_command != NULL) + (settings->key_variable != NULL);
    if (count > 1)
        return err_set(err, ERR_INVALID,
                       "set one of key_file, key_credential, key_command and key_variable, not several");
    if (settings->key_credential && strchr(settings->key_credential, '/'))
        return err_set(err, ERR_INVALID, "key_credential is a name, not a path");
    if (settings->key_command && *settings->key_command != '/')
        return err_set(err, ERR_INVALID, "key_command begins with the whole path of a program");
    return 0;
}

static char *credential_source(const char *name)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    return dir && *dir == '/' ? mem_printf("credential:%s/%s", dir, name) : mem_printf("credential:%s", name);
}

static void choose_key_source(struct settings *settings)
{
    settings->key_source = settings->key_credential ? credential_source(settings->key_credential)
                           : settings->key_command  ? mem_printf("command:%s", settings->key_command)
                           : settings->key_variable ? mem_printf("variable:%s", settings->key_variable)
                                                    : mem_printf("file:%s", settings->key_file);
}

/* The id becomes part of URLs. */
static bool is_key_id(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= CLOUDFRONT_KEY_ID_LEN_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static int check_signing(const struct settings *settings, struct err *err)
{
    if (settings->cdn_key_id && !is_key_id(settings->cdn_key_id))
        return err_set(err, ERR_INVALID,
                       "cdn_key_id is no key pair id: letters, digits, - and _ are allowed");
    if (*settings->cdn_sign_hosts && !settings->cdn_key_id)
        return err_set(err, ERR_INVALID, "cdn_sign_hosts needs cdn_key_id");
    if (*settings->cdn_sign_hosts && !settings->cdn_key_file)
        return err_set(err, ERR_INVALID, "cdn_sign_hosts needs cdn_key_file");
    return 0;
}

static int check_together(const struct settings *settings, struct err *err)
{
    if (settings->retry_cap_ms < settings->retry_base_ms)
        return err_set(err, ERR_INVALID, "retry_cap_ms (%lld) is below retry_base_ms (%lld)",
                       (long long)settings->retry_cap_ms, (long long)settings->retry_base_ms);
    if (!*settings->tenant)
        return err_set(err, ERR_INVALID, "tenant is empty; leave it out for the tenant \"default\"");
    if (*settings->notify_url && !settings->notify_key_file)
        return err_set(err, ERR_INVALID, "notify_url needs notify_key_file");
    return check_signing(settings, err);
}

/* Empty is as good as not set. */
static void drop_empty(char **text)
{
    if (*text && !**text) {
        mem_free(*text);
        *text = NULL;
    }
}

static int complete(struct settings *settings, struct err *err)
{
    int code = default_store(settings, err);
    if (code < 0)
        return code;
    make_store_absolute(&settings->store);
    make_store_absolute(&settings->broker_store);
    if (!settings->broker_store)
        settings->broker_store = mem_dup(settings->store);
    drop_empty(&settings->key_credential);
    drop_empty(&settings->key_command);
    drop_empty(&settings->key_variable);
    make_paths_absolute(settings);
    code = check_key_sources(settings, err);
    if (code == 0)
        code = default_key_file(settings, err);
    if (code < 0)
        return code;
    choose_key_source(settings);
    return check_together(settings, err);
}

/* ---- all sources ---- */

static int read_flags(struct conf *conf, const struct settings_flag *flags, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!flags[i].value)
            continue;
        const struct conf_key *key = conf_find(conf, flags[i].key);
        assert(key);
        if (conf_set(conf, key, flags[i].value, CONF_FLAG, flags[i].flag, err) < 0)
            return err ? (err->code = ERR_USAGE) : ERR_USAGE;
    }
    return 0;
}

static int read_sources(struct settings *settings, const struct settings_flag *flags, size_t flag_count,
                        struct err *err)
{
    struct conf conf = settings_conf(settings);
    conf_init(&conf);
    int code = settings->config_file ? conf_read_file(&conf, settings->config_file, err) : 0;
    if (code == 0)
        code = conf_read_env(&conf, (const char *const *)environ, err);
    if (code == 0)
        code = read_flags(&conf, flags, flag_count, err);
    return code < 0 ? code : complete(settings, err);
}

int settings_load(const char *config_file, const struct settings_flag *flags, size_t flag_count,
                  struct settings *ret, struct err *err)
{
    struct settings settings = {.config_file = find_config(config_file)};
    int code = read_sources(&settings, flags, flag_count, err);
    if (code < 0) {
        settings_release(&settings);
        return code;
    }
    *ret = settings;
    return 0;
}

/* ---- slips ---- */

/* The name of the key that a variable would set: lower case, without the prefix. */
static bool key_of_variable(const char *variable, char *ret, size_t size)
{
    if (!text_starts_with(variable, "SLUICE_"))
        return false;
    variable += strlen("SLUICE_");
    size_t len = strcspn(variable, "=");
    if (len >= size)
        return false;
    for (size_t i = 0; i < len; i++)
        ret[i] = (char)tolower((unsigned char)variable[i]);
    ret[len] = '\0';
    return true;
}

void settings_unknown_env(void (*found)(void *ctx, const char *variable, const char *nearest), void *ctx)
{
    struct settings none = {0};
    struct conf conf = settings_conf(&none);
    for (char **at = environ; *at; at++) {
        char name[64];
        if (!key_of_variable(*at, name, sizeof(name)) || strcmp(name, "config") == 0 ||
            conf_find(&conf, name))
            continue;
        char variable[80];
        snprintf(variable, sizeof(variable), "%.*s", (int)strcspn(*at, "="), *at);
        found(ctx, variable, conf_nearest(&conf, name));
    }
}
