#include "unit.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "scratch.h"
#include "vault/ring.h"

static int load(const char *path, struct err *err)
{
    struct vault_ring *ring = NULL;
    int code = vault_ring_load(path, &ring, err);
    if (code != 0)
        assert_null(ring);
    vault_ring_free(ring);
    return code;
}

#define LINE "sluice-key-1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void a_new_key_loads_and_stays_the_same(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("a/b/key");
    assert_int_equal(vault_key_create(path, NULL), 0);
    struct vault_ring *one = NULL, *two = NULL;
    assert_int_equal(vault_ring_load(path, &one, NULL), 0);
    assert_int_equal(vault_ring_load(path, &two, NULL), 0);
    assert_string_equal(vault_ring_id(one, 0), vault_ring_id(two, 0));
    assert_int_equal(strlen(vault_ring_id(one, 0)), VAULT_KEY_ID_SIZE - 1);

    struct seal_place place = {.tenant_id = 1, .table = "t", .row = "1", .field = "f"};
    struct buf sealed AUTO_BUF;
    buf_init(&sealed, 1024);
    vault_seal(vault_ring_current(one), &place, "x", 1, &sealed);
    struct secret opened AUTO_SECRET = {0};
    assert_int_equal(vault_open(vault_ring_current(two), &place, sealed.data, sealed.len, &opened, NULL), 0);
    vault_ring_free(one);
    vault_ring_free(two);
}

static void k11_a_new_key_is_its_owners_alone(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("own/key");
    char *parent AUTO_FREE = in_scratch("own");
    mode_t before = umask(0);
    assert_int_equal(vault_key_create(path, NULL), 0);
    umask(before);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0400);
    assert_int_equal(stat(parent, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0700);
}

static int count_entries(const char *path)
{
    DIR *entries = opendir(path);
    int count = 0;
    assert_non_null(entries);
    while (readdir(entries))
        count++;
    closedir(entries);
    return count - 2; /* . and .. */
}

static void k11_a_key_that_is_there_is_left_alone(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("there/key");
    char *parent AUTO_FREE = in_scratch("there");
    assert_int_equal(vault_key_create(path, NULL), 0);
    struct vault_ring *before = NULL, *after = NULL;
    assert_int_equal(vault_ring_load(path, &before, NULL), 0);
    assert_int_equal(vault_key_create(path, NULL), ERR_EXISTS);
    assert_int_equal(vault_ring_load(path, &after, NULL), 0);
    assert_string_equal(vault_ring_id(before, 0), vault_ring_id(after, 0));
    assert_int_equal(count_entries(parent), 1);
    vault_ring_free(before);
    vault_ring_free(after);
}

static void two_keys_differ(void **state)
{
    (void)state;
    char *path_one AUTO_FREE = in_scratch("one"), *path_two AUTO_FREE = in_scratch("two");
    struct vault_ring *one = NULL, *two = NULL;
    assert_int_equal(vault_key_create(path_one, NULL), 0);
    assert_int_equal(vault_key_create(path_two, NULL), 0);
    assert_int_equal(vault_ring_load(path_one, &one, NULL), 0);
    assert_int_equal(vault_ring_load(path_two, &two, NULL), 0);
    assert_string_not_equal(vault_ring_id(one, 0), vault_ring_id(two, 0));
    vault_ring_free(one);
    vault_ring_free(two);
}

static void k11_a_missing_key_says_init(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("missing");
    struct err err = {0};
    assert_int_equal(load(path, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "sluice init"));
    assert_non_null(strstr(err.message, path));
}

static void k11_a_key_that_others_may_read_is_refused(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("modes");
    static const struct {
        mode_t mode;
        int code;
    } cases[] = {{0400, 0},        {0600, 0},        {0700, 0},        {0440, ERR_AUTH}, {0404, ERR_AUTH},
                 {0420, ERR_AUTH}, {0402, ERR_AUTH}, {0644, ERR_AUTH}, {0401, ERR_AUTH}, {0777, ERR_AUTH}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        put_file(path, LINE "\n", cases[i].mode);
        assert_int_equal(load(path, &err), cases[i].code);
        if (cases[i].code)
            assert_non_null(strstr(err.message, "chmod 0400"));
    }
}

static void k11_what_is_not_a_key_is_refused(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("content");
    static const char *const bad[] = {
        "",
        "\n",
        "sluice-key-1 ",
        "sluice-key-2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        LINE "0",
        LINE "\n\n",
        LINE "\r\n",
        LINE " ",
        " sluice-key-1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "sluice-key-1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",
        "sluice-key-1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeef"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        put_file(path, bad[i], 0400);
        assert_int_equal(load(path, &err), ERR_AUTH);
        assert_null(strstr(err.message, "00112233"));
    }
    put_file(path, LINE, 0400);
    assert_int_equal(load(path, NULL), 0);
}

static void k11_a_directory_or_a_pipe_is_refused(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("pipe");
    assert_int_equal(mkfifo(path, 0400), 0);
    assert_int_equal(load(path, NULL), ERR_AUTH);
    assert_int_equal(load(scratch, NULL), ERR_AUTH);
}

/* Kubernetes mounts a secret as a link to a link. */
static void a_linked_key_loads(void **state)
{
    (void)state;
    char *path AUTO_FREE = in_scratch("linked"), *to AUTO_FREE = in_scratch("target");
    put_file(to, LINE "\n", 0400);
    assert_int_equal(symlink("target", path), 0);
    assert_int_equal(load(path, NULL), 0);
}

int main(void)
{
    vault_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_key_loads_and_stays_the_same),
        cmocka_unit_test(k11_a_new_key_is_its_owners_alone),
        cmocka_unit_test(k11_a_key_that_is_there_is_left_alone),
        cmocka_unit_test(two_keys_differ),
        cmocka_unit_test(k11_a_missing_key_says_init),
        cmocka_unit_test(k11_a_key_that_others_may_read_is_refused),
        cmocka_unit_test(k11_what_is_not_a_key_is_refused),
        cmocka_unit_test(k11_a_directory_or_a_pipe_is_refused),
        cmocka_unit_test(a_linked_key_loads),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
