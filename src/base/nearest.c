#include "base/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    WORD_LEN_MAX = 63,
    PREFIX_LEN_MIN = 3, /* a word cut short is as good as one wrong letter */
};

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, a row of the table at a time; '-' and '_' count as the same letter. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_LEN_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_LEN_MAX || b_len > WORD_LEN_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            char left = a[i - 1] == '-' ? '_' : a[i - 1], right = b[j - 1] == '-' ? '_' : b[j - 1];
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (left != right));
            diagonal = above;
        }
    }
    return row[b_len];
}

void nearest_init(struct nearest *nearest, const char *word)
{
    *nearest = (struct nearest){.word = word, .best_distance = SIZE_MAX};
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t far = distance(nearest->word, candidate), len = strlen(nearest->word);
    if (far > 1 && len >= PREFIX_LEN_MIN && strncmp(candidate, nearest->word, len) == 0)
        far = 1;
    if (far < nearest->best_distance) {
        nearest->best = candidate;
        nearest->best_distance = far;
    }
}

const char *nearest_found(const struct nearest *nearest)
{
    size_t len = strlen(nearest->word), limit = (len + 2) / 3;
    bool is_near = nearest->best && nearest->best_distance <= limit && nearest->best_distance < len;
    return is_near ? nearest->best : NULL;
}
