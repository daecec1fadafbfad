#include "cutter.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

struct proxy {
    volatile enum cut *order;
    pid_t server_pid;
    const char *server;
    int client, peer;
    bool committing;
};

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un ret = {.sun_family = AF_UNIX};
    snprintf(ret.sun_path, sizeof(ret.sun_path), "%s", path);
    return ret;
}

static bool says_commit(const char *data, ssize_t len)
{
    return memmem(data, (size_t)len, "commit", 7) != NULL;
}

/* False: the connection is to be lost. */
static bool pass_to_server(struct proxy *proxy)
{
    char data[65536];
    ssize_t len = read(proxy->client, data, sizeof(data));
    if (len <= 0)
        return false;
    if (*proxy->order != CUT_NOTHING && says_commit(data, len)) {
        if (*proxy->order == CUT_COMMIT) {
            *proxy->order = CUT_NOTHING;
            return false;
        }
        proxy->committing = true;
    }
    return write(proxy->peer, data, (size_t)len) == len;
}

static bool pass_to_client(struct proxy *proxy)
{
    char data[65536];
    ssize_t len = read(proxy->peer, data, sizeof(data));
    if (len <= 0)
        return false;
    if (!proxy->committing)
        return write(proxy->client, data, (size_t)len) == len;
    if (*proxy->order == CUT_ANSWER_AND_END)
        kill(proxy->server_pid, SIGQUIT);
    if (*proxy->order != CUT_ANSWER_AND_ALL)
        *proxy->order = CUT_NOTHING;
    return false;
}

static void carry(struct proxy *proxy)
{
    bool goes_on = true;
    while (goes_on) {
        struct pollfd fds[] = {{.fd = proxy->client, .events = POLLIN},
                               {.fd = proxy->peer, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[0].revents)
            goes_on = pass_to_server(proxy);
        if (goes_on && fds[1].revents)
            goes_on = pass_to_client(proxy);
    }
    _exit(0);
}

static void serve(struct proxy *proxy, int listener)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        proxy->client = accept(listener, NULL, NULL);
        struct sockaddr_un address = address_of(proxy->server);
        proxy->peer = socket(AF_UNIX, SOCK_STREAM, 0);
        bool is_open = *proxy->order != CUT_ANSWER_AND_ALL &&
                       connect(proxy->peer, (struct sockaddr *)&address, sizeof(address)) == 0;
        if (is_open && fork() == 0)
            carry(proxy);
        close(proxy->client);
        close(proxy->peer);
    }
}

struct cutter cutter_start(const char *dir, const char *server, pid_t server_pid)
{
    char path[100];
    struct cutter cutter;
    snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", dir);
    struct sockaddr_un address = address_of(path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 16), 0);
    cutter.order = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(cutter.order != MAP_FAILED);
    cutter.process = fork();
    if (cutter.process == 0)
        serve(&(struct proxy){.order = cutter.order, .server_pid = server_pid, .server = server}, listener);
    close(listener);
    return cutter;
}

void cutter_stop(struct cutter *cutter)
{
    kill(cutter->process, SIGKILL);
    waitpid(cutter->process, NULL, 0);
    munmap((void *)cutter->order, 4096);
}
