#include <stdio.h>

#include "cli/cli.h"
#include "vault/secret.h"
#include "youtube/youtube.h"

int main(int argc, char **argv)
{
    /* Each line is whole when it is written, so that a reader of a pipe sees results as they come. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    vault_start();
    yt_setup();
    return cli_main(argc, argv);
}
