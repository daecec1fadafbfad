/* What may be opened as a source, and how changes are seen (docs/faults.md group F). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "folder.h"
#include "unit.h"

static void a_regular_file_is_opened(void **state)
{
    (void)state;
    make_file("clip.mp4", 10000);
    mkdir(in_folder("deep"), 0755);
    make_file("deep/other.mp4", 7);
    struct media_file *file = open_file("clip.mp4");
    assert_int_equal(media_size(file), 10000);
    media_close(file);
    file = open_file("deep/other.mp4");
    assert_int_equal(media_size(file), 7);
    media_close(file);
    media_close(NULL);
}

static void f01_a_missing_file_is_not_found(void **state)
{
    (void)state;
    make_file("clip.mp4", 10);
    assert_non_null(strstr(open_refused("gone.mp4", ERR_NOT_FOUND), in_folder("gone.mp4")));
    open_refused("no/such/folder.mp4", ERR_NOT_FOUND);
    open_refused("clip.mp4/x", ERR_NOT_FOUND);
}

/* As an ordinary user, because root may read anything; in a child, because there is no way back. */
static int read_as_nobody(void)
{
    struct media_file *file = NULL;
    struct err err = {0};
    if (setgid(65534) || setuid(65534))
        return 10;
    if (media_open(root, "closed.mp4", &file, &err) != ERR_INVALID)
        return 11;
    return strstr(err.message, in_folder("closed.mp4")) && strstr(err.message, "user nobody") &&
                   strstr(err.message, "65534")
               ? 0
               : 12;
}

static void f02_without_permission_path_and_user_are_named(void **state)
{
    (void)state;
    if (geteuid())
        skip();
    make_file("closed.mp4", 10);
    chmod(in_folder("closed.mp4"), 0600);
    chmod(folder, 0755);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(read_as_nobody());
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void f10_a_symlink_is_refused(void **state)
{
    (void)state;
    make_file("clip.mp4", 10);
    mkdir(in_folder("real"), 0755);
    make_file("real/clip.mp4", 10);
    assert_int_equal(symlink("clip.mp4", in_folder("link.mp4")), 0);
    assert_int_equal(symlink("real", in_folder("linked")), 0);
    assert_int_equal(symlink("/etc/passwd", in_folder("outside")), 0);
    assert_non_null(strstr(open_refused("link.mp4", ERR_INVALID), "symbolic link"));
    open_refused("linked/clip.mp4", ERR_INVALID);
    open_refused("outside", ERR_INVALID);
}

static void f10_a_path_out_of_the_root_is_refused(void **state)
{
    (void)state;
    make_file("clip.mp4", 10);
    mkdir(in_folder("deep"), 0755);
    open_refused("../etc/passwd", ERR_INVALID);
    open_refused("deep/../clip.mp4", ERR_INVALID);
    open_refused("deep/..", ERR_INVALID);
    open_refused("..", ERR_INVALID);
    open_refused("/etc/passwd", ERR_INVALID);
    open_refused("", ERR_INVALID);
    make_file("..odd", 5); /* only looks like it */
    media_close(open_file("..odd"));
}

static void make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void f10_what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct media_root *system;
    struct media_file *file;
    assert_int_equal(mkfifo(in_folder("fifo"), 0644), 0);
    mkdir(in_folder("dir"), 0755);
    make_socket("socket");
    assert_non_null(strstr(open_refused("fifo", ERR_INVALID), "a FIFO"));
    assert_non_null(strstr(open_refused("dir", ERR_INVALID), "a directory"));
    assert_non_null(strstr(open_refused("socket", ERR_INVALID), "a socket"));
    assert_int_equal(media_root_open("/", &system, &err), 0);
    assert_int_equal(media_open(system, "dev/null", &file, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "a device"));
    assert_int_equal(media_open(system, "proc/self/exe", &file, &err), ERR_INVALID);
    assert_int_equal(media_open(system, "proc/self/status", &file, &err), ERR_INVALID); /* 0 bytes long */
    media_root_close(system);
}

