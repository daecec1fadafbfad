/*
 * One end of the socket between the broker and its parent: whole frames in and out on a libuv loop, every
 * byte of them in locked memory. Belongs to the loop's thread.
 */
#ifndef VAULT_LINK_H
#define VAULT_LINK_H

#include <uv.h>

#include "vault/message.h"

struct link;

struct link_events {
    /* A frame without its length; lives as long as the call. link_close() is allowed in here. */
    void (*frame)(void *ctx, const void *frame, size_t len);
    /* The other side is gone (`why` says "closed"), or sent a frame that is too long. Comes once, and never
     * after link_close(), which is still to be called. */
    void (*ended)(void *ctx, const char *why);
    void *ctx;
};

/* Takes `fd`, a connected stream socket; closes it also on failure. */
int link_open(uv_loop_t *loop, int fd, const struct link_events *events, struct link **ret,
              struct err *err) MUST_CHECK;
/* Takes the frame. What cannot be sent is dropped: `ended` tells. */
void link_send(struct link *link, struct secret *frame, size_t len);
/* Bytes that the other side has not taken yet. */
size_t link_backlog(const struct link *link);
/* Stops reading until the other side has taken all that was sent to it; nothing if it has. */
void link_pause(struct link *link);
void link_close(struct link *link); /* NULL is fine; memory goes in a later turn */

#endif
