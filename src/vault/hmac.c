#include "vault/hmac.h"

#include <sodium.h>
#include <unistd.h>

#include "base/text.h"
#include "vault/secret_file.h"

enum { KEY_LEN_MIN = 16, KEY_LEN_MAX = 1024 };

static size_t without_line_end(const struct secret *text, size_t len)
{
    if (len > 0 && text->data[len - 1] == '\n')
        len--;
    return len > 0 && text->data[len - 1] == '\r' ? len - 1 : len;
}

int hmac_read_key(const char *path, const char *what, struct secret *ret, struct err *err)
{
    struct secret text AUTO_SECRET = {0};
    size_t len;
    int fd = secret_file_open(path, what, err);
    if (fd < 0)
        return fd;
    secret_reserve(&text, KEY_LEN_MAX + 3); /* a line's end, and one byte more to see that nothing follows */
    int code = secret_file_read(fd, path, what, &text, &len, err);
    close(fd);
    if (code != 0)
        return code;
    len = without_line_end(&text, len);
    if (len < KEY_LEN_MIN || len > KEY_LEN_MAX)
        return err_set(err, ERR_INVALID, "%s: a %s has %d to %d bytes", path, what, KEY_LEN_MIN, KEY_LEN_MAX);
    secret_set(ret, text.data, len);
    return 0;
}

void hmac_sha256(const struct secret *key, const void *data, size_t len, char ret_hex[65])
{
    crypto_auth_hmacsha256_state state;
    unsigned char digest[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key->data, key->len);
    crypto_auth_hmacsha256_update(&state, data, len);
    crypto_auth_hmacsha256_final(&state, digest);
    sodium_memzero(&state, sizeof(state));
    text_hex(ret_hex, digest, sizeof(digest));
}
