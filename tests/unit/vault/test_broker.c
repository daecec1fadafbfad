/* The child's life: start, death, garbage, silence, and what it holds and keeps out. */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "vault/message.h"
#include "vault/ring.h"

/* ---- starting ---- */

static int open_with(struct world *world, const struct broker_config *config)
{
    struct broker *broker = NULL;
    int code = broker_open(&world->loop, config, &broker, &world->err);
    if (code == 0)
        broker_close(broker);
    else
        assert_null(broker);
    return code;
}

static void k11_without_a_key_it_does_not_start(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.key_source = "/nowhere/key";
    assert_int_equal(open_with(world, &config), ERR_NOT_FOUND);
    assert_says(world, "sluice init");
    assert_int_equal(chmod(world->key_file, 0444), 0);
    config.key_source = world->key_file;
    assert_int_equal(open_with(world, &config), ERR_AUTH);
    assert_says(world, "chmod 0400");
}

static void without_a_store_it_does_not_start(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.store = "sqlite:/nowhere/store.db";
    assert_int_equal(open_with(world, &config), ERR_NOT_FOUND);
    config.store = "carrier-pigeon:coop";
    assert_int_equal(open_with(world, &config), ERR_INVALID);
}

static void a_plain_api_root_needs_leave(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.allow_plain_loopback = false;
    assert_int_equal(open_with(world, &config), ERR_INVALID);
    config.allow_plain_loopback = true;
    config.api_root = "http://elsewhere.example";
    assert_int_equal(open_with(world, &config), ERR_INVALID);
}

static void a_missing_executable_is_told(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.executable = "/nowhere/sluice";
    assert_int_equal(open_with(world, &config), ERR_INTERNAL);
    assert_says(world, "/nowhere/sluice");
}

/* Had it a default, a test that forgets to name one would start itself, and so on without end. */
static void a_broker_without_a_program_is_refused(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.executable = NULL;
    assert_int_equal(open_with(world, &config), ERR_INVALID);
    assert_says(world, "program");
}

static void a_child_without_hello_is_no_broker(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.executable = getenv("BROKER_FAKE");
    config.store = "no hello";
    assert_int_equal(open_with(world, &config), ERR_INTERNAL);
}

/* ---- sessions ---- */

struct got_session {
    bool is_done;
    enum open_result result;
    char bytes[8192];
    size_t len;
};

static void take_sealed(void *ctx, enum open_result result, struct blob sealed)
{
    struct got_session *got = ctx;
    *got = (struct got_session){.is_done = true, .result = result, .len = sealed.len};
    if (sealed.len)
        memcpy(got->bytes, sealed.data, sealed.len);
}

static void take_url(void *ctx, enum open_result result, const char *url)
{
    struct got_session *got = ctx;
    *got = (struct got_session){.is_done = true, .result = result};
    if (url)
        strcpy(got->bytes, url);
}

static struct got_session seal(struct world *world, int64_t tenant, const char *job, const char *url)
{
    static struct got_session got;
    struct job_id id;
    snprintf(id.text, sizeof(id.text), "%s", job);
    got.is_done = false;
    broker_seal_session(world->broker, tenant, id, url, take_sealed, &got);
    assert_false(got.is_done);
    while (!got.is_done)
        uv_run(&world->loop, UV_RUN_ONCE);
    return got;
}

static struct got_session open_session(struct world *world, int64_t tenant, const char *job,
                                       const struct got_session *sealed)
{
    static struct got_session got;
    struct job_id id;
    snprintf(id.text, sizeof(id.text), "%s", job);
    got.is_done = false;
    broker_open_session(world->broker, tenant, id, (struct blob){.data = sealed->bytes, .len = sealed->len},
                        take_url, &got);
    while (!got.is_done)
        uv_run(&world->loop, UV_RUN_ONCE);
    return got;
}

#define SESSION "https://www.googleapis.com/upload/youtube/v3/videos?upload_id=planted"

