/*
 * Files that hold a secret: opened only where nobody else may read them (docs/faults.md K11). Any thread.
 */
#ifndef VAULT_SECRET_FILE_H
#define VAULT_SECRET_FILE_H

#include "base/err.h"
#include "vault/secret.h"

/* A descriptor of a regular file that belongs to us or to root and gives no right to others. A group may read
 * what root gave to it, where we are not root: that is how systemd and Kubernetes hand a credential to a
 * service. `what` names the file in messages ("key file"). ERR_NOT_FOUND, ERR_AUTH, ERR_IO. */
int secret_file_open(const char *path, const char *what, struct err *err) MUST_CHECK;
/* As much of it as fits into `ret`, which holds `len` bytes: *ret_len, up to and including `len`. */
int secret_file_read(int fd, const char *path, const char *what, struct secret *ret, size_t *ret_len,
                     struct err *err) MUST_CHECK;

#endif
