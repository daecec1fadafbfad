/* What a process may still do after it has given the rest up: each in a child, since there is no way back. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/landlock.h"
#include "base/mem.h"
#include "scratch.h"

static int make_files(void **state)
{
    static const char *const files[] = {"open/file", "shut/file", "shut/one/file", "shut/key"};
    if (scratch_open(state) != 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        put_file(files[i], "", 0600);
    return 0;
}

/* Runs in a child under the rules that `allow` makes; the number of the check that failed, 0: none. */
static int in_child(void (*allow)(struct landlock *rules), int (*check)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct landlock *rules = landlock_new();
        allow(rules);
        int code = landlock_enforce(rules, NULL) == 0 ? check() : 100;
        landlock_free(rules);
        _exit(code);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define MUST(number, condition)                                                                              \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return number;                                                                                   \
    } while (0)

static void allow_reading(struct landlock *rules)
{
    char *path AUTO_FREE = in_scratch("open");
    landlock_allow(rules, path, LANDLOCK_READ);
    landlock_allow(rules, "/nowhere/at/all", LANDLOCK_READ);
}

static int check_reading(void)
{
    MUST(1, try_open("open/file", O_RDONLY) == 0);
    MUST(2, try_open("open/file", O_WRONLY) == EACCES);
    MUST(3, try_open("open/new", O_WRONLY | O_CREAT) == EACCES);
    MUST(4, try_open("shut/file", O_RDONLY) == EACCES);
    MUST(5, try_open("open/../shut/file", O_RDONLY) == EACCES);
    MUST(6, try_open("/etc/passwd", O_RDONLY) == EACCES);
    return 0;
}

static void what_is_not_allowed_is_refused(void **state)
{
    (void)state;
    if (landlock_abi() == 0)
        skip();
    assert_int_equal(in_child(allow_reading, check_reading), 0);
}

static void allow_one_file(struct landlock *rules)
{
    char *file AUTO_FREE = in_scratch("shut/file"), *folder AUTO_FREE = in_scratch("shut");
    landlock_allow(rules, file, LANDLOCK_READ | LANDLOCK_WRITE);
    landlock_allow(rules, folder, LANDLOCK_MAKE);
}

static int check_one_file(void)
{
    MUST(1, try_open("shut/file", O_RDWR) == 0);
    MUST(2, try_open("shut/key", O_RDONLY) == EACCES);
    MUST(3, try_open("shut/one/file", O_RDONLY) == EACCES);
    return 0;
}

static void a_file_may_be_used_and_its_neighbours_not(void **state)
{
    (void)state;
    if (landlock_abi() == 0)
        skip();
    assert_int_equal(in_child(allow_one_file, check_one_file), 0);
}

static void allow_all_but_the_key(struct landlock *rules)
{
    char *key AUTO_FREE = in_scratch("shut/key");
    landlock_allow_except(rules, scratch, key, LANDLOCK_READ);
    landlock_allow_system(rules, NULL);
}

static int check_all_but_the_key(void)
{
    MUST(1, try_open("open/file", O_RDONLY) == 0);
    MUST(2, try_open("shut/file", O_RDONLY) == 0);
    MUST(3, try_open("shut/one/file", O_RDONLY) == 0);
    MUST(4, try_open("shut/key", O_RDONLY) == EACCES);
    MUST(5, try_open("/etc/passwd", O_RDONLY) == 0);
    MUST(6, try_open("/dev/null", O_RDWR) == 0);
    return 0;
}

static void a_folder_may_be_read_but_for_one_file(void **state)
{
    (void)state;
    if (landlock_abi() == 0)
        skip();
    assert_int_equal(in_child(allow_all_but_the_key, check_all_but_the_key), 0);
}

/* ---- network ---- */

static int try_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
    close(fd);
    return code;
}

static int try_listen(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? 0 : errno;
    close(fd);
    return code;
}

static void allow_port_1(struct landlock *rules)
{
    landlock_allow_connect(rules, 1);
}

/* Nobody listens at either: what is refused by the kernel is told apart by its error. */
static int check_ports(void)
{
    MUST(1, try_connect(1) == ECONNREFUSED);
    MUST(2, try_connect(2) == EACCES);
    MUST(3, try_listen() == EACCES);
    return 0;
}

static void one_port_may_be_connected_to_and_none_listened_at(void **state)
{
    (void)state;
    if (!landlock_has_network(landlock_abi()))
        skip();
    assert_int_equal(in_child(allow_port_1, check_ports), 0);
}

static int check_any_port(void)
{
    MUST(1, try_connect(1) == ECONNREFUSED);
    MUST(2, try_connect(2) == ECONNREFUSED);
    MUST(3, !landlock_has_network(landlock_abi()) || try_listen() == EACCES);
    return 0;
}

static void without_a_port_named_all_may_be_connected_to(void **state)
{
    (void)state;
    if (landlock_abi() == 0)
        skip();
    assert_int_equal(in_child(allow_reading, check_any_port), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_allowed_is_refused),
        cmocka_unit_test(a_file_may_be_used_and_its_neighbours_not),
        cmocka_unit_test(a_folder_may_be_read_but_for_one_file),
        cmocka_unit_test(one_port_may_be_connected_to_and_none_listened_at),
        cmocka_unit_test(without_a_port_named_all_may_be_connected_to),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_files, scratch_close);
}
