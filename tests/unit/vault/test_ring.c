/* Root keys: rings of several, their sources, and how a key file changes. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "scratch.h"
#include "vault/ring.h"

#define LINE_A "sluice-key-1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define LINE_B "sluice-key-1 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define LINE_C "sluice-key-1 ee112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct vault_ring *must_load(const char *source)
{
    struct vault_ring *ring = NULL;
    struct err err = {0};
    if (vault_ring_load(source, &ring, &err) != 0)
        fail_msg("%s: %s", source, err.message);
    return ring;
}

static int refusal(const char *source, struct err *err)
{
    struct vault_ring *ring = NULL;
    *err = (struct err){0};
    int code = vault_ring_load(source, &ring, err);
    assert_null(ring);
    assert_null(strstr(err->message, "00112233"));
    return code;
}

/* ---- several keys ---- */

static void every_key_of_a_ring_opens_and_the_first_wraps(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("several"), *alone AUTO_FREE = in_scratch("alone");
    put_file(path, LINE_A "\n" LINE_B " next\n" LINE_C "\n", 0400);
    put_file(alone, LINE_C, 0400);
    struct vault_ring *ring = must_load(path), *other = must_load(alone);
    assert_int_equal(vault_ring_count(ring), 3);
    assert_false(vault_ring_is_next(ring, 0));
    assert_true(vault_ring_is_next(ring, 1));
    assert_ptr_equal(vault_ring_find(ring, vault_ring_id(ring, 0)), vault_ring_current(ring));
    assert_string_equal(vault_ring_id(ring, 2), vault_ring_id(other, 0));
    assert_non_null(vault_ring_find(ring, vault_ring_id(other, 0)));
    assert_null(vault_ring_find(ring, "0000000000000000"));
    vault_ring_free(ring);
    vault_ring_free(other);
}

static void k11_what_is_no_ring_is_refused(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("bad");
    static const char *const bad[] = {LINE_A " next\n",
                                      LINE_A "\n" LINE_B " next\n" LINE_C " next\n",
                                      LINE_A "\n\n" LINE_B "\n",
                                      LINE_A "\n" LINE_B " nex\n",
                                      LINE_A "\n" LINE_B " next \n",
                                      LINE_A LINE_B "\n",
                                      LINE_A "\n" LINE_A "\n" LINE_A "\n" LINE_A "\n" LINE_A "\n" LINE_A
                                             "\n" LINE_A "\n" LINE_A "\n" LINE_A "\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err;
        put_file(path, bad[i], 0400);
        assert_int_equal(refusal(path, &err), ERR_AUTH);
    }
}

/* ---- sources ---- */

static void a_credential_is_a_file_that_systemd_hands_over(void **state)
{
    (void)state;
    struct err err;
    char *path AUTO_FREE = in_scratch("credential");
    char *source AUTO_FREE = mem_printf("credential:%s", path);
    put_file(path, LINE_A, 0400);
    struct vault_ring *ring = must_load(source);
    assert_null(vault_ring_file(ring)); /* not ours to change */
    vault_ring_free(ring);
    assert_int_equal(refusal("credential:sluice.key", &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "LoadCredential"));
    put_file(path, LINE_A, 0444);
    assert_int_equal(refusal(source, &err), ERR_AUTH);
}

static void a_variable_is_read_and_may_be_wiped(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(refusal("variable:SLUICE_TEST_KEY", &err), ERR_NOT_FOUND);
    assert_int_equal(setenv("SLUICE_TEST_KEY", LINE_A, 1), 0);
    const char *value = getenv("SLUICE_TEST_KEY");
    struct vault_ring *ring = must_load("variable:SLUICE_TEST_KEY");
    vault_ring_wipe_source("variable:SLUICE_TEST_KEY");
    assert_null(getenv("SLUICE_TEST_KEY"));
    assert_int_equal(value[0], '\0');
    assert_null(strstr(value + 20, "7788"));
    assert_int_equal(vault_ring_reload(ring, &err), 0); /* keeps what it has */
    assert_int_equal(vault_ring_count(ring), 1);
    vault_ring_free(ring);
    setenv("SLUICE_TEST_KEY", "nonsense", 1);
    assert_int_equal(refusal("variable:SLUICE_TEST_KEY", &err), ERR_AUTH);
}

static char *script(const char *name, const char *body)
{
    char *path = in_scratch(name);
    char *text AUTO_FREE = mem_printf("#!/bin/sh\n%s\n", body);
    put_file(path, text, 0500);
    return path;
}

static void a_command_prints_the_key(void **state)
{
    (void)state;
    char *path AUTO_FREE =
        script("prints", "test \"$1 $2\" = 'a b' && test -z \"$HOME$XDG_X\" && echo '" LINE_A "'");
    char *source AUTO_FREE = mem_printf("command:%s  a b ", path);
    struct vault_ring *ring = must_load(source);
    assert_int_equal(vault_ring_count(ring), 1);
    assert_null(strstr(vault_ring_name(ring), " a b"));
    vault_ring_free(ring);
}

