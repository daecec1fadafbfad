/* Another program's login, for `channel import --token`. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yt_token_file file;
    struct err err = {0};
    int result = yt_parse_token_file((const char *)data, size, &file, &err);
    CHECK((result == 0) == (err.code == 0));
    CHECK(result == 0 || result == ERR_INVALID);
    CHECK_TEXT(file.client_id);
    CHECK_TEXT(file.refresh_token);
    CHECK((result == 0) == (file.refresh_token[0] != '\0'));
    CHECK((result == 0) == (file.kind != NULL));
    CHECK(result != 0 || file.client_id[0] || strcmp(file.kind, "youtubeuploader") == 0);
    CHECK_TEXT(err.message);
    return 0;
}
