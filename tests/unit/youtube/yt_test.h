/* Replies made by hand, as src/http would hand them over. */
#ifndef TESTS_YT_TEST_H
#define TESTS_YT_TEST_H

#include "unit.h"

#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "youtube/youtube.h"

#define API_ROOT "https://www.googleapis.com"
#define NOW_MS   INT64_C(1795330800000) /* 2026-11-22T07:00:00Z */

static inline struct yt_http http_reply(int status, const char *headers, const char *body)
{
    return (struct yt_http){.status = status, .headers = headers, .body = body, .body_len = strlen(body)};
}

#endif
