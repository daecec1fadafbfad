/* A client_secret*.json. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yt_client_secret client;
    struct err err = {0};
    int result = yt_parse_client_secret((const char *)data, size, true, &client, &err);
    CHECK((result == 0) == (err.code == 0));
    CHECK_TEXT(client.kind);
    CHECK_TEXT(client.client_id);
    CHECK_TEXT(client.client_secret);
    CHECK_TEXT(client.auth_uri);
    CHECK_TEXT(client.token_uri);
    CHECK_TEXT(client.redirect_uri);
    CHECK((result == 0) == (client.client_id[0] && client.client_secret[0] && client.token_uri[0]));
    bool is_good = result == 0;
    result = yt_parse_client_secret((const char *)data, size, false, &client, NULL);
    CHECK(!is_good || result == 0);
    CHECK((result == 0) == (client.client_id[0] != '\0') && !client.client_secret[0]);
    return 0;
}
