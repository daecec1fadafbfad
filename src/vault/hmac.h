/* HMAC-SHA256 with a key from a file, for messages that others are to believe. Any thread. */
#ifndef VAULT_HMAC_H
#define VAULT_HMAC_H

#include <stddef.h>

#include "base/err.h"
#include "vault/secret.h"

/* The file's bytes, without a line's end after them; 16 to 1024, and only its owner may read it. `what` names
 * it in messages. ERR_NOT_FOUND, ERR_AUTH, ERR_IO, ERR_INVALID. */
int hmac_read_key(const char *path, const char *what, struct secret *ret, struct err *err) MUST_CHECK;
void hmac_sha256(const struct secret *key, const void *data, size_t len, char ret_hex[65]);

#endif
