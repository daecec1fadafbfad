#include "cli/submit.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/differences.h"
#include "cli/job_id.h"
#include "cli/output.h"
#include "http/http.h"
#include "vault/seal.h"
#include "youtube/metadata_json.h"

enum { PRIORITY_MAX = 1000, KEY_LEN_MAX = 200 };

void submit_release(struct submit *submit)
{
    for (int i = 0; i < submit->count; i++) {
        mem_free(submit->items[i].path);
        mem_free(submit->items[i].key);
        buf_release(&submit->items[i].metadata);
    }
    mem_free(submit->items);
    *submit = (struct submit){0};
}

/* ---- the options ---- */

static int check_cdn_url(const char *url, struct err *err)
{
    struct http_origin origin;
    if (!*url)
        return 0;
    if (strlen(url) > CDN_URL_LEN_MAX)
        return err_set(err, ERR_INVALID, "--cdn-url: at most %d bytes are allowed, these are %zu",
                       CDN_URL_LEN_MAX, strlen(url));
    if (http_origin_parse(url, &origin, err) < 0)
        return err_wrap(err, "--cdn-url");
    if (!origin.https && !http_host_is_loopback(origin.host))
        return err_set(err, ERR_INVALID, "--cdn-url: only https:// is allowed, this is http://%s",
                       origin.host);
    return 0;
}

static int check_key(const struct cli *cli, struct err *err)
{
    const char *key = cli_value(cli, "key");
    if (!key)
        return 0;
    if (cli->arg_count > 1)
        return err_set(err, ERR_USAGE, "--key belongs to one file, but %d are given", cli->arg_count);
    size_t len = strlen(key);
    if (len == 0 || len > KEY_LEN_MAX || !utf8_is_valid(key, len) || text_starts_with(key, "auto:"))
        return err_set(err, ERR_INVALID,
                       "--key: 1 to %d bytes of UTF-8 are allowed, not beginning with \"auto:\"",
                       KEY_LEN_MAX);
    return 0;
}

static int read_options(struct submit *submit, struct err *err)
{
    struct cli *cli = submit->cli;
    const char *channel = cli_value(cli, "channel");
    if (!channel)
        return err_set(err, ERR_USAGE,
                       "--channel is missing: which channel is it for? `sluice channel list` "
                       "shows those there are");
    submit->region = cli_value(cli, "region") ? cli_value(cli, "region") : "";
    submit->cdn_url = cli_value(cli, "cdn-url") ? cli_value(cli, "cdn-url") : "";
    int code = *submit->region ? cli_check_name("region", submit->region, err) : 0;
    if (code == 0)
        code = check_cdn_url(submit->cdn_url, err);
    if (code == 0)
        code = check_key(cli, err);
    if (code == 0)
        code = cli_number(cli, "priority", -PRIORITY_MAX, PRIORITY_MAX, 0, &submit->priority, err);
    return code < 0 ? code : cli_find_channel(cli, channel, &submit->channel, err);
}

/* ---- one file ---- */

static int take_fingerprint(struct media_root *root, struct submit_item *item, struct err *err)
{
    struct media_file *file = NULL;
    int code = media_open(root, item->path, &file, err);
    if (code == 0) {
        item->size_bytes = media_size(file);
        code = media_fingerprint(file, item->fingerprint, err);
    }
    media_close(file);
    return code;
}

static int read_source(struct media_root *root, struct submit_item *item, struct err *err)
{
    int code = media_root_relative(root, item->typed, &item->path, err);
    if (code == 0)
        code = take_fingerprint(root, item, err);
    /* A file that cannot be read is bad input here, not a failure of ours. */
    if (code == ERR_IO)
        code = err->code = ERR_INVALID;
    return code;
}

