"""A certificate authority of a test's own, and server certificates with something wrong."""

import subprocess

# For `openssl req`. A pair for RSA takes long to find.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    def __init__(self, place):
        self.place = place
        (place / "index").write_text("")
        (place / "ca.conf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\n"
            "policy=p\nunique_subject=no\nrand_serial=yes\n[p]\ncommonName=supplied\n")
        self.openssl("req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
                     "-subj", "/CN=Test CA")
        self.ca = str(place / "ca.pem")

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.place, check=True, capture_output=True)

    def certificate(self, name, host="IP:127.0.0.1", begins="20260101000000Z", ends="20360101000000Z"):
        """Options for an emulator that shows such a certificate."""
        self.openssl("req", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                     f"/CN={name}")
        (self.place / f"{name}.ext").write_text(f"subjectAltName={host}\n")
        self.openssl("ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr",
                     "-out", f"{name}.pem", "-startdate", begins, "-enddate", ends, "-extfile", f"{name}.ext", "-notext")
        return ["--cert", str(self.place / f"{name}.pem"), "--key", str(self.place / f"{name}.key")]

    def revoke(self, name):
        """Says so in its index, and hands out a list of what is revoked."""
        self.openssl("ca", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-revoke", f"{name}.pem")
        self.openssl("ca", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl", "-crldays", "30",
                     "-out", "revoked.pem")
