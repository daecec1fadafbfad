#include "worker/watch_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "store/watch.h"
#include "worker/thread.h"

enum { WAIT_MS = 60000, RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 30000 };

struct watch_thread {
    const char *url;
    struct store_reach reach;
    void (*news)(void *ctx);
    void *ctx;
    pthread_t thread;
    uv_async_t async;
    int stop[2]; /* a pipe: closing its second end stops the thread */
};

static void tell(struct watch_thread *thread)
{
    uv_async_send(&thread->async);
}

/* True: it is time to stop. */
static bool pause_or_stop(const struct watch_thread *thread, int ms)
{
    struct pollfd fd = {.fd = thread->stop[0], .events = POLLIN};
    return poll(&fd, 1, ms) > 0;
}

/* Until the connection is lost (false) or it is time to stop (true). */
static bool wait_for_news(struct watch_thread *thread, struct store_watch *watch)
{
    struct err err = {0};
    tell(thread); /* what came before it listened */
    for (;;) {
        int rc = store_watch_wait(watch, thread->stop[0], WAIT_MS, &err);
        if (rc > 0)
            tell(thread);
        else if (rc < 0 || pause_or_stop(thread, 0))
            return rc == 0;
    }
}

/* Half of it at random: workers that lost the same server do not come back as one. */
static int longer(int *pause_ms)
{
    int ms = *pause_ms / 2 + (int)(random_u64() % (uint64_t)(*pause_ms / 2 + 1));
    *pause_ms = *pause_ms * 2 < RETRY_MAX_MS ? *pause_ms * 2 : RETRY_MAX_MS;
    return ms;
}

static void *thread_main(void *arg)
{
    struct watch_thread *thread = arg;
    int pause_ms = RETRY_FIRST_MS;
    bool stops = false;
    while (!stops) {
        struct store_watch *watch;
        struct err err = {0};
        int rc = store_watch_open(thread->url, &thread->reach, &watch, &err);
        if (rc == 0 && !watch)
            return NULL;
        if (rc == 0) {
            pause_ms = RETRY_FIRST_MS;
            stops = wait_for_news(thread, watch);
            store_watch_close(watch);
        }
        stops = stops || pause_or_stop(thread, longer(&pause_ms));
    }
    return NULL;
}

/* ---- on the loop ---- */

static void on_async(uv_async_t *async)
{
    struct watch_thread *thread = async->data;
    thread->news(thread->ctx);
}

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static void release(struct watch_thread *thread)
{
    close_end(&thread->stop[0]);
    close_end(&thread->stop[1]);
    uv_close((uv_handle_t *)&thread->async, on_closed);
}

static int start(struct watch_thread *thread)
{
    if (pipe2(thread->stop, O_CLOEXEC) != 0)
        return errno;
    return thread_start(&thread->thread, thread_main, thread);
}

int watch_thread_open(uv_loop_t *loop, const char *url, const struct store_reach *reach,
                      void (*news)(void *ctx), void *ctx, struct watch_thread **ret, struct err *err)
{
    struct watch_thread *thread = mem_alloc(sizeof(*thread));
    *thread = (struct watch_thread){.url = url, .reach = *reach, .news = news, .ctx = ctx, .stop = {-1, -1}};
    thread->async.data = thread;
    int rc = uv_async_init(loop, &thread->async, on_async);
    if (rc != 0) {
        mem_free(thread);
        return err_set(err, ERR_INTERNAL, "the store's news cannot be waited for: %s", uv_strerror(rc));
    }
    rc = start(thread);
    if (rc != 0) {
        release(thread);
        return err_set_errno(err, ERR_INTERNAL, rc, "cannot start the thread that waits for news");
    }
    *ret = thread;
    return 0;
}

void watch_thread_close(struct watch_thread *thread)
{
    if (!thread)
        return;
    close_end(&thread->stop[1]);
    pthread_join(thread->thread, NULL);
    release(thread);
}
