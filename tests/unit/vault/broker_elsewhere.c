/* A broker process with a parent of its own in between: to the store, another worker's. */
#include <sys/wait.h>
#include <unistd.h>

#include "vault/broker.h"

int main(void)
{
    pid_t pid = fork();
    if (pid == 0)
        return broker_main(3);
    int status = 1;
    close(3);
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
