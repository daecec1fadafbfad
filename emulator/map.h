/*
 * A table from text to pointers. Owns its keys, not the values. Open addressing with linear probing. Not
 * locked: everything in the emulator that is shared is used under the one lock of struct state.
 */
#ifndef EMULATOR_MAP_H
#define EMULATOR_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map_slot {
    char *key; /* NULL: free */
    void *value;
};

struct map { /* all zero is an empty map */
    struct map_slot *slots;
    size_t size;
    size_t count;
};

void *map_get(const struct map *map, const char *key); /* NULL if absent or `key` is NULL */
void map_put(struct map *map, const char *key, void *value);
bool map_remove(struct map *map, const char *key);
/* Frees the keys and, through `free_value` (may be NULL), the values; the map is empty afterwards. */
void map_clear(struct map *map, void (*free_value)(void *value));

#endif
