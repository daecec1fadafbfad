#include "unit.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "scratch.h"

static void a_path_is_a_folder_and_a_name(void **state)
{
    static const char *const folders[][2] = {
        {"/a/b/name", "/a/b"}, {"/name", "/"}, {"a/name", "a"}, {"name", "."}, {"../name", ".."}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char *folder AUTO_FREE = file_folder(folders[i][0]);
        assert_string_equal(folder, folders[i][1]);
        assert_string_equal(file_name(folders[i][0]), "name");
    }
    assert_string_equal(file_name("a/"), "");
}

static void a_name_can_be_synced_where_there_is_a_folder(void **state)
{
    struct err err;
    assert_int_equal(scratch_open(state), 0);
    char *path AUTO_FREE = in_scratch("name");
    assert_int_equal(file_sync_name(path, &err), 0);
    assert_int_equal(scratch_close(state), 0);
    assert_int_equal(file_sync_name(path, &err), ERR_IO);
    assert_non_null(strstr(err.message, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_a_folder_and_a_name),
        cmocka_unit_test(a_name_can_be_synced_where_there_is_a_folder),
    };
    return RUN_UNIT_TESTS(tests);
}
