/*
 * Waits in a thread of its own for the store's news that there is work (store/watch.h), so that neither the
 * loop nor the store's thread ever waits for it. Everything here belongs to the loop's thread.
 */
#ifndef WORKER_WATCH_THREAD_H
#define WORKER_WATCH_THREAD_H

#include <uv.h>

#include "store/store.h"

struct watch_thread;

/* `url` and the texts of `reach` must outlive it. `news` runs on the loop. The connection is made in the
 * thread, and anew for as long as it takes; a store that tells nothing ends the thread. */
int watch_thread_open(uv_loop_t *loop, const char *url, const struct store_reach *reach,
                      void (*news)(void *ctx), void *ctx, struct watch_thread **ret,
                      struct err *err) MUST_CHECK;
/* Waits for the thread, which may be connecting: some seconds at most. NULL is fine. The uv handle closes in
 * the next turn. */
void watch_thread_close(struct watch_thread *thread);

#endif
