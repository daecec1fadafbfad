#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "worker/settings.h"

static char config[96];

static int make_folder(void **state)
{
    int code = scratch_open(state);
    snprintf(config, sizeof(config), "%s/sluice.conf", scratch);
    return code;
}

static void write_config(const char *text)
{
    put_file("sluice.conf", text, 0600);
}

static int setup(void **state)
{
    (void)state;
    clearenv();
    setenv("HOME", scratch, 1);
    write_config("");
    return chdir(scratch);
}

static struct settings load(const struct settings_flag *flags, size_t count)
{
    struct settings settings;
    struct err err = {0};
    if (settings_load(config, flags, count, &settings, &err) != 0)
        fail_msg("%s", err.message);
    return settings;
}

static void defaults_need_only_a_home(void **state)
{
    char expected[96];
    (void)state;
    struct settings settings = load(NULL, 0);
    snprintf(expected, sizeof(expected), "sqlite:%s/.local/state/sluice/sluice.db", scratch);
    assert_string_equal(settings.store, expected);
    assert_string_equal(settings.broker_store, expected);
    snprintf(expected, sizeof(expected), "%s/.local/state/sluice/sluice.key", scratch);
    assert_string_equal(settings.key_file, expected);
    assert_string_equal(settings.api_root, "https://www.googleapis.com");
    assert_string_equal(settings.tenant, "default");
    assert_string_equal(settings.media_root, "/");
    assert_string_equal(settings.region, "");
    assert_null(settings.ca_file);
    assert_null(settings.proxy);
    assert_int_equal(settings.chunk_bytes, CHUNK_BYTES_DEFAULT);
    assert_int_equal(settings.lease_ms, LEASE_MS_DEFAULT);
    assert_int_equal(settings.retry_life_ms, JOB_LIFE_MS);
    assert_int_equal(settings.concurrency, CONCURRENCY_DEFAULT);
    assert_true(settings.check_video);
    assert_false(settings.reconcile_restarts);
    assert_false(settings.allow_plain_loopback);
    settings_release(&settings);
}

static void flags_win_over_environment_over_file(void **state)
{
    static const struct settings_flag flags[] = {{"concurrency", "--concurrency", "7"},
                                                 {"region", "--region", NULL}};
    (void)state;
    write_config("concurrency = 5\nper_channel = 5\nregion = eu\n");
    setenv("SLUICE_CONCURRENCY", "6", 1);
    setenv("SLUICE_PER_CHANNEL", "6", 1);
    struct settings settings = load(flags, ARRAY_LEN(flags));
    assert_int_equal(settings.concurrency, 7);
    assert_int_equal(settings.per_channel, 6);
    assert_string_equal(settings.region, "eu");
    assert_int_equal(settings_origin(&settings, "concurrency"), CONF_FLAG);
    assert_int_equal(settings_origin(&settings, "per_channel"), CONF_ENV);
    assert_int_equal(settings_origin(&settings, "region"), CONF_FILE);
    assert_int_equal(settings_origin(&settings, "store"), CONF_DEFAULT);
    settings_release(&settings);
}

static void the_state_directory_is_asked_for(void **state)
{
    (void)state;
    setenv("XDG_STATE_HOME", "/var/lib/x", 1);
    struct settings settings = load(NULL, 0);
    assert_string_equal(settings.store, "sqlite:/var/lib/x/sluice/sluice.db");
    settings_release(&settings);
    setenv("XDG_STATE_HOME", "relative", 1);
    settings = load(NULL, 0);
    assert_null(strstr(settings.store, "relative"));
    settings_release(&settings);
}

static void paths_become_absolute(void **state)
{
    char expected[96];
    (void)state;
    write_config("store = sqlite:a/b.db\nmedia_root = films\nca_file = ca.pem\n");
    struct settings settings = load(NULL, 0);
    snprintf(expected, sizeof(expected), "sqlite:%s/a/b.db", scratch);
    assert_string_equal(settings.store, expected);
    snprintf(expected, sizeof(expected), "%s/a/sluice.key", scratch);
    assert_string_equal(settings.key_file, expected);
    snprintf(expected, sizeof(expected), "%s/films", scratch);
    assert_string_equal(settings.media_root, expected);
    snprintf(expected, sizeof(expected), "%s/ca.pem", scratch);
    assert_string_equal(settings.ca_file, expected);
    settings_release(&settings);
}

static void every_path_becomes_absolute(void **state)
{
    struct settings none = {.store = NULL};
    struct conf conf = settings_conf(&none);
    (void)state;
    for (size_t i = 0; i < conf.key_count; i++) {
        char text[96], expected[96];
        struct buf path AUTO_BUF = BUF_INIT(96);
        if (conf.keys[i].type != CONF_PATH)
            continue;
        snprintf(text, sizeof(text), "%s = a/name\n", conf.keys[i].name);
        write_config(text);
        struct settings settings = load(NULL, 0);
        struct conf read = settings_conf(&settings);
        conf_format(&read, &conf.keys[i], &path);
        snprintf(expected, sizeof(expected), "%s/a/name", scratch);
        assert_string_equal(path.data, expected);
        settings_release(&settings);
    }
}