static void f11_sizes_at_the_edges(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 2147483648u, 4294967297u, 274877906944u};
    make_file("empty", 0);
    assert_non_null(strstr(open_refused("empty", ERR_INVALID), "is empty"));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make_sparse("sparse", sizes[i]);
        struct media_file *file = open_file("sparse");
        assert_int_equal(media_size(file), sizes[i]);
        media_close(file);
    }
    make_sparse("sparse", 274877906945u);
    assert_non_null(strstr(open_refused("sparse", ERR_INVALID), "256 GiB"));
}

static void roots_must_be_directories(void **state)
{
    (void)state;
    struct media_root *other = NULL;
    struct err err = {0};
    make_file("clip.mp4", 10);
    assert_int_equal(media_root_open("relative", &other, &err), ERR_INVALID);
    assert_int_equal(media_root_open(in_folder("gone"), &other, &err), ERR_NOT_FOUND);
    assert_int_equal(media_root_open(in_folder("clip.mp4"), &other, &err), ERR_NOT_FOUND);
    assert_null(other);
}

static void check_relative(struct media_root *of, const char *typed, const char *stored)
{
    char *relative AUTO_FREE = NULL;
    struct err err = {0};
    if (media_root_relative(of, typed, &relative, &err))
        fail_msg("%s: %s", typed, err.message);
    assert_string_equal(relative, stored);
}

static void check_not_relative(const char *typed, int code)
{
    char *relative = NULL;
    struct err err = {0};
    assert_int_equal(media_root_relative(root, typed, &relative, &err), code);
    assert_null(relative);
    assert_true(err.message[0]);
}

static void what_a_person_types_is_stored_beneath_the_root(void **state)
{
    (void)state;
    struct media_root *system;
    struct err err = {0};
    char before[256], beside[128];
    mkdir(in_folder("deep"), 0755);
    make_file("deep/clip.mp4", 10);
    assert_int_equal(symlink("deep/clip.mp4", in_folder("link.mp4")), 0);
    check_relative(root, in_folder("deep/clip.mp4"), "deep/clip.mp4");
    check_relative(root, in_folder("deep/../link.mp4"), "deep/clip.mp4");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(in_folder("deep")), 0);
    check_relative(root, "clip.mp4", "deep/clip.mp4");
    check_relative(root, "../link.mp4", "deep/clip.mp4");
    assert_int_equal(chdir(before), 0);
    assert_int_equal(media_root_open("/", &system, &err), 0);
    check_relative(system, in_folder("deep/clip.mp4"), in_folder("deep/clip.mp4") + 1);
    media_root_close(system);
    check_not_relative("/etc/passwd", ERR_INVALID);
    check_not_relative(folder, ERR_INVALID);
    check_not_relative("", ERR_INVALID);
    check_not_relative(in_folder("gone.mp4"), ERR_NOT_FOUND);
    snprintf(beside, sizeof beside, "%s-beside", folder); /* shares the root's name as a prefix */
    int fd = open(beside, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    close(fd);
    check_not_relative(beside, ERR_INVALID);
    unlink(beside);
}

static bool has_changed(struct media_file *file, char message[200])
{
    struct err err = {0};
    bool changed = false;
    message[0] = '\0';
    if (media_changed_since_open(file, &changed, message, 200, &err))
        fail_msg("%s", err.message);
    assert_int_equal(changed, message[0] != '\0');
    return changed;
}

static void f04_f05_another_size_is_a_change(void **state)
{
    (void)state;
    char message[200];
    make_file("clip.mp4", 10000);
    struct media_file *file = open_file("clip.mp4");
    assert_false(has_changed(file, message));
    assert_int_equal(truncate(in_folder("clip.mp4"), 9999), 0);
    assert_true(has_changed(file, message));
    assert_int_equal(truncate(in_folder("clip.mp4"), 10001), 0);
    assert_true(has_changed(file, message));
    assert_non_null(strstr(message, "another size"));
    media_close(file);
}

