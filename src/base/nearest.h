/*
 * "Did you mean …?": the known word that a mistyped one most likely stands for. No allocation. Any thread.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *word;
    const char *best;
    size_t best_distance;
};

void nearest_init(struct nearest *nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *candidate);
/* The closest offered one, if at most a third of the word would have to change; NULL otherwise. */
const char *nearest_found(const struct nearest *nearest);

#endif
