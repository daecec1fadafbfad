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

#include "base/err.h"
#include "base/log.h"
#include "core/engine.h"

struct settings {
    char *store;               /* sqlite:PATH or postgres://… */
    char *broker_store;        /* default: store */
    char *key_file;            /* default: beside the store */
    char *api_root;            /* https://www.googleapis.com */
    char *ca_file;             /* NULL: the system's */
    char *proxy;               /* NULL: none */
    char *media_root;          /* default "/" */
    char *region;              /* "" : jobs without a region only */
    char *tenants;             /* "" : all */
    char *tenant;              /* the one commands act for; "default" */
    bool allow_plain_loopback; /* http:// for a loopback api_root; for tests */
    uint64_t chunk_bytes;
    enum chunk_mode chunk_mode;
    uint32_t concurrency;
    uint32_t per_channel;
    uint64_t limit_rate; /* bytes a second; 0: none */
    int64_t lease_ms;
    int64_t retry_base_ms;
    int64_t retry_cap_ms;
    uint32_t retry_tries;
    int64_t retry_life_ms;
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
};

#endif
