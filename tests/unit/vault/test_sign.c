/* The broker signs URLs of CDNs: of the hosts that it was told, with the key as it is just then. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "world.h"

#define URL "https://cdn.example/clip.mp4?secret-part"

struct got_signed {
    bool is_done;
    enum sign_result result;
    char url[8192];
    char message[1024];
};

static void take_signed(void *ctx, const struct broker_signed *answer)
{
    struct got_signed *got = ctx;
    *got = (struct got_signed){.is_done = true, .result = answer->result};
    text_copy(got->url, sizeof(got->url), answer->url ? answer->url : "");
    text_copy(got->message, sizeof(got->message), answer->message);
    assert_null(strstr(got->message, "secret-part"));
}

static struct got_signed sign(struct world *world, const char *url)
{
    struct got_signed got = {0};
    broker_sign_url(world->broker, url, take_signed, &got);
    assert_false(got.is_done);
    while (!got.is_done)
        uv_run(&world->loop, UV_RUN_ONCE);
    return got;
}

static void write_key(const char *path)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    unlink(path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    assert_int_equal(chmod(path, 0400), 0);
    EVP_PKEY_free(pkey);
}

/* The broker again, with these settings. */
static void reopen(struct world *world, const char *key_file, const char *hosts)
{
    struct broker_config config = world_config(world);
    config.cdn_key_file = key_file;
    config.cdn_key_id = "K123";
    config.cdn_sign_hosts = hosts;
    world_close_broker(world);
    assert_ok(broker_open(&world->loop, &config, &world->broker, &world->err), world);
}

static void a_url_of_a_named_host_is_signed(void **state)
{
    struct world *world = *state;
    char path[96];
    snprintf(path, sizeof(path), "%s/cdn.pem", world->dir);
    write_key(path);
    reopen(world, path, "other.example,cdn.example");
    struct got_signed got = sign(world, URL);
    assert_int_equal(got.result, SIGN_OK);
    assert_int_equal(strncmp(got.url, URL "&Expires=", strlen(URL "&Expires=")), 0);
    assert_non_null(strstr(got.url, "&Key-Pair-Id=K123&Hash-Algorithm=SHA256"));
    got = sign(world, "https://CDN.example/clip.mp4");
    assert_int_equal(got.result, SIGN_OK);
    assert_false(world_log_has(world, "Signature"));
}

static void other_urls_are_not(void **state)
{
    struct world *world = *state;
    static const char *const urls[] = {"https://elsewhere.example/clip.mp4", "http://cdn.example/clip.mp4",
                                       "https://cdn.example@elsewhere.example/", "nonsense",
                                       URL "&Signature=x&Key-Pair-Id=y"};
    char path[96];
    snprintf(path, sizeof(path), "%s/cdn.pem", world->dir);
    write_key(path);
    reopen(world, path, "cdn.example");
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        assert_int_equal(sign(world, urls[i]).result, SIGN_REFUSED);
    reopen(world, NULL, "cdn.example");
    assert_int_equal(sign(world, URL).result, SIGN_REFUSED);
}

static void a_key_may_come_and_go(void **state)
{
    struct world *world = *state;
    char path[96];
    snprintf(path, sizeof(path), "%s/cdn.pem", world->dir);
    reopen(world, path, "cdn.example");
    struct got_signed got = sign(world, URL);
    assert_int_equal(got.result, SIGN_NO_KEY);
    assert_non_null(strstr(got.message, path));
    write_key(path);
    assert_int_equal(sign(world, URL).result, SIGN_OK);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(sign(world, URL).result, SIGN_NO_KEY);
}

static void x06_without_a_broker_it_passes(void **state)
{
    struct world *world = *state;
    struct got_signed got = {0};
    broker_sign_url(world->broker, URL, take_signed, &got);
    world_close_broker(world);
    assert_true(got.is_done);
    assert_int_equal(got.result, SIGN_TRANSIENT);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_url_of_a_named_host_is_signed, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(other_urls_are_not, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_key_may_come_and_go, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(x06_without_a_broker_it_passes, world_setup, world_teardown),
    };
    return RUN_UNIT_TESTS(tests);
}

int main(void)
{
    return world_main(run);
}