static int make_metadata(struct submit *submit, struct submit_item *item, const struct buf *meta,
                         struct metadata_violations *violations, struct err *err)
{
    struct cli *cli = submit->cli;
    struct metadata_flags flags = {.title = cli_value(cli, "title"),
                                   .description = cli_value(cli, "description"),
                                   .tags = cli_value(cli, "tags"),
                                   .category_id = cli_value(cli, "category"),
                                   .privacy = cli_value(cli, "privacy"),
                                   .publish_at = cli_value(cli, "publish-at")};
    const char *text = cli_has(cli, "meta") ? meta->data : NULL;
    *violations = (struct metadata_violations){0};
    int code = metadata_make(text, meta->len, &flags, item->path ? item->path : item->typed, clock_wall_ms(),
                             &item->metadata, violations, err);
    if (code == 0)
        metadata_title(item->metadata.data, item->title, sizeof(item->title));
    return code;
}

static void make_key(const struct submit *submit, struct submit_item *item)
{
    char content[MEDIA_FINGERPRINT_SIZE];
    const char *key = cli_value(submit->cli, "key");
    media_content_key(item->fingerprint, content);
    item->key = key ? mem_dup(key) : mem_printf("auto:%s:%s", submit->channel.yt_channel_id, content);
}

/* All that makes the job what it is, in one canonical text; its digest tells repeats from conflicts. */
static void make_digest(const struct submit *submit, struct submit_item *item)
{
    unsigned char digest[32];
    json_t *params = json_pack("{s:o, s:I, s:I, s:o, s:s, s:o, s:o}", "path", json_text(item->path), "size",
                               (json_int_t)item->size_bytes, "mtime_ns",
                               (json_int_t)media_fingerprint_mtime_ns(item->fingerprint), "metadata",
                               json_text(item->metadata.data), "channel", submit->channel.yt_channel_id,
                               "region", json_text(submit->region), "cdn_url", json_text(submit->cdn_url));
    char *text AUTO_FREE = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(params);
    vault_sha256(text, strlen(text), digest);
    text_hex(item->params_digest, digest, sizeof(digest));
}

/* ---- all files ---- */

/* The problems found so far. */
struct findings {
    int count;
    int first_code;
    bool has_bad_meta; /* the metadata file cannot be read: told once, not for every file */
};

static void find(struct findings *findings, const struct cli *cli, const struct err *err, const char *file,
                 const char *field, const char *reason)
{
    report_field(cli, err, file, field, reason);
    if (findings->count++ == 0)
        findings->first_code = err->code;
}

static void find_violations(struct findings *findings, const struct cli *cli, const char *file,
                            const struct metadata_violations *violations)
{
    struct err err;
    uint32_t kept = violations->count < METADATA_VIOLATIONS_MAX ? violations->count : METADATA_VIOLATIONS_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        const struct metadata_violation *item = &violations->items[i];
        err_set(&err, ERR_INVALID, "%s", item->message);
        find(findings, cli, &err, file, item->field, item->reason);
    }
}

static void check_metadata(struct submit *submit, const struct buf *meta, struct submit_item *item,
                           struct findings *findings)
{
    struct metadata_violations violations;
    struct err err = {0};
    const char *path = cli_value(submit->cli, "meta");
    int code = make_metadata(submit, item, meta, &violations, &err);
    find_violations(findings, submit->cli, item->typed, &violations);
    if (code == 0 || violations.count > 0)
        return;
    find(findings, submit->cli, &err, path, NULL, NULL);
    findings->has_bad_meta = path != NULL;
}

/* Both the file and the metadata are looked at, whatever the other one says. */
static void check_item(struct submit *submit, struct media_root *root, const struct buf *meta,
                       struct submit_item *item, struct findings *findings)
{
    struct err err = {0};
    int before = findings->count;
    if (read_source(root, item, &err) < 0)
        find(findings, submit->cli, &err, item->typed, NULL, NULL);
    if (!findings->has_bad_meta)
        check_metadata(submit, meta, item, findings);
    if (findings->count > before)
        return;
    make_key(submit, item);
    make_digest(submit, item);
}

static int check_items(struct submit *submit, struct media_root *root, const struct buf *meta,
                       struct err *err)
{
    struct findings findings = {0};
    for (int i = 0; i < submit->count; i++)
        check_item(submit, root, meta, &submit->items[i], &findings);
    if (findings.count == 0)
        return 0;
    return err_set(err, findings.first_code, "nothing was queued: %d problem%s found", findings.count,
                   findings.count == 1 ? " was" : "s were");
}

