#include "worker/board.h"

#include <pthread.h>

#include "base/mem.h"

struct board {
    pthread_mutex_t mutex;
    struct view *view;
    _Atomic int64_t asked_at_mono_ms;
};

/* ---- views ---- */

struct view *view_new(void)
{
    struct view *view = mem_alloc(sizeof(*view));
    atomic_init(&view->users, 1);
    return view;
}

void view_drop(struct view *view)
{
    if (!view || atomic_fetch_sub(&view->users, 1) > 1)
        return;
    queue_drop(view->queue);
    mem_free(view);
}

/* ---- the board ---- */

struct board *board_new(void)
{
    struct board *board = mem_alloc(sizeof(*board));
    pthread_mutex_init(&board->mutex, NULL);
    return board;
}

void board_free(struct board *board)
{
    if (!board)
        return;
    view_drop(board->view);
    pthread_mutex_destroy(&board->mutex);
    mem_free(board);
}

void board_put(struct board *board, struct view *view)
{
    pthread_mutex_lock(&board->mutex);
    struct view *before = board->view;
    board->view = view;
    pthread_mutex_unlock(&board->mutex);
    view_drop(before);
}

struct view *board_take(struct board *board)
{
    pthread_mutex_lock(&board->mutex);
    struct view *view = board->view;
    if (view)
        atomic_fetch_add(&view->users, 1);
    pthread_mutex_unlock(&board->mutex);
    return view;
}

void board_ask(struct board *board, int64_t now_mono_ms)
{
    atomic_store(&board->asked_at_mono_ms, now_mono_ms);
}

int64_t board_asked_at_mono_ms(struct board *board)
{
    return atomic_load(&board->asked_at_mono_ms);
}
