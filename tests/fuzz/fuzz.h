/*
 * What every fuzz target shares: a check that stops the fuzzer, and replies made from its input. A reply is
 * written as "STATUS\n", header lines, an empty line and the body, so that seeds can be read and written by
 * hand.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "youtube/youtube.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Also in builds without assert(). */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A field of a struct: terminated, and safe to show. */
#define CHECK_TEXT(field)                                                                                    \
    CHECK(memchr(field, '\0', sizeof(field)) && utf8_is_valid(field, strlen(field)) && !has_control(field))

static inline bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    return false;
}

/* Letters, digits and a few signs: what an id or a reason may be. */
static inline bool is_word(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7F || strchr("\"'\\/<>&", *text))
            return false;
    return true;
}

struct fuzz_reply {
    char *headers;
    char *body;
    struct yt_http http;
};

static inline void fuzz_reply_release(struct fuzz_reply *reply)
{
    mem_free(reply->headers);
    mem_free(reply->body);
}
#define AUTO_FUZZ_REPLY CLEANUP(fuzz_reply_release)

static inline char *fuzz_copy(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, text, len);
    return copy;
}

/* Copies of exact length, so that the sanitizer sees each byte read too far. */
static inline struct fuzz_reply fuzz_reply_of(const uint8_t *data, size_t size)
{
    struct fuzz_reply reply = {.http = {.status = 0}};
    const char *text = (const char *)data;
    size_t at = 0;
    for (; at < size && text[at] >= '0' && text[at] <= '9' && at < 3; at++)
        reply.http.status = reply.http.status * 10 + (text[at] - '0');
    at += at < size && text[at] == '\n';
    const char *gap = size > at ? memmem(text + at, size - at, "\n\n", 2) : NULL;
    size_t headers_len = gap ? (size_t)(gap - text) + 1 - at : size - at;
    size_t body_at = gap ? at + headers_len + 1 : size;
    reply.headers = fuzz_copy(text + at, headers_len);
    reply.body = fuzz_copy(text + body_at, size - body_at);
    reply.http.headers = reply.headers;
    reply.http.body = reply.body;
    reply.http.body_len = size - body_at;
    return reply;
}

#endif
