#include "cli/browser.h"

#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

int browser_words(char *command, const char *url, char *ret_words[BROWSER_WORDS_MAX + 1])
{
    int count = 0;
    bool has_url = false;
    char *rest = command, *word;
    command[strcspn(command, ":")] = '\0';
    while ((word = strsep(&rest, " \t")) && count < BROWSER_WORDS_MAX - 1) {
        if (!*word)
            continue;
        bool is_place = strcmp(word, "%s") == 0;
        ret_words[count++] = is_place ? (char *)url : word;
        has_url = has_url || is_place;
    }
    if (count > 0 && !has_url)
        ret_words[count++] = (char *)url;
    ret_words[count] = NULL;
    return count;
}

/* Its chatter would land between our lines. */
static bool start(char **words)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int status = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return status == 0;
}

bool browser_open(const char *url)
{
    const char *chosen = getenv("BROWSER");
    char *command AUTO_FREE = mem_dup(chosen && *chosen ? chosen : "xdg-open");
    char *words[BROWSER_WORDS_MAX + 1];
    return browser_words(command, url, words) > 0 && start(words);
}
