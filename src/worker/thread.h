/* Threads beside the loop's. They take no signals: those are the loop's business. */
#ifndef WORKER_THREAD_H
#define WORKER_THREAD_H

#include <pthread.h>

/* 0, or the errno of what went wrong; then there is no thread. */
int thread_start(pthread_t *ret, void *(*main)(void *arg), void *arg);

#endif
