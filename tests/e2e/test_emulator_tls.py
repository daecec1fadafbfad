"""Real TLS: the emulator's certificate holds against its own CA, and it can be made to show a bad one."""

import pathlib
import shutil
import socket
import ssl
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from authority import NEW_KEY  # noqa: E402
from emulator import Emulator  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403


def handshake(emulator, name="127.0.0.1", ca=None, version=None):
    context = ssl.create_default_context(cafile=ca or emulator.ca)
    if hasattr(ssl, "VERIFY_X509_STRICT"):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    if version:
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection((emulator.host, emulator.port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secured:
            return secured.version()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_certificate_is_good_for_all_loopback_names(emulator, name):
    assert handshake(emulator, name) == "TLSv1.3"


def test_t02_certificate_is_for_no_other_host(emulator):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(emulator, "www.googleapis.com")


def test_t03_ca_is_another_one_each_time(emulator):
    with Emulator() as other, pytest.raises(ssl.SSLCertVerificationError):
        handshake(emulator, ca=other.ca)


def test_listens_on_loopback_alone(emulator):
    addresses = [line.split()[1] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f"{emulator.port:04X}"
    assert f"0100007F:{port}" in addresses and f"00000000:{port}" not in addresses


def test_secrets_are_for_the_owner_alone(emulator):
    for path in pathlib.Path(emulator.dir).glob("client_secret*.json"):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_t09_old_versions(emulator):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(emulator, version=ssl.TLSVersion.TLSv1)
    assert handshake(emulator, version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with Emulator("--tls-priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2") as older:
        assert handshake(older) == "TLSv1.2"


def test_t01_given_certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", *NEW_KEY, "-days", "1", "-subj", "/CN=other",
                    "-addext", "subjectAltName=DNS:other.example", "-keyout", str(key), "-out", str(cert)],
                   check=True, stderr=subprocess.DEVNULL)
    with Emulator("--cert", str(cert), "--key", str(key)) as emulator:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(emulator)
        assert handshake(emulator, "other.example", ca=str(cert))


def test_small_receive_buffer():
    with Emulator("--receive-buffer", "4096") as emulator:
        token = emulator.access_token(emulator.channels()[0]["id"])
        data = b"x" * 300_000
        assert emulator.put(emulator.start(token, len(data)), token, data).status == 201
