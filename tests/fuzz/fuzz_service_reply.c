/* Every reply of a token service (K02 to K05). */
#include "fuzz.h"
#include "vault/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_reply input AUTO_FUZZ_REPLY = fuzz_reply_of(data, size);
    struct service_reply reply;
    service_parse_reply(&input.http, INT64_C(1800000000000), &reply);
    const struct yt_token_reply *token = &reply.token;
    CHECK_TEXT(token->message);
    CHECK_TEXT(token->access_token);
    CHECK_TEXT(reply.channel_id);
    CHECK(is_word(reply.channel_id));
    CHECK((token->result == TOKEN_OK) == (token->access_token[0] != '\0'));
    CHECK(!strchr(token->access_token, ' ') && !token->refresh_token[0]);
    CHECK(token->result != TOKEN_OK ||
          (reply.http_status == 200 && token->expires_in_ms >= 60000 && token->expires_in_ms <= 86400000));
    CHECK(token->result == TOKEN_OK || token->result == TOKEN_TRANSIENT ||
          (reply.http_status > 401 && reply.http_status < 500) || reply.http_status == 400);
    CHECK(token->retry_after_ms >= -1);
    CHECK(!reply.is_for_operator || token->result == TOKEN_TRANSIENT);
    return 0;
}
