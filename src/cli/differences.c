#include "cli/differences.h"

#include <stdio.h>
#include <string.h>

static void name_it(struct buf *ret, const char *name)
{
    buf_printf(ret, "%s%s", ret->len ? ", " : "", name);
}

static void compare_texts(struct buf *ret, const char *name, const char *a, const char *b)
{
    if (strcmp(a ? a : "", b ? b : "") != 0)
        name_it(ret, name);
}

/* The fields of two parts (snippet, status …), either of which may be missing. */
static void compare_parts(struct buf *ret, const char *part, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)a, key, value) if (!json_equal(value, json_object_get(b, key)))
    {
        char name[160];
        snprintf(name, sizeof(name), "%s.%s", part, key);
        name_it(ret, name);
    }
    json_object_foreach((json_t *)b, key, value) if (!json_object_get(a, key))
    {
        char name[160];
        snprintf(name, sizeof(name), "%s.%s", part, key);
        name_it(ret, name);
    }
}

static void compare_values(struct buf *ret, const char *name, const json_t *a, const json_t *b)
{
    if (json_is_object(a) || json_is_object(b))
        compare_parts(ret, name, a, b);
    else if (!json_equal(a, b))
        name_it(ret, name);
}

void differences_metadata(const char *stored, const char *wanted, struct buf *ret)
{
    const char *key;
    json_t *value;
    json_t *a = stored ? json_loads(stored, 0, NULL) : NULL;
    json_t *b = wanted ? json_loads(wanted, 0, NULL) : NULL;
    json_object_foreach(a, key, value) compare_values(ret, key, value, json_object_get(b, key));
    json_object_foreach(b, key, value) if (!json_object_get(a, key)) compare_values(ret, key, NULL, value);
    json_decref(a);
    json_decref(b);
}

void differences_list(const struct store_job *job, const struct submit_item *item,
                      const struct submit *submit, struct buf *ret)
{
    compare_texts(ret, "channel", job->channel, submit->channel.name);
    compare_texts(ret, "path", job->storage_path, item->path);
    if (job->size_bytes != item->size_bytes)
        name_it(ret, "size");
    if (media_fingerprint_mtime_ns(job->fingerprint) != media_fingerprint_mtime_ns(item->fingerprint))
        name_it(ret, "time of change");
    compare_texts(ret, "region", job->region, submit->region);
    compare_texts(ret, "cdn-url", job->cdn_url, submit->cdn_url);
    differences_metadata(job->metadata, item->metadata.data, ret);
    if (ret->len == 0)
        name_it(ret, "parameters");
}
