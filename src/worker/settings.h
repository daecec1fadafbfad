/*
 * The configuration of sluice, typed: one row a key in settings.c (name, type, unit, default, range, help),
 * from which the reader, `sluice check`, docs/configuration.md and the man page are made.
 *
 * Flags over environment (SLUICE_FOO_BAR) over file (--config, SLUICE_CONFIG, /etc/sluice/sluice.conf,
 * $XDG_CONFIG_HOME/sluice/sluice.conf). Texts are owned by the struct.
 */
#ifndef WORKER_SETTINGS_H
#define WORKER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "core/engine.h"
#include "vault/cloudfront.h"

enum { SETTINGS_KEYS_MAX = 64 };

enum isolation { ISOLATION_AUTO, ISOLATION_STRICT, ISOLATION_OFF };

struct settings {
    char *config_file;    /* what was read; NULL: none */
    char *store;          /* sqlite:PATH or postgres://… */
    char *broker_store;   /* default: store */
    char *key_file;       /* default: beside the store */
    char *key_credential; /* NULL: none; at most one of these three, and then no key_file */
    char *key_variable;
    char *key_command;
    char *key_source; /* which of them it is, as vault/ring.h has it; made of them */
    char *api_root;   /* https://www.googleapis.com */
    char *ca_file;    /* NULL: the system's */
    char *proxy;      /* NULL: none */
    char *media_root; /* default "/" */
    char *region;     /* "" : jobs without a region only */
    char *tenants;    /* "" : all */
    enum isolation isolation;
    char *tenant;              /* the one commands act for; "default" */
    bool allow_plain_loopback; /* http:// for a loopback api_root; for tests */
    uint64_t chunk_bytes;
    enum chunk_mode chunk_mode;
    uint32_t concurrency;
    uint32_t per_channel; /* 0: its window alone */
    uint32_t per_tenant;  /* 0: no limit */
    uint32_t quota_soft_percent;
    char *listen;        /* "" : no web endpoint */
    uint64_t limit_rate; /* bytes a second; 0: none */
    uint64_t limit_rate_tenant;
    char *cdn_ca_file; /* NULL: the system's */
    bool cdn_allow_private;
    char *token_service;             /* "" : logins are in the store */
    char *token_service_ca_file;     /* NULL: the system's */
    char *token_service_cert_file;   /* NULL: none */
    char *token_service_key_file;    /* NULL: none */
    char *token_service_bearer_file; /* NULL: none */
    char *cdn_sign_hosts;            /* "": no URL is signed */
    char *cdn_key_id, *cdn_key_file; /* NULL: none */
    enum cloudfront_hash cdn_sign_hash;
    int64_t lease_ms;
    int64_t retry_base_ms;
    int64_t retry_cap_ms;
    uint32_t retry_tries;
    int64_t retry_life_ms;
    int64_t watch_every_ms;  /* 0: this worker does not look for misuse */
    int64_t watch_videos_ms; /* 0: channels' uploads are not looked at */
    char *notify_url;        /* "": alarms are told nowhere */
    char *notify_key_file;   /* NULL: none */
    char *notify_ca_file;    /* NULL: the system's */
    bool notify_allow_private;
    bool reconcile_restarts;
    bool check_video;
    int64_t connect_timeout_ms;
    int64_t stall_timeout_ms; /* a transfer that moves less than stall_bytes a second for this long is broken
                                 off */
    uint64_t stall_bytes;
    int64_t request_timeout_ms; /* of a small call, and of a reply after the last body byte */
    int64_t read_timeout_ms;    /* of one read of a source file (F08) */
    enum log_level log_level;
    enum log_format log_format;
    unsigned char origins[SETTINGS_KEYS_MAX]; /* enum conf_origin of each key, in the order of the table */
};

/* One value from the command line. */
struct settings_flag {
    const char *key;   /* a key of the table */
    const char *flag;  /* "--concurrency", for messages */
    const char *value; /* NULL: not given */
};

/* Reads everything there is, flags last, and fills in what depends on other values (paths made absolute, the
 * default store and key file). `config_file`: of --config; NULL: SLUICE_CONFIG or the usual places. Errors:
 * ERR_NOT_FOUND (a named file is missing), ERR_INVALID (place, key and what is allowed), ERR_USAGE (a bad
 * flag). `ret` needs settings_release() after success only. */
int settings_load(const char *config_file, const struct settings_flag *flags, size_t flag_count,
                  struct settings *ret, struct err *err) MUST_CHECK;
void settings_release(struct settings *settings); /* a zeroed or released one is fine */

/* The table of keys and the values of `settings`, for conf_format() and for the documentation. */
struct conf settings_conf(struct settings *settings);
enum conf_origin settings_origin(const struct settings *settings, const char *key);
/* Whether worker and broker refuse to run where the database does not keep their logins to their tenants
 * (store/isolation.h): NULL: no; else to which: "a,b", or "" for whichever they reach. */
const char *settings_isolated_tenants(const struct settings *settings);
/* Calls `found` for each SLUICE_* variable of the environment that is no key (a slip that would go unseen);
 * `nearest` may be NULL. */
void settings_unknown_env(void (*found)(void *ctx, const char *variable, const char *nearest), void *ctx);

#endif