static void f06_an_overwrite_is_a_change(void **state)
{
    (void)state;
    char message[200];
    make_file("clip.mp4", 10000);
    restore_mtime("clip.mp4", 1000000000);
    struct media_file *file = open_file("clip.mp4");
    write_at("clip.mp4", 5000, "x");
    assert_true(has_changed(file, message));
    assert_non_null(strstr(message, "was written to"));
    media_close(file);
}

static void f07_a_replacement_is_a_change(void **state)
{
    (void)state;
    char message[200];
    make_file("clip.mp4", 10000);
    make_file("new.mp4", 10000);
    struct media_file *file = open_file("clip.mp4");
    assert_int_equal(rename(in_folder("new.mp4"), in_folder("clip.mp4")), 0);
    assert_true(has_changed(file, message));
    assert_non_null(strstr(message, "replaced"));
    media_close(file);
}

static void f07_a_link_in_its_place_is_a_change(void **state)
{
    (void)state;
    char message[200];
    make_file("clip.mp4", 10000);
    struct media_file *file = open_file("clip.mp4");
    assert_int_equal(rename(in_folder("clip.mp4"), in_folder("moved.mp4")), 0);
    assert_int_equal(symlink("moved.mp4", in_folder("clip.mp4")), 0);
    assert_true(has_changed(file, message));
    media_close(file);
}

static void f12_an_unlinked_file_is_unchanged(void **state)
{
    (void)state;
    char message[200];
    make_file("clip.mp4", 10000);
    struct media_file *file = open_file("clip.mp4");
    unlink(in_folder("clip.mp4"));
    assert_false(has_changed(file, message));
    media_close(file);
}

static void other_rights_and_names_are_no_change(void **state)
{
    (void)state;
    char message[200];
    make_file("clip.mp4", 10000);
    struct media_file *file = open_file("clip.mp4");
    chmod(in_folder("clip.mp4"), 0600);
    assert_int_equal(link(in_folder("clip.mp4"), in_folder("second.mp4")), 0);
    assert_false(has_changed(file, message));
    media_close(file);
}

/* The root's handle may be closed before its files. */
static void a_file_outlives_its_root(void **state)
{
    (void)state;
    struct media_root *other;
    struct media_file *file;
    struct err err = {0};
    char message[200];
    make_file("clip.mp4", 10000);
    assert_int_equal(media_root_open(folder, &other, &err), 0);
    assert_int_equal(media_open(other, "clip.mp4", &file, &err), 0);
    media_root_close(other);
    assert_false(has_changed(file, message));
    media_close(file);
}

static void x10_descriptors_are_closed_on_exec(void **state)
{
    (void)state;
    make_file("clip.mp4", 10);
    int lowest = dup(0);
    close(lowest);
    struct media_file *file = open_file("clip.mp4");
    for (int fd = lowest; fd < lowest + 4; fd++) {
        int flags = fcntl(fd, F_GETFD);
        assert_true(flags < 0 || flags & FD_CLOEXEC);
    }
    media_close(file);
    int again = dup(0);
    close(again);
    assert_int_equal(again, lowest);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_regular_file_is_opened),
        IN_FOLDER(f01_a_missing_file_is_not_found),
        IN_FOLDER(f02_without_permission_path_and_user_are_named),
        IN_FOLDER(f10_a_symlink_is_refused),
        IN_FOLDER(f10_a_path_out_of_the_root_is_refused),
        IN_FOLDER(f10_what_is_no_regular_file_is_refused),
        IN_FOLDER(f11_sizes_at_the_edges),
        IN_FOLDER(roots_must_be_directories),
        IN_FOLDER(what_a_person_types_is_stored_beneath_the_root),
        IN_FOLDER(f04_f05_another_size_is_a_change),
        IN_FOLDER(f06_an_overwrite_is_a_change),
        IN_FOLDER(f07_a_replacement_is_a_change),
        IN_FOLDER(f07_a_link_in_its_place_is_a_change),
        IN_FOLDER(f12_an_unlinked_file_is_unchanged),
        IN_FOLDER(other_rights_and_names_are_no_change),
        IN_FOLDER(a_file_outlives_its_root),
        IN_FOLDER(x10_descriptors_are_closed_on_exec),
    };
    return RUN_UNIT_TESTS(tests);
}
