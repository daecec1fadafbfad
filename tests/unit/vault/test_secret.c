#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vault/secret.h"

static void a_secret_is_a_terminated_copy(void **state)
{
    (void)state;
    char text[] = "1//0refresh";
    struct secret secret AUTO_SECRET = {0};
    secret_set(&secret, text, strlen(text));
    memset(text, 'x', sizeof(text) - 1);
    assert_string_equal(secret.data, "1//0refresh");
    assert_int_equal(secret.len, 11);
}

static void every_length_round_trips(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,   1,   15,   200,  239,  240,  241,  700,
                                     751, 752, 2048, 2300, 4096, 5500, 70000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct secret secret AUTO_SECRET = {0};
        secret_reserve(&secret, lengths[i]);
        for (size_t at = 0; at < lengths[i]; at++) {
            assert_int_equal(secret.data[at], 0);
            secret.data[at] = (char)(at * 7 + 1);
        }
        struct secret copy AUTO_SECRET = {0};
        secret_set(&copy, secret.data, secret.len);
        assert_int_equal(copy.data[lengths[i]], 0);
        assert_true(secret_equals(&secret, &copy));
    }
}

static void a_released_block_is_wiped(void **state)
{
    (void)state;
    struct secret secret = {0};
    secret_set(&secret, "ya29.planted", 12);
    char *was = secret.data;
    secret_release(&secret);
    assert_null(secret.data);
    assert_int_equal(secret.len, 0);
    for (int i = 0; i < 12; i++)
        assert_int_equal(was[i], 0);
    secret_release(&secret);
}

static void blocks_are_used_again(void **state)
{
    (void)state;
    struct secret first = {0};
    secret_set(&first, "a", 1);
    char *was = first.data;
    secret_release(&first);
    struct secret second AUTO_SECRET = {0};
    secret_set(&second, "b", 1);
    assert_ptr_equal(second.data, was);
}

static void a_secret_may_be_set_from_itself(void **state)
{
    (void)state;
    struct secret secret AUTO_SECRET = {0};
    secret_set(&secret, "0123456789", 10);
    secret_set(&secret, secret.data + 4, 6);
    assert_string_equal(secret.data, "456789");
}

static void a_move_leaves_nothing_behind(void **state)
{
    (void)state;
    struct secret from = {0};
    struct secret to AUTO_SECRET = {0};
    secret_set(&from, "from", 4);
    secret_set(&to, "to", 2);
    secret_move(&to, &from);
    assert_null(from.data);
    assert_string_equal(to.data, "from");
    secret_move(&to, &to);
    assert_string_equal(to.data, "from");
}

static void equality_looks_at_length_and_content(void **state)
{
    (void)state;
    struct secret a AUTO_SECRET = {0}, b AUTO_SECRET = {0}, none = {0};
    secret_set(&a, "abc", 3);
    secret_set(&b, "abd", 3);
    assert_false(secret_equals(&a, &b));
    secret_set(&b, "abcd", 4);
    assert_false(secret_equals(&a, &b));
    secret_set(&b, "abc", 3);
    assert_true(secret_equals(&a, &b));
    secret_set(&b, "", 0);
    assert_false(secret_equals(&b, &none));
    assert_true(secret_equals(&none, &none));
}

/* "VmLck" and the mapping's flags are the kernel's word, not ours. */
static long locked_kib(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    long kib = -1;
    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "VmLck: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

static bool kernel_counts_locks(void)
{
    static char page[65536] __attribute__((aligned(65536)));
    long before = locked_kib();
    bool counts = mlock(page, sizeof(page)) == 0 && locked_kib() > before;
    munlock(page, sizeof(page));
    return counts;
}

static void the_memory_is_locked(void **state)
{
    (void)state;
    struct secret secret AUTO_SECRET = {0};
    secret_set(&secret, "x", 1);
    if (!secret_memory_is_locked() || !kernel_counts_locks())
        skip(); /* RLIMIT_MEMLOCK of this machine is too small, or a sanitizer swallows mlock() */
    assert_true(locked_kib() >= 16);
}

static void a_thousand_sessions_stay_small(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct secret secrets[COUNT];
    long before = locked_kib();
    for (int i = 0; i < COUNT; i++)
        secret_reserve(&secrets[i], 500);
    long used = locked_kib() - before;
    for (int i = 0; i < COUNT; i++)
        secret_release(&secrets[i]);
    assert_true(used < 1024);
}

static void *churn(void *ctx)
{
    struct secret mine[20] = {0};
    for (int turn = 0; turn < 2000; turn++) {
        struct secret *secret = &mine[turn % 20];
        char mark = (char)('a' + (turn * 7 + (int)(long)ctx) % 26);
        if (secret->data && strspn(secret->data, (char[]){secret->data[0], 0}) != secret->len)
            return (void *)1;
        secret_reserve(secret, (size_t)(1 + turn % 900));
        memset(secret->data, mark, secret->len);
    }
    for (int i = 0; i < 20; i++)
        secret_release(&mine[i]);
    return NULL;
}

static void threads_share_the_pool(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
}

int main(void)
{
    vault_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_a_terminated_copy),
        cmocka_unit_test(every_length_round_trips),
        cmocka_unit_test(a_released_block_is_wiped),
        cmocka_unit_test(blocks_are_used_again),
        cmocka_unit_test(a_secret_may_be_set_from_itself),
        cmocka_unit_test(a_move_leaves_nothing_behind),
        cmocka_unit_test(equality_looks_at_length_and_content),
        cmocka_unit_test(the_memory_is_locked),
        cmocka_unit_test(a_thousand_sessions_stay_small),
        cmocka_unit_test(threads_share_the_pool),
    };
    return RUN_UNIT_TESTS(tests);
}
