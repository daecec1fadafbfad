/*
 * A proxy between the store and its server that loses the connection at a commit: the answer to it, or the
 * commit itself. A process of its own.
 */
#ifndef TESTS_STORE_CUTTER_H
#define TESTS_STORE_CUTTER_H

#include <sys/types.h>

enum cut {
    CUT_NOTHING,
    CUT_COMMIT,         /* the next commit never reaches the server */
    CUT_ANSWER,         /* the server's answer to it is lost */
    CUT_ANSWER_AND_END, /* and the server dies at once */
    CUT_ANSWER_AND_ALL, /* and the proxy lets nobody through any more */
};

struct cutter {
    pid_t process;
    volatile enum cut *order; /* shared: set it, it becomes CUT_NOTHING when done */
};

/* Listens at `dir`/.s.PGSQL.5432 for what is to go to the socket `server`; `server_pid` is who is ended. */
struct cutter cutter_start(const char *dir, const char *server, pid_t server_pid);
void cutter_stop(struct cutter *cutter);

#endif
