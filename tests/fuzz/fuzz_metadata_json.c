/* A metadata file: what is taken is stored in a form that is taken again unchanged, and can be sent. */
#include "fuzz.h"

#include "youtube/metadata_json.h"

#define NOW_MS INT64_C(1795330800000)

static void check_violations(const struct metadata_violations *violations)
{
    for (uint32_t i = 0; i < violations->count && i < METADATA_VIOLATIONS_MAX; i++) {
        CHECK_TEXT(violations->items[i].field);
        CHECK_TEXT(violations->items[i].reason);
        CHECK_TEXT(violations->items[i].message);
        CHECK(violations->items[i].message[0]);
    }
}

static int make(const char *file, size_t len, struct buf *ret)
{
    static struct metadata_violations violations;
    struct metadata_flags flags = {0};
    struct err err = {0};
    int result = metadata_make(file, len, &flags, "/in/clip.mp4", NOW_MS, ret, &violations, &err);
    CHECK((result == 0) == (err.code == 0));
    CHECK(result == 0 || err.message[0]);
    CHECK(result < 0 || violations.count == 0);
    check_violations(&violations);
    return result;
}

static void check_sendable(const char *stored)
{
    struct yt_request request;
    char title[4 * METADATA_TITLE_LENGTH_MAX + 1];
    CHECK(yt_build_start("https://www.googleapis.com", stored, 5, "video/mp4", "s", &request, NULL) == 0);
    CHECK(!request.url.overflowed && !request.body.overflowed);
    yt_request_release(&request);
    metadata_title(stored, title, sizeof(title));
    CHECK(title[0] && utf8_length(title) <= METADATA_TITLE_LENGTH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf stored AUTO_BUF, again AUTO_BUF;
    buf_init(&stored, 1 << 20);
    buf_init(&again, 1 << 20);
    if (make((const char *)data, size, &stored) < 0)
        return 0;
    check_sendable(stored.data);
    CHECK(make(stored.data, stored.len, &again) == 0);
    CHECK(strcmp(stored.data, again.data) == 0);
    return 0;
}