static void a_session_opens_where_it_was_sealed(void **state)
{
    struct world *world = *state;
    struct got_session sealed = seal(world, 1, "01A", SESSION);
    assert_int_equal(sealed.result, OPEN_OK);
    assert_null(memmem(sealed.bytes, sealed.len, "planted", 7));
    struct got_session opened = open_session(world, 1, "01A", &sealed);
    assert_int_equal(opened.result, OPEN_OK);
    assert_string_equal(opened.bytes, SESSION);
}

static void k10_a_session_of_another_job_or_tenant_does_not_open(void **state)
{
    struct world *world = *state;
    struct got_session sealed = seal(world, 1, "01A", SESSION);
    assert_int_equal(open_session(world, 1, "01B", &sealed).result, OPEN_CORRUPT);
    assert_int_equal(open_session(world, 2, "01A", &sealed).result, OPEN_CORRUPT);
    sealed.bytes[sealed.len / 2] ^= 1;
    assert_int_equal(open_session(world, 1, "01A", &sealed).result, OPEN_CORRUPT);
    sealed.len = 0;
    assert_int_equal(open_session(world, 1, "01A", &sealed).result, OPEN_CORRUPT);
}

static void the_longest_session_fits(void **state)
{
    struct world *world = *state;
    char url[SESSION_URL_LEN_MAX + 1];
    memset(url, 'u', sizeof(url) - 1);
    url[sizeof(url) - 1] = '\0';
    struct got_session sealed = seal(world, 1, "01A", url);
    assert_int_equal(sealed.result, OPEN_OK);
    assert_string_equal(open_session(world, 1, "01A", &sealed).bytes, url);
}

static void the_digest_key_is_the_keys(void **state)
{
    struct world *world = *state;
    unsigned char expected[VAULT_DIGEST_KEY_SIZE];
    struct vault_ring *ring = NULL;
    assert_ok(vault_ring_load(world->key_file, &ring, &world->err), world);
    vault_digest_key(vault_ring_current(ring), expected);
    assert_memory_equal(broker_digest_key(world->broker), expected, sizeof(expected));
    vault_ring_free(ring);
}

/* ---- X06 ---- */

static void kill_child(struct world *world)
{
    pid_t pid = (pid_t)broker_pid(world->broker);
    assert_true(pid > 0); /* 0 would be all of us */
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void x06_what_was_under_way_when_it_died_is_passing(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token got[3];
    int64_t first_pid = broker_pid(world->broker);
    int before = atomic_load(&endpoint->token_requests);
    atomic_store(&endpoint->delay_ms, 3000);
    for (int i = 0; i < 3; i++)
        ask_later(world, &job, &got[i]);
    while (atomic_load(&endpoint->token_requests) == before)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    kill_child(world);
    run_until_done(world, got, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(got[i].result, TOKEN_TRANSIENT);
        assert_true(got[i].retry_after_ms > 0);
    }
    atomic_store(&endpoint->delay_ms, 0);
    struct got_token next = ask(world, &job);
    for (int i = 0; i < 100 && next.result == TOKEN_TRANSIENT; i++) {
        uv_sleep(50);
        next = ask(world, &job);
    }
    assert_int_equal(next.result, TOKEN_OK);
    assert_int_not_equal(broker_pid(world->broker), first_pid);
}

/* Until a child is there that can. */
static enum open_result seal_again(struct world *world)
{
    enum open_result result = seal(world, 1, "01A", SESSION).result;
    for (int turn = 0; turn < 100 && result == OPEN_TRANSIENT; turn++) {
        uv_sleep(50);
        result = seal(world, 1, "01A", SESSION).result;
    }
    return result;
}

static void x06_a_misbehaving_child_is_replaced(void **state)
{
    static const char *const modes[] = {"garbage", "endless", "another kind", "nobody", "exit", "mute"};
    struct world *world = *state;
    struct broker *real = world->broker;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        char *marker AUTO_FREE = mem_printf("%s/marker-%zu", world->dir, i);
        struct broker_config config = world_config(world);
        config.executable = getenv("BROKER_FAKE");
        config.store = modes[i];
        config.key_source = marker;
        config.answer_ms = strcmp(modes[i], "mute") == 0 ? 300 : 0;
        assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
        assert_int_equal(seal(world, 1, "01A", SESSION).result, OPEN_TRANSIENT);
        assert_int_equal(seal_again(world), OPEN_OK);
        broker_close(world->broker);
    }
    world->broker = real;
}

