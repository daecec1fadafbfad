/*
 * What a worker that was taken over can still do. Each case runs in a child that is confined as a worker is;
 * this very program is its keeper and its broker, too.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/landlock.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "scratch.h"
#include "vault/message.h"
#include "vault/ring.h"
#include "worker/confine.h"
#include "worker/worker.h"
#include "youtube/youtube.h"

static int set_up(void **state)
{
    (void)state;
    struct store *store = NULL;
    /* Not in a folder for temporary files, where a worker may write. */
    const char *home = getenv("HOME");
    const char *base = access("/var/lib", W_OK) == 0 || !home ? "/var/lib" : home;
    if (scratch_open_beneath(base) != 0)
        return -1;
    char *url AUTO_FREE = mem_printf("sqlite:%s/store.db", scratch);
    char *key AUTO_FREE = in_scratch("store.key");
    put_file("media/clip.mp4", "clip", 0600);
    put_file("elsewhere", "elsewhere", 0600);
    if (store_open(url, STORE_CREATE, &store, NULL) != 0)
        return -1;
    store_close(store);
    return vault_key_create(key, NULL);
}

static struct settings load(const char *media_root)
{
    struct settings settings;
    struct err err = {0};
    char *conf AUTO_FREE = in_scratch("sluice.conf");
    char text[512];
    snprintf(text, sizeof(text), "store = sqlite:%s/store.db\nkey_file = %s/store.key\nmedia_root = %s\n",
             scratch, scratch, media_root);
    put_file("sluice.conf", text, 0600);
    if (settings_load(conf, NULL, 0, &settings, &err) != 0)
        fail_msg("%s", err.message);
    return settings;
}

#define MUST(number, condition)                                                                              \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return number;                                                                                   \
    } while (0)

struct scene {
    const struct settings *settings;
    struct confinement *confinement;
};

/* The number of the check that failed, 0: none; 1000 and a signal. */
static int in_worker_with(const struct settings *settings, int (*check)(const struct scene *scene))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct confinement confinement;
        int code = 100;
        if (confine(settings, &confinement, NULL) == 0)
            code = check(&(struct scene){settings, &confinement});
        confinement_release(&confinement);
        _exit(code);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int in_worker(const char *media_root, int (*check)(const struct scene *scene))
{
    struct settings settings = load(media_root);
    int code = in_worker_with(&settings, check);
    settings_release(&settings);
    return code;
}

static char *media(void)
{
    return in_scratch("media");
}

/* ---- files ---- */

static int check_files(const struct scene *scene)
{
    struct store *store = NULL;
    MUST(1, try_open("store.key", O_RDONLY) == EACCES);
    MUST(2, try_open("store.key", O_WRONLY) == EACCES);
    char *key AUTO_FREE = in_scratch("store.key");
    MUST(3, unlink(key) != 0 && errno == EACCES);
    MUST(4, try_open("media/clip.mp4", O_RDONLY) == 0);
    MUST(5, try_open("media/clip.mp4", O_WRONLY) == EACCES);
    MUST(6, try_open("media/new", O_CREAT | O_WRONLY) == EACCES);
    MUST(7, try_open("elsewhere", O_RDONLY) == 0); /* beside the configuration, which SIGHUP reads anew */
    MUST(8, try_open("elsewhere", O_WRONLY) == EACCES);
    MUST(9, try_open("/root", O_RDONLY | O_DIRECTORY) == EACCES);
    MUST(10, try_open("/etc/passwd", O_RDONLY) == 0);
    MUST(11, store_open(scene->settings->store, STORE_USE, &store, NULL) == 0);
    MUST(12, store_begin(store, NULL) == 0 && store_commit(store, NULL) == 0);
    store_close(store);
    return 0;
}

static void k11_a_worker_cannot_read_the_key(void **state)
{
    (void)state;
    char *root AUTO_FREE = media();
    if (HAS_SANITIZER || landlock_abi() == 0)
        skip();
    assert_int_equal(in_worker(root, check_files), 0);
}

static int check_key_in_sources(const struct scene *scene)
{
    MUST(1, confine_leaves_key(scene->settings));
    MUST(2, try_open("store.key", O_RDONLY) == 0);
    MUST(3, try_open("store.key", O_WRONLY) == EACCES);
    return 0;
}

