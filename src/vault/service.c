/* Where the token service is, and what the broker shows to it. */
#include "vault/service.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "http/http.h"
#include "vault/secret_file.h"

enum { BEARER_LEN_MAX = 4096, CA_BYTES_MAX = 16777216 };
#define BEARER_WHAT "bearer file of the token service"
#define KEY_WHAT    "key file of the token service's client certificate"

/* ---- the bearer ---- */

/* Visible ASCII of one line; a newline may end it. Returns its length; 0: it is none. */
static size_t bearer_len(const char *text, size_t len)
{
    len -= len > 0 && text[len - 1] == '\n';
    len -= len > 0 && text[len - 1] == '\r';
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7F)
            return 0;
    return len <= BEARER_LEN_MAX ? len : 0;
}

static int read_text(const char *path, struct secret *ret, size_t *ret_len, struct err *err)
{
    int fd = secret_file_open(path, BEARER_WHAT, err);
    if (fd < 0)
        return fd;
    secret_reserve(ret, BEARER_LEN_MAX + 3); /* a line's end, and one byte more to see that nothing follows */
    int code = secret_file_read(fd, path, BEARER_WHAT, ret, ret_len, err);
    close(fd);
    return code;
}

int service_read_bearer(const char *path, struct secret *ret, struct err *err)
{
    struct secret text AUTO_SECRET = {0};
    size_t len;
    int code = read_text(path, &text, &len, err);
    if (code != 0)
        return code;
    len = bearer_len(text.data, len);
    if (len == 0)
        return err_set(err, ERR_AUTH, "the " BEARER_WHAT " %s is not one line of 1 to %d visible characters",
                       path, BEARER_LEN_MAX);
    secret_set_after(ret, HTTP_BEARER, text.data, len);
    return 0;
}

/* ---- the check ---- */

static int check_url(const char *url, bool allow_plain, struct err *err)
{
    struct http_origin origin;
    int code = http_origin_parse(url, &origin, err);
    if (code != 0) {
        err_wrap(err, "token_service");
        return code;
    }
    if (!origin.https && !(allow_plain && http_host_is_loopback(origin.host)))
        return err_set(err, ERR_INVALID, "token_service: plain http to %s is refused: use https",
                       origin.host);
    return 0;
}

static int check_pem(const char *path, const char *what, struct err *err)
{
    struct buf text AUTO_BUF = BUF_INIT(CA_BYTES_MAX);
    int code = file_read(path, &text, err);
    if (code != 0) {
        err_wrap(err, "%s", what);
        return code;
    }
    if (!strstr(text.data, "-----BEGIN CERTIFICATE-----"))
        return err_set(err, ERR_INVALID, "%s: %s has no certificate in it (PEM is expected)", what, path);
    return 0;
}

static int check_key(const char *path, struct err *err)
{
    int fd = secret_file_open(path, KEY_WHAT, err);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static int check_together(const struct service_config *config, struct err *err)
{
    if (!config->cert_file != !config->key_file)
        return err_set(err, ERR_INVALID,
                       "token_service_cert_file and token_service_key_file belong together: set both");
    if (!config->cert_file && !config->bearer_file)
        return err_set(err, ERR_INVALID,
                       "token_service would hand tokens to anybody: set token_service_bearer_file, or "
                       "token_service_cert_file and token_service_key_file");
    return 0;
}

int service_check(const struct service_config *config, bool allow_plain, struct err *err)
{
    struct secret bearer AUTO_SECRET = {0};
    int code = check_url(config->url, allow_plain, err);
    if (code == 0)
        code = check_together(config, err);
    if (code == 0 && config->ca_file)
        code = check_pem(config->ca_file, "token_service_ca_file", err);
    if (code == 0 && config->cert_file)
        code = check_pem(config->cert_file, "token_service_cert_file", err);
    if (code == 0 && config->key_file)
        code = check_key(config->key_file, err);
    if (code == 0 && config->bearer_file)
        code = service_read_bearer(config->bearer_file, &bearer, err);
    return code;
}