static void assert_buried(struct world *world, pid_t pid)
{
    for (int turn = 0; turn < 200 && kill(pid, 0) == 0; turn++) {
        uv_run(&world->loop, UV_RUN_NOWAIT);
        uv_sleep(10);
    }
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void x06_a_frozen_child_is_replaced_and_buried(void **state)
{
    struct world *world = *state;
    struct broker *first = world->broker;
    struct broker_config config = world_config(world);
    config.answer_ms = 300;
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
    pid_t pid = (pid_t)broker_pid(world->broker);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(seal(world, 1, "01A", SESSION).result, OPEN_TRANSIENT);
    assert_buried(world, pid);
    assert_int_equal(seal_again(world), OPEN_OK);
    broker_close(world->broker);
    world->broker = first;
}

static void x06_a_frozen_child_does_not_outlive_its_parent(void **state)
{
    struct world *world = *state;
    pid_t pid = (pid_t)broker_pid(world->broker);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    broker_close(world->broker);
    world->broker = NULL;
    assert_buried(world, pid);
    world_open_broker(world);
}

static void x06_a_child_that_never_says_hello_is_given_up(void **state)
{
    struct world *world = *state;
    struct broker_config config = world_config(world);
    config.executable = getenv("BROKER_FAKE");
    config.store = "mute from the start";
    config.answer_ms = 300;
    assert_int_equal(open_with(world, &config), ERR_INTERNAL);
    assert_says(world, "does not answer");
}

static void x06_a_command_is_answered_when_the_child_dies(void **state)
{
    struct world *world = *state;
    struct broker *real = world->broker;
    char *marker AUTO_FREE = mem_printf("%s/marker", world->dir);
    struct broker_config config = world_config(world);
    struct store_channel channel;
    config.executable = getenv("BROKER_FAKE");
    config.store = "exit";
    config.key_source = marker;
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
    assert_int_equal(login_as(world, "main", NULL, &channel), ERR_TIMEOUT);
    broker_close(world->broker);
    world->broker = real;
}

static void closing_answers_what_was_asked(void **state)
{
    struct world *world = *state;
    struct store_channel channel = must_login(world, "main");
    struct job_claim job = leased_job(world, &channel);
    struct got_token got;
    pid_t pid = (pid_t)broker_pid(world->broker);
    ask_later(world, &job, &got);
    broker_close(world->broker);
    world->broker = NULL;
    assert_true(got.is_done);
    assert_int_equal(got.result, TOKEN_TRANSIENT);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    world_open_broker(world);
}

/* ---- the child against its parent ---- */

/* A child without a loop around it: its socket and its end are ours to see. */
static pid_t start_bare(int *ret_fd)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 3);
        fcntl(3, F_SETFD, 0);
        execl(getenv("BROKER_CHILD"), "sluice", "broker", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *ret_fd = ends[0];
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void x06_the_child_ends_on_garbage(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"\0\0\0\4abcd", 8},
                 {"\xff\xff\xff\xff", 4},
                 {"\0\0\0\0", 4},
                 {"\0\0\0\x9\1\0\0\0\0\0\0\0\1", 13}, /* a token is asked for before the configuration */
                 {"\0\0\0\x9\7\0\0\0\0\0\0\0\1", 13}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd;
        pid_t pid = start_bare(&fd);
        assert_int_equal(send(fd, cases[i].bytes, cases[i].len, MSG_NOSIGNAL), cases[i].len);
        assert_int_equal(wait_for(pid), 1);
        close(fd);
    }
}

static void the_child_ends_with_its_parents_socket(void **state)
{
    (void)state;
    int fd;
    pid_t pid = start_bare(&fd);
    close(fd);
    assert_int_equal(wait_for(pid), 0);
}

static void the_child_leaves_signals_to_its_parent(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct world *world = *state;
    pid_t pid = (pid_t)broker_pid(world->broker);
    assert_true(pid > 0);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        assert_int_equal(kill(pid, signals[i]), 0);
    assert_int_equal(seal(world, 1, "01A", SESSION).result, OPEN_OK);
    assert_int_equal(broker_pid(world->broker), pid);
}

