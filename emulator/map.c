#include "map.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static uint64_t hash_of(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    return hash;
}

/* The slot that holds `key`, or the free one where it would go. There is always a free one. */
static size_t slot_of(const struct map *map, const char *key)
{
    size_t at = hash_of(key) & (map->size - 1);
    while (map->slots[at].key && strcmp(map->slots[at].key, key) != 0)
        at = (at + 1) & (map->size - 1);
    return at;
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->size = old.size ? old.size * 2 : 16;
    map->slots = mem_alloc_array(map->size, sizeof *map->slots);
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].key)
            map->slots[slot_of(map, old.slots[i].key)] = old.slots[i];
    mem_free(old.slots);
}

void *map_get(const struct map *map, const char *key)
{
    if (!key || map->count == 0)
        return NULL;
    return map->slots[slot_of(map, key)].value;
}

void map_put(struct map *map, const char *key, void *value)
{
    if ((map->count + 1) * 2 > map->size)
        grow(map);
    struct map_slot *slot = &map->slots[slot_of(map, key)];
    if (!slot->key) {
        slot->key = mem_dup(key);
        map->count++;
    }
    slot->value = value;
}

bool map_remove(struct map *map, const char *key)
{
    if (map->count == 0)
        return false;
    size_t hole = slot_of(map, key);
    if (!map->slots[hole].key)
        return false;
    mem_free(map->slots[hole].key);
    map->count--;
    /* Those behind the hole move up unless that would put them before their own place. */
    for (size_t at = (hole + 1) & (map->size - 1); map->slots[at].key; at = (at + 1) & (map->size - 1)) {
        size_t home = hash_of(map->slots[at].key) & (map->size - 1);
        if (((at - home) & (map->size - 1)) >= ((at - hole) & (map->size - 1))) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_slot){NULL, NULL};
    return true;
}

void map_clear(struct map *map, void (*free_value)(void *value))
{
    for (size_t i = 0; i < map->size; i++) {
        if (map->slots[i].key && free_value)
            free_value(map->slots[i].value);
        mem_free(map->slots[i].key);
    }
    mem_free(map->slots);
    *map = (struct map){NULL, 0, 0};
}
