/*
 * Google Cloud projects and their OAuth clients. A project owns the daily quota [quota]; a client belongs to
 * one project. Both live as long as the emulator.
 */
#ifndef EMULATOR_CLIENTS_H
#define EMULATOR_CLIENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "quota.h"

enum client_kind {
    CLIENT_DESKTOP, /* loopback redirects with any port [native] */
    CLIENT_TV,      /* device flow only [device] */
    CLIENT_WEB      /* redirects registered exactly [oauth] */
};

struct project {
    const char *id;
    uint64_t number;
    bool is_testing; /* publishing status "Testing": refresh tokens live 7 days [oauth] */
    struct quota quota;
};

struct client {
    char *id;
    char *secret;
    const char *file_name;    /* of its client_secret*.json in the emulator's directory */
    const char *redirect_uri; /* CLIENT_WEB: the registered one */
    enum client_kind kind;
    struct project *project;
};

enum { PROJECT_COUNT = 2, CLIENT_COUNT = 4 };

struct clients {
    struct project projects[PROJECT_COUNT];
    struct client clients[CLIENT_COUNT];
};

void clients_init(struct clients *clients);
void clients_release(struct clients *clients);
/* Writes every client's file to `dir`, with `base_url` as the place of the consent page and the token
 * endpoint. */
int MUST_CHECK clients_write_files(const struct clients *clients, const char *dir, const char *base_url,
                                   struct err *err);
struct client *clients_find(struct clients *clients, const char *client_id); /* NULL if unknown */
/* By id, number, or 1-based position as text; NULL if unknown. */
struct project *clients_find_project(struct clients *clients, const char *name);

#endif
