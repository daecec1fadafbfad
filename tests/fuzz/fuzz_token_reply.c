/* Every reply of the token endpoint (K02 to K06). */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_reply input AUTO_FUZZ_REPLY = fuzz_reply_of(data, size);
    struct yt_token_reply reply;
    yt_parse_token_reply(&input.http, &reply);
    CHECK_TEXT(reply.error);
    CHECK_TEXT(reply.message);
    CHECK_TEXT(reply.access_token);
    CHECK_TEXT(reply.refresh_token);
    CHECK((reply.result == TOKEN_OK) == (reply.access_token[0] != '\0'));
    CHECK(!strchr(reply.access_token, ' ') && !strchr(reply.refresh_token, ' '));
    CHECK(reply.result != TOKEN_OK || (input.http.status == 200 && reply.expires_in_ms >= 60000));
    CHECK(reply.expires_in_ms <= 86400000);
    CHECK(reply.retry_after_ms >= -1);
    CHECK(memchr(reply.scope, '\0', sizeof(reply.scope)));
    yt_missing_scope(reply.scope);
    return 0;
}