static int open_descriptors(void)
{
    DIR *entries = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(entries))
        count++;
    closedir(entries);
    return count;
}

static void x10_the_child_inherits_nothing_else(void **state)
{
    struct world *world = *state;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0); /* without O_CLOEXEC, as a careless library would */
    struct broker *first = world->broker;
    world_open_broker(world);
    close(ends[1]);
    struct pollfd end = {.fd = ends[0], .events = POLLIN};
    bool has_ended = poll(&end, 1, 2000) == 1 && read(ends[0], &byte, 1) == 0;
    close(ends[0]);
    broker_close(world->broker);
    world->broker = first;
    assert_true(has_ended);
}

static void x10_restarts_leak_no_descriptor(void **state)
{
    struct world *world = *state;
    world_close_broker(world);
    int before = open_descriptors();
    for (int i = 0; i < 3; i++) {
        world_open_broker(world);
        kill_child(world);
        seal(world, 1, "01A", SESSION);
        world_close_broker(world);
        assert_int_equal(open_descriptors(), before);
    }
}

static bool read_proc(pid_t pid, const char *name, struct buf *ret)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    buf_init(ret, 65536);
    return file_read(path, ret, NULL) == 0;
}

static void the_child_leaves_no_core_and_gets_no_environment(void **state)
{
    struct world *world = *state;
    pid_t pid = (pid_t)broker_pid(world->broker);
    struct buf limits AUTO_BUF, environment AUTO_BUF;
    assert_true(read_proc(pid, "limits", &limits));
    const char *core = strstr(limits.data, "Max core file size");
    int64_t soft = -1;
    assert_non_null(core);
    assert_int_equal(sscanf(core + strlen("Max core file size"), "%ld", &soft), 1);
    assert_int_equal(soft, 0);
    /* Not dumpable: only root may look further. */
    bool could_read = read_proc(pid, "environ", &environment);
    if (geteuid() != 0)
        assert_false(could_read);
    assert_null(memmem(environment.data, environment.len, "BROKER_CHILD", 12));
    assert_null(memmem(environment.data, environment.len, "PATH=", 5));
    /* Where to report to: nobody sees what a broker's sanitizer says otherwise. */
    bool is_told = memmem(environment.data, environment.len, "UBSAN_OPTIONS=", 14) != NULL;
    assert_int_equal(is_told, could_read && HAS_SANITIZER);
}

static int run(void)
{
    struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_CORE, &core) != 0 && getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = core.rlim_max;
        setrlimit(RLIMIT_CORE, &core);
    }
    setenv("JOURNAL_STREAM", "8:1", 1);
    setenv("UBSAN_OPTIONS", "print_stacktrace=1", 0);
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(k11_without_a_key_it_does_not_start),
        TEST(without_a_store_it_does_not_start),
        TEST(a_plain_api_root_needs_leave),
        TEST(a_missing_executable_is_told),
        TEST(a_broker_without_a_program_is_refused),
        TEST(a_child_without_hello_is_no_broker),
        TEST(a_session_opens_where_it_was_sealed),
        TEST(k10_a_session_of_another_job_or_tenant_does_not_open),
        TEST(the_longest_session_fits),
        TEST(the_digest_key_is_the_keys),
        TEST(x06_what_was_under_way_when_it_died_is_passing),
        TEST(x06_a_misbehaving_child_is_replaced),
        TEST(x06_a_frozen_child_is_replaced_and_buried),
        TEST(x06_a_frozen_child_does_not_outlive_its_parent),
        TEST(x06_a_child_that_never_says_hello_is_given_up),
        TEST(x06_a_command_is_answered_when_the_child_dies),
        TEST(closing_answers_what_was_asked),
        TEST(x06_the_child_ends_on_garbage),
        TEST(the_child_ends_with_its_parents_socket),
        TEST(the_child_leaves_signals_to_its_parent),
        TEST(x10_the_child_inherits_nothing_else),
        TEST(x10_restarts_leak_no_descriptor),
        TEST(the_child_leaves_no_core_and_gets_no_environment),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
