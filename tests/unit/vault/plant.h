/*
 * Secrets to look for. They are made letter by letter, so that a process which only searches for them never
 * holds one: the tests can look for them in their own memory.
 */
#ifndef TESTS_VAULT_PLANT_H
#define TESTS_VAULT_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLANT_LEN = 48, PLANT_SIZE = PLANT_LEN + 1 };
/* 0 … : refresh tokens; these: other secrets. */
enum { PLANT_CLIENT_SECRET = 100, PLANT_CODE = 101 };

/* Before the processes part. */
void plant_seed(uint64_t seed);
char plant_char(int number, size_t at);
void plant_text(int number, char ret[PLANT_SIZE]); /* wipe it */
bool plant_is_in(int number, const void *data, size_t len);
/* Whether this process holds it anywhere in its writable memory. */
bool plant_is_in_memory(int number);

#endif
