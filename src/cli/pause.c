#include "cli/pause.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number)
{
    (void)number;
    is_interrupted = 1;
}

void pause_ms(int64_t ms)
{
    struct timespec duration = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&duration, NULL);
}

static void set_handler(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void pause_catch(void)
{
    is_interrupted = 0;
    set_handler(on_signal);
}

void pause_uncatch(void)
{
    set_handler(SIG_DFL);
}

bool pause_was_interrupted(void)
{
    return is_interrupted;
}
