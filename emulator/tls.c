#include "tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "file.h"

/* One certificate with its key. */
struct identity {
    gnutls_x509_crt_t cert;
    gnutls_x509_privkey_t key;
};

static void identity_release(struct identity *identity)
{
    if (identity->cert)
        gnutls_x509_crt_deinit(identity->cert);
    if (identity->key)
        gnutls_x509_privkey_deinit(identity->key);
}

/* Key, serial number, name and dates: what both certificates have. Returns a GnuTLS code, as all below do. */
static int identity_begin(struct identity *identity, const char *common_name)
{
    unsigned char serial[16];
    random_bytes(serial, sizeof serial);
    serial[0] &= 0x7f; /* positive, as RFC 5280 wants it */
    time_t now = (time_t)(clock_wall_ms() / 1000);
    int rc = gnutls_x509_crt_init(&identity->cert);
    if (rc == 0)
        rc = gnutls_x509_privkey_init(&identity->key);
    if (rc == 0)
        rc = gnutls_x509_privkey_generate(identity->key, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc == 0)
        rc = gnutls_x509_crt_set_version(identity->cert, 3);
    if (rc == 0)
        rc = gnutls_x509_crt_set_serial(identity->cert, serial, sizeof serial);
    if (rc == 0)
        rc = gnutls_x509_crt_set_dn_by_oid(identity->cert, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                           (unsigned)strlen(common_name));
    if (rc == 0)
        rc = gnutls_x509_crt_set_activation_time(identity->cert, now - 3600);
    if (rc == 0)
        rc = gnutls_x509_crt_set_expiration_time(identity->cert, now + 30 * 24 * 3600);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key(identity->cert, identity->key);
    return rc;
}

/* OpenSSL's strict mode, which newer Python turns on, wants both key identifiers. */
static int set_key_ids(gnutls_x509_crt_t cert, gnutls_x509_crt_t issuer)
{
    unsigned char id[64];
    size_t len = sizeof id;
    int rc = gnutls_x509_crt_get_key_id(cert, 0, id, &len);
    if (rc == 0)
        rc = gnutls_x509_crt_set_subject_key_id(cert, id, len);
    len = sizeof id;
    if (rc == 0)
        rc = gnutls_x509_crt_get_key_id(issuer, 0, id, &len);
    if (rc == 0)
        rc = gnutls_x509_crt_set_authority_key_id(cert, id, len);
    return rc;
}

static int make_ca(struct identity *ca)
{
    int rc = identity_begin(ca, "youtube-emulator CA");
    if (rc == 0)
        rc = gnutls_x509_crt_set_basic_constraints(ca->cert, 1, 0);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(ca->cert, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    if (rc == 0)
        rc = set_key_ids(ca->cert, ca->cert);
    return rc ? rc : gnutls_x509_crt_sign2(ca->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0);
}

static int set_names(gnutls_x509_crt_t cert)
{
    static const unsigned char v4[4] = {127, 0, 0, 1};
    static const unsigned char v6[16] = {[15] = 1};
    int rc = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, "localhost",
                                                  (unsigned)strlen("localhost"), GNUTLS_FSAN_SET);
    if (rc == 0)
        rc = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, v4, sizeof v4,
                                                  GNUTLS_FSAN_APPEND);
    if (rc == 0)
        rc = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, v6, sizeof v6,
                                                  GNUTLS_FSAN_APPEND);
    return rc;
}

static int make_server(struct identity *server, const struct identity *ca)
{
    int rc = identity_begin(server, "127.0.0.1");
    if (rc == 0)
        rc = set_names(server->cert);
    if (rc == 0)
        rc = gnutls_x509_crt_set_basic_constraints(server->cert, 0, -1);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(server->cert, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(server->cert, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc == 0)
        rc = set_key_ids(server->cert, ca->cert);
    return rc ? rc : gnutls_x509_crt_sign2(server->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0);
}

static int export_pem(const struct identity *identity, char **ret_cert, char **ret_key)
{
    gnutls_datum_t cert = {NULL, 0}, key = {NULL, 0};
    int rc = gnutls_x509_crt_export2(identity->cert, GNUTLS_X509_FMT_PEM, &cert);
    if (rc == 0)
        rc = gnutls_x509_privkey_export2(identity->key, GNUTLS_X509_FMT_PEM, &key);
    if (rc == 0) {
        *ret_cert = mem_dup_n((char *)cert.data, cert.size);
        *ret_key = mem_dup_n((char *)key.data, key.size);
    }
    gnutls_free(cert.data);
    gnutls_free(key.data);
    return rc;
}

int tls_files_make(struct tls_files *ret, const char *dir, struct err *err)
{
    CLEANUP(identity_release) struct identity ca = {NULL, NULL};
    CLEANUP(identity_release) struct identity server = {NULL, NULL};
    AUTO_FREE char *ca_pem = NULL;
    AUTO_FREE char *ca_key = NULL;
    int rc = make_ca(&ca);
    if (rc == 0)
        rc = make_server(&server, &ca);
    if (rc == 0)
        rc = export_pem(&ca, &ca_pem, &ca_key);
    if (rc == 0)
        rc = export_pem(&server, &ret->cert_pem, &ret->key_pem);
    if (rc != 0)
        return err_set(err, ERR_INTERNAL, "cannot make certificates: %s", gnutls_strerror(rc));
    ret->ca_path = mem_printf("%s/ca.pem", dir);
    return file_write(ret->ca_path, 0644, ca_pem, strlen(ca_pem), err);
}

void tls_files_release(struct tls_files *files)
{
    mem_free(files->ca_path);
    mem_free(files->cert_pem);
    mem_free(files->key_pem);
    *files = (struct tls_files){0};
}
