/*
 * Opens a page in the person's browser, without a shell. Main thread.
 */
#ifndef CLI_BROWSER_H
#define CLI_BROWSER_H

#include <stdbool.h>

enum { BROWSER_WORDS_MAX = 16 };

/* Starts $BROWSER or xdg-open with the URL and does not wait for it. False: there is none to start. */
bool browser_open(const char *url);
/* The words of a $BROWSER value (the first of several parted by ':'), with the URL in place of %s or at the
 * end. Words point into `command`, which is changed, and to `url`. Returns how many; 0: none. */
int browser_words(char *command, const char *url, char *ret_words[BROWSER_WORDS_MAX + 1]);

#endif
