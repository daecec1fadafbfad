/*
 * The pool behind struct secret. A guarded allocation of libsodium costs three pages beside its own, too much
 * for the thousands of small tokens and URLs of a worker, so blocks are cut from guarded slabs: one page of
 * guard on either side of a slab, and everything in it locked. A slab is never given back; its blocks are,
 * wiped.
 */
#include "vault/secret.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLAB_BYTES = 16384,
    BLOCK_MAGIC = 0x5ec2e7b1,
    FREE_MAGIC = 0x0f2ee0f2,
    CLASS_COUNT = 4,
    CLASS_OWN = CLASS_COUNT, /* larger than any class: an allocation of its own */
};

/* Refresh tokens; access tokens and session URLs; the longest access token; the longest session URL. */
static const size_t class_bytes[CLASS_COUNT] = {256, 768, 2304, 5440};

struct block {
    uint32_t magic;
    uint32_t class;
    struct block *next; /* while free */
};

/* Secrets belong to one thread each, but the pool to all: the one lock is held for a few instructions. */
static struct {
    pthread_mutex_t lock;
    struct block *free[CLASS_COUNT];
    bool unlocked;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *message)
{
    fprintf(stderr, "sluice: %s\n", message);
    abort();
}

void vault_start(void)
{
    if (sodium_init() < 0)
        die("libsodium cannot start (no source of randomness)");
}

static void *guarded(size_t size)
{
    void *memory = sodium_malloc(size);
    if (!memory)
        die("out of memory for secrets");
    /* sodium_malloc() locks too, but does not tell whether it could. */
    if (sodium_mlock(memory, size) != 0)
        pool.unlocked = true;
    memset(memory, 0, size);
    return memory;
}

static uint32_t class_of(size_t size)
{
    uint32_t class = 0;
    while (class < CLASS_COUNT && size > class_bytes[class])
        class ++;
    return class;
}

static void cut_slab(uint32_t class)
{
    char *slab = guarded(SLAB_BYTES);
    for (size_t at = 0; at + class_bytes[class] <= SLAB_BYTES; at += class_bytes[class]) {
        struct block *block = (struct block *)(slab + at);
        *block = (struct block){.magic = FREE_MAGIC, .class = class, .next = pool.free[class]};
        pool.free[class] = block;
    }
}

static struct block *block_take(size_t size)
{
    uint32_t class = class_of(size);
    struct block *block;
    pthread_mutex_lock(&pool.lock);
    if (class == CLASS_OWN) {
        block = guarded((size + 15) & ~(size_t)15);
    } else {
        if (!pool.free[class])
            cut_slab(class);
        block = pool.free[class];
        assert(block->magic == FREE_MAGIC && block->class == class);
        pool.free[class] = block->next;
    }
    pthread_mutex_unlock(&pool.lock);
    *block = (struct block){.magic = BLOCK_MAGIC, .class = class};
    return block;
}

static void block_give(struct block *block)
{
    assert(block->magic == BLOCK_MAGIC && block->class <= CLASS_OWN);
    if (block->class == CLASS_OWN) {
        sodium_free(block); /* wipes */
        return;
    }
    sodium_memzero(block + 1, class_bytes[block->class] - sizeof(*block));
    block->magic = FREE_MAGIC;
    pthread_mutex_lock(&pool.lock);
    block->next = pool.free[block->class];
    pool.free[block->class] = block;
    pthread_mutex_unlock(&pool.lock);
}

void secret_reserve(struct secret *secret, size_t len)
{
    if (len > SIZE_MAX / 2)
        die("a secret of impossible size");
    struct block *block = block_take(sizeof(struct block) + len + 1);
    secret_release(secret);
    *secret = (struct secret){.data = (char *)(block + 1), .len = len};
}

void secret_set_after(struct secret *secret, const char *prefix, const void *data, size_t len)
{
    /* The old one goes last: `data` may point into it. */
    struct secret fresh = {0};
    const size_t prefix_len = strlen(prefix);
    secret_reserve(&fresh, prefix_len + len);
    memcpy(fresh.data, prefix, prefix_len);
    if (len)
        memcpy(fresh.data + prefix_len, data, len);
    secret_move(secret, &fresh);
}

void secret_set(struct secret *secret, const void *data, size_t len)
{
    secret_set_after(secret, "", data, len);
}

void secret_release(struct secret *secret)
{
    if (secret->data)
        block_give((struct block *)secret->data - 1);
    *secret = (struct secret){0};
}

void secret_move(struct secret *to, struct secret *from)
{
    if (to == from)
        return;
    secret_release(to);
    *to = *from;
    *from = (struct secret){0};
}

bool secret_equals(const struct secret *a, const struct secret *b)
{
    if (a->len != b->len || !a->data != !b->data)
        return false;
    return a->len == 0 || sodium_memcmp(a->data, b->data, a->len) == 0;
}

bool secret_memory_is_locked(void)
{
    pthread_mutex_lock(&pool.lock);
    bool is_locked = !pool.unlocked;
    pthread_mutex_unlock(&pool.lock);
    return is_locked;
}

void secret_wipe(void *data, size_t len)
{
    sodium_memzero(data, len);
}