static void a_key_beneath_the_media_root_is_told(void **state)
{
    (void)state;
    struct settings settings = load(scratch);
    assert_true(confine_leaves_key(&settings));
    settings_release(&settings);
    settings = load("/");
    assert_true(confine_leaves_key(&settings));
    settings_release(&settings);
    char *root AUTO_FREE = media();
    settings = load(root);
    assert_false(confine_leaves_key(&settings));
    settings_release(&settings);
    if (HAS_SANITIZER || landlock_abi() == 0)
        skip();
    assert_int_equal(in_worker(scratch, check_key_in_sources), 0);
}

static int check_own_folder(const struct scene *scene)
{
    struct settings settings;
    MUST(1, settings_load(scene->settings->config_file, NULL, 0, &settings, NULL) == 0);
    settings_release(&settings);
    MUST(2, try_open("store.key", O_RDONLY) == EACCES);
    return 0;
}

static void a_configuration_in_the_folder_that_it_was_started_in_is_read_anew(void **state)
{
    (void)state;
    char *root AUTO_FREE = media();
    if (HAS_SANITIZER || landlock_abi() == 0)
        skip();
    struct settings settings = load(root);
    mem_free(settings.config_file);
    settings.config_file = mem_dup("sluice.conf");
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(in_worker_with(&settings, check_own_folder), 0);
    assert_int_equal(chdir("/"), 0);
    settings_release(&settings);
}

/* ---- processes ---- */

static int start_a_program(const struct scene *scene)
{
    char name[] = "/bin/true";
    char *args[] = {name, NULL};
    (void)scene;
    execv(name, args);
    return 0;
}

static void a_worker_starts_no_program(void **state)
{
    (void)state;
    char *root AUTO_FREE = media();
    if (!syscalls_filter_is_known() || !syscalls_filter_is_there())
        skip();
    assert_int_equal(in_worker(root, start_a_program), 1000 + SIGSYS);
}

static int check_looks(const struct scene *scene)
{
    struct rlimit core = {1, 1};
    (void)scene;
    MUST(1, getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    MUST(2, prctl(PR_GET_DUMPABLE) == 0);
    MUST(3, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    return 0;
}

static void a_worker_leaves_no_core_file(void **state)
{
    (void)state;
    char *root AUTO_FREE = media();
    if (HAS_SANITIZER)
        skip();
    assert_int_equal(in_worker(root, check_looks), 0);
}

/* ---- the keeper ---- */

static bool ends(int64_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    for (int turn = 0; turn < 1000 && access(path, F_OK) == 0; turn++)
        usleep(10000);
    return access(path, F_OK) != 0;
}

static int check_keeper(const struct scene *scene)
{
    char hello[64];
    int fd, again;
    int64_t pid, next_pid;
    MUST(1, keeper_start(scene->confinement->keeper, &fd, &pid, NULL) == 0 && pid > 0);
    MUST(2, read(fd, hello, sizeof(hello)) > 4 && hello[4] == MESSAGE_HELLO);
    MUST(3, keeper_start(scene->confinement->keeper, &again, &next_pid, NULL) == 0 && next_pid != pid);
    MUST(4, read(fd, hello, sizeof(hello)) == 0); /* the first one was ended */
    MUST(5, read(again, hello, sizeof(hello)) > 4 && hello[4] == MESSAGE_HELLO);
    MUST(6, kill((pid_t)next_pid, SIGKILL) != 0 || !landlock_abi() || HAS_SANITIZER || landlock_abi() < 6);
    keeper_kill(scene->confinement->keeper);
    MUST(7, read(again, hello, sizeof(hello)) == 0);
    return ends(next_pid) ? 0 : 8;
}

static void x06_the_keeper_starts_brokers_with_the_configuration_it_was_given(void **state)
{
    (void)state;
    char *root AUTO_FREE = media();
    assert_int_equal(in_worker(root, check_keeper), 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(k11_a_worker_cannot_read_the_key),
        cmocka_unit_test(a_key_beneath_the_media_root_is_told),
        cmocka_unit_test(a_configuration_in_the_folder_that_it_was_started_in_is_read_anew),
        cmocka_unit_test(a_worker_starts_no_program),
        cmocka_unit_test(a_worker_leaves_no_core_file),
        cmocka_unit_test(x06_the_keeper_starts_brokers_with_the_configuration_it_was_given),
    };
    vault_start();
    if (argc > 1 && strcmp(argv[1], "keeper") == 0)
        return keeper_main(3);
    if (argc > 1 && strcmp(argv[1], "broker") == 0)
        return broker_main(3);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, scratch_close);
}