static void k11_a_command_that_fails_is_no_key(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
        int code;
    } cases[] = {
        {"exit 3", "exit code 3", ERR_AUTH},
        {"echo '" LINE_A "'; exit 1", "exit code 1", ERR_AUTH},
        {"kill -9 $$", "signal 9", ERR_AUTH},
        {"true", "is not a key", ERR_AUTH},
        {"echo '" LINE_A "' extra", "is not a key", ERR_AUTH},
        {"yes '" LINE_A "' | head -100000", "is not a key", ERR_AUTH},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        char *path AUTO_FREE = script("fails", cases[i].body);
        char *source AUTO_FREE = mem_printf("command:%s", path);
        assert_int_equal(refusal(source, &err), cases[i].code);
        if (!strstr(err.message, cases[i].says))
            fail_msg("%s: %s", cases[i].body, err.message);
    }
    struct err err;
    assert_int_equal(refusal("command:/nowhere/program", &err), ERR_AUTH);
    assert_int_equal(refusal("command:cat key", &err), ERR_INVALID);
    assert_int_equal(refusal("command:  ", &err), ERR_INVALID);
}

/* With what it has started, and also where that keeps the pipe open. */
static void k11_a_command_that_hangs_is_ended(void **state)
{
    (void)state;
    struct err err;
    char *marker AUTO_FREE = in_scratch("pid");
    char *body AUTO_FREE = mem_printf("sleep 1000 & echo $! > %s; sleep 1000", marker);
    char *path AUTO_FREE = script("hangs", body);
    char *source AUTO_FREE = mem_printf("command:%s", path);
    assert_int_equal(refusal(source, &err), ERR_AUTH);
    assert_non_null(strstr(err.message, "not ended within"));
    struct buf pid AUTO_BUF = BUF_INIT(64);
    assert_int_equal(file_read(marker, &pid, NULL), 0);
    char *proc AUTO_FREE = mem_printf("/proc/%.*s/cwd", (int)strcspn(pid.data, "\n"), pid.data);
    char ignored[256];
    for (int i = 0; i < 100 && readlink(proc, ignored, sizeof(ignored)) > 0; i++)
        usleep(20000);
    assert_true(readlink(proc, ignored, sizeof(ignored)) < 0);
}

/* ---- changes of the file ---- */

static void a_key_file_takes_the_next_key_and_makes_it_the_first(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("change");
    struct stat file;
    put_file(path, LINE_A "\n", 0600);
    struct vault_ring *ring = must_load(path);
    char *old AUTO_FREE = mem_dup(vault_ring_id(ring, 0));
    assert_int_equal(vault_key_file_add(path, NULL), 0);
    assert_int_equal(vault_key_file_add(path, NULL), ERR_EXISTS);
    assert_int_equal(vault_ring_reload(ring, NULL), 0);
    assert_int_equal(vault_ring_count(ring), 2);
    assert_string_equal(vault_ring_id(ring, 0), old);
    char *next AUTO_FREE = mem_dup(vault_ring_id(ring, 1));
    assert_int_equal(vault_key_file_promote(path, NULL), 0);
    assert_int_equal(vault_ring_reload(ring, NULL), 0);
    assert_int_equal(vault_ring_count(ring), 2);
    assert_string_equal(vault_ring_id(ring, 0), next);
    assert_string_equal(vault_ring_id(ring, 1), old);
    assert_int_equal(vault_key_file_drop(path, next, NULL), 0); /* never the first */
    assert_int_equal(vault_key_file_drop(path, old, NULL), 0);
    assert_int_equal(vault_ring_reload(ring, NULL), 0);
    assert_int_equal(vault_ring_count(ring), 1);
    assert_string_equal(vault_ring_id(ring, 0), next);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    vault_ring_free(ring);
}

static void without_a_next_key_a_new_one_becomes_the_first(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("fresh"), *to AUTO_FREE = in_scratch("fresh-target");
    put_file(to, LINE_A, 0400);
    assert_int_equal(symlink("fresh-target", path), 0);
    assert_int_equal(vault_key_file_promote(path, NULL), 0);
    struct vault_ring *ring = must_load(path), *target = must_load(to);
    assert_int_equal(vault_ring_count(ring), 2);
    assert_string_equal(vault_ring_id(ring, 0), vault_ring_id(target, 0)); /* the link is still one */
    vault_ring_free(ring);
    vault_ring_free(target);
    for (int i = 2; i < VAULT_RING_MAX; i++)
        assert_int_equal(vault_key_file_promote(path, NULL), 0);
    assert_int_equal(vault_key_file_promote(path, NULL), ERR_INVALID);
}

static void a_reload_that_fails_keeps_the_keys(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("reload");
    struct err err;
    put_file(path, LINE_A, 0400);
    struct vault_ring *ring = must_load(path);
    put_file(path, "torn", 0400);
    assert_int_equal(vault_ring_reload(ring, &err), ERR_AUTH);
    assert_int_equal(vault_ring_count(ring), 1);
    put_file(path, LINE_B "\n" LINE_A "\n", 0400);
    assert_int_equal(vault_ring_reload(ring, &err), 0);
    assert_int_equal(vault_ring_count(ring), 2);
    vault_ring_free(ring);
}

int main(void)
{
    vault_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_a_ring_opens_and_the_first_wraps),
        cmocka_unit_test(k11_what_is_no_ring_is_refused),
        cmocka_unit_test(a_credential_is_a_file_that_systemd_hands_over),
        cmocka_unit_test(a_variable_is_read_and_may_be_wiped),
        cmocka_unit_test(a_command_prints_the_key),
        cmocka_unit_test(k11_a_command_that_fails_is_no_key),
        cmocka_unit_test(k11_a_command_that_hangs_is_ended),
        cmocka_unit_test(a_key_file_takes_the_next_key_and_makes_it_the_first),
        cmocka_unit_test(without_a_next_key_a_new_one_becomes_the_first),
        cmocka_unit_test(a_reload_that_fails_keeps_the_keys),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
