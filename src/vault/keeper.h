/*
 * The keeper: a small process beside a worker that starts brokers for it. The worker gives up starting
 * programs and reading the key (worker/confine.h), and what it gives up its children lose, too; the keeper
 * was started before. It takes the broker's configuration once, and from then on can do one thing: start a
 * broker with that configuration and hand over its socket. One broker at a time: the one before is ended
 * first.
 *
 * The parent's functions block for as long as starting a process takes. Any one thread.
 */
#ifndef VAULT_KEEPER_H
#define VAULT_KEEPER_H

#include <stdint.h>

#include "base/err.h"

struct broker_config;
struct keeper;

/* The child: serves until its parent closes the socket. Returns an exit code. */
int keeper_main(int fd);

/* Starts config->executable as `sluice keeper`. ERR_INVALID: the configuration does not fit; ERR_INTERNAL. */
int keeper_open(const struct broker_config *config, struct keeper **ret, struct err *err) MUST_CHECK;
/* A new broker, which has its configuration already: *ret_fd is the parent's end of its socket. ERR_INTERNAL:
 * it cannot be started, or the keeper is gone. */
int keeper_start(struct keeper *keeper, int *ret_fd, int64_t *ret_pid, struct err *err) MUST_CHECK;
/* Kills the present broker, if there is one. */
void keeper_kill(struct keeper *keeper);
/* Ends it; the broker, whose socket must be closed by now, is given the time that it needs. NULL is fine. */
void keeper_close(struct keeper *keeper);

#endif