static void assert_refused(const char *text, int code, const char *part)
{
    struct settings settings;
    struct err err = {0};
    write_config(text);
    assert_int_equal(settings_load(config, NULL, 0, &settings, &err), code);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" lacks \"%s\"", err.message, part);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("chunk_bytes = 8000000\n", ERR_INVALID, "multiple of 262144");
    assert_refused("chunk_bytes = 10M\n", ERR_INVALID, "at most 9961472");
    assert_refused("\nchunk_byte = 8M\n", ERR_INVALID,
                   ":2: unknown key \"chunk_byte\"; did you mean \"chunk_bytes\"?");
    assert_refused("chunk_mode = partly\n", ERR_INVALID, "one of chunked whole auto");
    assert_refused("lease_ms = 3s\n", ERR_INVALID, "at least 12000");
    assert_refused("retry_base_ms = 10s\nretry_cap_ms = 5s\n", ERR_INVALID, "below retry_base_ms");
    assert_refused("tenant =\n", ERR_INVALID, "tenant is empty");
    assert_refused("cdn_sign_hosts = a.example\n", ERR_INVALID, "needs cdn_key_id");
    assert_refused("cdn_sign_hosts = a.example\ncdn_key_id = K1\n", ERR_INVALID, "needs cdn_key_file");
    assert_refused("cdn_key_id = K1&x=y\n", ERR_INVALID, "no key pair id");
    assert_refused("cdn_sign_hash = md5\n", ERR_INVALID, "one of sha256 sha1");
}

static void a_bad_flag_is_wrong_usage(void **state)
{
    static const struct settings_flag flags[] = {{"concurrency", "--concurrency", "many"}};
    struct settings settings;
    struct err err = {0};
    (void)state;
    assert_int_equal(settings_load(config, flags, 1, &settings, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "--concurrency"));
}

static void a_named_file_must_be_there(void **state)
{
    struct settings settings;
    struct err err = {0};
    (void)state;
    assert_int_equal(settings_load("/nonexistent.conf", NULL, 0, &settings, &err), ERR_NOT_FOUND);
    setenv("SLUICE_CONFIG", "/nonexistent2.conf", 1);
    assert_int_equal(settings_load(NULL, NULL, 0, &settings, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent2.conf"));
}

static void without_a_home_the_store_must_be_named(void **state)
{
    struct settings settings;
    struct err err = {0};
    (void)state;
    unsetenv("HOME");
    assert_int_equal(settings_load(config, NULL, 0, &settings, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "SLUICE_STORE"));
    write_config("store = sqlite:/x/y.db\n");
    settings = load(NULL, 0);
    assert_string_equal(settings.key_file, "/x/sluice.key");
    settings_release(&settings);
}

static void on_unknown(void *ctx, const char *variable, const char *nearest)
{
    snprintf(ctx, 100, "%s %s", variable, nearest ? nearest : "-");
}

static void a_mistyped_variable_is_found(void **state)
{
    char found[100] = "";
    (void)state;
    setenv("SLUICE_CONFIG", "x", 1);
    setenv("SLUICE_REGION", "x", 1);
    settings_unknown_env(on_unknown, found);
    assert_string_equal(found, "");
    setenv("SLUICE_REGOIN", "secret", 1);
    settings_unknown_env(on_unknown, found);
    assert_string_equal(found, "SLUICE_REGOIN region");
}

/* What a key's help promises is what the engine is made for. */
static void every_key_has_help_and_its_default_passes(void **state)
{
    (void)state;
    struct settings settings = load(NULL, 0);
    struct conf conf = settings_conf(&settings);
    for (size_t i = 0; i < conf.key_count; i++) {
        assert_non_null(conf.keys[i].help);
        assert_int_equal(conf_origin_of(&conf, &conf.keys[i]), CONF_DEFAULT);
        assert_true(conf.keys[i].default_value || conf.keys[i].default_help);
    }
    settings_release(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_need_only_a_home, setup),
        cmocka_unit_test_setup(flags_win_over_environment_over_file, setup),
        cmocka_unit_test_setup(the_state_directory_is_asked_for, setup),
        cmocka_unit_test_setup(paths_become_absolute, setup),
        cmocka_unit_test_setup(every_path_becomes_absolute, setup),
        cmocka_unit_test_setup(mistakes_are_named, setup),
        cmocka_unit_test_setup(a_bad_flag_is_wrong_usage, setup),
        cmocka_unit_test_setup(a_named_file_must_be_there, setup),
        cmocka_unit_test_setup(without_a_home_the_store_must_be_named, setup),
        cmocka_unit_test_setup(a_mistyped_variable_is_found, setup),
        cmocka_unit_test_setup(every_key_has_help_and_its_default_passes, setup),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, scratch_close);
}
