/*
 * Being told that a job became claimable, so that an idle worker need not wait until it asks the next time.
 * Only advice: news may be lost with the connection, and whoever waits for it also asks now and then.
 *
 * A watch has a connection of its own and belongs to one thread, which may block in it.
 */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include "store/store.h"

struct store_watch;

/* *ret NULL with 0: this store tells nothing (SQLite; a pooler between us and the server, which keeps no
 * session). The time is bounded. `reach` must outlive the watch. */
int store_watch_open(const char *url, const struct store_reach *reach, struct store_watch **ret,
                     struct err *err) MUST_CHECK;
void store_watch_close(struct store_watch *watch); /* NULL is fine */
/* 1: there is news for the reach (all that had come is taken); 0: `stop_fd` can be read from, or the time is
 * over; ERR_STORE: the connection is lost, open another. */
int store_watch_wait(struct store_watch *watch, int stop_fd, int timeout_ms, struct err *err) MUST_CHECK;

#endif
