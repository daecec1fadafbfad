#include "plant.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t seed;

void plant_seed(uint64_t new_seed)
{
    seed = new_seed;
}

/* splitmix64 of seed, number and place. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

char plant_char(int number, size_t at)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return letters[mix(mix(seed ^ (uint64_t)number) + at) % 64];
}

void plant_text(int number, char ret[PLANT_SIZE])
{
    for (size_t at = 0; at < PLANT_LEN; at++)
        ret[at] = plant_char(number, at);
    ret[PLANT_LEN] = '\0';
}

static bool is_at(int number, const char *data)
{
    for (size_t at = 0; at < PLANT_LEN; at++)
        if (data[at] != plant_char(number, at))
            return false;
    return true;
}

bool plant_is_in(int number, const void *data, size_t len)
{
    const char *from = data;
    const char first = plant_char(number, 0);
    for (size_t at = 0; at + PLANT_LEN <= len; at++)
        if (from[at] == first && is_at(number, from + at))
            return true;
    return false;
}

static bool is_in_range(int number, int memory, uint64_t start, uint64_t end)
{
    static char window[65536];
    bool found = false;
    for (uint64_t at = start; at < end && !found; at += sizeof(window) - PLANT_LEN) {
        ssize_t got = pread(memory, window, sizeof(window), (off_t)at);
        if (got <= 0)
            break;
        found = plant_is_in(number, window, (size_t)got);
    }
    memset(window, 0, sizeof(window));
    return found;
}

bool plant_is_in_memory(int number)
{
    const uint64_t largest = UINT64_C(1) << 29; /* a sanitizer's shadow is larger, and no place for text */
    FILE *maps = fopen("/proc/self/maps", "re");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512], modes[8];
    uint64_t start, end;
    bool found = false;
    while (maps && !found && fgets(line, sizeof(line), maps))
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, modes) == 3 && modes[0] == 'r' &&
            modes[1] == 'w' && end - start <= largest)
            found = is_in_range(number, memory, start, end);
    if (maps)
        fclose(maps);
    close(memory);
    return found;
}
