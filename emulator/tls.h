/* The emulator's own certificate authority, so that clients are tested over real TLS with real verification.
 */
#ifndef EMULATOR_TLS_H
#define EMULATOR_TLS_H

#include "base/attr.h"
#include "base/err.h"

struct tls_files {
    char *ca_path; /* owned */
    char *cert_pem;
    char *key_pem;
};

/* Makes a CA and a server certificate (127.0.0.1, ::1, localhost; valid from an hour ago for 30 days) and
 * writes the CA's certificate to DIR/ca.pem. The CA's key is forgotten. ERR_INTERNAL, ERR_IO. */
int MUST_CHECK tls_files_make(struct tls_files *ret, const char *dir, struct err *err);
void tls_files_release(struct tls_files *files);

#endif