static int check_all(struct submit *submit, struct err *err)
{
    struct media_root *root = NULL;
    struct buf meta AUTO_BUF = BUF_INIT(METADATA_BYTES_MAX);
    const char *meta_path = cli_value(submit->cli, "meta");
    int code = meta_path ? file_read(meta_path, &meta, err) : 0;
    if (code == 0 && (code = media_root_open(submit->cli->settings.media_root, &root, err)) < 0)
        err_wrap(err, "media_root");
    if (code == 0) {
        code = check_items(submit, root, &meta, err);
        media_root_close(root);
    }
    return code;
}

/* ---- storing ---- */

static int refuse_conflict(struct submit *submit, const struct submit_item *item, struct err *err)
{
    struct store_job job;
    struct buf text AUTO_BUF = BUF_INIT(512);
    int code = store_job_find(submit->cli->store, item->id.text, &job, err);
    if (code < 0)
        return code;
    differences_list(&job, item, submit, &text);
    err_set(
        err, ERR_EXISTS,
        "%s: this file was added before, as job %s (%s%s%s), but these differ: %s. To have a second video "
        "of it, give a --key of your own; to change the first one, cancel its job or edit the video",
        item->typed, job.id.text, job_state_text(job.state), *job.video_id ? ", https://youtu.be/" : "",
        job.video_id, text.data);
    store_job_release(&job);
    return ERR_EXISTS;
}

static struct store_job_new make_job(const struct submit *submit, const struct submit_item *item)
{
    unsigned char random[JOB_ID_RANDOM_BYTES];
    struct store_job_new job = {.channel_id = submit->channel.id,
                                .region = submit->region,
                                .priority = (int)submit->priority,
                                .storage_path = item->path,
                                .size_bytes = item->size_bytes,
                                .fingerprint = item->fingerprint,
                                .title = item->title,
                                .metadata = item->metadata.data,
                                .idempotency_key = item->key,
                                .params_digest = item->params_digest,
                                .cdn_url = submit->cdn_url,
                                .who = cli_who()};
    random_bytes(random, sizeof(random));
    job_id_make(clock_wall_ms(), random, &job.id);
    return job;
}

static int refuse_first(struct submit *submit, const struct store_add_item *adds, struct err *err)
{
    int i = 0;
    while (i < submit->count - 1 && !adds[i].is_refused)
        i++;
    return adds[i].is_refused ? refuse_conflict(submit, &submit->items[i], err) : ERR_EXISTS;
}

static int store_all(struct submit *submit, struct err *err)
{
    uint32_t count = (uint32_t)submit->count;
    AUTO_FREE struct store_job_new *jobs = mem_alloc_array(count, sizeof(*jobs));
    AUTO_FREE struct store_add_item *adds = mem_alloc_array(count, sizeof(*adds));
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = make_job(submit, &submit->items[i]);
        adds[i].job = &jobs[i];
    }
    int code = store_job_add_many(submit->cli->store, adds, count, err);
    for (uint32_t i = 0; i < count; i++) {
        submit->items[i].id = adds[i].id;
        submit->items[i].existed = adds[i].existed;
    }
    return code == ERR_EXISTS ? refuse_first(submit, adds, err) : code;
}

int submit_run(struct cli *cli, struct submit *ret, struct err *err)
{
    struct submit submit = {.cli = cli, .count = cli->arg_count};
    submit.items = mem_alloc_array((size_t)submit.count, sizeof(*submit.items));
    for (int i = 0; i < submit.count; i++) {
        submit.items[i].typed = cli->args[i];
        buf_init(&submit.items[i].metadata, 2 * METADATA_BYTES_MAX);
    }
    int code = read_options(&submit, err);
    if (code == 0)
        code = check_all(&submit, err);
    if (code == 0)
        code = store_all(&submit, err);
    if (code < 0)
        submit_release(&submit);
    else
        *ret = submit;
    return code;
}
