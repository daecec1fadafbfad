/*
 * The board between a worker's loop and those who only look (the web endpoint): the loop puts up an immutable
 * view of itself, others take it down to read. A view is replaced whole; it lives until the last one who
 * holds it lets go. The mutex inside is held for the exchange of a pointer, never longer.
 */
#ifndef WORKER_BOARD_H
#define WORKER_BOARD_H

#include <stdatomic.h>

#include "worker/counts.h"
#include "worker/queue.h"

struct view {
    atomic_int users; /* of board.c */
    int64_t at_mono_ms;
    int64_t started_at_mono_ms;
    char worker[NAME_SIZE];
    char region[NAME_SIZE];
    bool is_draining;
    bool has_store;  /* its last answer was good, and none is overdue */
    bool has_broker; /* it is not being replaced */
    uint32_t slots, active;
    uint32_t transfers; /* PUTs under way */
    struct counts counts;
    struct queue *queue; /* owned; NULL: not counted yet */
};

struct view *view_new(void);
void view_drop(struct view *view); /* any thread; NULL is fine */

struct board;
struct board *board_new(void);
void board_free(struct board *board); /* nobody may be looking any more */

void board_put(struct board *board, struct view *view); /* takes it over */
/* Any thread; NULL while nothing was put up. For view_drop(). */
struct view *board_take(struct board *board);
/* Somebody wants to know the queue's depth; and when that was, 0: never. Any thread. */
void board_ask(struct board *board, int64_t now_mono_ms);
int64_t board_asked_at_mono_ms(struct board *board);

#endif
